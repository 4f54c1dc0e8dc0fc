"""Albums are made in parallel, resumed after a kill, measured and skimmed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile as sf

from effects.audio.loudness import short_term_lufs
from effects.base.errors import InputError
from engine.album import gate
from engine.album.plan import AlbumPlan, check, song_settings
from engine.album.skim import EXCERPT_S, excerpt
from engine.album.state import read_state
from engine.control.harmony import KEYS
from engine.offline.song_card_file import read_card
from model.config import SAMPLE_RATE
from model.inference import TimbreModel
from tests.support import audio
from tests.support.command import ROOT, environment, latent

MAKE = ("--minutes", "0.12", "--seed", "5", "--no-effects")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """Three songs of two presets."""
    folder = tmp_path_factory.mktemp("albums") / "evening"
    presets = ("--preset", "dark", "--preset", "glass")
    done = latent(
        "album", "make", folder, "--songs", "3", *MAKE, *presets, "--json", home=home
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["songs"] == 3
    assert told["real_time_factor"] > 0.0
    return folder


def digests(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.glob("0*.flac")) + sorted(folder.glob("aside/*.flac"))
    return {path.name: sf.read(path, dtype="int32")[0].tobytes() for path in found}


def test_every_song_has_audio_card_and_picture(made: Path) -> None:
    plan, rows = read_state(made)
    assert sorted(rows) == [1, 2, 3]
    assert [rows[n].preset for n in (1, 2, 3)] == ["dark", "glass", "dark"]
    for number, row in rows.items():
        path = made / row.file
        assert sf.info(path).frames == round(0.12 * 60 * 44_100)
        assert read_card(path) == read_card(path.with_suffix(".card"))
        assert read_card(path).seed == row.seed == song_settings(plan, number).seed
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert not list(made.glob(".latent-*"))
    assert not list((made / ".work").glob(".latent-*"))


def test_a_card_of_the_album_gives_its_song(
    made: Path, home: Path, tmp_path: Path
) -> None:
    done = latent("render", tmp_path / "x.flac", "--card", made / "002.card", home=home)
    assert done.returncode == 0, done.stderr
    again, _ = sf.read(tmp_path / "x.flac", dtype="int32")
    assert again.tobytes() == digests(made)["002.flac"]


def test_the_skim_has_every_song_that_passed(made: Path) -> None:
    _, rows = read_state(made)
    passed = [row for row in rows.values() if not row.is_aside]
    skim, rate = audio.load(made / "skim.flac")
    assert abs(len(skim) / rate - EXCERPT_S * len(passed)) < 1.0
    for row in passed:
        start = round((row.skim_s or 0.0) * rate) + rate
        heard = skim[start : start + rate // 2].mean(axis=1)
        song = audio.load(made / row.file)[0].mean(axis=1)
        size = len(heard) + len(song)
        spectrum = np.fft.rfft(song, size) * np.conj(np.fft.rfft(heard, size))
        fit = float(np.max(np.fft.irfft(spectrum, size)))
        own = float(np.sum(heard.astype(np.float64) ** 2))
        assert fit > 0.5 * own, row.file
    assert (made / "skim.cue").read_text().count("TRACK") == len(passed)


def test_make_again_makes_nothing_and_more_songs_are_added(
    made: Path, home: Path
) -> None:
    before, state = digests(made), (made / "album.json").read_text()
    done = latent("album", "make", made, home=home)
    assert done.returncode == 0, done.stderr
    assert "all were there already" in done.stderr
    assert (made / "album.json").read_text() == state
    done = latent("album", "make", made, "--songs", "2", home=home)
    assert done.returncode == 2
    done = latent("album", "make", made, "--seed", "6", home=home)
    assert done.returncode == 2
    assert "--seed" in done.stderr
    assert digests(made) == before


def test_a_changed_model_is_refused_in_one_line(
    made: Path, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    state = json.loads((made / "album.json").read_text())
    assert state["plan"]["model_hash"] == TimbreModel.load().hash
    state["plan"]["model_hash"] = "0" * 64
    (folder / "album.json").write_text(json.dumps(state))
    done = latent("album", "make", folder, home=home)
    assert done.returncode == 2
    assert "were made with model 000000000000" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(folder.glob("*.flac"))


def test_a_kill_at_any_time_loses_no_song(
    made: Path, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    args = ["album", "make", str(folder), "--songs", "3", *MAKE]
    args += ["--preset", "dark", "--preset", "glass"]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", *args],
        cwd=ROOT,
        env=environment(home),
    )
    deadline = time.monotonic() + 120.0
    while not list(folder.glob("0*.flac")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20.0)
    assert not alive, "workers outlive the one that started them"
    first = {path: path.stat().st_mtime_ns for path in folder.glob("0*.flac")}
    assert first
    done = latent("album", "make", folder, home=home)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == at for path, at in first.items())
    assert digests(folder) == digests(made)


def test_an_interrupt_ends_all_and_keeps_what_is_done(
    home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    args = ["album", "make", str(folder), "--songs", "40", *MAKE]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", *args],
        cwd=ROOT,
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120.0
    while not list(folder.glob("0*.flac")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode != 0
    assert told.strip() == "latent: stopped"
    assert not psutil.wait_procs(workers, timeout=10.0)[1]
    done = list(folder.glob("0*.flac"))
    assert 1 <= len(done) < 40
    assert all((folder / ".work" / f"{path.stem}.json").exists() for path in done)


def test_a_folder_with_other_files_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "001.flac").write_text("mine")
    done = latent("album", "make", tmp_path, "--songs", "1", *MAKE, home=home)
    assert done.returncode == 2
    assert "other files" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["001.flac"]


def test_songs_of_a_plan_differ_in_key_and_seed() -> None:
    plan = AlbumPlan(seed=9, songs=40, minutes=4.0, presets=("shoreline",))
    songs = [song_settings(plan, number) for number in range(1, 41)]
    assert len({song.seed for song in songs}) == 40
    keys = {str((song.controls or {})["tuning/key"]) for song in songs}
    assert keys == {KEYS[(2 + 7 * away) % 12] for away in (-2, -1, 0, 1, 2)}
    longer = dataclasses.replace(plan, songs=80)
    assert song_settings(longer, 17) == songs[16]


@pytest.mark.parametrize(
    "change", [{"songs": 0}, {"minutes": 500.0}, {"presets": ("drak",)}]
)
def test_a_plan_that_cannot_be_made_is_refused(change: dict[str, object]) -> None:
    plan = AlbumPlan(seed=1, songs=2, minutes=1.0, presets=("dark",))
    with pytest.raises(InputError):
        check(dataclasses.replace(plan, **change))  # type: ignore[arg-type]


SECONDS = 20
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def planted(kind: str) -> np.ndarray:
    """A sound with one fault, stereo."""
    rng = np.random.default_rng(3)
    chord = sum(np.sin(2 * np.pi * f * TIME) for f in (110.0, 164.8, 220.3, 440.2))
    sound = 0.05 * np.asarray(chord) + 0.001 * rng.standard_normal(len(TIME))
    if kind == "loud":
        sound *= 8.0
    elif kind == "silent":
        sound *= 1e-3
    elif kind == "harsh":
        sound = 0.12 * np.diff(rng.standard_normal(len(TIME) + 1))
    return np.stack([sound, sound], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("loud", "too loud"),
        ("silent", "nearly silent"),
        ("harsh", "too harsh"),
        ("static", "too static"),
    ],
)
def test_the_gate_finds_a_planted_fault(kind: str, word: str) -> None:
    samples = planted(kind)
    measures = gate.measure(samples, gate.timbres_of(samples), TimbreModel.load())
    assert any(word in reason for reason in gate.reasons(measures)), measures


def test_the_gate_names_what_is_too_weird_and_lets_songs_pass(made: Path) -> None:
    samples, _ = audio.load(made / "002.flac")
    measures = gate.measure(samples, gate.timbres_of(samples), TimbreModel.load())
    assert gate.reasons(measures) == []
    weird = dataclasses.replace(measures, weirdness=12.0)
    assert "too weird" in gate.reasons(weird)[0]
    assert abs(measures.lufs - audio.lufs(samples, SAMPLE_RATE)) < 0.2


def test_two_loud_seconds_are_found_wherever_they_are() -> None:
    """Timbres are taken of every eighth second or so, which could miss them."""
    rng, seconds = np.random.default_rng(4), 120
    quiet = 0.01 * rng.standard_normal((seconds * SAMPLE_RATE, 2)).astype(np.float32)
    for start_s in (11.3, 50.9, 95.2):
        samples = quiet.copy()
        samples[int(start_s * SAMPLE_RATE) :][: 2 * SAMPLE_RATE] *= 10.0
        measures = gate.measure(samples, gate.timbres_of(quiet), TimbreModel.load())
        loud = short_term_lufs(samples, SAMPLE_RATE, 0.1, 2.0).max()
        assert measures.clip_lufs == pytest.approx(loud, abs=0.3)


def test_an_excerpt_joins_without_a_step() -> None:
    song = np.stack([np.sin(300.0 * TIME), np.cos(200.0 * TIME)], axis=1)
    short = excerpt(song.astype(np.float32), SAMPLE_RATE, (0.1, 0.3, 0.5, 0.7, 0.9))
    assert abs(len(short) / SAMPLE_RATE - EXCERPT_S) < 0.01
    assert np.abs(np.diff(short, axis=0)).max() < 0.02
