"""Measures of transients, on clips of which it is known what they are."""

import numpy as np
import pytest
from librosa import power_to_db
from librosa.feature import melspectrogram
from librosa.onset import onset_strength
from numpy.typing import NDArray
from scipy import signal

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.corpus.transients import (
    LIMITS,
    TransientScores,
    first_exceeded,
    has_transient,
    transience,
    transient_scores,
)
from tests.support import signals

CHORD = [110.0, 164.8, 220.0, 277.2, 329.6, 660.0, 1320.0]
N = 2 * SAMPLE_RATE
TIME = np.arange(N) / SAMPLE_RATE


def pad(transposition: float = 1.0) -> Samples:
    """A sustained chord over a little noise, mono, with peaks of about 0.4."""
    rng = np.random.default_rng(1)
    frequencies = [transposition * hertz for hertz in CHORD]
    chord = signals.chord(frequencies, 2.0, SAMPLE_RATE, amplitude=0.08)
    return chord + signals.noise(2.0, SAMPLE_RATE, rng, amplitude=0.002, channels=1)


def column(wave: NDArray[np.float64]) -> Samples:
    return wave.astype(np.float32)[:, None]


def struck(hertz: float, at_s: float, *, sweep_hz: float = 0.0) -> Samples:
    """A tone that starts in 3 ms and decays in 0.2 s; with a sweep, a bass drum."""
    time = np.maximum(TIME - at_s, 0.0)
    sweep = sweep_hz * 0.03 * (1.0 - np.exp(-time / 0.03))
    wave = np.sin(2.0 * np.pi * (hertz * time + sweep))
    return column(np.minimum(time / 0.003, 1.0) * np.exp(-time / 0.2) * wave)


def blip(hertz: float) -> Samples:
    """A tone of 30 ms, in the middle of the clip."""
    envelope = np.maximum(1.0 - ((TIME - 1.0) / 0.015) ** 2, 0.0)
    return column(np.sin(2.0 * np.pi * hertz * TIME) * envelope)


def noise_band(low: float, high: float, seed: int = 3) -> Samples:
    noise = np.random.default_rng(seed).standard_normal(N + SAMPLE_RATE)
    band = signal.butter(2, (low, high), "band", fs=SAMPLE_RATE, output="sos")
    filtered = signal.sosfilt(band, noise)[SAMPLE_RATE:]
    return column(0.2 * filtered / filtered.std())


def wind(octaves: float = 0.7) -> Samples:
    """Noise whose band moves up and down by so many octaves, once in a second."""
    rng = np.random.default_rng(11)
    hertz, _, cells = signal.stft(rng.standard_normal(N), SAMPLE_RATE, nperseg=2_048)
    moving = np.sin(2.0 * np.pi * np.linspace(0.0, 2.0, cells.shape[1]))
    middle = 500.0 * 2.0 ** (octaves * moving)
    octaves_off = np.log2((hertz[:, None] + 20.0) / middle)
    wave = signal.istft(cells * np.exp(-((octaves_off / 0.8) ** 2)), SAMPLE_RATE)[1]
    return column(0.2 * wave[:N] / wave.std())


def chord_of_strings(transposition: float) -> Samples:
    """Many harmonics, each of two tones that beat."""
    waves = [
        np.sin(2.0 * np.pi * hertz * transposition * h * detune * TIME) / h
        for hertz in (220.0, 277.2, 329.6)
        for h in range(1, 9)
        for detune in (1.0, 1.002)
    ]
    return column(0.05 * np.sum(waves, axis=0))


def crossfaded(before: Samples, after: Samples, seconds: float) -> Samples:
    share = np.clip((TIME - 1.0) / seconds + 0.5, 0.0, 1.0)
    return (
        column(np.cos(0.5 * np.pi * share)) * before
        + column(np.sin(0.5 * np.pi * share)) * after
    )


def tremolo(rate_hz: float, depth: float) -> Samples:
    return column(1.0 + depth * np.sin(2.0 * np.pi * rate_hz * TIME)) * pad()


SUSTAINED = {
    "pad": pad(),
    "low pad": pad(0.5),
    "high pad": pad(4.0),
    "tremolo": tremolo(5.0, 0.5),
    "slow tremolo": tremolo(0.7, 0.7),
    "white noise": signals.noise(2.0, SAMPLE_RATE, np.random.default_rng(3)),
    "gusts": column(0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * TIME)) * noise_band(300, 900),
    "low noise": noise_band(60.0, 300.0),
    "swell": column(10.0 ** (0.3 * TIME)) * pad(),
    "wind": wind(),
    "beating strings": chord_of_strings(1.0),
    "beating": signals.chord([220.0, 222.0], 2.0, SAMPLE_RATE),
    "silent channel": np.hstack([pad(), 0.0 * pad()]),
    "inverted stereo": np.hstack([pad(), -pad()]),
    "vibrato": column(
        0.2 * np.sin(2.0 * np.pi * 330.0 * TIME + 4.0 * np.sin(2 * np.pi * 5.0 * TIME))
    ),
}

