"""The README's first command, in a fresh clone on a machine with nothing set up."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples
from tests.support import audio, signals

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git does not ignore of this checkout, elsewhere and without a .venv."""
    target = tmp_path_factory.mktemp("fresh") / "latent"
    listed = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def latent(clone: Path, *args: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    home = clone.parent / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [str(clone / "bin" / "latent"), *args],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_command_makes_a_song_without_torch(
    clone: Path, tmp_path: Path
) -> None:
    arguments = ("render", "out.flac", "--minutes", "0.5", "--seed", "7")
    first = latent(clone, *arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    song, sample_rate = audio.load(tmp_path / "out.flac")
    assert len(song) == pytest.approx(30.0 * sample_rate, abs=0.1 * sample_rate)
    assert song.shape[1] == 2
    assert np.all(np.isfinite(song))
    assert audio.lufs(song, sample_rate) == pytest.approx(-18.0, abs=1.0)
    assert audio.true_peak_db(song, sample_rate) <= -1.0
    assert 0.2 < audio.correlation(song) < 0.95
    assert len(signals.clicks(song)) == 0
    packages = {path.name for path in clone.glob(".venv/lib/python3*/site-packages/*")}
    assert "numpy" in packages
    assert not {"torch", "librosa", "matplotlib"} & packages


def test_the_same_seed_from_another_folder_gives_the_same_samples(
    clone: Path, tmp_path: Path
) -> None:
    songs: list[Samples] = []
    for name, seed in (("a.flac", "3"), ("deep/b.flac", "3"), ("c.flac", "4")):
        (tmp_path / "deep").mkdir(exist_ok=True)
        made = latent(
            clone, "render", name, "--minutes", "0.1", "--seed", seed, cwd=tmp_path
        )
        assert made.returncode == 0, made.stderr
        assert "installing" not in made.stderr or not songs
        songs.append(audio.load(tmp_path / name)[0])
    assert np.array_equal(songs[0], songs[1])
    assert not np.array_equal(songs[0], songs[2])


@pytest.mark.parametrize(
    "arguments",
    [
        ("render", "out.flac", "--colour", "blue"),
        ("render", "out.flac", "--model", "nowhere"),
        ("render", "nowhere/is/a/file.flac", "--model", "out.flac"),
        ("render", "out.xyz"),
        ("corpus", "add", "nowhere", "--corpus", "corpus"),
        ("corpus", "info", "--corpus", "nowhere"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_2(
    clone: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = latent(clone, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if "install" not in line]
    assert len([line for line in said if not line.endswith(".venv")]) == 1, said
    left = [path for path in tmp_path.rglob("*") if path.suffix == ".flac"]
    assert left == []


def test_training_without_torch_says_how_to_have_it(
    clone: Path, tmp_path: Path
) -> None:
    latent(clone, "--version", cwd=tmp_path)
    bare = subprocess.run(
        [str(clone / ".venv/bin/python"), "-m", "engine.cli.main", "train"],
        env={"PYTHONPATH": str(clone), "LATENT_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 1
    assert len(bare.stderr.splitlines()) == 1
    assert "bin/latent train" in bare.stderr
