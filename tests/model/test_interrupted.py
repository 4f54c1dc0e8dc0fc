"""Kills, full disks and foreign input cost one line, and no work that was finished."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from effects.base.errors import RunError
from engine.cli.main import main
from model.config import AXIS, SAMPLE_RATE
from model.corpus.clip_audio import CLIPS
from model.corpus.corpus import MANIFEST, TIMBRES, Corpus
from model.corpus.demo import make_demo_corpus
from model.corpus.demo.recipe import CLIPS_PER_PATCH
from model.corpus.song import flac_bytes
from model.inference import TimbreModel
from model.training.export import add_figures
from model.training.fit import fit
from model.training.report import REPORT, write_report
from tests.support import signals
from tests.support.command import ROOT, environment
from tests.support.disk import disk_full_after
from tests.support.timbres import (
    harmonic_split,
    harmonic_timbres,
    tiny_model,
    tiny_settings,
)

# One process imports torch; its children train, and all but the last are killed at
# moments that chance says.
KILLS = 3
TRAINER = """
import os, signal, sys, time
from functools import partial
from pathlib import Path
import numpy as np
import onnx
import torch._dynamo
from matplotlib.backends import backend_agg
from model.training import comparison, evaluate, export, fit
from model.training.train import train
from tests.support.timbres import tiny_settings

corpus, whole, killed, kills, seed = map(Path, sys.argv[1:])
fit.SAVE_SECONDS, export.N_STATISTICS = 0.0, 400
comparison.MOST_STANDING_DB = float("inf")
evaluate.guard_share = partial(evaluate.guard_share, n=100)


def begin(out):
    pid = os.fork()
    if not pid:
        train(corpus, out, tiny_settings(epochs=12), name="m", stage=print)
        os._exit(0)
    return pid


def end(pid):
    assert os.waitpid(pid, 0)[1] == 0


started = time.monotonic()
end(begin(whole))
seconds = time.monotonic() - started
rng = np.random.default_rng(int(str(seed)))
for _ in range(int(str(kills))):
    pid = begin(killed)
    time.sleep(rng.uniform(0.0, seconds))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
end(begin(killed))
"""


def songs_corpus(folder: Path, n: int = 150) -> Path:
    timbres = harmonic_timbres(n, np.random.default_rng(0)).astype(np.float32)
    rows = [{"group": f"song {i // 3}", "source": "own"} for i in range(n)]
    Corpus.create(folder).append(timbres, rows)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; tests work on copies."""
    folder = tmp_path_factory.mktemp("exported") / "m"
    tiny_model(folder)
    return folder


@pytest.fixture
def older(exported: Path, tmp_path: Path) -> Path:
    """A model that stands where another is to be written."""
    return Path(shutil.copytree(exported, tmp_path / "m"))


def model_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
def test_a_training_killed_at_any_time_ends_as_one_that_was_not(
    tmp_path: Path,
) -> None:
    corpus = songs_corpus(tmp_path / "corpus")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", TRAINER, corpus, whole, killed, str(KILLS), "4"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = TimbreModel.load(whole), TimbreModel.load(killed)
    assert ours.metadata["files"] == theirs.metadata["files"]
    assert ours.metadata["figures"] == theirs.metadata["figures"]
    assert ours.metadata["prior"] == theirs.metadata["prior"]
    assert model_files(whole).keys() == model_files(killed).keys()
    assert not killed.with_name("killed.partial").exists()


def test_a_full_disk_leaves_the_older_model_whole(older: Path) -> None:
    before = model_files(older)
    for n_bytes in (0, 60_000):
        with disk_full_after(n_bytes), pytest.raises(RunError, match="cannot") as full:
            tiny_model(older, arch="seed")
        assert "\n" not in str(full.value)
        assert model_files(older) == before
        assert [path.name for path in older.parent.iterdir()] == ["m"]


def test_a_full_disk_spares_figures_report_and_checkpoint(older: Path) -> None:
    model = TimbreModel.load(older)
    work_dir = older.parent / "fit"
    _, history = fit(harmonic_split(200), work_dir, tiny_settings())
    rng = np.random.default_rng(0)
    test = harmonic_timbres(60, rng)
    write_report(model, history, test, older / REPORT, rng)
    before = model_files(older), model_files(work_dir)
    with disk_full_after(1_000):
        with pytest.raises(RunError, match=r"model\.json: .*File too large"):
            add_figures(older, {"rmse_db": 4.0})
        with pytest.raises(RunError, match=r"report\.png: .*File too large"):
            write_report(model, history, test, older / REPORT, rng)
        with pytest.raises(RunError, match=r"last\.pt: cannot be written") as full:
            fit(harmonic_split(200), older.parent / "none", tiny_settings())
    assert "\n" not in str(full.value)
    assert (model_files(older), model_files(work_dir)) == before
    assert not list((older.parent / "none").iterdir())


def few_clips(folder: Path) -> None:
    make = harmonic_timbres(3, np.random.default_rng(0)).astype(np.float32)
    Corpus.create(folder).append(make, [{"group": str(i)} for i in range(3)])


