"""Curation on the disk: no decision is lost, whoever makes it and however it ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from effects.base.errors import InputError, RunError
from model.corpus.corpus import VERDICTS_FILE, Corpus
from model.corpus.curation.curation import Curation
from model.corpus.curation.latents import latents_of
from model.corpus.verdicts import KEEP, REJECT
from model.inference import TimbreModel
from tests.support.command import ROOT
from tests.support.corpora import planted_corpus
from tests.support.disk import disk_full_after


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planted_corpus(tmp_path / "corpus", 60)
    return tmp_path / "corpus"


def judge(curation: Curation, n: int, every: int = 3) -> list[int]:
    """Decide `n` clips, each `every`th one rejected; returns them."""
    clips = []
    for number in range(n):
        clips.append(curation.upcoming(1)[0])
        if number % every == 0:
            curation.reject(clips[-1], "noise")
        else:
            curation.keep(clips[-1])
    return clips


def test_decisions_are_those_that_the_corpus_goes_by(folder: Path) -> None:
    clips = judge(Curation(folder), 12)
    verdicts = Corpus.open(folder).verdicts()
    assert {c: verdicts[c].verdict for c in clips} == {
        c: REJECT if k % 3 == 0 else KEEP for k, c in enumerate(clips)
    }
    assert verdicts[clips[0]].reason == "noise"
    assert len(Corpus.open(folder).timbres()) == 56
    counts = Curation(folder).counts()
    assert (counts.kept, counts.rejected, counts.open) == (8, 4, 48)


def test_it_goes_on_with_the_clip_that_was_to_be_judged(folder: Path) -> None:
    for _ in range(8):
        curation = Curation(folder)
        judge(curation, 5)
        assert Curation(folder).upcoming(1) == curation.upcoming(1)


def test_undo_takes_back_one_after_another_even_of_earlier_sessions(
    folder: Path,
) -> None:
    clips = judge(Curation(folder), 6)
    curation = Curation(folder)
    for clip in reversed(clips):
        assert curation.undo() == clip
        assert curation.upcoming(1) == [clip]
    assert curation.undo() is None
    assert Curation(folder).counts().open == 60


def test_undo_brings_back_what_was_decided_before(folder: Path) -> None:
    curation = Curation(folder)
    curation.reject(7, "voice")
    curation.keep(7)
    assert curation.undo() == 7
    found = Curation(folder).verdict(7)
    assert found is not None
    assert (found.verdict, found.reason) == (REJECT, "voice")


def test_a_key_that_is_hit_twice_counts_once(folder: Path) -> None:
    curation = Curation(folder)
    clip = curation.upcoming(1)[0]
    curation.keep(clip)
    curation.keep(clip)
    assert len((folder / VERDICTS_FILE).read_bytes().splitlines()) == 1


def test_two_windows_see_each_other(folder: Path) -> None:
    first, second = Curation(folder), Curation(folder)
    for number in range(40):
        window = (first, second)[number % 2]
        judge(window, 1)
    for line in (folder / VERDICTS_FILE).read_bytes().splitlines():
        assert json.loads(line)["verdict"] in (KEEP, REJECT)
    decided = Corpus.open(folder).verdicts()
    # Each had shown one clip before the other decided it.
    assert len(decided) >= 39
    judge(first, 1)
    judge(second, 1)
    assert first.counts().open <= second.counts().open + 1


def test_windows_at_once_and_kills_lose_nothing(folder: Path) -> None:
    """Three processes decide as fast as they can, and are killed."""
    program = (
        "import sys; from pathlib import Path\n"
        "from model.corpus.curation.curation import Curation\n"
        "c = Curation(Path(sys.argv[1]))\n"
        "for clip in range(int(sys.argv[2]), 48, 3):\n"
        "    for _ in range(9):\n"
        "        c.reject(clip); print(clip, flush=True); c.keep(clip)\n"
    )
    windows = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(number)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    told = []
    for window in windows:
        assert window.stdout is not None
        told.append(window.stdout.readline())
    time.sleep(0.5)
    for window in windows:
        window.kill()
    for window, first in zip(windows, told, strict=True):
        rest = window.communicate(timeout=30)[0]
        told[windows.index(window)] = first + rest
    verdicts = Corpus.open(folder).verdicts()
    for text in told:
        complete = text[: text.rfind("\n")].split()
        assert complete
        assert {int(clip) for clip in complete} <= set(verdicts)
    judge(Curation(folder), 3)  # after a torn last line, too


def test_a_full_disk_is_told_and_the_clip_stays(folder: Path) -> None:
    curation = Curation(folder)
    clip = curation.upcoming(1)[0]
    with disk_full_after(0), pytest.raises(RunError, match="earlier verdicts stand"):
        curation.keep(clip)
    assert curation.upcoming(1) == [clip]
    assert curation.counts().open == 60
    curation.keep(clip)
    assert Curation(folder).counts().kept == 1


def test_clips_and_reasons_that_do_not_exist_are_refused(folder: Path) -> None:
    curation = Curation(folder)
    with pytest.raises(InputError, match="no clip 60"):
        curation.keep(60)
    with pytest.raises(InputError, match="no reason 'whim'"):
        curation.reject(3, "whim")
    with pytest.raises(InputError, match="audio was not kept"):
        curation.audio(3)
    with pytest.raises(InputError, match="no longer where it was"):
        curation.song(3)
    assert not (folder / VERDICTS_FILE).exists()


def test_a_line_that_is_no_verdict_is_named(folder: Path) -> None:
    (folder / VERDICTS_FILE).write_text('{"clip": 3, "verdict": "perhaps"}\n')
    with pytest.raises(InputError, match="no verdict"):
        Curation(folder)


def test_auto_rejects_the_rest_and_can_be_taken_back(tmp_path: Path) -> None:
    corpus = planted_corpus(tmp_path / "c", 400)
    rows = corpus.rows()
    bad = {row["id"] for row in rows if row["scores"]["start"] > 3.0}
    curation = Curation(tmp_path / "c")
    for clip in range(200):
        (curation.reject if clip in bad else curation.keep)(clip)
    proposal = curation.propose(0.7)
    assert set(curation.sample(proposal, 12)) <= bad
    n = curation.reject_proposed(proposal, 0.7)
    assert n == len(proposal.clips) > 20
    assert Curation(tmp_path / "c").counts().open == 200 - n
    # Undo is of what was decided by hand; what was proposed is taken back at once.
    assert Curation(tmp_path / "c").undo() == 199
    assert Curation(tmp_path / "c").take_back_auto() == n
    assert Curation(tmp_path / "c").counts().open == 201


def test_latents_are_those_of_the_rows(tmp_path: Path) -> None:
    corpus = planted_corpus(tmp_path / "c", 12)
    corpus.remove([0, 5])
    model = TimbreModel.load()
    found = latents_of(corpus, model, lambda: True)
    assert found is not None
    wanted = model.encode(corpus.stored_timbres()[corpus.ids()].astype(np.float32))[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert latents_of(corpus, model, lambda: False) is None
    Curation(tmp_path / "c").learn_latents(found)


def test_45000_clips_stay_fluent(tmp_path: Path) -> None:
    """A decision with the next clip: some ms, a refit and a rejection among them."""
    planted_corpus(tmp_path / "c", 45_000)
    curation = Curation(tmp_path / "c")
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((45_000, 32)).astype(np.float32)
    curation.learn_latents(latents)
    taken = []
    for number in range(120):
        clip = curation.upcoming(4)[0]
        started = time.process_time()
        (curation.reject if number % 3 == 0 else curation.keep)(clip)
        curation.upcoming(4)
        curation.row(clip)
        taken.append(time.process_time() - started)
    assert np.median(taken) < 0.010
    assert np.quantile(taken, 0.95) < 0.050
