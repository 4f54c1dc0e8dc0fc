"""Sound files are written whole or not at all, in every format of the table."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.audio.sound_formats import LOSSLESS, WRITTEN, SoundError
from effects.audio.sound_reader import read_sound, read_tags
from effects.audio.sound_writer import check_output, whole_sound_file, write_sound
from effects.base.errors import RunError
from tests.support.audio import residual_db
from tests.support.disk import disk_full_after

RATE = 44_100
TAGS = {"title": "Brook", "artist": "Me", "comment": "a card\nof two lines"}


@pytest.fixture
def noise() -> Samples:
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal((RATE, 2))).astype(np.float32)


@pytest.mark.parametrize("ending", WRITTEN)
def test_each_format_is_written_in_blocks_and_read_back(
    tmp_path: Path, noise: Samples, ending: str
) -> None:
    path = tmp_path / f"x{ending}"
    rate = WRITTEN[ending].rate_for(RATE)
    long = np.tile(noise, (3, 1))
    with whole_sound_file(path, rate, TAGS) as write:
        for block in np.array_split(long, [1000, 1001, 60_000]):
            write(block)
        assert not path.exists()
    samples, read_rate = read_sound(path)
    assert read_rate == rate
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending in LOSSLESS:
        assert residual_db(samples, long) < -100.0
    else:
        assert len(samples) / rate == pytest.approx(len(long) / rate, abs=0.1)
        assert np.std(samples) == pytest.approx(np.std(noise), rel=0.1)


@pytest.mark.parametrize("ending", WRITTEN)
def test_each_format_keeps_tags(tmp_path: Path, noise: Samples, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    write_sound(path, noise, RATE, tags={**TAGS, "odd": "left out", "album": ""})
    with soundfile.SoundFile(path) as file:
        tags = file.copy_metadata()
    assert (tags["title"], tags["artist"]) == ("Brook", "Me")
    assert tags["comment"].splitlines() == ["a card", "of two lines"]
    assert read_tags(path)["title"] == "Brook"


@pytest.mark.parametrize("ending", WRITTEN)
@pytest.mark.parametrize("rate", [22_050, 96_000])
def test_rates_that_a_format_lacks_are_resampled_or_refused(
    tmp_path: Path, noise: Samples, ending: str, rate: int
) -> None:
    path = tmp_path / f"x{ending}"
    held = WRITTEN[ending].rate_for(rate)
    write_sound(path, noise, rate)
    assert soundfile.info(path).samplerate == held
    if held == rate:
        check_output(path, rate)
    else:
        with pytest.raises(SoundError, match=f"cannot hold {rate} Hz"):
            check_output(path, rate)
        with pytest.raises(SoundError, match="cannot hold"):
            whole_sound_file(path, rate).__enter__()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, noise: Samples) -> None:
    path = tmp_path / "x.flac"
    write_sound(path, noise, RATE)
    before = path.read_bytes()
    with pytest.raises(SoundError, match="cannot write"):
        write_sound(tmp_path / "x.xyz", noise, RATE)
    with pytest.raises(RunError, match="cannot be written"):
        write_sound(path, np.zeros((10, 12), np.float32), RATE)  # FLAC has 8 at most
    with pytest.raises(SoundError, match="no folder"):
        write_sound(path / "below.flac", noise, RATE)
    with suppress(KeyError), whole_sound_file(path, RATE) as write:
        write(noise)
        raise KeyError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.flac"]


@pytest.mark.parametrize("ending", WRITTEN)
def test_a_full_disk_is_one_line_and_no_file(
    tmp_path: Path, noise: Samples, ending: str
) -> None:
    path = tmp_path / f"x{ending}"
    with pytest.raises(RunError) as refused, disk_full_after(2_000):
        write_sound(path, noise, RATE)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_written_over(tmp_path: Path, noise: Samples) -> None:
    (tmp_path / "x.wav").mkdir()
    with pytest.raises(SoundError, match="is a folder"):
        write_sound(tmp_path / "x.wav", noise, RATE)
    assert [p.name for p in tmp_path.iterdir()] == ["x.wav"]


def test_a_file_that_is_there_can_be_spared(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.touch()
    check_output(path)
    with pytest.raises(SoundError, match="exists already"):
        check_output(path, overwrite=False)


def test_faulty_samples_never_reach_a_file(tmp_path: Path, noise: Samples) -> None:
    noise[5] = np.nan
    noise[6] = np.inf
    write_sound(tmp_path / "x.wav", noise, RATE)
    samples, _ = read_sound(tmp_path / "x.wav")
    assert not samples[5:7].any()


@pytest.mark.parametrize("name", ["pipe", "pipe.flac", "pipe.wav", "pipe.mp3"])
def test_a_fifo_is_written_into_and_stays_one(name: str, tmp_path: Path) -> None:
    fifo, got = tmp_path / name, tmp_path / "got"
    os.mkfifo(fifo)
    samples = np.linspace(-1.0, 1.0, 2 * 30_000).reshape(-1, 2).astype(np.float32)
    with subprocess.Popen(
        ["dd", f"if={fifo}", f"of={got}"], stderr=subprocess.DEVNULL
    ) as reader:
        write_sound(fifo, samples, 44_100, tags={"title": "Pipe"})
        assert reader.wait(20.0) == 0
    assert fifo.is_fifo()
    if not fifo.suffix:
        decoded = np.frombuffer(got.read_bytes(), "<i2").reshape(-1, 2) / 32_768.0
    else:
        decoded, rate = soundfile.read(got)
        assert rate == 44_100
    assert len(decoded) == pytest.approx(len(samples), abs=4000)
    if fifo.suffix != ".mp3":
        assert np.max(np.abs(decoded - samples)) <= 1.0 / 32_768.0


def test_a_reader_that_goes_is_one_clear_line(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(["head", "-c", "10", str(fifo)], stdout=subprocess.DEVNULL),
        pytest.raises(RunError, match="its reader has gone"),
    ):
        write_sound(fifo, np.zeros((1_000_000, 2), np.float32), 44_100)
    assert fifo.is_fifo()


def test_two_channels_with_the_same_are_hardly_larger_than_one(
    tmp_path: Path, noise: Samples
) -> None:
    sizes = []
    for channels in (1, 2):
        path = tmp_path / f"{channels}.flac"
        write_sound(path, np.repeat(noise[:, :1], channels, axis=1), 48_000)
        sizes.append(path.stat().st_size)
    assert sizes[1] < 1.1 * sizes[0]