HITS = {
    "drums": signals.drum_hits(2.0, SAMPLE_RATE, np.random.default_rng(2)),
    "drums under a pad": pad()
    + signals.drum_hits(2.0, SAMPLE_RATE, np.random.default_rng(2)),
    "bass drum under a pad": pad() + 0.8 * struck(50.0, 0.7, sweep_hz=100.0),
    "struck bass": struck(55.0, 0.4) + struck(55.0, 1.1),
    "struck bass under a pad": pad() + 0.6 * struck(55.0, 0.9),
    "pluck under a pad": pad() + 0.3 * struck(880.0, 1.2),
    "sudden start": pad() * column((TIME > 0.5).astype(float)),
    "hits on one side": np.hstack([pad(), pad() + 0.4 * struck(660.0, 0.8)]),
    "hits in the side": np.hstack([struck(660.0, 0.8), -struck(660.0, 0.8)]),
    "hit at the beginning": 0.05 * pad() + 0.8 * struck(60.0, 0.0, sweep_hz=80.0),
    "hit at the beginning under a pad": pad() + 0.8 * struck(60.0, 0.0, sweep_hz=80.0),
    "pluck at the beginning under a pad": pad() + 0.8 * struck(550.0, 0.0),
    "soft blip": pad() + 0.6 * blip(800.0),
    "faint high blip": pad() + 0.1 * blip(1_500.0),
    "low blip under a pad": pad() + 0.2 * blip(150.0),
    "blip among the tones of a pad": pad() + 0.4 * blip(300.0),
    "crossfade of 30 ms": column(np.clip((1.0 - TIME) / 0.03 + 0.5, 0, 1)) * pad()
    + column(np.clip((TIME - 1.0) / 0.03 + 0.5, 0, 1)) * pad(1.26),
    "next chord of a legato": crossfaded(
        chord_of_strings(1.0), chord_of_strings(1.122), 0.1
    ),
    "struck bass under strings": chord_of_strings(0.5) + 0.3 * struck(55.0, 0.9),
    "impulse": pad() + column(0.4 * (np.arange(N) == 40_000)),
    "splice": np.where(TIME[:, None] < 1.0, pad(), pad(1.26)),
    "stop": pad() * column((TIME < 1.6).astype(float)),
    "stop near the end": pad() * column((TIME < 1.9).astype(float)),
    "0.2 s of sound": pad() * column((TIME < 0.2).astype(float)),
    "fade out": pad() * column(10.0 ** (-1.5 * TIME)),
    "fade in": pad() * column(10.0 ** (1.5 * (TIME - 2.0))),
    "gap": pad() * column((np.abs(TIME - 1.0) > 0.02).astype(float)),
}


@pytest.mark.parametrize("name", SUSTAINED)
def test_a_sustained_sound_is_within_all_limits(name: str) -> None:
    scores = transient_scores(SUSTAINED[name].astype(np.float32))
    assert transience(scores) < 1.0, scores
    assert not has_transient(SUSTAINED[name])


@pytest.mark.parametrize("name", HITS)
def test_what_is_not_sustained_is_over_a_limit(name: str) -> None:
    clip = HITS[name].astype(np.float32)
    assert transience(transient_scores(clip)) > 1.0, transient_scores(clip)
    assert has_transient(clip)


def test_a_fade_is_told_from_a_hit() -> None:
    assert first_exceeded(HITS["fade out"].astype(np.float32)) == "fade"
    assert first_exceeded(HITS["fade in"].astype(np.float32)) == "fade"
    assert first_exceeded(HITS["drums"]) != "fade"
    assert first_exceeded(HITS["low blip under a pad"].astype(np.float32)) == "blip"


def test_the_scores_do_not_depend_on_the_level() -> None:
    drums = HITS["drums under a pad"]
    loud, quiet = (
        transient_scores((gain * drums).astype(np.float32)) for gain in (0.9, 0.01)
    )
    for name in vars(loud):
        assert getattr(quiet, name) == pytest.approx(getattr(loud, name), abs=0.05)


