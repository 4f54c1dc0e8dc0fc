"""Surround sound is folded as ITU-R BS.775 says, and mono is doubled."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.conversion import in_wav_order, to_stereo
from effects.audio.sound_reader import read_sound

WAV_51 = ("left", "right", "centre", "low frequencies", "left rear", "right rear")
OGG_51 = ("left", "centre", "right", "left rear", "right rear", "low frequencies")
HALF_POWER = 0.5**0.5
FOLDED = {
    "left": (1.0, 0.0),
    "right": (0.0, 1.0),
    "centre": (HALF_POWER, HALF_POWER),
    "low frequencies": (0.0, 0.0),
    "left rear": (HALF_POWER, 0.0),
    "right rear": (0.0, HALF_POWER),
}


def only(channel: int, channels: int, n: int = 10) -> np.ndarray:
    samples = np.zeros((n, channels), np.float32)
    samples[:, channel] = 1.0
    return samples


def test_mono_is_doubled_and_stereo_stays() -> None:
    assert np.array_equal(to_stereo(only(0, 1)), np.ones((10, 2), np.float32))
    assert np.array_equal(to_stereo(only(1, 2)), only(1, 2))


@pytest.mark.parametrize("channel", WAV_51)
def test_a_channel_of_a_5_1_recording_goes_where_the_standard_says(
    channel: str,
) -> None:
    folded = to_stereo(only(WAV_51.index(channel), 6))
    assert folded.dtype == np.float32
    assert np.allclose(folded, FOLDED[channel])
    in_ogg = in_wav_order(only(OGG_51.index(channel), 6), "OGG")
    assert np.allclose(to_stereo(in_ogg), FOLDED[channel])


@pytest.mark.parametrize("channels", [3, 4, 5, 7, 8])
def test_front_is_front_and_both_sides_are_alike(channels: int) -> None:
    assert np.allclose(to_stereo(only(0, channels)), (1.0, 0.0))
    assert np.allclose(to_stereo(only(1, channels)), (0.0, 1.0))
    folded = to_stereo(np.ones((10, channels), np.float32))
    assert np.allclose(folded[:, 0], folded[:, 1])


@pytest.mark.parametrize("container", ["WAV", "OGG"])
def test_the_centre_of_a_file_is_in_the_middle(container: str, tmp_path: Path) -> None:
    order = OGG_51 if container == "OGG" else WAV_51
    tone = 0.5 * np.sin(2.0 * np.pi * 440.0 * np.arange(44_100) / 44_100)
    samples = only(order.index("centre"), 6, 44_100) * tone[:, None]
    path = tmp_path / "only-centre"
    soundfile.write(path, samples, 44_100, format=container)
    left, right = to_stereo(read_sound(path)[0]).T
    assert np.std(left) == pytest.approx(0.25, rel=0.05)
    assert np.allclose(left, right, atol=1e-4)
