"""Curation in a terminal: one key, one decision, the clip heard at once."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from model.corpus.corpus import VERDICTS_FILE, Corpus
from model.corpus.curation.curation import Curation
from tests.support.command import environment, latent
from tests.support.corpora import planted_corpus
from tests.support.terminal import Terminal
from tests.support.virtual_audio import VirtualAudio

RIGHT, LEFT = "\x1b[C", "\x1b[D"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planted_corpus(tmp_path / "corpus", 30, heard=30)
    return tmp_path / "corpus"


def curate(folder: Path, typed: str, *options: str) -> str:
    done = latent(
        "corpus",
        "curate",
        "--terminal",
        "--corpus",
        folder,
        *options,
        home=folder.parent,
        stdin=typed,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def verdicts(folder: Path) -> list[tuple[str, str]]:
    found = Corpus.open(folder).verdicts().values()
    return [(each.verdict, each.reason) for each in found]


def test_keys_keep_reject_say_why_and_undo(folder: Path) -> None:
    told = curate(folder, f"{RIGHT}{LEFT}2{RIGHT}uq")
    assert verdicts(folder) == [("keep", ""), ("reject", ""), ("reject", "voice")]
    assert "1 kept, 2 rejected, 27 open" in told
    assert told.count("Song ") == 6  # five clips, and the undone one again


def test_the_end_of_the_input_ends_it_and_it_goes_on_with_the_same_clip(
    folder: Path,
) -> None:
    first = curate(folder, ".,.")
    again = curate(folder, "q")
    shown = [line for line in first.splitlines() if line.startswith("[")]
    assert shown[-1].split("  ")[:3] == again.splitlines()[2].split("  ")[:3]


def test_all_clips_can_be_decided(folder: Path) -> None:
    told = curate(folder, "." * 40)
    assert "every clip is decided" in told
    assert len(verdicts(folder)) == 30


def heard_hertz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum)) * rate / (1 << 18)


def test_the_clip_is_heard_in_a_loop_until_the_next(folder: Path) -> None:
    (first,) = Curation(folder).upcoming(1)
    with VirtualAudio(44_100) as device, device.capture() as capture:
        env = {**environment(folder.parent), **device.env}
        arguments = ["-m", "engine.cli.main", "corpus", "curate", "--terminal"]
        with Terminal([*arguments, "--corpus", str(folder)], env) as terminal:
            terminal.wait_for(r"\[1/30\]")
            time.sleep(4.5)  # more than twice the clip
            terminal.type(RIGHT)
            terminal.wait_for(r"\[2/30\]")
            time.sleep(2.0)
            terminal.type("q")
            terminal.wait_for("1 kept")
            assert terminal.process.wait(30) == 0
        heard = capture.heard()
    level = np.abs(heard[:, 0])
    for start in range(4_410, len(heard) - 44_100, 4_410):
        assert level[start : start + 4_410].max() > 0.05, "a gap in the loop"
    assert abs(heard_hertz(heard[44_100:132_300], 44_100) - (220 + 5 * first)) < 1.0
    second = (heard_hertz(heard[-66_150:-22_050], 44_100) - 220) / 5
    assert abs(second - round(second)) < 0.3, "it is a clip"
    assert round(second) != first


def test_without_a_device_clips_are_shown_and_judged(folder: Path) -> None:
    os.environ["PULSE_SERVER"] = "unix:/nowhere"
    try:
        assert "2 kept" in curate(folder, "..q")
    finally:
        del os.environ["PULSE_SERVER"]


def test_200_keys_on_45000_clips_are_fluent_and_on_the_disk(tmp_path: Path) -> None:
    """Each decision is on the disk before the next clip is shown."""
    folder = tmp_path / "corpus"
    planted_corpus(folder, 45_000)
    arguments = ["-m", "engine.cli.main", "corpus", "curate", "--terminal"]
    env = {**environment(tmp_path), "PULSE_SERVER": "unix:/nowhere"}
    with Terminal([*arguments, "--corpus", str(folder)], env) as terminal:
        end = terminal.wait_for(r"\[1/45000\]", 120.0)
        taken = []
        for number in range(2, 202):
            started = time.monotonic()
            terminal.type(LEFT if number % 4 == 0 else RIGHT)
            end = terminal.wait_for(rf"\[{number}/45000\]", after=end)
            taken.append(time.monotonic() - started)
        terminal.process.kill()
    assert len((folder / VERDICTS_FILE).read_bytes().splitlines()) == 200
    assert np.median(taken) < 0.1  # wait_for looks each 50 ms


def test_auto_asks_and_can_be_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    corpus = planted_corpus(folder, 800)
    early = latent(
        "corpus", "curate", "--corpus", folder, "--auto", "0.7", home=tmp_path
    )
    assert early.returncode == 2
    assert "--auto needs 100" in early.stderr
    bad = {row["id"] for row in corpus.rows() if row["scores"]["start"] > 3.0}
    curation = Curation(folder)
    for clip in range(400):
        (curation.reject if clip in bad else curation.keep)(clip)

    def auto(*options: str, typed: str = "") -> str:
        done = latent(
            "corpus", "curate", "--corpus", folder, *options, home=tmp_path, stdin=typed
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = auto("--auto", "0.7", typed="n\n")
    assert "learned from 400 decisions" in said
    assert "nothing was rejected" in said
    assert Curation(folder).counts().open == 400
    assert "clips rejected" in auto("--auto", "0.7", "--yes")
    rejected = Corpus.open(folder).verdicts()
    automatic = {c for c, verdict in rejected.items() if verdict.by == "auto 0.7"}
    assert len(automatic) > 20
    assert len(automatic & bad) > 0.9 * len(automatic)
    assert f"{len(automatic)} clips are open again" in auto("--undo-auto")
    assert Curation(folder).counts().open == 400
