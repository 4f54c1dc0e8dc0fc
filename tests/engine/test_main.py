"""The command line as a whole: every failure is one line and the right exit code."""

import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from effects.base.errors import InputError, RunError
from engine.cli import main
from engine.cli.signals import Stopped
from engine.version import VERSION
from tests.support.command import ROOT, environment, latent, python


def test_the_version_has_one_home(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    attribute = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "engine.version.VERSION"
    assert "version" not in project["project"]
    done = latent("--version", home=tmp_path)
    assert done.stdout.strip() == f"latent, version {VERSION}"


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(main.latent)
    for name, text in main.FAMILIES.items():
        command = main.latent.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=200) == text


def test_the_list_of_commands_imports_none_of_them(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from engine.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    print({'numpy', 'engine.control', 'engine.cli.play'} & set(sys.modules))\n"
    )
    done = python(code, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a\nb \x1b[2J"), 2, r"latent: a\nb \x1b[2J"),
        (RunError("disk full"), 1, "latent: disk full"),
        (click.UsageError("no such\noption"), 2, "latent: no such option"),
        (MemoryError(), 1, "latent: out of memory"),
        (OSError(36, "File name too long", "x"), 2, "latent: x: File name too long"),
        (OSError(28, "No space left"), 1, "latent: No space left"),
        (OSError("odd"), 1, "latent: odd"),
        (Stopped(signal.SIGTERM), 143, "latent: stopped"),
        (KeyboardInterrupt(), 130, "latent: stopped"),
        (KeyError("seed"), 1, "latent: unexpected KeyError: 'seed'"),
        (RecursionError("deep"), 1, "latent: unexpected RecursionError: deep"),
        (ValueError(9000 * "x"), 1, "latent: unexpected ValueError: xxx"),
    ],
)
def test_whatever_is_raised_is_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(main.latent, "main", fail)
    assert main._run([]) == code
    printed = capsys.readouterr().err
    assert printed.startswith(line)
    assert printed.count("\n") == 1
    assert len(printed) < 2100


def test_a_developer_sees_where_it_happened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(main.DEBUG, "1")
    monkeypatch.setattr(main.latent, "main", lambda *args, **options: 1 / 0)
    assert main._run([]) == 1
    assert "Traceback" in capsys.readouterr().err


LONG = 300 * "x"


@pytest.mark.parametrize(
    "command",
    [
        f"render {LONG}.flac",
        f"render {251 * 'x'}.ogg",  # whose card has a longer ending
        f"render {247 * 'x'}.flac --stems",
        f"render x.flac --card {LONG}",
        f"render x.flac --preset {LONG}",
        f"render x.flac --grammar {LONG}",
        f"render x.flac --model {LONG}",
        f"render x.flac --like {LONG}",
        f"replay {LONG} x.flac",
        f"recover {LONG}",
        f"album make {LONG}",
        f"album review {LONG}",
        f"album finish {LONG}",
        f"effects add {LONG}",
        f"corpus add {LONG} y",
        f"model check {LONG}",
    ],
)
def test_a_name_that_is_too_long_is_bad_input(tmp_path: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", *command.split()],
        cwd=tmp_path,
        env={**environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("latent: ")
    assert [path.name for path in tmp_path.iterdir()] in ([], ["home"])


@pytest.fixture
def rendering(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A `latent render` that has begun to write."""
    args = ["render", str(tmp_path / "x.flac"), "--minutes", "600", "--no-effects"]
    process = start(args, tmp_path / "home")
    deadline = time.monotonic() + 60.0
    while not list(tmp_path.glob(".latent-*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def start(args: list[str], home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *args],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_bin_latent_does,
    )


def as_bin_latent_does() -> None:
    """Let interrupts wait until the command line can take them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # jobs in the background ignore them
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_render_and_leaves_nothing_behind(
    tmp_path: Path, rendering: "subprocess.Popen[str]", number: int
) -> None:
    rendering.send_signal(number)
    _, printed = rendering.communicate(timeout=20)
    assert rendering.returncode == 128 + number
    assert printed == "latent: stopped\n"
    assert not [path for path in tmp_path.iterdir() if path.name != "home"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_before_playing_ends_it(
    tmp_path: Path, number: int
) -> None:
    """At moments spread over the start, found by what the process has imported."""
    for delay in (0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.2):
        process = start(["play", "--no-audio", "--no-osc"], tmp_path / "home")
        time.sleep(delay)
        process.send_signal(number)
        sent = time.monotonic()
        _, printed = process.communicate(timeout=20)
        assert time.monotonic() - sent < 10.0, delay
        assert "Traceback" not in printed, delay
        if "playing" in printed:
            assert process.returncode == 0, printed
        else:
            assert process.returncode in (128 + number, -number), printed
            assert printed in ("", "latent: stopped\n"), printed


def test_a_command_under_nohup_goes_on_without_its_terminal(tmp_path: Path) -> None:
    args = ["render", str(tmp_path / "x.flac"), "--minutes", "0.05", "--no-effects"]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *args],
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    assert process.returncode == 0


def test_a_signal_that_meets_a_destructor_still_ends_the_process(
    tmp_path: Path,
) -> None:
    """What is raised in a destructor is swallowed; it is raised again."""
    code = (
        "import os, signal, time\n"
        "from engine.cli import signals\n"
        "signals.raise_on_signals()\n"
        "class Meets:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0.05)\n"
        "try:\n"
        "    Meets()\n"
        "    time.sleep(20.0)\n"
        "except signals.Stopped as stopped:\n"
        "    signals.leave(stopped.exit_code)\n"
    )
    began = time.monotonic()
    done = python(code, home=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert done.stderr == ""
    assert time.monotonic() - began < 5.0


def test_cleaning_up_after_a_signal_is_not_interrupted(tmp_path: Path) -> None:
    code = (
        "import os, signal, time\n"
        "from engine.cli import signals\n"
        "signals.raise_on_signals()\n"
        "try:\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(20.0)\n"
        "    finally:\n"
        "        try:\n"
        "            raise KeyError\n"
        "        except KeyError:\n"
        "            time.sleep(1.0)\n"
        "        print('whole')\n"
        "except signals.Stopped as stopped:\n"
        "    signals.leave(stopped.exit_code)\n"
    )
    done = python(code, home=tmp_path)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert done.stdout == "whole\n"
