import json
import os
from collections import Counter
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError
from model.config import SAMPLE_RATE
from model.corpus import faults
from model.corpus.clips import SURE, OpenSong, draw_clips
from model.corpus.corpus import Corpus
from model.corpus.faults import (
    CLIP_LENGTH,
    FLAT_TOPS,
    count_flat_tops,
    fault_and_scores,
)
from model.corpus.ingest import IngestReport
from model.corpus.transients import LIMITS, transience
from model.spectrum import analyse
from tests.support import signals
from tests.support.music_files import add, song, write


def reasons(report: IngestReport) -> dict[str, str]:
    return {Path(r.name).name: r.reason for r in report.refused}


def fault(clip: Samples) -> str | None:
    return fault_and_scores(clip)[0]


def test_songs_of_all_formats_become_clips(tmp_path: Path) -> None:
    rates = {
        "a.flac": 44_100,
        "deep/b.ogg": 48_000,
        "deep/er/c.wav": 96_000,
        "d.opus": 48_000,
        "e.mp3": 44_100,
        "f.aiff": 22_050,
    }
    for number, (name, rate) in enumerate(rates.items()):
        write(tmp_path / "in" / name, song(20.0, rate, number), rate)
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert (report.songs, report.clips, report.refused) == (6, 18, [])
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.timbres().shape == (18, 1233)
    assert len(set(corpus.groups())) == 6
    for row in corpus.rows():
        assert 0.0 <= row["start_s"] <= 18.0
        audio, rate = soundfile.read(tmp_path / "corpus" / row["file_name"])
        assert (len(audio), rate) == (CLIP_LENGTH, SAMPLE_RATE)


