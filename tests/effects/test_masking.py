"""What the music masks, in bands: power, envelopes over time, and gains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.audio import third_octaves
from effects.bed.masking import KEPT_S, BandEnvelope, duck_into

RATE = 48_000


def _bands(**levels_db: float) -> third_octaves.Bands:
    return np.full(third_octaves.N_BANDS, 10.0 ** (levels_db["all"] / 10.0))


@pytest.mark.parametrize("hz", [112.0, 700.0, 6_000.0])
def test_a_tone_lands_in_its_band_with_its_power(hz: float) -> None:
    tone = 0.1 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
    power = third_octaves.loop_power(np.stack([tone, tone], 1).astype(np.float32), RATE)
    bands = np.flatnonzero(np.abs(np.log2(third_octaves.CENTRES_HZ / hz)) < 0.2)
    assert len(bands) in (1, 2)  # between two centres it counts in both
    assert power[bands] == pytest.approx(0.005, rel=0.03)
    assert np.delete(power, bands).max() < 0.3 * 0.005
    assert np.median(power) < 1e-6


def test_sums_over_bins_and_a_loop_agree() -> None:
    noise = np.random.default_rng(1).standard_normal((8192 * 20, 2))
    power = third_octaves.loop_power((0.1 * noise).astype(np.float32), RATE)
    white = np.full(8193, 0.01 / 8192)  # mean square 0.01, evenly over the bins
    expected = third_octaves.band_sums(white, RATE)
    assert power.sum() == pytest.approx(expected.sum(), rel=0.03)
    assert np.allclose(power[6:], expected[6:], rtol=0.15)  # below, bins are few


def test_only_the_bands_where_partials_stand_are_turned_down() -> None:
    music, bed = _bands(all=-90.0), _bands(all=-45.0)
    music[9], gains = 1e-2, np.ones(third_octaves.N_BANDS)
    assert duck_into(gains, music, bed, 4.0)
    assert 20 * np.log10(gains[9]) == pytest.approx(-4.0, abs=0.01)
    assert np.all(np.delete(gains, 9) == 1.0)


@given(
    music=st.floats(-120.0, 0.0),
    bed=st.floats(-120.0, 0.0),
    depth=st.floats(0.0, 12.0),
)
def test_ducking_stays_within_its_depth(music: float, bed: float, depth: float) -> None:
    gains = np.ones(third_octaves.N_BANDS)
    ducked = duck_into(gains, _bands(all=music), _bands(all=bed), depth)
    if ducked:
        assert np.all((10 ** (-depth / 20) - 1e-9 <= gains) & (gains <= 1.0))
    if music < bed:
        assert not ducked


def test_gains_of_the_bands_reach_the_bins_without_a_step() -> None:
    below, share = third_octaves.band_places(2048, RATE)
    assert 0 <= below.min() <= below.max() <= third_octaves.N_BANDS - 2
    assert 0.0 <= share.min() <= share.max() <= 1.0
    hz = np.fft.rfftfreq(2048, 1 / RATE)
    gains = np.ones(third_octaves.N_BANDS, np.float32)
    gains[12] = 0.5
    bins = gains[below] + share * (gains[below + 1] - gains[below])
    centre = third_octaves.CENTRES_HZ[12]
    assert bins[np.argmin(np.abs(hz - centre))] == pytest.approx(0.5, abs=0.001)
    assert np.all(bins[np.abs(np.log2(np.maximum(hz, 1) / centre)) > 0.34] == 1.0)
    assert np.max(np.abs(np.diff(bins))) < 0.15
    edges = np.ones(third_octaves.N_BANDS, np.float32)
    edges[[0, -1]] = 0.25, 0.75
    bins = edges[below] + share * (edges[below + 1] - edges[below])
    assert (bins[0], bins[-1]) == (0.25, 0.75)


def test_an_envelope_is_straight_between_its_nodes_and_keeps_its_past() -> None:
    envelope, out = BandEnvelope(), np.ones(third_octaves.N_BANDS)
    envelope.read_into(out, 5)
    assert not out.any()
    for position, level in ((0, 0.0), (100, 1.0), (200, 1.0)):
        envelope = envelope.extended(
            position, np.full(third_octaves.N_BANDS, level), RATE
        )
    for position, level in ((-5, 0.0), (50, 0.5), (100, 1.0), (999, 1.0)):
        envelope.read_into(out, position)
        assert np.allclose(out, level), position
    quiet = BandEnvelope((20, 200), tuple(np.zeros((2, third_octaves.N_BANDS))))
    joined = quiet.joined(envelope, 50, 10)
    for position, level in ((25, 0.25), (50, 0.5), (55, 0.25), (60, 0.0), (150, 0.0)):
        joined.read_into(out, position)
        assert np.allclose(out, level), position
    exact = np.zeros((2, third_octaves.N_BANDS))
    for position in range(-5, 50):  # up to the splice, to the bit
        for each, found in zip((envelope, joined), exact, strict=True):
            each.read_into(found, position)
        assert np.array_equal(*exact)
    cut = quiet.joined(envelope, 50, 0)
    for position, level in ((49, 0.49), (50, 0.0), (51, 0.0)):
        cut.read_into(out, position)
        assert np.allclose(out, level), position
    held = envelope.holding(((30, 70),))
    for position, level in ((29, 0.29), (30, 0.3), (69, 0.3), (70, 0.7)):
        held.read_into(out, position)
        assert np.allclose(out, level), position
    for position in range(300, 100_000_000, RATE):
        envelope = envelope.extended(position, out, RATE)
    assert len(envelope.positions) < KEPT_S + 3
