"""The same music is taken once, and a second run over a folder costs little."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.conversion import resample
from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError
from model.config import SAMPLE_RATE
from model.corpus import faults, ingest
from model.corpus.clips import open_song
from model.corpus.corpus import MANIFEST, Corpus
from model.corpus.fingerprint import (
    BANDS,
    PLACES,
    SAME_DB,
    Fingerprint,
    distance_db,
    fingerprint,
    from_text,
    is_same,
    to_text,
)
from model.corpus.ingest import add_songs
from model.corpus.ledger import SONGS
from model.corpus.sources import MISSING, REMOTE, find_songs
from tests.support import signals
from tests.support.command import ROOT, environment
from tests.support.music_files import add, song, write


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def retagged(path: Path, to: Path) -> None:
    samples, rate = soundfile.read(path, dtype="int16")
    with soundfile.SoundFile(to, "w", rate, 2) as file:
        file.title = "Another title"
        file.write(samples)


def test_edited_tags_do_not_make_another_song(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.flac", song(20.0))
    add(tmp_path / "in", tmp_path / "corpus")
    before = (tmp_path / "corpus" / MANIFEST).read_bytes()
    retagged(path, path.with_suffix(".new.flac"))
    path.with_suffix(".new.flac").replace(path)
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert (report.known, report.songs, report.refused) == (1, 0, [])
    assert (tmp_path / "corpus" / MANIFEST).read_bytes() == before
    assert add(tmp_path / "in", tmp_path / "corpus").known == 1


@pytest.mark.parametrize("name", ["b.ogg", "b.mp3", "b.opus", "b.wav", "quiet.flac"])
def test_a_copy_in_another_format_is_the_same_song(tmp_path: Path, name: str) -> None:
    music = song(20.0)
    write(tmp_path / "in" / "a.flac", music)
    rate = 48_000 if name.endswith(".opus") else SAMPLE_RATE
    copy = resample(music, SAMPLE_RATE, rate)
    write(tmp_path / "in" / name, 0.4 * copy if name == "quiet.flac" else copy, rate)
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert report.songs == 1
    assert [r.reason for r in report.refused] == [faults.DUPLICATE]
    assert "a.flac" in report.refused[0].detail
    again = add(tmp_path / "in", tmp_path / "corpus")
    assert (again.known, again.refused) == (2, [])


def test_other_songs_of_the_same_length_are_other_songs(tmp_path: Path) -> None:
    for seed in range(8):
        write(tmp_path / "in" / f"{seed}.flac", song(12.0, seed=seed))
    assert add(tmp_path / "in", tmp_path / "corpus").songs == 8
    made = []
    for path in sorted((tmp_path / "in").iterdir()):
        with open_song(path) as opened:
            made.append(fingerprint(opened.seconds, opened.read))
    apart = [distance_db(a, b) for i, a in enumerate(made) for b in made[:i]]
    assert min(apart) > 1.5 * SAME_DB


def drone(hz: float, seconds: float = 12.0) -> Samples:
    """Eight steady partials over faint noise, stereo."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    mono = sum(np.sin(2.0 * np.pi * hz * k * t + k) / k for k in range(1, 9))
    sound = np.repeat(0.1 * np.asarray(mono)[:, None], 2, axis=1)
    sound += 1e-4 * np.random.default_rng(0).standard_normal(sound.shape)
    return sound.astype(np.float32)


def test_detuned_drones_are_other_songs_and_their_copies_are_not(
    tmp_path: Path,
) -> None:
    for cents in (0, 8, 25, -50):
        sound = drone(147.0 * 2.0 ** (cents / 1200.0))
        write(tmp_path / "in" / f"a{cents}.flac", sound)
        write(tmp_path / "in" / f"b{cents}.ogg", sound)
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert report.songs == 4
    assert [r.reason for r in report.refused] == [faults.DUPLICATE] * 4
    for refused in report.refused:
        name = Path(refused.name).stem.replace("b", "a") + ".flac"
        assert name in refused.detail


