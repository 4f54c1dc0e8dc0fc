# Sourced by bin/latent and bin/test, never run: puts locked packages into .venv.
# shellcheck shell=bash
#
# A lock that is installed is copied to .venv/.latent-NAME: a start compares the two.
# Until the first installation is complete .venv/.latent-installing is there: a .venv
# that has it when nobody holds the lock was left by an interrupted start, and is made
# anew. A .venv that one made oneself has no such file and is never removed.

# Every lock of requirements/: what developing and testing needs.
# shellcheck disable=SC2034  # for those who source this
all_locks=(runtime corpus cluster train album live desktop midi home web dev)

say() { printf 'latent: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# slurp FILE VARIABLE: the text of a file, or nothing, without starting a process.
slurp() {
  local text=
  if [[ -r $1 ]]; then IFS= read -r -d '' text <"$1" || true; fi
  printf -v "$2" '%s' "$text"
}

# installed ROOT NAME...: whether .venv has every one of these locks as it stands.
installed() {
  local root=$1 name lock stamp
  shift
  [[ -x $root/.venv/bin/python && ! -e $root/.venv/.latent-installing ]] || return 1
  for name in "$@"; do
    slurp "$root/requirements/$name.lock" lock
    slurp "$root/.venv/.latent-$name" stamp
    [[ -n $lock && $lock == "$stamp" ]] || return 1
  done
}

# install ROOT NAME...: make .venv if need be and install these locks into it.
install() {
  local root=$1 held
  shift
  [[ -w $root ]] || die "cannot write $root: .venv is to be made there"
  exec {held}<"$root/requirements/runtime.lock"
  if command -v flock >/dev/null && ! flock -n "$held"; then
    say "another start is installing; waiting for it"
    flock "$held"
  fi
  if ! installed "$root" "$@"; then
    make_venv "$root"
    install_locks "$root" "$@"
    rm -f "$root/.venv/.latent-installing"
  fi
  exec {held}<&-
}

make_venv() {
  local venv=$1/.venv python
  if [[ -e $venv/.latent-installing ]]; then
    say "an earlier installation was interrupted; starting again"
    rm -rf "$venv"
  fi
  if [[ -x $venv/bin/python ]] && "$venv/bin/python" -m pip --version &>/dev/null; then
    return # pip itself mends what an interrupted update left
  fi
  python=$(find_python) ||
    die "Python 3.11 or newer is needed: apt install python3 python3-venv"
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    apt_install "python3-venv" || die "Python lacks venv: apt install python3-venv"
  fi
  say "making $venv"
  rm -rf "$venv"
  mkdir "$venv"
  touch "$venv/.latent-installing"
  "$python" -m venv "$venv" >&2 || die "could not make $venv"
}

find_python() {
  local name
  for name in python3.11 python3 python3.12 python3.13; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

install_locks() {
  local root=$1 name
  local -a files=()
  shift
  for name in "$@"; do
    installed_lock "$root" "$name" || files+=(-r "$root/requirements/$name.lock")
  done
  # torch comes first and alone: its CPU wheel is found by pip in more places than
  # one, and a resolver that sees all packages at once may take another.
  if [[ " $* " == *" train "* ]]; then
    say "installing PyTorch for training (about 900 MB unpacked)"
    pip_install "$root" "$(grep '^torch==' "$root/requirements/train.lock")"
  fi
  if ((${#files[@]})); then
    say "installing Python packages: $*"
    pip_install "$root" "${files[@]}" -c "$root/requirements/runtime.lock"
  fi
  for name in "$@"; do
    cp "$root/requirements/$name.lock" "$root/.venv/.latent-$name"
  done
}

installed_lock() {
  local lock stamp
  slurp "$1/requirements/$2.lock" lock
  slurp "$1/.venv/.latent-$2" stamp
  [[ -n $lock && $lock == "$stamp" ]]
}

pip_install() {
  local root=$1
  shift
  "$root/.venv/bin/python" -P -m pip install -qq --no-input \
    --disable-pip-version-check "$@" >&2 ||
    die "pip could not install the packages; the lines above say why"
}

# has_library NAME: whether the dynamic linker knows it.
has_library() {
  local ldconfig
  ldconfig=$(PATH=$PATH:/sbin:/usr/sbin command -v ldconfig) || return 1
  [[ $("$ldconfig" -p) == *"$1"* ]]
}

# may_apt: whether Debian packages can be installed without asking anybody.
may_apt() {
  command -v apt-get >/dev/null || return 1
  ((EUID == 0)) || sudo -n true 2>/dev/null
}

# apt_install PACKAGE...: through apt, as root; fails where that may not be.
apt_install() {
  local -a as_root=()
  may_apt || return 1
  ((EUID == 0)) || as_root=(sudo -n)
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  say "installing Debian packages: $*"
  # A fresh machine has no package lists, or old ones.
  "${as_root[@]}" install -y --no-install-recommends "$@" &>/dev/null ||
    { "${as_root[@]}" update >/dev/null &&
      "${as_root[@]}" install -y --no-install-recommends "$@" >/dev/null; } >&2
}

install_portaudio() {
  has_library libportaudio.so.2 || apt_install libportaudio2 ||
    say "no sound from 'play' yet: apt install libportaudio2 ('render' works without)"
}
