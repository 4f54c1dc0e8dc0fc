"""Each program of examples/ does what its first line says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio
from tests.support.command import ROOT, environment
from tests.support.playing import playing

pytestmark = pytest.mark.slow
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(home: Path, name: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py"), *map(str, args)],
        cwd=home,
        env={**environment(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_how_it_is_run(path: Path, tmp_path: Path) -> None:
    assert f"python examples/{path.name}" in path.read_text()
    assert "usage:" in run(tmp_path, path.stem, "--help")


def test_a_song_is_rendered_again_from_its_card(tmp_path: Path) -> None:
    said = run(tmp_path, "render_a_song", "a.flac", "--minutes", "0.1")
    assert "the same samples" in said
    assert audio.lufs(*audio.load(tmp_path / "a.flac")) > -30.0


def test_presets_are_compared(tmp_path: Path) -> None:
    lines = run(tmp_path, "compare_presets", "--seconds", "4").splitlines()
    assert len(lines) > 8
    assert all(line.endswith("Hz") for line in lines[1:])


def test_a_walk_has_as_many_sounds_as_steps(tmp_path: Path) -> None:
    said = run(tmp_path, "walk_the_timbre_space", "walk.wav", "--steps", "3")
    sound, sample_rate = audio.load(tmp_path / "walk.wav")
    assert len(said.splitlines()) == 3
    assert len(sound) == 3 * 2 * sample_rate


def test_a_criterion_of_ones_own_starts_a_song(tmp_path: Path) -> None:
    run(tmp_path, "own_criterion", "a.flac", "--minutes", "0.1")
    assert np.abs(audio.load(tmp_path / "a.flac")[0]).max() > 0.01


def test_a_running_session_is_played_from_another_program(tmp_path: Path) -> None:
    with playing(home=tmp_path / "home") as player:
        port = ("--port", player.osc)
        said = run(tmp_path, "osc_remote", "wiggle/amount", "1.25", *port)
        assert said.split() == ["/latent/wiggle/amount", "1.25"]
        said = run(tmp_path, "osc_remote", "wiggle/amount", *port)
        assert said.split()[1] == "1.25"