def test_more_is_found_than_by_the_onset_strength_of_librosa_alone() -> None:
    """Onset strength as librosa's example of superflux has it, at its best limit."""

    def superflux(clip: Samples) -> float:
        mel = melspectrogram(
            y=clip.mean(axis=1, dtype=np.float32),
            sr=SAMPLE_RATE,
            n_fft=1024,
            hop_length=220,
            fmin=27.5,
            fmax=16_000.0,
            n_mels=138,
        )
        strength = onset_strength(
            S=power_to_db(mel, ref=np.max),
            sr=SAMPLE_RATE,
            hop_length=220,
            lag=2,
            max_size=3,
        )
        return float(strength[4:].max())

    limit = max(superflux(clip.astype(np.float32)) for clip in SUSTAINED.values())
    missed = {
        name
        for name, clip in HITS.items()
        if superflux(clip.astype(np.float32)) <= limit
    }
    assert {"fade out", "fade in", "hits in the side"} <= missed
    ours = {name for name, clip in HITS.items() if not has_transient(clip)}
    assert ours == set()


@pytest.mark.parametrize("n", [0, 1, 500, 1536, 22_049])
def test_what_is_too_short_has_no_scores(n: int) -> None:
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((n, 2)).astype(np.float32)
    assert transient_scores(clip) == TransientScores()


def test_silence_has_no_scores() -> None:
    assert transient_scores(np.zeros((N, 2), np.float32)) == TransientScores()
    assert transience(LIMITS) == 1.0


def test_the_pulses_of_a_low_reed_are_no_clicks() -> None:
    """At 30 Hz they are 33 ms apart, so that many blocks are without one."""
    rng = np.random.default_rng(6)
    pulses = np.zeros((2 * SAMPLE_RATE, 1))
    pulses[:: SAMPLE_RATE // 30] = 0.5
    reed = pulses + 0.02 * rng.standard_normal(pulses.shape)
    assert transient_scores(reed.astype(np.float32)).click < LIMITS.click
    one = 0.02 * rng.standard_normal(pulses.shape)
    one[SAMPLE_RATE] = 0.5
    assert transient_scores(one.astype(np.float32)).click > LIMITS.click


def bursts_of_a_string(at_s: float, periods: int) -> Samples:
    """Noise, with peaks at each of so many periods of a tone of 130 Hz."""
    wave = 0.02 * np.random.default_rng(8).standard_normal(N)
    wave[round(at_s * SAMPLE_RATE) :: SAMPLE_RATE // 130][:periods] += 0.5
    return column(wave)


def test_peaks_that_come_back_with_the_pitch_are_no_clicks() -> None:
    """A string bowed hard for a tenth of a second; one such peak alone is a click."""
    assert transient_scores(bursts_of_a_string(0.8, 14)).click < 0.5 * LIMITS.click
    assert transient_scores(bursts_of_a_string(0.8, 1)).click > LIMITS.click


def test_an_impulse_among_the_pulses_of_a_reed_is_a_click() -> None:
    """It is four times as high as they are."""
    reed = bursts_of_a_string(0.0, N)
    assert transient_scores(reed).click < 0.5 * LIMITS.click
    reed[SAMPLE_RATE + 150] = 2.0
    assert transient_scores(reed).click > LIMITS.click


def test_both_edges_of_a_gap_are_clicks() -> None:
    """Two, so near to each other that one might be taken for the next period."""
    gap = column((np.abs(TIME - 1.0) > 0.01).astype(float))
    assert transient_scores((pad() * gap).astype(np.float32)).click > LIMITS.click


def test_a_band_that_moves_all_the_time_is_no_attack_and_no_start() -> None:
    """It rises faster than the band of a pad does under a hit, but over and over."""
    moving = transient_scores(wind())
    assert moving.attack < LIMITS.attack
    assert moving.start < LIMITS.start
    hit = transient_scores((wind() + 2.0 * struck(60.0, 0.9)).astype(np.float32))
    assert hit.attack > LIMITS.attack


def test_the_next_note_is_found_by_its_partials() -> None:
    """In a crossfade of 0.1 s there is neither an attack nor a step of the level."""
    legato = transient_scores(HITS["next chord of a legato"].astype(np.float32))
    assert legato.tone > LIMITS.tone
    assert legato.attack < LIMITS.attack
    assert legato.step < LIMITS.step
    held = transient_scores(chord_of_strings(1.0).astype(np.float32))
    assert held.tone < 0.6 * LIMITS.tone


def test_half_a_second_is_measured() -> None:
    assert transient_scores(pad()[: SAMPLE_RATE // 2].astype(np.float32)).onset > 0.0
