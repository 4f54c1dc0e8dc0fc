"""Latent talks to nobody unless asked, and leaves nothing outside its own folders."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from model.config import SAMPLE_RATE
from tests.support import signals
from tests.support.command import ROOT
from tests.support.playing import free_port

OWN_FOLDERS = (
    ".cache/latent",
    ".config/latent",
    ".local/share/latent",
    ".local/state/latent",
)
# What a name look-up reads, and every way to send to another machine.
LOOK_UP = re.compile(r"open\w*\(.*/etc/(resolv\.conf|hosts|nsswitch\.conf)")
SENT = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*AF_INET")


def run_in_empty_home(home: Path, *command: object) -> str:
    """Run Python with arguments where nothing is set but HOME and PATH.

    Returns:
        What the process and its children asked the kernel of network and files.
    """
    trace = home.with_name("trace")
    home.mkdir()
    tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(trace)]
    tracer += ["-e", "trace=%network,open,openat"]
    done = subprocess.run(
        [*tracer, sys.executable, *map(str, command)],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return trace.read_text()


def strays(home: Path) -> list[str]:
    """Files below `home` that lie in none of Latent's own folders."""
    files = [p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file()]
    return [name for name in files if not name.startswith(OWN_FOLDERS)]


def talk(trace: str) -> list[str]:
    """Lines of a trace that look up a name or send to a network."""
    lines = trace.splitlines()
    return [line for line in lines if LOOK_UP.search(line) or SENT.search(line)]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("render {folder}/song.flac --minutes 0.1", marks=pytest.mark.slow),
        pytest.param(
            "play --no-audio --plain --osc {port} --minutes 0.2",
            marks=pytest.mark.slow,
        ),
        "model check",
        "corpus add {folder}",
        "effects list",
    ],
)
def test_a_command_sends_nothing_and_writes_in_its_own_folders_alone(
    command: str, tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    pad = signals.chord([110.0, 164.8], 8.0, SAMPLE_RATE, amplitude=0.1)
    soundfile.write(folder / "pad.wav", pad, SAMPLE_RATE)
    words = command.format(folder=folder, port=free_port()).split()
    trace = run_in_empty_home(tmp_path / "home", "-m", "engine.cli.main", *words)
    assert talk(trace) == []
    assert strays(tmp_path / "home") == []


def test_a_model_that_is_loaded_and_run_leaves_home_empty(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from model.inference import TimbreModel;"
        "model = TimbreModel.load();"
        "model.encode(model.decode(model.sample(2, np.random.default_rng(0))))"
    )
    trace = run_in_empty_home(tmp_path / "home", "-c", code)
    assert talk(trace) == []
    assert list((tmp_path / "home").iterdir()) == []


def test_a_look_for_devices_leaves_a_home_as_it_was(tmp_path: Path) -> None:
    """PulseAudio's library makes folders where it knows none; theirs are used."""
    quiet = tmp_path / "client.conf"
    quiet.write_text("autospawn = no\n")
    for name, own in (("empty", []), ("user", [".config", ".config/pulse"])):
        home = tmp_path / name
        home.mkdir()
        for folder in own:
            (home / folder).mkdir()
        env = {"HOME": str(home), "PULSE_CLIENTCONFIG": str(quiet), "PATH": "/none"}
        command = [sys.executable, "-m", "engine.cli", "devices"]
        subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
        below = [path.relative_to(home).as_posix() for path in home.rglob("*")]
        mine = [p for p in below if not p.startswith(".cache") and p not in own]
        if own:  # where the library keeps what is the user's, it goes on doing so
            assert all(path.startswith(".config/pulse/") for path in mine)
            assert not any("pulse" in path for path in below if ".cache" in path)
        else:
            assert mine == []


def test_the_trace_shows_who_sends_or_looks_up_a_name(tmp_path: Path) -> None:
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        f"s.sendto(b'x', ('127.0.0.1', {free_port()}))"
    )
    assert talk(run_in_empty_home(tmp_path / "sender", "-c", code))
    code = (
        "import socket\n"
        "try: socket.getaddrinfo('latent.invalid', 80)\n"
        "except OSError: pass"
    )
    assert talk(run_in_empty_home(tmp_path / "caller", "-c", code))


def test_the_package_is_imported_in_one_place() -> None:
    """Only `model.onnx_session` knows how to import it without its telemetry."""
    importing = [
        path.relative_to(ROOT).as_posix()
        for package in ("effects", "model", "engine")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["model/onnx_session.py"]


def test_every_script_turns_telemetry_off() -> None:
    for name in ("latent", "test", "bench"):
        assert "ORT_DISABLE_TELEMETRY" in (ROOT / "bin" / name).read_text(), name
