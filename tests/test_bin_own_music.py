"""Three commands from a folder of songs to a song of one's own model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support import audio, signals

ROOT = Path(__file__).parents[1]
FORMATS = ("flac", "ogg", "mp3", "wav", "aiff", "opus")
RATE = 48_000


def write_song(path: Path, number: int) -> None:
    """Twelve seconds of a chord, each song's another, and noise as of a tape."""
    rng = np.random.default_rng(number)
    root = 60.0 * 2 ** (5 * number % 12 / 6)
    partials = [
        root * interval * harmonic
        for interval in (1.0, 1.5, 2.0, 2.5)  # without beats: no swell, no decay
        for harmonic in range(1, 3 + number)
    ]
    sound = signals.chord(partials, 12.0, RATE, amplitude=0.15 / (3 + number))
    sound = sound + signals.noise(12.0, RATE, rng, amplitude=0.003, channels=2)
    subtype = "OPUS" if path.suffix == ".opus" else None
    container = "OGG" if path.suffix in (".opus", ".ogg") else None
    with soundfile.SoundFile(
        path, "w", RATE, 2, format=container, subtype=subtype
    ) as file:
        for start in range(0, len(sound), 4096):
            file.write(sound[start : start + 4096])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dozen songs in mixed formats, one of them broken."""
    home = tmp_path_factory.mktemp("home")
    (home / "songs" / "album").mkdir(parents=True)
    for number in range(12):
        suffix = FORMATS[number % len(FORMATS)]
        write_song(home / "songs" / "album" / f"{number}.{suffix}", number)
    broken = home / "songs" / "broken.flac"
    broken.write_bytes((home / "songs" / "album" / "0.flac").read_bytes()[:3000])
    return home


def latent(home: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "engine.cli.main", *args],
        env=os.environ | {"LATENT_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_songs_become_a_corpus_a_model_and_a_song(home: Path) -> None:
    added = latent(home, "corpus", "add", "songs", "--json")
    assert added.returncode == 0, added.stderr
    report = json.loads(added.stdout)
    assert (report["songs"], report["clips"]) == (12, 36)
    assert [row["reason"] for row in report["refused"]] == ["broken file"]

    trained = latent(home, "train", "--epochs", "3", "--out", "mine", "--json")
    assert trained.returncode == 0, trained.stderr
    made = json.loads(trained.stdout)
    assert made["epochs"] == 3
    assert made["figures"]["rmse_db"] < 20.0
    lines = trained.stderr.splitlines()
    # Three epochs from random weights, three from the bundled model's, then three.
    assert len([line for line in lines if line.startswith("epoch ")]) == 9
    assert "trial from bundled weights" in lines
    assert f"training from {made['start']}" in lines
    assert all(line.endswith(" left") for line in lines if line.startswith("epoch "))
    names = {path.name for path in (home / "mine").iterdir()}
    files = {"decoder.onnx", "encoder.onnx", "map.json", "model.json"}
    assert names == files | {"CARD.md", "report.png"}
    assert "song (36)" in (home / "mine" / "CARD.md").read_text()

    rendered = latent(
        home, "render", "song.flac", "--model", "mine", "--minutes", "0.2"
    )
    assert rendered.returncode == 0, rendered.stderr
    song, sample_rate = audio.load(home / "song.flac")
    assert len(song) == pytest.approx(12.0 * sample_rate, abs=0.1 * sample_rate)
    assert np.all(np.isfinite(song))
    assert audio.true_peak_db(song, sample_rate) <= -1.0


def test_what_is_refused_is_told_in_words_and_info_counts(
    home: Path, tmp_path: Path
) -> None:
    corpus = str(tmp_path / "corpus")
    added = latent(home, "corpus", "add", "songs", "--corpus", corpus, "--clips", "1")
    assert added.returncode == 0, added.stderr
    assert added.stdout.splitlines()[0] == "12 clips from 12 songs"
    assert "broken.flac: broken file" in added.stdout
    again = latent(home, "corpus", "add", "songs", "--corpus", corpus)
    assert "12 songs are in the corpus already" in again.stdout
    info = latent(home, "corpus", "info", "--corpus", corpus, "--json")
    assert json.loads(info.stdout)["clips"] == 12
    assert "12 clips of 12 songs" in (
        latent(home, "corpus", "info", "--corpus", corpus).stdout
    )


def test_a_folder_with_nothing_of_use_fails_and_too_few_clips_do_too(
    home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "a.mp3").write_text("no music")
    corpus = str(tmp_path / "corpus")
    added = latent(home, "corpus", "add", str(folder), "--corpus", corpus)
    assert (added.returncode, len(added.stderr.splitlines())) == (1, 1)
    trained = latent(home, "train", "--corpus", corpus, "--out", str(tmp_path / "m"))
    assert (trained.returncode, len(trained.stderr.splitlines())) == (2, 1)
    assert "0 clips" in trained.stderr
    assert not (tmp_path / "m").exists()
    out = str(folder / "a.mp3" / "model")
    trained = latent(home, "train", "--corpus", corpus, "--out", out)
    assert (trained.returncode, len(trained.stderr.splitlines())) == (2, 1)
