import numpy as np
import pytest

from tests.support import audio, signals

RATE = 44_100


@pytest.mark.parametrize("height", [0.02, -0.1])
@pytest.mark.parametrize("at", [5_000, 30_001])
def test_a_planted_step_in_a_tone_is_found_where_it_is(at: int, height: float) -> None:
    sound = signals.tone(220.0, 1.0, RATE, amplitude=0.3, channels=2)
    assert len(signals.clicks(sound)) == 0
    found = signals.clicks(signals.with_click(sound, at, height))
    assert len(found) > 0
    assert np.all(np.abs(found - at) <= 2), found


def test_a_planted_step_in_noisy_music_is_found() -> None:
    rng = np.random.default_rng(3)
    sound = signals.chord([110.0, 164.8, 277.2], 1.0, RATE)
    sound = sound + signals.noise(1.0, RATE, rng, amplitude=0.003, channels=1)
    assert len(signals.clicks(sound)) == 0
    assert len(signals.clicks(signals.with_click(sound, 20_000, 0.2))) > 0


def test_neither_noise_nor_silence_nor_a_fade_is_a_click() -> None:
    rng = np.random.default_rng(4)
    noise = signals.noise(3.0, RATE, rng)
    assert len(signals.clicks(noise)) == 0
    assert len(signals.clicks(signals.silence(1.0, RATE))) == 0
    fade = np.sin(np.linspace(0.0, np.pi, len(noise)))[:, None] ** 2
    assert len(signals.clicks((noise * fade).astype(np.float32))) == 0


def test_a_single_lost_sample_is_a_click() -> None:
    sound = signals.tone(100.0, 1.0, RATE, channels=2)
    sound[22_000] = 0.0
    assert 22_000 in signals.clicks(sound)


def test_alignment_finds_the_delay_and_the_residual_vanishes() -> None:
    rng = np.random.default_rng(5)
    sound = signals.noise(2.0, RATE, rng)
    heard = np.concatenate([signals.silence(0.1, RATE), sound])[: 2 * RATE]
    delay = audio.align(heard, sound, RATE)
    assert delay == round(0.1 * RATE)
    overlap = len(heard) - delay
    assert audio.residual_db(heard[delay:], sound[:overlap]) < -150.0
    assert audio.residual_db(heard, sound) > -3.0


def test_the_true_peak_of_a_tone_between_samples_is_its_amplitude() -> None:
    # At a quarter of the sample rate and 45 degrees all samples lie 3 dB under it.
    sound = signals.tone(RATE / 4, 1.0, RATE, amplitude=0.5, phase=np.pi / 4)
    fade = np.sin(np.linspace(0.0, np.pi, len(sound)))[:, None]
    sound = (sound * fade).astype(np.float32)
    assert audio.true_peak_db(sound, RATE) == pytest.approx(-6.02, abs=0.05)
    assert 20 * np.log10(np.max(np.abs(sound))) == pytest.approx(-9.03, abs=0.05)
