"""The terminal view: what it draws, what its keys do, and the terminal afterwards."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from rich.console import Console

from effects.audio.level_meter import MeterLevels
from engine.cli.screen import ScreenState, clock, draw
from engine.control.controls import defaults
from engine.control.status import RecordingStatus, SessionStatus, SongStatus
from tests.support.command import ROOT, environment
from tests.support.terminal import Terminal
from tests.support.titles import first_titles

PLAY = ["-m", "engine.cli.main", "play", "--no-audio", "--no-osc", "--no-effects"]
LEFT_ALONE = ("\x1b[?1049l", "\x1b[?25h")  # the screen as it was, and the cursor

STATUS = SessionStatus(
    uptime_s=3725.0,
    underruns=2,
    headroom_s=9.96,
    load=0.031,
    device="pulse",
    levels=lambda: MeterLevels(short_term_lufs=-18.26, true_peak_db=-0.5),
    preset="dark",
    sounding=("rain", "wind\x1b[2J"),
    sleep_min=2.5,
    song=SongStatus(
        number=3,
        title="Song 4",
        pattern="ABAB" + 30 * "CD" + "E",
        place=60,
        progress=0.5,
        seconds=83.0,
        length=302.0,
    ),
    recording=RecordingStatus("evening.flac", 61.0),
)


def _drawn(seen: ScreenState, width: int = 100) -> str:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(draw(seen))
    return capture.get()


def test_all_that_matters_is_drawn() -> None:
    text = _drawn(ScreenState(STATUS, defaults(), "OSC: no such address"))
    for part in (
        "dark  playing  1:02:05",
        "Song 4  1:23 / 5:02",
        "-18.3 LUFS short-term, -inf momentary, peak -0.5",
        "evening.flac  1:01",
        "silent in 2:30",
        "10.0 s ahead, 2 underruns, load 3 %, device pulse",
        "OSC: no such address",
        "q quit",
    ):
        assert part in text, text
    assert "D[C]D" not in text
    assert "C[D]C" in text, "the symbol that sounds, of a pattern too long for a line"
    assert "\x1b" not in text, "names of files are not obeyed by the terminal"


def test_a_session_that_has_hardly_begun_can_be_drawn() -> None:
    assert "playing  0:00" in _drawn(ScreenState(SessionStatus(), defaults()))


def test_a_small_or_plain_terminal_gets_what_it_can_show() -> None:
    held = {**defaults(), "hold": True, "master/mute": True}
    text = _drawn(ScreenState(STATUS, held, "x" * 300, plain=True), width=40)
    assert "holding" in text
    assert "muted" in text
    assert max(map(len, text.splitlines())) <= 40
    assert text.replace("…", "").isascii()


def test_clocks() -> None:
    assert [clock(s) for s in (-1.0, 9.9, 60.0, 3600.0)] == [
        *("0:00", "0:09", "1:00", "1:00:00")
    ]


def test_keys_play_it_and_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    with Terminal([*PLAY, "--seed", "7"], environment(tmp_path)) as terminal:
        first, second = first_titles(7)
        terminal.wait_for(rf"{first}  0:0\d / ")
        terminal.wait_for(r"pattern +\[[A-E]\][A-E]")
        assert terminal.mode != terminal.before, "keys come without a line's end"
        place = terminal.wait_for(r"-\d\d\.\d LUFS short-term")
        terminal.type("h++-")
        place = terminal.wait_for("holding", after=place)
        place = terminal.wait_for(r"volume +\+1 dB", after=place)
        terminal.type("hr")
        place = terminal.wait_for("playing", after=place)
        place = terminal.wait_for(r"recording +latent-\S+\.flac", after=place)
        terminal.type("n")
        place = terminal.wait_for(second, after=place)
        terminal.type(" ")
        place = terminal.wait_for("paused", after=place)
        terminal.type(" xq")
        terminal.wait_for("latent: played", after=place)
        assert terminal.process.wait(30.0) == 0
        assert terminal.mode == terminal.before
        assert all(escape in terminal.raw for escape in LEFT_ALONE)
        last = terminal.text[terminal.text.rindex("quit") :]
        assert "latent: recorded" in last, "what was said is told again"
    assert list((tmp_path / "data" / "recordings").glob("*.flac"))


@pytest.mark.parametrize("times", [1, 2])
def test_signals_leave_the_terminal_as_it_was(times: int, tmp_path: Path) -> None:
    with Terminal([*PLAY, "--seed", "7"], environment(tmp_path)) as terminal:
        terminal.wait_for(r"song +\w+ \w+  0:0")
        assert terminal.mode != terminal.before
        for _ in range(times):
            terminal.process.send_signal(signal.SIGTERM)
        status = terminal.process.wait(30.0)
        # Two at once may count as one.
        assert status == 0 or (times == 2 and status == -signal.SIGTERM)
        assert terminal.mode == terminal.before
        assert all(escape in terminal.raw for escape in LEFT_ALONE)


def test_an_exception_or_a_shell_that_meddles_harms_no_terminal(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from engine.cli.view import View\n"
        "from engine.control.controls import Controls\n"
        "from tests.support.osc import FakeSession\n"
        "session = FakeSession()\n"
        "with View(session, Controls(), print) as view:\n"
        "    view.begin()\n"
        "    while len(session.done) < 2:\n"
        "        time.sleep(0.02)\n"
        "    raise RuntimeError(session.done)\n"
    )
    with Terminal(["-c", program], environment(tmp_path)) as terminal:
        terminal.wait_for("Ebb")
        assert terminal.mode != terminal.before
        terminal.type("k")
        terminal.wait_for("Ebb", after=len(terminal.text))
        taken = terminal.mode
        # As a shell does to a job that is stopped, and goes on.
        terminal.mode = terminal.before
        deadline = time.monotonic() + 30.0
        while terminal.mode != taken and time.monotonic() < deadline:
            time.sleep(0.02)
        terminal.type("xe")
        terminal.wait_for(r"RuntimeError: \[\('keep', 600.0\), \('effects/next',\)\]")
        assert terminal.process.wait(30.0) == 1
        assert terminal.mode == terminal.before
        assert all(escape in terminal.raw for escape in LEFT_ALONE)


def test_a_terminal_that_takes_nothing_keeps_neither_music_nor_end(
    tmp_path: Path,
) -> None:
    file = tmp_path / "evening.flac"
    command = [*PLAY, "--seed", "7", "--record", str(file)]
    with Terminal(command, environment(tmp_path)) as terminal:
        terminal.wait_for(r"song +\w+ \w+  0:0")
        terminal.freeze()
        time.sleep(2.0)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(30.0) == 0
        assert terminal.mode == terminal.before
    assert soundfile.info(file).duration > 1.5


def test_lines_on_a_terminal_when_asked_for(tmp_path: Path) -> None:
    with Terminal([*PLAY, "--plain"], environment(tmp_path)) as terminal:
        terminal.wait_for("latent: playing, seed")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.wait_for("latent: played")
        assert "\x1b" not in terminal.raw


def test_standard_streams_may_be_closed(tmp_path: Path) -> None:
    command = " ".join([sys.executable, *PLAY])
    with subprocess.Popen(
        ["bash", "-c", f"exec {command} 0<&- 1>&-"],
        env={**environment(tmp_path), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "playing" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert "played" in process.stderr.read()
    assert process.returncode == 0
