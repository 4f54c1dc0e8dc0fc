"""The low-pass of first order: a recursion, whatever blocks it is given."""

import numpy as np
import pytest
from scipy.signal import lfilter

from effects.audio.levels import Samples, planar
from effects.audio.low_pass import LowPass

TOTAL = 20_000
MAX_BLOCK = 4096


def noise(seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    music = planar(TOTAL, 2)
    music[:] = 0.1 * rng.standard_normal((TOTAL, 2))
    return music


def filtered(
    music: Samples, rate: int, cuts: list[int], hertz: float = 700.0, begin: int = 0
) -> Samples:
    """A signal from sample `begin` on, filtered in blocks of these lengths."""
    low_pass = LowPass(hertz, rate, 2, MAX_BLOCK)
    out, at = planar(len(music), 2), begin
    while at < len(music):
        for cut in cuts:
            n = min(cut, len(music) - at)
            low_pass.process(music[at : at + n], at, out[at : at + n])
            at += n
    return out


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("hertz", [20.0, 700.0, 3000.0])
def test_it_is_the_recursion(rate: int, hertz: float) -> None:
    fall = np.exp(-2.0 * np.pi * hertz / rate)
    expected = lfilter([1.0 - fall], [1.0, -fall], noise().astype(np.float64), axis=0)
    out = filtered(noise(), rate, [MAX_BLOCK], hertz)
    np.testing.assert_allclose(out, expected, atol=1e-7)


@pytest.mark.parametrize("cuts", [[1], [64], [0, 7, 64, 999], [MAX_BLOCK, 3]])
def test_any_blocks_give_the_same_samples(cuts: list[int]) -> None:
    whole = filtered(noise(), 48_000, [MAX_BLOCK])
    np.testing.assert_array_equal(filtered(noise(), 48_000, cuts), whole)


def test_where_it_began_is_soon_forgotten_to_the_bit() -> None:
    whole = filtered(noise(), 48_000, [MAX_BLOCK])
    later = filtered(noise(), 48_000, [500], begin=9000)
    np.testing.assert_array_equal(later[12_000:], whole[12_000:])


def test_what_is_not_finite_does_not_stay() -> None:
    wild = noise()
    wild[3000], wild[3100] = np.nan, np.inf
    with np.errstate(all="ignore"):
        out = filtered(wild, 48_000, [512])
    calm = filtered(noise(), 48_000, [512])
    np.testing.assert_array_equal(out[6000:], calm[6000:])


def test_a_steady_tone_is_halved_in_power_at_its_frequency() -> None:
    seconds = np.arange(TOTAL) / 48_000
    tone = planar(TOTAL, 2)
    tone[:] = np.sin(2.0 * np.pi * 700.0 * seconds)[:, None]
    heard = filtered(tone, 48_000, [512])[5000:]
    power = np.mean(heard**2) / np.mean(tone[5000:] ** 2)
    assert 10.0 * np.log10(power) == pytest.approx(-3.0, abs=0.1)
