"""Sound files are read as far as they can be trusted, and refused in one line."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError
from effects.audio.sound_reader import read_sound
from effects.audio.sound_search import list_sounds
from effects.audio.sound_writer import write_sound
from tests.support.audio import residual_db

RATE = 44_100


@pytest.fixture
def noise() -> Samples:
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal((RATE, 2))).astype(np.float32)


def test_resampling_keeps_length_and_pitch(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    write_sound(tmp_path / "x.wav", 0.5 * tone[:, None], RATE)
    samples, rate = read_sound(tmp_path / "x.wav", sample_rate=48_000)
    assert (rate, samples.shape) == (48_000, (48_000, 1))
    assert np.argmax(np.abs(np.fft.rfft(samples[:, 0]))) == 1000


def test_nothing_is_read_beyond_the_limit(tmp_path: Path) -> None:
    # Ten minutes of silence pack into a few kilobytes: a bomb for whoever reads all.
    path = tmp_path / "bomb.flac"
    soundfile.write(path, np.zeros((600 * 8000, 2), np.int16), 8000)
    samples, _ = read_sound(path, max_seconds=2.0)
    assert samples.shape == (16_000, 2)


def test_a_recording_cut_short_is_read_as_far_as_it_goes(
    tmp_path: Path, noise: Samples
) -> None:
    path = tmp_path / "x.flac"
    long = np.tile(noise, (20, 1))
    soundfile.write(path, long, RATE, subtype="PCM_24")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    samples, _ = read_sound(path)
    assert 5 * RATE < len(samples) < 15 * RATE
    assert residual_db(samples, long[: len(samples)]) < -100.0


def test_a_header_that_does_not_know_its_length_is_not_believed(
    tmp_path: Path, noise: Samples
) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, noise, RATE)
    data = bytearray(path.read_bytes())
    data[21] = (data[21] & 0xF0) | 0x0F  # total samples: 36 bits from here on
    data[22:26] = b"\xff" * 4
    path.write_bytes(bytes(data))
    samples, _ = read_sound(path)
    assert RATE - 4096 <= len(samples) <= RATE


def _nan(path: Path) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[7] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def _huge(path: Path) -> None:
    soundfile.write(path, np.full(RATE, 1e30, np.float32), RATE, subtype="FLOAT")


def _adpcm(path: Path) -> None:
    soundfile.write(path, np.zeros(RATE), RATE, subtype="IMA_ADPCM")


def _crowd(path: Path) -> None:
    soundfile.write(path, np.zeros((100, 9)), RATE)


def _slow(path: Path) -> None:
    soundfile.write(path, np.zeros(100), 4000)


def _no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 1)), RATE)


REFUSED: dict[str, Callable[[Path], object]] = {
    "NaN": _nan,
    "full scale": _huge,
    "ADPCM": _adpcm,
    "9 channels": _crowd,
    "4000 Hz": _slow,
    "no audio": _no_samples,
    "empty": Path.touch,
    "not a sound": lambda path: path.write_bytes(b"\x89PNG\r\n" * 50),
    "link": lambda path: path.symlink_to("/dev/zero"),
    "regular": os.mkfifo,
    "No such file": lambda path: None,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, reason: str
) -> None:
    path = tmp_path / "odd\nname.wav"
    REFUSED[reason](path)
    with pytest.raises(SoundError, match=reason) as refused:
        read_sound(path)
    assert "\n" not in str(refused.value)
    assert "odd" in str(refused.value)


def test_a_folder_is_refused_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="regular"):
        read_sound(tmp_path)


def test_folders_are_walked_safely(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.WAV", "a.flac", "deep/c.mp3", "song.m4a"):
        (tmp_path / name).touch()
    for name in (".hidden.wav", "._a.flac", "notes.txt", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "link.wav").symlink_to(tmp_path / "b.WAV")
    os.mkfifo(tmp_path / "pipe.wav")
    names = [str(p.relative_to(tmp_path)) for p in list_sounds(tmp_path)]
    assert names == ["a.flac", "b.WAV", "deep/c.mp3", "song.m4a"]
    with pytest.raises(SoundError, match="no such"):
        list_sounds(tmp_path / "nowhere")
