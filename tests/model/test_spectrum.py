"""The analysis beside librosa's constant-Q transform, on tones."""

from typing import Literal

import librosa
import numpy as np
import pytest
from librosa.filters import wavelet_lengths
from numpy.typing import NDArray

from model.config import AXIS, CLIP_SECONDS, SAMPLE_RATE
from model.spectrum import CLIP_LENGTH, analyse, moving_mean
from tests.support import signals

# The filters of the transform are as narrow as the bands, so they need the whole clip
# at 220 Hz; the highest must end below half the sample rate.
FIRST, LAST = (int(np.searchsorted(AXIS.centres, hz)) for hz in (220.0, 14_000.0))
BANDS_PER_OCTAVE = round(AXIS.bands_per_octave)


def constant_q(clip: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level of librosa's transform in bands FIRST to LAST, in dB, up to a constant."""
    transform = librosa.cqt(
        clip,
        sr=SAMPLE_RATE,
        fmin=AXIS.centres[FIRST],
        n_bins=LAST - FIRST,
        bins_per_octave=BANDS_PER_OCTAVE,
        hop_length=2048,
    )
    lengths, _ = wavelet_lengths(freqs=AXIS.centres[FIRST:LAST], sr=SAMPLE_RATE)
    middle = transform.shape[1] // 2
    power = np.mean(np.abs(transform[:, middle - 4 : middle + 5]) ** 2, axis=1)
    # What is left of its scaling: a tone's response grows with the root of the length.
    level_db: NDArray[np.float64] = 10.0 * np.log10(power / lengths + 1e-20)
    return level_db


def tone(hertz: float, amplitude: float) -> NDArray[np.float32]:
    chord = signals.chord([hertz], CLIP_SECONDS, SAMPLE_RATE, amplitude=amplitude)
    return np.ascontiguousarray(chord[:, 0])


def test_bands_are_those_of_a_constant_q_transform() -> None:
    frequencies = librosa.cqt_frequencies(
        AXIS.n_bands,
        fmin=AXIS.centres[0],
        bins_per_octave=BANDS_PER_OCTAVE,
    )
    assert np.allclose(frequencies, AXIS.centres, rtol=1e-5)


@pytest.mark.parametrize("hertz", [311.1, 440.0, 1_000.0, 2_793.8, 9_956.0])
def test_a_tone_is_in_the_same_band(hertz: float) -> None:
    clip = tone(hertz, 0.1)
    ours, theirs = analyse(clip)[FIRST:LAST], constant_q(clip)
    assert abs(int(np.argmax(ours)) - int(np.argmax(theirs))) <= 1
    nearest = int(np.argmin(np.abs(AXIS.centres[FIRST:LAST] - hertz)))
    assert abs(int(np.argmax(ours)) - nearest) <= 1


def test_two_tones_are_as_far_apart_in_level() -> None:
    clip = tone(440.0, 0.2) + tone(3_520.0, 0.02)
    power = AXIS.to_power(analyse(clip)[FIRST:LAST])
    theirs = constant_q(clip)
    centres = AXIS.centres[FIRST:LAST]

    def near(hertz: float) -> NDArray[np.bool_]:
        return np.abs(np.log2(centres / hertz)) < 1.0 / 12.0

    low, high = near(440.0), near(3_520.0)
    ours_db = 10.0 * np.log10(power[low].sum() / power[high].sum())
    # A tone lies anywhere between the centres of two filters, which costs up to 1 dB.
    assert ours_db == pytest.approx(20.0, abs=0.1)
    assert theirs[low].max() - theirs[high].max() == pytest.approx(ours_db, abs=1.0)


@pytest.mark.parametrize("n", [CLIP_LENGTH, 44_101])  # odd and even transforms
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_channels_are_averaged_in_power(n: int, channels: int) -> None:
    """Though they are transformed in pairs, and the loudest lies beside another."""
    rng = np.random.default_rng(channels)
    clip = 0.1 * rng.standard_normal((n, channels)).astype(np.float32)
    clip[:, 1:] *= np.float32(0.3)
    power = np.mean([AXIS.to_power(analyse(c)) for c in clip.T.copy()], axis=0)
    apart_db = AXIS.range_db * (analyse(clip) - AXIS.from_power(power))
    assert np.max(np.abs(apart_db)) < 0.01


@pytest.mark.parametrize("hertz", [25.0, 440.0, 19_000.0])
def test_the_power_of_a_clip_is_that_of_its_bands(hertz: float) -> None:
    clip = np.stack([tone(hertz, 0.3), tone(1.01 * hertz, 0.1)], axis=1)
    whole = np.mean(clip.astype(np.float64) ** 2)
    assert AXIS.to_power(analyse(clip)).sum() == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("width", [1, 2, 10, 41])
@pytest.mark.parametrize("beyond", ["edge", "symmetric"])
def test_a_moving_mean_is_that_of_what_is_padded(
    width: int, beyond: Literal["edge", "symmetric"]
) -> None:
    values = np.random.default_rng(width).standard_normal((3, 60))
    padded = np.pad(values, [(0, 0), (width // 2, (width - 1) // 2)], mode=beyond)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    assert np.allclose(moving_mean(values, width, beyond), windows.mean(axis=2))
