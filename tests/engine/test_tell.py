"""`latent tell`: a remote control on the command line, for a real session."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import latent
from tests.support.playing import Player, free_port, playing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def player(home: Path) -> Iterator[Player]:
    with playing("--seed", 7, "--preset", "dark", home=home) as running:
        yield running
        assert running.stop() == 0


def tell(
    player: Player, home: Path, *what: object
) -> "subprocess.CompletedProcess[str]":
    return latent("tell", "--osc", player.osc, *what, home=home)


def said(player: Player, home: Path, *what: object) -> str:
    done = tell(player, home, *what)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_status_says_what_plays(player: Player, home: Path) -> None:
    wait_until(lambda: "song/title" in said(player, home), 20.0, "a song")
    status = said(player, home)
    assert status.startswith("state            playing for ")
    assert "preset/name      dark" in status
    row = json.loads(said(player, home, "--json"))
    assert row["preset/name"] == "dark"
    assert row["status"][0] == "playing"


def test_controls_are_set_and_shown_by_any_of_their_names(
    player: Player, home: Path
) -> None:
    for name in ("gain", "master/gain", "volume"):
        assert said(player, home, name, "-6") == ""
        assert said(player, home, name) == "-6"
        assert said(player, home, "gain", "0") == ""
    assert said(player, home, "mute", "on") == ""
    assert said(player, home, "master/mute") == "on"
    assert said(player, home, "mute", "off") == ""
    assert said(player, home, "wiggle/amount", "0.5") == ""
    assert said(player, home, "amount") == "0.5"


def test_commands_are_obeyed(player: Player, home: Path) -> None:
    before = said(player, home, "song/title")
    assert said(player, home, "next") == ""
    wait_until(lambda: said(player, home, "song/title") != before, 20.0, "a song")
    assert said(player, home, "pause") == ""
    assert said(player, home, "playing") == "off"
    assert said(player, home, "play") == ""
    assert said(player, home, "playing") == "on"
    assert said(player, home, "preset", "glass") == ""
    assert said(player, home, "preset/name") == "glass"
    assert said(player, home, "go", "B") == ""
    assert said(player, home, "go") == "", "back to the path"
    assert said(player, home, "sleep", "45m") == ""
    assert 44.0 < float(said(player, home, "sleep/remaining")) <= 45.01
    assert said(player, home, "sleep", "0") == ""
    assert said(player, home, "sleep/remaining") == "0"


def test_pausing_keeps_hold(player: Player, home: Path) -> None:
    said(player, home, "hold", "on")
    said(player, home, "pause")
    said(player, home, "play")
    assert said(player, home, "hold") == "on"
    said(player, home, "hold", "off")
    said(player, home, "pause")
    said(player, home, "play")
    assert said(player, home, "hold") == "off"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (["gain", "99"], "master/gain: 99: choose from -60 to 6 dB"),
        (["gain", "nan"], "master/gain: nan: choose from -60 to 6 dB"),
        (["gain", "loud"], "master/gain: loud: choose from -60 to 6 dB"),
        (["gain", "1", "2"], "master/gain: takes one value, got 2"),
        (["mute", "perhaps"], "master/mute: perhaps is neither on nor off"),
        (["tuning/chords", "polka"], "tuning/chords: 'polka' is none of"),
        (["go", "Q"], "go: none of: A, B, C, D, E"),
        (["next", "3"], "next: takes no argument, got 1"),
        (["preset", "nope"], "preset/load: none of: "),
        (["sleep", "9000"], "sleep: 9000: choose from 0 to 720 min"),
        (["keep", "soon"], "keep: 'soon' is not a length of time"),
        (["keep"], "keep: takes one argument, got 0"),
        (["playing", "1"], "playing: is shown, not set"),
        (["nonsense"], "nonsense: neither a command nor a control"),
        (["norm/brightness"], "neither a command nor a control"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    what: list[str], why: str, player: Player, home: Path
) -> None:
    done = tell(player, home, *what)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_a_session_one_line_says_so(home: Path) -> None:
    port = free_port()
    done = latent("tell", "--osc", port, "next", home=home)
    assert done.returncode == 1
    assert f"no session answers on 127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1