def test_clips_are_where_the_manifest_says_and_sound_like_it(tmp_path: Path) -> None:
    sound = song(30.0)
    write(tmp_path / "in" / "a.wav", sound)
    add(tmp_path / "in", tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    starts = [row["start_s"] for row in corpus.rows()]
    assert [int(start // 10.0) for start in starts] == [0, 1, 2]
    for row, timbre in zip(corpus.rows(), corpus.timbres(), strict=True):
        first = round(row["start_s"] * SAMPLE_RATE)
        expected = analyse(sound[first : first + CLIP_LENGTH])
        heard, _ = soundfile.read(
            tmp_path / "corpus" / row["file_name"], dtype="float32"
        )
        loud = expected > 0.4
        assert np.max(np.abs(timbre - expected)[loud]) < 0.01
        assert np.max(np.abs(analyse(heard) - expected)[loud]) < 0.01


def test_every_bad_file_has_its_reason_and_the_rest_is_taken(tmp_path: Path) -> None:
    folder, rng = tmp_path / "in", np.random.default_rng(5)
    write(folder / "good.flac", song(12.0))
    write(folder / "copy.flac", song(12.0))
    write(folder / "silence.wav", signals.silence(10.0, SAMPLE_RATE))
    write(folder / "drums.wav", signals.drum_hits(10.0, SAMPLE_RATE, rng, 4.0))
    write(folder / "short.wav", song(1.5))
    write(folder / "clipped.wav", np.clip(8.0 * song(10.0), -1.0, 1.0))
    nan = song(10.0)
    nan[::1000] = np.nan
    soundfile.write(folder / "nan.wav", nan, SAMPLE_RATE, subtype="FLOAT")
    for name, value in (("inf", np.inf), ("huge", 1e38)):
        nan[::1000] = value
        soundfile.write(folder / f"{name}.wav", nan, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(folder / "huge48.wav", nan, 48_000, subtype="FLOAT")
    write(folder / "offset.wav", signals.silence(10.0, SAMPLE_RATE) + 0.5)
    soundfile.write(folder / "adpcm.wav", song(10.0), SAMPLE_RATE, subtype="IMA_ADPCM")
    (folder / "text.mp3").write_text("this is not a sound\n" * 100)
    (folder / "empty.ogg").touch()
    (folder / "foreign.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
    broken = write(folder / "cut.flac", song(12.0, seed=9))
    broken.write_bytes(broken.read_bytes()[:2000])
    report = add(folder, tmp_path / "corpus")
    assert reasons(report) == {
        "good.flac": faults.DUPLICATE,
        "silence.wav": faults.SILENCE,
        "drums.wav": faults.TRANSIENT,
        "short.wav": faults.TOO_SHORT,
        "clipped.wav": faults.CLIPPING,
        "nan.wav": faults.BROKEN,
        "inf.wav": faults.BROKEN,
        "huge.wav": faults.BROKEN,
        "huge48.wav": faults.BROKEN,
        "offset.wav": faults.SILENCE,
        "adpcm.wav": faults.UNSUPPORTED,
        "text.mp3": faults.BROKEN,
        "empty.ogg": faults.BROKEN,
        "foreign.m4a": faults.BROKEN if which("ffmpeg") else faults.UNSUPPORTED,
        "cut.flac": faults.BROKEN,
    }
    assert (report.songs, report.clips) == (1, 3)
    assert all(refusal.detail for refusal in report.refused)


def test_what_could_hang_or_lead_astray_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "good.wav", song(12.0))
    outside = write(tmp_path / "outside.wav", song(12.0, seed=3))
    os.mkfifo(folder / "pipe.wav")
    (folder / "link.wav").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "folder.wav").mkdir()
    write(folder / ".hidden.wav", song(12.0, seed=4))
    report = add(folder, tmp_path / "corpus")
    assert (report.songs, report.refused) == (1, [])


def test_a_bad_stretch_is_drawn_again_elsewhere(tmp_path: Path) -> None:
    sound = song(30.0)
    rng = np.random.default_rng(6)
    sound[: 4 * SAMPLE_RATE] += signals.drum_hits(4.0, SAMPLE_RATE, rng, 4.0)
    write(tmp_path / "in" / "a.flac", sound)
    seen: Counter[str] = Counter()
    for seed in range(6):
        report = add(tmp_path / "in", tmp_path / f"corpus{seed}", seed)
        assert report.clips == 3
        seen.update(report.draws_refused)
        first = Corpus.open(tmp_path / f"corpus{seed}").rows()[0]
        assert first["start_s"] > 3.5
    assert seen.keys() == {faults.TRANSIENT}


def test_the_same_seed_takes_the_same_clips_whatever_the_neighbours(
    tmp_path: Path,
) -> None:
    write(tmp_path / "in" / "m.flac", song(25.0, seed=1))
    add(tmp_path / "in", tmp_path / "one")
    write(tmp_path / "in" / "a.flac", song(25.0, seed=2))
    add(tmp_path / "in", tmp_path / "two")
    add(tmp_path / "in", tmp_path / "other", seed=2)

    def starts(corpus: str) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for row in Corpus.open(tmp_path / corpus).rows():
            found.setdefault(row["title"], []).append(row["start_s"])
        return found

    assert starts("one")["m.flac"] == starts("two")["m.flac"]
    assert starts("two")["m.flac"] != starts("other")["m.flac"]


def test_songs_of_the_corpus_are_not_taken_again(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.flac", song(12.0, seed=1))
    add(tmp_path / "in", tmp_path / "corpus")
    manifest = tmp_path / "corpus" / "manifest.jsonl"
    before = manifest.read_bytes()
    (tmp_path / "in" / "a.flac").rename(tmp_path / "in" / "renamed.flac")
    write(tmp_path / "in" / "b.flac", song(12.0, seed=2))
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert (report.known, report.songs, report.clips) == (1, 1, 3)
    assert manifest.read_bytes().startswith(before)
    assert len(manifest.read_text().splitlines()) == 6
    assert add(tmp_path / "in", tmp_path / "corpus").known == 2


def test_a_short_song_gives_fewer_clips_and_a_clip_long_one_gives_one(
    tmp_path: Path,
) -> None:
    write(tmp_path / "in" / "two.wav", song(5.0, seed=1))
    write(tmp_path / "in" / "one.wav", song(2.0, seed=2))
    report = add(tmp_path / "in", tmp_path / "corpus")
    assert (report.songs, report.clips) == (2, 3)


def test_a_long_file_is_not_read_whole(tmp_path: Path) -> None:
    rate, hours = 8_000, 2
    path = tmp_path / "in" / "long.flac"
    path.parent.mkdir()
    piece = song(60.0, rate)
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for _ in range(60 * hours):
            file.write(piece)
    import tracemalloc

    tracemalloc.start()
    report = add(tmp_path / "in", tmp_path / "corpus")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.clips == 24, "one for each five minutes"
    assert peak < 64e6, "the file holds 460 MB"
    starts = [row["start_s"] for row in Corpus.open(tmp_path / "corpus").rows()]
    assert starts[-1] > 60 * 60 * hours * 2 / 3


def test_a_flac_of_unknown_length_is_still_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.flac", song(15.0))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of the sample count, as a killed writer
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert soundfile.info(path).frames > 2**60
    assert add(tmp_path / "in", tmp_path / "corpus").clips == 3


def test_tags_of_the_song_go_into_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.flac"
    path.parent.mkdir()
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2) as file:
        file.title, file.artist = "Fog", "Someone"
        file.license = "CC0-1.0"
        file.write(song(12.0))
    add(path, tmp_path / "corpus")
    line = (tmp_path / "corpus" / "manifest.jsonl").read_text().splitlines()[0]
    row = json.loads(line)
    assert (row["title"], row["artist"], row["licence"]) == (
        "Fog",
        "Someone",
        "CC0-1.0",
    )


def test_an_empty_or_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(SoundError, match="no sound files"):
        add(tmp_path / "in", tmp_path / "corpus")
    with pytest.raises(SoundError, match="no such"):
        add(tmp_path / "nowhere", tmp_path / "corpus")


@pytest.mark.parametrize("hz", [20.0, 50.0, 440.0, 997.0, 6_000.0])
@pytest.mark.parametrize("bits", [15, 23])
def test_a_full_scale_sine_is_not_clipped_and_a_cut_one_is(
    hz: float, bits: int
) -> None:
    sine = signals.tone(hz, 2.0, SAMPLE_RATE, amplitude=1.0)
    sine = (np.round(sine * 2**bits) / 2**bits).astype(np.float32)
    assert count_flat_tops(sine) == 0
    if 300.0 < hz < 2_000.0:
        assert count_flat_tops(np.clip(sine, -0.7, 0.7)) >= 2 * FLAT_TOPS


@pytest.mark.parametrize("period", [50, 100, 147, 200, 401])
def test_a_wave_that_repeats_to_the_sample_is_not_clipped(period: int) -> None:
    rng = np.random.default_rng(period)
    for _ in range(40):
        phase = 2.0 * np.pi * np.arange(CLIP_LENGTH) / period
        wave = sum(np.sin(k * phase + rng.uniform(0.0, 6.3)) / k for k in range(1, 9))
        tone = (np.round(9_000.0 * np.asarray(wave)) / 2**15).astype(np.float32)
        assert count_flat_tops(tone[:, None]) < FLAT_TOPS


def test_a_clip_that_is_good_has_no_fault() -> None:
    assert fault(song(2.0)) is None
    assert fault(song(2.0)[:-1]) == faults.BROKEN


def test_no_fault_of_the_recording_is_none() -> None:
    pad = song(2.0)[:CLIP_LENGTH]
    silent_channel, inverted = pad.copy(), pad.copy()
    silent_channel[:, 1] = 0.0
    inverted[:, 1] = -inverted[:, 0]
    low = signals.chord([55.0, 82.4, 110.0], 2.0, SAMPLE_RATE)
    steps = np.round(low / np.std(low) * 41.0)  # of 16 bits, at -58 dBFS
    quiet = (steps / 2**15).astype(np.float32)
    clips: tuple[Samples, ...] = (pad, silent_channel, inverted, quiet)
    for clip in (*clips, (pad + np.float32(0.3)).astype(np.float32)):
        assert fault(clip) is None


def test_clipping_is_found_on_one_side_and_beside_an_offset() -> None:
    pad = 4.0 * song(2.0)[:CLIP_LENGTH]
    for low, high in ((-0.3, 0.9), (-0.9, 0.3), (-0.3, 0.3)):
        clipped = np.clip(pad, low, high).astype(np.float32)
        assert fault(clipped) == faults.CLIPPING
        assert fault(clipped + np.float32(0.1)) == faults.CLIPPING


def test_a_clip_carries_its_scores(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "pad.flac", song(12.0))
    add(tmp_path / "in", tmp_path / "corpus")
    rows = Corpus.open(tmp_path / "corpus").rows()
    assert rows
    for row in rows:
        assert row["scores"].keys() == vars(LIMITS).keys()
        assert all(row["scores"][name] <= limit for name, limit in vars(LIMITS).items())


def test_the_clips_of_a_corpus_inside_the_music_are_no_songs(tmp_path: Path) -> None:
    write(tmp_path / "pad.flac", song(12.0))
    first = add(tmp_path, tmp_path / "corpus")
    again = add(tmp_path, tmp_path / "corpus")
    assert (first.songs, first.known) == (1, 0)
    assert (again.songs, again.known, again.refused) == (0, 1, [])
    assert list((tmp_path / "corpus" / "clips").rglob("*.flac"))


def test_an_mp3_with_zeros_before_its_first_frame_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "in" / "zeros.mp3"
    path.parent.mkdir()
    soundfile.write(path, song(12.0), SAMPLE_RATE)
    path.write_bytes(bytes(4096) + path.read_bytes())
    assert add(path.parent, tmp_path / "corpus").songs == 1


def test_the_centre_of_a_surround_recording_is_taken_as_mono(tmp_path: Path) -> None:
    path = tmp_path / "in" / "centre.wav"
    path.parent.mkdir()
    surround = np.zeros((12 * SAMPLE_RATE, 6), np.float32)
    surround[:, 2] = song(12.0)[:, 0]
    soundfile.write(path, surround, SAMPLE_RATE, format="WAVEX", subtype="PCM_24")
    add(path.parent, tmp_path / "corpus")
    for clip in (tmp_path / "corpus" / "clips").rglob("*.flac"):
        left, right = soundfile.read(clip)[0].T
        assert np.array_equal(left, right)
    assert len(Corpus.open(tmp_path / "corpus")) == 3


def test_of_clips_that_hardly_pass_the_surest_is_taken() -> None:
    """A pad wavers now less, now more: a clip's place says how near a limit it is."""
    n = 60 * SAMPLE_RATE
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((n, 1)).astype(np.float32)
    steps = np.interp(
        np.arange(n), np.arange(0, n, n // 240), rng.normal(0, 3, 241)[:-1]
    )
    pad = 0.05 * noise * (10.0 ** (steps / 20.0)).astype(np.float32)[:, None]

    def read(start_s: float) -> Samples:
        first = int(start_s * SAMPLE_RATE)
        return pad[first : first + 2 * SAMPLE_RATE]

    taken, plain = [], []
    for seed in range(4):
        song_clips, _ = draw_clips(
            OpenSong(60.0, {}, read), 5, np.random.default_rng(seed)
        )
        taken += [transience(clip.scores) for clip in song_clips]
        for start_s in np.random.default_rng(seed).uniform(0.0, 58.0, 12):
            reason, scores = fault_and_scores(read(float(start_s)))
            plain += [transience(scores)] if reason is None else []
    assert len(taken) >= 10
    assert max(taken) <= 1.0
    assert np.mean(np.array(taken) > SURE) < 0.6 * np.mean(np.array(plain) > SURE)


def test_a_song_of_one_clip_is_read_once() -> None:
    noise = np.random.default_rng(3).standard_normal((2 * SAMPLE_RATE, 1))
    rise = 10.0 ** (np.linspace(0.0, 17.0, len(noise)) / 20.0)[:, None]
    pad = (0.02 * noise * rise).astype(np.float32)
    starts: list[float] = []

    def read(start_s: float) -> Samples:
        starts.append(start_s)
        return pad

    taken, _ = draw_clips(OpenSong(2.0, {}, read), 3, np.random.default_rng(0))
    assert len(taken) == 1
    assert transience(taken[0].scores) > SURE
    assert starts == [0.0]
