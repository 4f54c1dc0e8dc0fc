"""The systemd user unit that plays at login, or at boot for users that linger."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from effects.base.errors import InputError
from effects.base.paths import cache_dir, config_dir, data_dir, state_dir
from effects.base.search_path import ROOT

UNIT = "latent.service"

# Devices stay visible, for sound. Protection of the kernel's logs, tunables and control
# groups is left out: they belong to root anyway, and where /proc is masked or control
# groups are of the old kind, as in containers, the unit could not start with it.
TEMPLATE = """\
[Unit]
Description=Latent, endless ambient music
After=sound.target pipewire-pulse.service pulseaudio.service network.target
StartLimitIntervalSec=120
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
{environment}
WatchdogSec=30
Restart=on-failure
RestartSec=2
TimeoutStartSec=120
TimeoutStopSec=10
KillMode=mixed
# Ended by a signal, a session exits with 128 and its number, or 0 when it plays.
SuccessExitStatus=130 143

UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={folders}
PrivateTmp=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelModules=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
MemoryMax=1G
TasksMax=128
LimitCORE=0

[Install]
WantedBy=default.target
"""


def unit_path() -> Path:
    """Where the units of this user stand."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "systemd" / "user" / UNIT


def unit(options: Sequence[str]) -> str:
    """The text of the unit.

    Args:
        options: of `latent play`.

    Raises:
        InputError: a word that no unit can hold.
    """
    command = [sys.executable, "-P", "-m", "engine.cli", "play", "--plain", *options]
    variables = {
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    if home := os.environ.get("LATENT_HOME"):
        variables["LATENT_HOME"] = str(Path(home).expanduser().absolute())
    return TEMPLATE.format(
        command=" ".join(map(_word, command)),
        environment="\n".join(
            f"Environment={_quoted(f'{name}={value}')}"
            for name, value in variables.items()
        ),
        folders=" ".join(_quoted(str(folder)) for folder in folders()),
    )


def folders() -> list[Path]:
    """Folders that a session writes into; they must be there when the unit starts."""
    return sorted({data_dir(), cache_dir(), state_dir(), config_dir()})


def _quoted(text: str) -> str:
    """One word, as systemd.syntax(7) wants it.

    Raises:
        InputError: it holds what no unit can.
    """
    if any(not c.isprintable() for c in text):
        raise InputError(f"{text!r:.80}: a unit can hold no such characters")
    return '"' + re.sub(r'([\\"])', r"\\\1", text).replace("%", "%%") + '"'


def _word(text: str) -> str:
    """One word of a command, in which a dollar would begin a variable."""
    return _quoted(text).replace("$", "$$")