def test_fingerprints_are_texts_and_those_of_older_ledgers_are_read() -> None:
    sound = drone(147.0)

    def read(start_s: float) -> Samples:
        start = round(start_s * SAMPLE_RATE)
        return sound[start : start + 2 * SAMPLE_RATE]

    made = fingerprint(12.0, read)
    again = from_text(to_text(made))
    assert again is not None
    assert np.array_equal(again.coarse, made.coarse)
    assert np.array_equal(again.fine, made.fine)
    older = from_text(to_text(Fingerprint(made.coarse, made.fine[:0])))
    assert older is not None
    assert len(older.fine) == 0
    assert is_same(older, made)
    for n_bytes in (0, PLACES * BANDS - 1, PLACES * BANDS + 1):
        assert from_text(base64.b64encode(bytes(n_bytes)).decode()) is None
    assert from_text("no base64") is None


def test_a_second_run_opens_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    for seed in range(3):
        write(tmp_path / "in" / f"{seed}.flac", song(12.0, seed=seed))
    drums = signals.drum_hits(10.0, SAMPLE_RATE, rng, 4.0)
    write(tmp_path / "in" / "drums.wav", drums)
    first = add(tmp_path / "in", tmp_path / "corpus")
    assert (first.songs, len(first.refused)) == (3, 1)
    before = contents(tmp_path / "corpus")

    def never(*_: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(ingest, "examine", never)
    monkeypatch.setattr(ingest, "file_hash", never)
    second = add(tmp_path / "in", tmp_path / "corpus")
    assert (second.known, second.remembered, second.refused) == (3, 1, [])
    assert contents(tmp_path / "corpus") == before
    with pytest.raises(AssertionError, match="was read"):
        add(tmp_path / "in", tmp_path / "corpus", again=True)


def test_a_refused_song_gets_another_chance_when_asked_or_changed(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    path = write(
        tmp_path / "in" / "a.wav", signals.drum_hits(10.0, SAMPLE_RATE, rng, 4.0)
    )
    add(tmp_path / "in", tmp_path / "corpus")
    assert len(add(tmp_path / "in", tmp_path / "corpus", again=True).refused) == 1
    path.rename(tmp_path / "in" / "b.wav")
    assert add(tmp_path / "in", tmp_path / "corpus").remembered == 1
    write(tmp_path / "in" / "b.wav", song(10.0))
    assert add(tmp_path / "in", tmp_path / "corpus").songs == 1


def test_songs_of_a_corpus_without_a_ledger_are_known(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.flac", song(12.0))
    add(tmp_path / "in", tmp_path / "corpus")
    (tmp_path / "corpus" / SONGS).unlink()
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert (report.known, report.songs) == (1, 0)
    assert len(Corpus.open(tmp_path / "corpus")) == 3


def test_a_torn_line_of_the_ledger_costs_one_song_at_most(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path / "in" / f"{seed}.flac", song(12.0, seed=seed))
    add(tmp_path / "in", tmp_path / "corpus")
    ledger = tmp_path / "corpus" / SONGS
    ledger.write_bytes(ledger.read_bytes()[:-40])
    assert add(tmp_path / "in", tmp_path / "corpus").known == 2
    assert len(ledger.read_bytes().splitlines()) == 2
    assert add(tmp_path / "in", tmp_path / "corpus").known == 2


def test_the_corpus_does_not_depend_on_the_executor(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for seed in range(4):
        write(folder / f"{seed}.flac", song(10.0, seed=seed))
    shutil.copy(folder / "0.flac", folder / "3a.flac")
    retagged(folder / "1.flac", folder / "3b.flac")
    write(folder / "silence.wav", signals.silence(5.0, SAMPLE_RATE))
    add(folder, tmp_path / "here")
    with ThreadPoolExecutor(3) as pool:
        report = add_songs(
            find_songs([folder]).files,
            Corpus.create(tmp_path / "there"),
            clips_per_song=3,
            seed=1,
            executor=pool,
        )
    assert report.songs == 4
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_copies_of_a_refused_file_have_its_reason(tmp_path: Path) -> None:
    """They were called duplicates of a file of which nothing was taken."""
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.mp3", "c.flac"):
        (tmp_path / "in" / name).touch()
    refused = add(tmp_path / "in", tmp_path / "corpus").refused
    assert [(row.reason, row.detail) for row in refused] == 3 * [
        ("broken file", "is empty")
    ]


def test_a_part_without_a_good_clip_is_replaced_from_elsewhere(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    sound = song(30.0)
    sound[10 * SAMPLE_RATE :] += signals.drum_hits(20.0, SAMPLE_RATE, rng, 4.0)
    write(tmp_path / "in" / "a.flac", sound)
    assert add(tmp_path / "in", tmp_path / "corpus").clips == 3
    starts = [row["start_s"] for row in Corpus.open(tmp_path / "corpus").rows()]
    assert max(starts) <= 8.1
    assert np.min(np.diff(starts)) >= 2.0


def test_names_of_freesound_and_other_scripts_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "in" / "123456__user__light-rain.wav", song(6.0))
    write(tmp_path / "in" / "雨.wav", song(6.0, seed=1))
    (tmp_path / "in" / os.fsdecode(b"latin1-\xe9.wav")).write_bytes(
        write(tmp_path / "x.wav", song(6.0, seed=2)).read_bytes()
    )
    add(tmp_path / "in", tmp_path / "corpus")
    rows = {row["title"]: row for row in Corpus.open(tmp_path / "corpus").rows()}
    assert rows.keys() >= {"light-rain", "雨.wav"}
    assert len(rows) == 3
    freesound = rows["light-rain"]
    assert freesound["artist"] == "user"
    assert freesound["source_url"].endswith("/people/user/sounds/123456/")


def test_playlists_name_songs_relative_to_themselves(tmp_path: Path) -> None:
    write(tmp_path / "music" / "a.flac", song(6.0))
    write(tmp_path / "elsewhere" / "b.flac", song(6.0, seed=1))
    (tmp_path / "music" / "link.flac").symlink_to(tmp_path / "elsewhere" / "b.flac")
    playlist = tmp_path / "music" / "list.m3u8"
    playlist.write_text(
        "\ufeff#EXTM3U\n#EXTINF:6,A\na.flac\n\nlink.flac\nnone.flac\n"
        f"file://{tmp_path}/music/a.flac\nhttp://example.org/radio.mp3\n"
    )
    found = find_songs([playlist])
    assert [path.name for path in found.files] == ["a.flac", "b.flac"]
    assert {one.reason for one in found.passed_over} == {MISSING, REMOTE}
    with pytest.raises(SoundError, match="no such"):
        find_songs([tmp_path / "nowhere.m3u8"])


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_makes_the_same_corpus(tmp_path: Path) -> None:
    """A scheduler and two workers as processes, of which one is killed."""
    pytest.importorskip("distributed")
    folder = tmp_path / "in"
    for seed in range(16):
        write(folder / f"{seed:02d}.flac", song(10.0, seed=seed))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    env = {**environment(tmp_path), "PYTHONPATH": str(ROOT)}
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    scheduler += ["--port", str(port), "--no-dashboard"]
    worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    worker += ["--no-dashboard", "--local-directory", str(tmp_path)]
    started = []
    try:
        for command in (scheduler, worker, worker):
            started.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", *command],
                    env=env,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        there = tmp_path / "there"
        command = ["corpus", "add", str(folder), "--corpus", str(there)]
        command += ["--seed", "1", "--scheduler", address]
        adding = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.cli", *command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while adding.poll() is None and not list(there.rglob("*.flac")):
            time.sleep(0.05)
        assert adding.poll() is None, "too fast to be interrupted"
        started[1].send_signal(signal.SIGKILL)
        said = adding.communicate(timeout=240)[0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert adding.returncode == 0, said
    add(folder, tmp_path / "here")
    assert contents(tmp_path / "here") == contents(there)
