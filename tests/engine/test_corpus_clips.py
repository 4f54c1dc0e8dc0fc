"""Commands that work with the clips of a corpus."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.cli.main import main
from model.config import AXIS, SAMPLE_RATE
from model.corpus.corpus import Corpus
from model.corpus.song import flac_bytes
from tests.support import signals
from tests.support.command import ROOT
from tests.support.virtual_audio import VirtualAudio

SCORES = {"onset": 1.0, "click": 2.0, "attack": 3.0, "start": 0.5, "step": 5.0}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six clips of three songs, the later the higher their onset."""
    tone = signals.tone(220.0, 2.0, SAMPLE_RATE)
    rows = [
        {
            "group": f"song-{k // 2}",
            "source": "song",
            "title": ["Fog", "Rain", "雨"][k // 2],
            "artist": "Someone",
            "licence": "CC0-1.0" if k < 2 else "CC-BY-4.0",
            "song_sha256": f"hash-{k // 2}",
            "start_s": 61.5 + k,
            "scores": {**SCORES, "onset": 0.6 * k, "fade": 1.0},
        }
        for k in range(6)
    ]
    timbres = np.full((6, AXIS.n_bands), 0.5, np.float32)
    Corpus.create(tmp_path / "c").append(timbres, rows, 6 * [flac_bytes(tone)])
    return tmp_path / "c"


def run(corpus: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["corpus", *words, "--corpus", str(corpus)])
    return int(ended.value.code or 0)


def listed(corpus: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[int]:
    capsys.readouterr()
    assert run(corpus, "list", "--json", *words) == 0
    return [row["id"] for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], [0, 1, 2, 3, 4, 5]),
        (["3", "1"], [1, 3]),
        (["--song", "fog"], [0, 1]),
        (["--song", "雨"], [4, 5]),
        (["--score", "onset>=1.7"], [3, 4, 5]),
        (["--score", "onset>0.5", "--score", "onset < 2"], [1, 2, 3]),
        (["--score", "transient>1"], [5]),
        (["--licence", "by"], [2, 3, 4, 5]),
        (["--song", "nothing of the kind"], []),
    ],
)
def test_clips_are_chosen_by_what_their_rows_say(
    corpus: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    ids: list[int],
) -> None:
    assert listed(corpus, capsys, *words) == ids


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--score", "loudness>3"],
        ["list", "--score", "onset"],
        ["show", "17"],
        ["reject"],
        ["remove", "--song", "Fog"],
    ],
)
def test_what_cannot_be_meant_is_one_line(
    corpus: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(corpus, *words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert len(Corpus.open(corpus).kept()) == 6


def test_a_song_is_rejected_and_kept_again(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, "reject", "--song", "Rain", "--reason", "drums") == 0
    assert Corpus.open(corpus).kept().tolist() == [0, 1, 4, 5]
    assert listed(corpus, capsys, "--verdict", "reject") == [2, 3]
    assert run(corpus, "keep", "3") == 0
    assert Corpus.open(corpus).kept().tolist() == [0, 1, 3, 4, 5]
    assert run(corpus, "show", "2") == 0
    assert "drums" in capsys.readouterr().out


def test_removed_clips_take_their_audio_along(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, "reject", "1", "4", "5") == 0
    assert run(corpus, "remove", "--verdict", "reject", "--yes") == 0
    assert listed(corpus, capsys) == [0, 2, 3]
    assert len(list((corpus / "clips").rglob("*.flac"))) == 3
    assert run(corpus, "check") == 0


def test_an_export_is_audio_a_table_and_credits(corpus: Path, tmp_path: Path) -> None:
    assert run(corpus, "reject", "0") == 0
    assert run(corpus, "export", str(tmp_path / "out")) == 0
    with (tmp_path / "out" / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == [1, 2, 3, 4, 5]
    assert float(rows[-1]["onset"]) == 3.0
    for row in rows:
        assert (tmp_path / "out" / row["file"]).is_file()
    credited = (tmp_path / "out" / "credits.txt").read_text().splitlines()
    assert credited[0] == "Someone - Fog (CC0-1.0)"
    assert len(credited) == 3
    assert run(corpus, "export", str(tmp_path / "out")) == 2


def test_check_names_every_trouble(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(corpus, "check") == 0
    (corpus / "clips" / "000" / "000002.flac").unlink()
    (corpus / "clips" / "000" / "stray.flac").touch()
    with (corpus / "timbres.f16").open("r+b") as file:
        file.seek(2 * AXIS.n_bands * 3)
        file.write(b"\xff\xff")
    capsys.readouterr()
    assert run(corpus, "check") == 1
    told = capsys.readouterr().out
    for trouble in ("clip 2: its audio", "stray.flac: belongs", "clip 3: its timbre"):
        assert trouble in told


def test_a_path_in_the_manifest_never_leads_out_of_the_corpus(
    corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.flac").write_bytes(b"mine")
    manifest = corpus / "manifest.jsonl"
    text = manifest.read_text().replace("clips/000/000000.flac", "../secret.flac")
    manifest.write_text(text)
    assert run(corpus, "export", str(tmp_path / "out"), "0") == 2
    assert run(corpus, "remove", "0", "--yes") != 0
    assert (tmp_path / "secret.flac").read_bytes() == b"mine"


@pytest.mark.slow
def test_clips_are_heard_one_after_the_other(corpus: Path) -> None:
    """Two clips of two seconds on a null sink, and then the command ends."""
    with VirtualAudio() as device:
        with device.capture() as capture:
            done = subprocess.run(
                [
                    *(sys.executable, "-P", "-m", "engine.cli.main"),
                    *("corpus", "play", "1", "3", "--corpus", str(corpus)),
                ],
                env=device.env | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        heard = capture.samples()
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["1", "3"]
    sounding = np.convolve(np.abs(heard[:, 0]) > 0.001, np.ones(480), "same") > 0
    assert 3.6 < sounding.sum() / device.rate < 4.3
