"""Keeping stretches of a session that plays, and sessions that cannot write."""

import json
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.support import audio
from tests.support.command import latent
from tests.support.osc import oscsend
from tests.support.playing import Player, playing


def renders_of(player: Player) -> list[psutil.Process]:
    """Processes that render the session again."""
    children: list[psutil.Process] = psutil.Process(player.process.pid).children()
    return children


def test_a_flood_of_keep_is_rendered_one_by_one_and_ends_with_the_session(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data" / "recordings"
    with playing("--seed", 6, "--no-effects", home=tmp_path) as player:
        time.sleep(3.0)
        oscsend(player.osc, "/latent/keep", "f", 2)
        player.wait_for("^latent: kept ")
        most = 0
        for _ in range(12):
            oscsend(player.osc, "/latent/keep", "f", 3600)
            most = max(most, len(renders_of(player)))
        player.wait_for("when the one before is done")
        time.sleep(1.0)
        assert most <= 1
        assert len(renders_of(player)) <= 1
        said = [line for line in player.lines if "keeping the last 3600 s" in line]
        assert 1 < len(said) <= 6, "the rest is refused"
        names = [line.split(" in ")[1].split(" ")[0] for line in said]
        assert len(set(names)) == len(names)
        renders = renders_of(player)
        assert player.stop() == 0
    assert not psutil.wait_procs(renders, timeout=5.0)[1]
    left = {path.name for path in folder.iterdir()}
    assert all(name.startswith("kept-") for name in left), "no half-written file"
    for path in folder.iterdir():
        assert subprocess.run(["flac", "-t", "-s", str(path)]).returncode == 0
    # What was cancelled is not lost: the line says how to have it.
    cancelled = [line for line in player.lines if "as the session ended" in line]
    assert cancelled
    command = cancelled[-1].partition("'latent ")[2].rstrip("'").split()
    done = latent(*command, home=tmp_path)
    assert done.returncode == 0, done.stderr
    samples, rate = audio.load(Path(command[2]))
    seconds = float(command[6]) - float(command[4])
    assert len(samples) == pytest.approx(seconds * rate, abs=rate / 100.0)


@pytest.mark.parametrize("home", ["/proc/none", "/dev/full/none"])
def test_a_home_that_cannot_be_written_costs_the_journal_not_the_music(
    home: str,
) -> None:
    """Such folders refuse the superuser, too, as a disk mounted read-only does."""
    with playing("--seed", 6, "--no-effects", home=Path(home)) as player:
        assert "playing without a journal" in player.said
        oscsend(player.osc, "/latent/keep", "f", 2)
        time.sleep(1.0)
        assert player.stop() == 0
    assert " 0 underruns" in player.lines[-1]
    assert "Traceback" not in player.said


def test_what_is_kept_and_replayed_has_the_chapters_of_the_recording(
    tmp_path: Path,
) -> None:
    recorded = tmp_path / "recorded.flac"
    asked = ["--seed", 6, "--no-effects", "--record", recorded]
    with playing(*asked, home=tmp_path) as player:
        time.sleep(3.0)
        oscsend(player.osc, "/latent/next")
        time.sleep(4.0)
        oscsend(player.osc, "/latent/keep", "f", 60)
        player.wait_for("^latent: kept ")
        assert player.stop() == 0
    expected = chapters_of(recorded)
    assert len(expected) == 2
    (kept,) = (tmp_path / "data" / "recordings").glob("kept-*.flac")
    assert chapters_of(kept) == expected
    (journal,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    again = tmp_path / "again.flac"
    assert latent("replay", journal, again, home=tmp_path).returncode == 0
    assert chapters_of(again) == expected
    assert again.with_suffix(".cue").exists()


def chapters_of(path: Path) -> list[tuple[str, str]]:
    """Begin and title of each chapter, as ffmpeg finds them."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return [
        (each["start_time"], each["tags"]["title"])
        for each in json.loads(done.stdout)["chapters"]
    ]
