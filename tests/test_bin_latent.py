"""bin/latent in a project of the same shape whose packages are quick to install."""

import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Prints where it runs, which modules it would get, and what it was asked.
MAIN = """
import json, os, signal, sys
import engine, random
from importlib.metadata import version
print(json.dumps({
    "cwd": os.getcwd(), "args": sys.argv[1:], "prefix": sys.prefix,
    "engine": engine.__file__, "random": random.__file__, "click": version("click"),
    "held": signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
}))
sys.exit(2 if {"--look", "--small"} <= set(sys.argv) else 7 * ("--fail" in sys.argv))
"""
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}  # no HOME, nothing else


def make_project(root: Path) -> Path:
    """A project with the real bin/ and a runtime of one small package."""
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "engine" / "cli").mkdir(parents=True)
    (root / "engine" / "__init__.py").touch()
    (root / "engine" / "cli" / "__init__.py").touch()
    (root / "engine" / "cli" / "__main__.py").write_text(MAIN)
    (root / "requirements").mkdir()
    for name in ("runtime", "album", "live", "midi", "train", "web"):
        (root / "requirements" / f"{name}.lock").write_text(f"# {name}\n")
    (root / "requirements" / "runtime.lock").write_text("click==8.5.1\n")
    return root


def start(
    project: Path, *args: str, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(project / "bin" / "latent"), *args],
        cwd=cwd,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first start."""
    project = make_project(tmp_path_factory.mktemp("start") / "with space")
    first = start(project)
    assert first.returncode == 0, first.stderr
    assert "making" in first.stderr
    assert "installing Python packages" in first.stderr
    return project


def test_a_second_start_installs_and_says_nothing(installed: Path) -> None:
    second = start(installed)
    assert (second.returncode, second.stderr) == (0, "")
    through_bin = [str(installed / "bin" / "latent")]
    bare = [str(installed / ".venv/bin/python"), "-P", "-m", "engine.cli"]
    env = ENV | {"PYTHONPATH": str(installed)}
    added = min(cpu_seconds(through_bin, env) for _ in range(5)) - min(
        cpu_seconds(bare, env) for _ in range(5)
    )
    assert added < 0.05


def cpu_seconds(command: list[str], env: dict[str, str]) -> float:
    """What a command costs; unlike its duration, whatever else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_it_runs_where_one_is_with_the_projects_modules(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('shadowed')")
    seen = start(installed, "render", "a b.flac", "", cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert f'"cwd": "{tmp_path}"' in seen.stdout
    assert '"args": ["render", "a b.flac", ""]' in seen.stdout
    assert f'"engine": "{installed}/engine/__init__.py"' in seen.stdout
    assert f'"prefix": "{installed}/.venv"' in seen.stdout


def test_it_starts_through_links_and_keeps_the_exit_code(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "far").symlink_to(installed / "bin" / "latent")
    (tmp_path / "near").symlink_to("far")
    done = subprocess.run(
        ["./near", "--fail"],
        cwd=tmp_path,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert str(installed) in done.stdout


def test_a_changed_lock_is_installed_over_the_old(installed: Path) -> None:
    lock = installed / "requirements" / "runtime.lock"
    before = lock.read_text()
    try:
        lock.write_text("click==8.1.8\n")
        changed = start(installed)
        assert "installing Python packages" in changed.stderr
        assert '"click": "8.1.8"' in changed.stdout
    finally:
        lock.write_text(before)
    assert '"click": "8.5.1"' in start(installed).stdout


def test_a_family_with_an_extra_gets_it_once_but_not_for_its_help(
    installed: Path,
) -> None:
    assert start(installed, "album", "--help").stderr == ""
    assert "album" in start(installed, "album", "make").stderr
    assert start(installed, "album", "make").stderr == ""


@pytest.mark.parametrize(
    ("option", "lock"), [("--midi", "midi"), ("--oscquery", "live"), ("--web", "web")]
)
def test_an_option_with_an_extra_gets_it_once(
    installed: Path, option: str, lock: str
) -> None:
    """The messages about a missing package promise it."""
    assert lock in start(installed, "play", option, "0").stderr
    assert start(installed, "play", option, "0").stderr == ""


def test_what_cannot_be_installed_is_said_and_tried_again(installed: Path) -> None:
    lock = installed / "requirements" / "album.lock"
    before = lock.read_text()
    try:
        lock.write_text("click==0.0.0.1\n")
        for _ in range(2):
            failed = start(installed, "album", "make")
            assert failed.returncode == 1
            assert failed.stdout == ""
            assert "latent: pip could not install" in failed.stderr
    finally:
        lock.write_text(before)
    assert start(installed, "album", "make").returncode == 0


def test_an_interrupt_waits_until_it_can_be_taken(installed: Path) -> None:
    assert '"held": true' in start(installed).stdout


def test_what_is_only_wished_for_keeps_nothing_from_playing(installed: Path) -> None:
    lock = installed / "requirements" / "live.lock"
    before = lock.read_text()
    try:
        lock.write_text("click==0.0.0.1\n")
        played = start(installed, "play", "--oscquery", "0")
        assert played.returncode == 0
        assert '"play"' in played.stdout
        assert played.stderr.splitlines()[-1] == "latent: going on without them"
    finally:
        lock.write_text(before)


def test_a_corpus_that_cannot_be_trained_on_installs_nothing(installed: Path) -> None:
    looked = start(installed, "train", "--small")
    assert looked.returncode == 2
    assert "--look" in looked.stdout
    assert looked.stderr == ""
    assert not (installed / ".venv" / ".latent-train").exists()


def test_first_starts_at_once_install_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    starts = [
        subprocess.Popen(
            [str(project / "bin" / "latent"), str(number)],
            env=ENV,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    outputs = [process.communicate(timeout=120) for process in starts]
    assert [process.returncode for process in starts] == [0, 0, 0], outputs
    said = "".join(errors for _, errors in outputs)
    assert said.count("making") == 1
    assert said.count("installing Python packages") == 1


def test_a_first_start_that_was_killed_is_mended_by_the_next(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    process = subprocess.Popen(
        [str(project / "bin" / "latent")],
        env=ENV,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    python = project / ".venv" / "bin" / "python"
    while not python.exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = start(project)
    assert again.returncode == 0, again.stderr
    assert "interrupted" in again.stderr
    assert '"click": "8.5.1"' in again.stdout


def test_an_environment_of_ones_own_is_kept(installed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    shutil.copytree(installed / ".venv", project / ".venv", symlinks=True)
    for stamp in (project / ".venv").glob(".latent-*"):
        stamp.unlink()
    mine = project / ".venv" / "mine"
    mine.touch()
    done = start(project)
    assert done.returncode == 0, done.stderr
    assert "making" not in done.stderr
    assert mine.exists()


def test_without_any_python_there_is_one_line(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "readlink", "rm", "flock", "ldconfig"):
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert found is not None
        (tools / name).symlink_to(found)
    done = subprocess.run(
        [str(project / "bin" / "latent")],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("latent: Python 3.11 or newer")
    assert not (project / ".venv").exists()


def run_install(tools: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """One function of bin/install.sh, on a machine that has only these tools."""
    return subprocess.run(
        ["/bin/bash", "-euc", f"source {ROOT}/bin/install.sh; {command}"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_without_portaudio_and_apt_one_line_says_what_to_install(
    tmp_path: Path,
) -> None:
    script(tmp_path / "ldconfig", "echo 'libc.so.6 (libc6,x86-64)'")
    done = run_install(tmp_path, "install_portaudio")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "apt install libportaudio2" in done.stderr


def test_a_missing_portaudio_comes_from_apt_and_one_that_is_there_does_not(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    # As on a fresh machine: nothing can be installed until the lists are there.
    script(
        tmp_path / "apt-get",
        f'echo "$@" >>{log}\n[[ " $* " == *" update "* ]] && touch_lists=1\n'
        f"if [[ -n ${{touch_lists-}} ]]; then echo >{tmp_path}/lists; fi\n"
        f"[[ -e {tmp_path}/lists ]]",
    )
    script(tmp_path / "sudo", '[[ $1 != -n ]] || shift\nexec "$@"')
    script(tmp_path / "env", 'shift\nexec "$@"')
    script(tmp_path / "true", "exit 0")
    script(tmp_path / "ldconfig", "echo 'libc.so.6 (libc6,x86-64)'")
    done = run_install(tmp_path, "install_portaudio")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "latent: installing Debian packages: libportaudio2\n"
    calls = log.read_text().splitlines()
    assert [("update" in call, "libportaudio2" in call) for call in calls] == [
        (False, True),
        (True, False),
        (False, True),
    ]
    script(tmp_path / "ldconfig", "echo 'libportaudio.so.2 (libc6,x86-64)'")
    assert run_install(tmp_path, "install_portaudio").stderr == ""
    assert len(log.read_text().splitlines()) == 3
