"""Short frames: clean partials, the level asked for, and no trace of a frame."""

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from engine.sound import motion
from engine.sound.frames import SLAB_FRAMES, frames_at
from engine.sound.motion import Depth
from engine.sound.partials import (
    N_PLACES,
    NEAREST_HZ,
    gather,
    peak_centres,
    place_hz,
    split_tonal,
)
from engine.sound.synthesis import Partials, Synthesiser
from engine.sound.voices import find_voices
from model.config import AXIS
from model.spectrum import analyse
from tests.support.slabs import sinusoid, steady

RATE = 44_100


def noise_power() -> NDArray[np.float64]:
    """Band powers of noise that falls by 6 dB an octave from 150 Hz, RMS 0.1."""
    power = 1.0 / np.maximum(AXIS.centres, 150.0)
    power[AXIS.centres < 150.0] *= 1e-4  # lower noise is made of partials
    return np.asarray(0.01 * power / power.sum())


def chord_power() -> NDArray[np.float64]:
    """Band powers of a soft chord over a low floor of noise, RMS 0.1."""
    power = 1e-4 * noise_power()
    for root in (110.0, 164.8, 220.0, 277.2):
        for partial in range(1, 6):
            band = int(np.argmin(np.abs(AXIS.centres - root * partial)))
            power[band - 1 : band + 2] += np.array([0.5, 1.0, 0.5]) / partial**2
    return np.asarray(0.01 * power / power.sum())


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("hertz", [33.0, 110.0, 440.0, 1500.0, 6000.0])
def test_a_held_partial_is_clean(rate: int, hertz: float) -> None:
    left, exact = sinusoid(hertz, 3.0, rate)
    left = left[rate // 10 :].astype(np.float64)
    time = np.arange(len(left)) / rate
    both = [np.cos(2 * np.pi * exact * time), np.sin(2 * np.pi * exact * time)]
    basis = np.stack(both, axis=1)
    found = np.linalg.lstsq(basis, left, rcond=None)[0]
    amplitude = float(np.hypot(*found))
    assert amplitude == pytest.approx(0.5, rel=1e-3)
    window = np.hanning(len(left))
    rest = np.abs(np.fft.rfft((left - basis @ found) * window)) * 2.0 / window.sum()
    assert 20.0 * np.log10(rest.max() / amplitude) < -60.0


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("timbre", [noise_power, chord_power])
def test_the_level_is_the_one_asked_for(rate: int, timbre) -> None:  # type: ignore[no-untyped-def]
    sound = steady(timbre(), 20.0, rate=rate)
    power_db = 10.0 * np.log10(np.mean(sound.astype(np.float64) ** 2, axis=0) / 0.01)
    np.testing.assert_allclose(power_db, 0.0, atol=0.5, err_msg=f"{rate}")


@pytest.mark.parametrize("timbre", [noise_power, chord_power])
def test_movement_keeps_the_mean_power(timbre) -> None:  # type: ignore[no-untyped-def]
    """What decibels of movement add to the power is taken off again."""
    moving = steady(timbre(), 240.0, rate=22_050, depth=Depth(6.0, 0.7))
    still = steady(timbre(), 20.0, rate=22_050)
    power, reference = (np.mean(x.astype(np.float64) ** 2) for x in (moving, still))
    assert abs(10.0 * np.log10(power / reference)) < 0.6
    # Without that it would be some 4 dB louder; and it does move.
    levels = 10.0 * np.log10(np.mean(moving.reshape(-1, 2205, 2) ** 2, axis=(1, 2)))
    assert np.std(levels) > 0.5


@pytest.mark.parametrize("timbre", [noise_power, chord_power])
def test_the_frames_are_not_heard(timbre) -> None:  # type: ignore[no-untyped-def]
    """Mean level against the place in a hop, and in a slab, over all of them."""
    frames = frames_at(RATE)
    sound = steady(timbre(), 60.0).astype(np.float64)
    power = np.mean(sound**2, axis=1)
    for period in (frames.hop, frames.slab):
        rows = power[: len(power) // period * period].reshape(-1, period)
        folded = rows.mean(axis=0)
        component = np.abs(np.fft.rfft(folded / folded.mean())[1]) * 2.0 / period
        assert 10.0 * np.log10(1.0 + component) < 0.15, period


def test_resynthesised_sound_has_the_timbre_it_came_from() -> None:
    power = noise_power()
    timbre = AXIS.from_power(power)
    sound = steady(power, 20.0, clarity=0.0)
    heard = [analyse(sound[i * RATE : (i + 2) * RATE]) for i in range(1, 17)]
    mean = AXIS.from_power(np.mean([AXIS.to_power(t) for t in heard], axis=0))
    inside = (AXIS.centres > 300.0) & (AXIS.centres < 20_000.0)
    # A frame's bins are 17 Hz apart; what is narrower than that is for partials.
    smooth = np.convolve((mean - timbre)[inside], np.ones(40) / 40, "valid")
    assert 100.0 * np.abs(smooth).max() < 1.0, "dB"


def test_a_sum_to_mono_loses_little_in_any_octave() -> None:
    for timbre in (noise_power(), chord_power()):
        sound = steady(timbre, 30.0, depth=Depth(5.0, 0.7)).astype(np.float64)
        spectra = np.fft.rfft(sound * np.hanning(len(sound))[:, None], axis=0)
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
        for low in 50.0 * 2.0 ** np.arange(8):
            band = (hertz >= low) & (hertz < 2.0 * low)
            both = np.sum(np.abs(spectra[band]) ** 2) / 2.0
            mono = np.sum(np.abs(spectra[band].mean(axis=1)) ** 2)
            if both > 1e-5 * np.sum(np.abs(spectra) ** 2):
                assert 10.0 * np.log10(both / mono) < 1.5, f"from {low} Hz"


@pytest.mark.parametrize("rate", [48_000, 88_200, 24_000])
def test_the_same_music_at_another_rate(rate: int) -> None:
    low = steady(chord_power(), 4.0, rate=44_100)
    other = soxr.resample(steady(chord_power(), 4.0, rate=rate), rate, 44_100)
    inside = slice(4_410, len(low) - 4_410)
    error = np.sum((low[inside] - other[inside]).astype(np.float64) ** 2)
    assert 10.0 * np.log10(error / np.sum(low[inside].astype(np.float64) ** 2)) < -55


def test_seeds_and_frames_differ() -> None:
    one, other = (steady(noise_power(), 4.0, seed=seed) for seed in (1, 2))
    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.1
    half = len(one) // 2
    assert abs(np.corrcoef(one[:half, 0], one[half:, 0])[0, 1]) < 0.1


def test_a_slab_is_the_same_whatever_was_made_before() -> None:
    frames = frames_at(RATE)
    rng = np.random.default_rng(3)
    places = np.sort(rng.integers(100, frames.n_places, 150))
    partials = Partials(
        places,
        rng.random(150),
        np.ones(150, np.float32),
        rng.random((150, SLAB_FRAMES), np.float32),
        np.zeros((1, SLAB_FRAMES), np.float32),
        np.zeros(150, np.intp),
    )
    noise = rng.random((SLAB_FRAMES, frames.n_bins), np.float32)
    fresh, used = Synthesiser(frames, 5), Synthesiser(frames, 5)
    for number in (3, -1, 70_000):
        used.slab(number, partials, 2.0 * noise)
    for one, other in zip(
        fresh.slab(12, partials, noise), used.slab(12, partials, noise), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_taking_apart_and_gathering_keep_the_energy() -> None:
    power = chord_power()
    noise, tonal = split_tonal(power)
    np.testing.assert_allclose(noise + tonal, power)
    assert tonal.sum() > 0.9 * power.sum()
    assert peak_centres(tonal)[1].sum() == pytest.approx(tonal.sum())
    assert gather(tonal).sum() == pytest.approx(tonal.sum(), rel=1e-5)
    _, from_noise = split_tonal(noise_power())
    assert from_noise[AXIS.centres > 200.0].sum() < 0.01 * noise_power().sum()


def test_a_peak_is_gathered_to_its_own_frequency() -> None:
    for hertz in (41.2, 55.0, 110.0, 196.0, 440.0, 1234.5):
        clip = np.sin(2 * np.pi * hertz * np.arange(88_200) / RATE).astype(np.float32)
        _, tonal = split_tonal(AXIS.to_power(analyse(0.3 * clip)))
        power = gather(tonal)
        centre = power @ place_hz() / power.sum()
        cents = 1200.0 * np.log2(centre / hertz)
        off = f"{hertz} Hz came out at {centre:.1f}, {cents:.1f} cents off"
        assert abs(cents) < 5.0 or abs(centre - hertz) < 1.02, off
        power = gather(tonal, nearest_hz=0.0)
        centre = power @ place_hz() / power.sum()
        cents = 1200.0 * np.log2(centre / hertz)
        assert abs(cents) < 5.0, f"{hertz} Hz came out {cents:.1f} cents off"


def test_gathering_does_not_jump() -> None:
    """A change in the last digits moves no partial from place to place."""
    _, tonal = split_tonal(chord_power())
    near = gather(tonal * (1.0 + 1e-6 * np.random.default_rng(0).random(len(tonal))))
    assert np.abs(near - gather(tonal)).max() < 1e-4 * tonal.max()


def peak_at(band: float) -> NDArray[np.float64]:
    """Band powers of a peak that is some bands wide."""
    return np.asarray(np.exp(-0.5 * ((np.arange(AXIS.n_bands) - band) / 1.2) ** 2))


def test_no_two_places_of_partials_beat_slowly() -> None:
    """Wherever peaks come to stand, what they gather lies 1 Hz apart or more."""
    bands = np.arange(40.0, 1000.0, 0.23)
    power = gather(np.stack([peak_at(band) for band in bands]))
    used = place_hz()[np.flatnonzero(power.any(axis=0))]
    assert np.diff(used).min() >= NEAREST_HZ
    assert np.diff(used[used < 300.0]).max() < 2.2 * NEAREST_HZ


def test_a_gliding_peak_does_not_jump() -> None:
    """Its centre moves on, and never by more than to the next place at once."""
    bands = np.arange(40.0, 700.0, 0.01)
    power = gather(np.stack([peak_at(band) for band in bands]))
    centre = power @ np.log2(place_hz()) / power.sum(axis=1)
    cents = 1200.0 * np.diff(centre)
    assert cents.min() > -0.1
    hertz = 2.0 ** centre[1:] * np.log(2.0) / 1200.0 * cents
    assert hertz.max() < 0.6


def test_silence_is_silent() -> None:
    assert not np.any(steady(np.zeros(AXIS.n_bands), 2.0))


def test_what_carries_the_whole_moves_less_and_keeps_its_mean_power() -> None:
    """Or one strong bass note would take the level of all up and down with it."""
    at_places = np.zeros(N_PLACES, np.float32)
    places = np.searchsorted(place_hz(), [80.0, 300.0, 520.0, 900.0])
    at_places[places] = 1e-3
    voices = find_voices(at_places[None], np.random.default_rng(3))
    depth, seconds = Depth(4.0, 1.0), np.arange(0.0, 1500.0, 0.05)
    gestures = motion.gestures(3, seconds)
    still = np.ones((motion.N_COLOURS, len(seconds)), np.float32)

    def gains(power: list[float]) -> NDArray[np.float32]:
        held = np.repeat(np.array(power, np.float32)[:, None], len(seconds), axis=1)
        return motion.partial_gains(gestures, voices, places, held, depth, still)

    alone, shared = gains([1.0, 1e-6, 1e-6, 1e-6]), gains([1.0, 1.0, 1.0, 1.0])
    moved_db = [20.0 * np.log10(g).std(axis=1) for g in (alone, shared)]
    assert moved_db[0][0] < 0.85 * moved_db[1][0]
    assert np.allclose(moved_db[0][1:], moved_db[1][1:], rtol=0.2)
    for each in (alone, shared):
        assert np.allclose(10.0 * np.log10(np.mean(each**2, axis=1)), 0.0, atol=0.15)
    assert np.all(np.isfinite(gains([0.0] * 4)))  # silence is no fault


@pytest.mark.parametrize("slope", [1.0, 0.25])
def test_movement_rises_slowly_and_falls_as_it_likes(slope: float) -> None:
    """A quick rise of many partials at once would be heard as an attack."""
    table = motion.table(slope).astype(np.float64)
    steps = np.diff(table) * motion.TABLE_HZ  # standard deviations a second
    # What is limited is less spread, and is spread again to a variance of 1.
    assert steps.max() < 1.5 * motion.MOST_RISE
    assert -steps.min() > 2.0 * steps.max()
    assert np.mean(table[:-1]) == pytest.approx(0.0, abs=1e-6)
    assert np.std(table[:-1]) == pytest.approx(1.0, abs=1e-5)


def test_the_limit_of_rises_goes_on_over_the_end_of_a_period() -> None:
    step = motion.MOST_RISE / motion.TABLE_HZ
    curve = np.full(200, 5.0)
    curve[-1] = -5.0
    limited = motion._with_slow_rises(curve)
    assert np.all(limited <= curve + 1e-9)
    assert np.diff(np.append(limited, limited[0])).max() <= step + 1e-9
    assert limited[0] == pytest.approx(-5.0 + step)
    turned = np.roll(motion._with_slow_rises(np.roll(curve, 70)), -70)
    np.testing.assert_allclose(turned, limited, atol=1e-9)


@pytest.mark.parametrize("db", [2.0, 5.0])
def test_bands_of_noise_keep_their_mean_power(db: float) -> None:
    seconds = np.arange(0.0, 1200.0, 0.05)
    still = np.ones((motion.N_COLOURS, len(seconds)), np.float32)
    means_db = [
        10.0 * np.log10(np.mean(gains.astype(np.float64) ** 2))
        for seed in range(6)
        for gains in [
            motion.noise_gains(motion.gestures(seed, seconds), Depth(db, 1.0), still)
        ]
    ]
    # Without what is taken off, 0.6 and 3.6 dB more.
    assert abs(np.mean(means_db)) < 0.03 * db