def nan_clips(folder: Path) -> None:
    songs_corpus(folder)
    with (folder / TIMBRES).open("r+b") as file:
        file.seek(5 * 2 * AXIS.n_bands)
        file.write(np.full(2 * AXIS.n_bands, np.nan, np.float16).tobytes())


def torn_manifest(folder: Path) -> None:
    songs_corpus(folder)
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    lines[9] = lines[9][:12] + b"\n"
    (folder / MANIFEST).write_bytes(b"".join(lines))


def lost_timbres(folder: Path) -> None:
    songs_corpus(folder)
    os.truncate(folder / TIMBRES, 1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (few_clips, "has 3 clips; training needs at least"),
        (nan_clips, "damaged at clip 5"),
        (torn_manifest, "line 10: not a JSON object"),
        (lost_timbres, "has 0 clips"),
    ],
)
def test_a_corpus_that_nothing_can_be_learned_from_is_one_line(
    older: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    corpus = older.parent / "corpus"
    spoil(corpus)
    before = model_files(older)
    for more in ([], ["--minutes", "1"], ["--look"]):
        with pytest.raises(SystemExit) as ended:
            main(["train", "--corpus", str(corpus), "--out", str(older), *more])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert model_files(older) == before


def write_song(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frequencies = [110.0 * 2 ** rng.uniform(0.0, 3.0) for _ in range(5)]
    sound = signals.chord(frequencies, 8.0, SAMPLE_RATE, amplitude=0.08)
    sound = sound + signals.noise(8.0, SAMPLE_RATE, rng, amplitude=0.001, channels=2)
    soundfile.write(path, sound, SAMPLE_RATE)


def start(*args: object, home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", *map(str, args)],
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill_once_it_holds_clips(process: "subprocess.Popen[str]", corpus: Path) -> int:
    """Kill -9 when the manifest has lines; how many it has then."""
    deadline = time.monotonic() + 120.0
    manifest = corpus / MANIFEST
    while not (manifest.exists() and manifest.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(children, timeout=20.0)[1], "workers live on"
    return len(Corpus.open(corpus))


def test_songs_added_before_a_kill_stay_and_the_rest_is_added_after(
    tmp_path: Path,
) -> None:
    folder, corpus = tmp_path / "songs", tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        write_song(folder / f"{number}.wav", number)
    process = start("corpus", "add", folder, "--corpus", corpus, home=tmp_path)
    n_before = kill_once_it_holds_clips(process, corpus)
    held = (corpus / MANIFEST).read_bytes().splitlines()[:n_before]
    whole = tmp_path / "whole"
    for to in (corpus, whole):
        with pytest.raises(SystemExit) as ended:
            main(["corpus", "add", str(folder), "--corpus", str(to)])
        assert ended.value.code == 0
    assert (corpus / MANIFEST).read_bytes().splitlines()[:n_before] == held
    for name in (MANIFEST, TIMBRES):
        assert (corpus / name).read_bytes() == (whole / name).read_bytes()
    clips = sorted(path.name for path in (corpus / CLIPS).iterdir())
    assert clips == sorted(path.name for path in (whole / CLIPS).iterdir())


def test_the_makers_of_the_demo_corpus_end_with_it_and_it_goes_on(
    tmp_path: Path,
) -> None:
    corpus = tmp_path / "corpus"
    process = start(
        *("corpus", "demo", "--no-soundfont", "--corpus", corpus),
        *("--clips", 30 * CLIPS_PER_PATCH, "--workers", 2),
        home=tmp_path,
    )
    n_before = kill_once_it_holds_clips(process, corpus)
    first = (corpus / MANIFEST).read_bytes().splitlines()[:n_before]
    made = make_demo_corpus(corpus, n_before + 3, 1, 1, font=None)
    assert len(made) == n_before + 3
    assert (corpus / MANIFEST).read_bytes().splitlines()[:n_before] == first
    sources = {source for row in made.rows() for source in row["source"].split("+")}
    assert not [name for name in sources if name.startswith("gm-")]


def test_a_font_and_no_font_at_once_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["corpus", "demo", "--no-soundfont", "--font", "x.sf2"])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_clips_that_got_no_line_leave_no_audio_behind(tmp_path: Path) -> None:
    corpus = songs_corpus(tmp_path)
    silence = signals.silence(2.0, SAMPLE_RATE)
    row, timbre = {"group": "new"}, np.full((1, AXIS.n_bands), 0.5, np.float32)
    held = (corpus / TIMBRES).stat().st_size
    with disk_full_after(held + 100), pytest.raises(RunError):
        Corpus.create(corpus).append(timbre, [row], audio=[flac_bytes(silence)])
    assert list((corpus / CLIPS).rglob("*.flac")) == []
    (corpus / CLIPS / "000150.flac").touch()  # as a killed program leaves them
    (corpus / CLIPS / ".latent-0123456789abcdef.flac").touch()
    (corpus / CLIPS / "000" / "000150.flac").touch()
    Corpus.create(corpus)
    assert list((corpus / CLIPS).rglob("*.flac")) == []
    Corpus.create(corpus).append(timbre, [row], audio=[flac_bytes(silence)])
    line = (corpus / MANIFEST).read_text().splitlines()[-1]
    assert (corpus / json.loads(line)["file_name"]).exists()
