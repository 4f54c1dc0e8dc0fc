import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.audio.fades import fade_in, fade_out
from effects.audio.levels import Samples, db_to_amplitude
from effects.audio.limiter import Limiter
from tests.support.audio import true_peak_db

RATE = 48_000


def _bursts(seconds: float, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    level = np.repeat(rng.uniform(0.02, 2.5, n // 1200 + 1), 1200)[:n, None]
    return (0.5 * rng.standard_normal((n, 2)) * level).astype(np.float32)


def _band_limited(samples: Samples) -> Samples:
    """Without the top 8 % of the band, where no converter passes anything either."""
    spectrum = np.fft.rfft(samples, axis=0)
    edge = np.linspace(0.0, 1.0, len(spectrum))[:, None]
    spectrum *= np.clip((0.92 - edge) / 0.04, 0.0, 1.0)
    return np.fft.irfft(spectrum, len(samples), axis=0).astype(np.float32)


def _limited(samples: Samples, limiter: Limiter, sizes: list[int]) -> Samples:
    out, start, i = samples.copy(), 0, 0
    while start < len(out):
        size = sizes[i % len(sizes)]
        limiter.process(out[start : start + size])
        start, i = start + size, i + 1
    return out


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("ceiling", [-1.0, -9.0])
def test_true_peak_never_passes_the_ceiling(rate: int, ceiling: float) -> None:
    noise = _bursts(6.0)
    noise[100_000:100_400] = 8.0  # a step of direct current
    noise[150_000] = 20.0  # a click
    noise = _band_limited(noise)
    Limiter(rate, ceiling_db=ceiling, max_block=4096).process(noise)
    assert true_peak_db(noise, rate) <= ceiling + 0.1
    assert np.max(np.abs(noise)) <= db_to_amplitude(ceiling)


@pytest.mark.parametrize("hz", [997.0, 11_997.0, 17_000.0, 22_500.0])
def test_peaks_between_samples_are_seen(hz: float) -> None:
    time_s = np.arange(RATE) / RATE
    tone = 1.4 * np.sin(2 * np.pi * hz * time_s + np.pi / 4)[:, None].repeat(2, 1)
    samples = tone.astype(np.float32)
    Limiter(RATE).process(samples)
    heard = fade_out(fade_in(samples[4000:], 8000), 8000)  # a cut would ring
    assert -2.0 < true_peak_db(heard, RATE) <= -0.9


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 7, 63, 64, 65, 512, 5000]), min_size=1),
    max_block=st.sampled_from([1, 100, 512, 8192]),
)
def test_the_cut_into_blocks_changes_no_bit(sizes: list[int], max_block: int) -> None:
    samples = _bursts(0.15)
    whole = samples.copy()
    Limiter(RATE, max_block=65_536).process(whole)
    cut = _limited(samples, Limiter(RATE, max_block=max_block), [*sizes, 333])
    assert np.array_equal(cut, whole)


def test_below_the_ceiling_it_is_a_delay_and_nothing_else() -> None:
    samples = _bursts(1.0) * np.float32(0.05)
    limiter = Limiter(RATE)
    delayed = samples.copy()
    limiter.process(delayed)
    assert np.array_equal(delayed[limiter.latency :], samples[: -limiter.latency])
    assert not delayed[: limiter.latency].any()
    assert limiter.latency < 0.010 * RATE


def test_gain_moves_without_clicks_and_comes_back() -> None:
    time_s = np.arange(3 * RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 100 * time_s)
    tone[RATE : RATE + RATE // 2] *= 4.0
    samples = tone[:, None].repeat(2, 1).astype(np.float32)
    limiter = Limiter(RATE)
    limiter.process(samples)
    # The steepest that a tone of this pitch gets at the ceiling, and 20 % for the ramp.
    steepest = 2 * np.pi * 100 / RATE * db_to_amplitude(-1.0)
    assert np.max(np.abs(np.diff(samples[:, 0]))) < 1.2 * steepest
    assert np.max(np.abs(samples[2 * RATE :])) > 0.4999  # the gain is back at 1


def test_faults_become_silence() -> None:
    samples = _bursts(0.5) * np.float32(0.1)
    samples[1000] = np.nan
    samples[2000, 0] = np.inf
    samples[3000] = 1e30
    limiter = Limiter(RATE)
    limiter.process(samples)
    assert np.all(np.isfinite(samples))
    assert np.max(np.abs(samples)) < 0.9
    for at in (1000, 2000):
        assert samples[at + limiter.latency].any() == (at == 2000)  # one channel only


def test_reset_forgets_the_stream() -> None:
    limiter = Limiter(RATE)
    first, again = _bursts(0.2), _bursts(0.2)
    limiter.process(first)
    limiter.reset()
    limiter.process(again)
    assert np.array_equal(first, again)


def test_it_takes_a_small_share_of_the_block() -> None:
    limiter, samples, times = Limiter(RATE, max_block=512), _bursts(3.0), []
    for start in range(0, len(samples) - 512, 512):
        block = samples[start : start + 512]
        begin = time.thread_time()
        limiter.process(block)
        times.append(time.thread_time() - begin)
    assert float(np.median(times)) < 0.03 * 512 / RATE
