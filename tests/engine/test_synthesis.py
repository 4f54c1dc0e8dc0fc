"""What a frame must be: the level asked for, mono bass, and no trace of the hop."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.audio.loudness import integrated_lufs
from engine.sound.blend import blend
from engine.sound.synthesis import gather_peaks, split_tonal, synthesise
from model.config import AXIS
from model.spectrum import analyse, bin_power, loudness

RATE = 44_100


def stream(
    power: NDArray[np.float64],
    n_hops: int,
    *,
    hop: float = 1.0,
    rate: int = RATE,
    clarity: float = 0.8,
    seed: int = 1,
) -> NDArray[np.float32]:
    """Left and right of a steady timbre."""
    frames = [
        synthesise(
            power,
            hop_length=round(hop * rate),
            sample_rate=rate,
            index=i,
            seed=seed,
            clarity=clarity,
        )
        for i in range(n_hops + 1)
    ]
    hops = [blend(a, b, rate) for a, b in itertools.pairwise(frames)]
    layers = np.concatenate(hops)
    mid, side = layers[:, :2].sum(axis=1), layers[:, 2:].sum(axis=1)
    return np.stack([mid + side, mid - side], axis=1)


def noise_power() -> NDArray[np.float64]:
    """Band powers of noise that falls by 6 dB an octave, RMS 0.1."""
    power = AXIS.centres**-1.0
    return np.asarray(0.01 * power / power.sum())


def chord_power() -> NDArray[np.float64]:
    """Band powers of a soft chord over a low floor of noise, RMS 0.1."""
    power = 1e-4 * noise_power()
    for root in (110.0, 164.8, 220.0, 277.2):
        for partial in range(1, 6):
            band = int(np.argmin(np.abs(AXIS.centres - root * partial)))
            power[band - 1 : band + 2] += np.array([0.5, 1.0, 0.5]) / partial**2
    return np.asarray(0.01 * power / power.sum())


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("hop", [0.25, 1.0, 1.5])
@pytest.mark.parametrize("timbre", [noise_power, chord_power])
def test_the_level_is_the_one_asked_for(rate: int, hop: float, timbre) -> None:  # type: ignore[no-untyped-def]
    sound = stream(timbre(), round(12 / hop), hop=hop, rate=rate)
    power_db = 10.0 * np.log10(np.mean(sound.astype(np.float64) ** 2, axis=0) / 0.01)
    np.testing.assert_allclose(power_db, 0.0, atol=0.6, err_msg=f"{rate} {hop}")


def test_resynthesised_sound_has_the_timbre_it_came_from() -> None:
    timbre = AXIS.from_power(chord_power())
    sound = stream(AXIS.to_power(timbre), 10, clarity=0.0)
    heard = [analyse(sound[i * RATE : (i + 2) * RATE]) for i in (1, 3, 5, 7)]
    mean = AXIS.from_power(np.mean([AXIS.to_power(t) for t in heard], axis=0))
    loud = timbre > timbre.max() - 0.4
    # Analysis is 1.5 Hz wide: bass bands of 0.1 Hz cannot come back sharper.
    loud &= AXIS.centres > 200.0
    assert 100.0 * np.mean(np.abs(mean - timbre)[loud]) < 1.5


def test_bass_is_mono_and_treble_is_wide() -> None:
    sound = stream(noise_power(), 8)
    spectra = np.fft.rfft(sound * np.hanning(len(sound))[:, None], axis=0)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)

    def correlation(low: float, high: float) -> float:
        band = (frequency >= low) & (frequency < high)
        left, right = spectra[band, 0], spectra[band, 1]
        cross = np.real(np.sum(left * np.conj(right)))
        return float(cross / np.linalg.norm(left) / np.linalg.norm(right))

    assert correlation(30.0, 100.0) > 0.99
    assert 0.5 < correlation(400.0, 1000.0) < 0.9
    assert 0.1 < correlation(8000.0, 16000.0) < 0.35


@pytest.mark.parametrize("clarity", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("timbre", [noise_power, chord_power])
def test_the_hop_is_not_heard(clarity: float, timbre) -> None:  # type: ignore[no-untyped-def]
    hop = 0.5
    sound = stream(timbre(), 160, hop=hop, clarity=clarity)
    power = np.mean(sound.astype(np.float64) ** 2, axis=1).reshape(160, -1, 882)
    # Mean level against the place in the hop, over all hops.
    folded = 10.0 * np.log10(power.mean(axis=(0, 2)))
    component = np.abs(np.fft.rfft(folded - folded.mean())[1]) * 2 / len(folded)
    assert 2.0 * component < 0.5, "peak to peak, dB, at the hop's frequency"


def test_a_linear_blend_would_be_found() -> None:
    hop = 22_050
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.0, 1.0, hop)
    frames = rng.standard_normal((161, 2 * hop))
    hops = frames[:-1, hop:] * (1 - ramp) + frames[1:, :hop] * ramp
    folded = 10.0 * np.log10((hops**2).reshape(160, -1, 882).mean(axis=(0, 2)))
    component = np.abs(np.fft.rfft(folded - folded.mean())[1]) * 2 / len(folded)
    assert 2.0 * component > 1.0


def test_clear_tones_hold_still() -> None:
    def unrest(clarity: float) -> float:
        sound = stream(chord_power(), 20, clarity=clarity)
        power = np.mean(sound.astype(np.float64) ** 2, axis=1).reshape(-1, 2205)
        return float(np.std(10.0 * np.log10(power.mean(axis=1))))

    assert unrest(1.0) < 0.75 * unrest(0.0)


def test_the_same_music_at_another_rate() -> None:
    low = stream(chord_power(), 4, rate=44_100)
    high = stream(chord_power(), 4, rate=88_200)[::2]
    error = np.sum((low - high).astype(np.float64) ** 2)
    assert 10.0 * np.log10(error / np.sum(low.astype(np.float64) ** 2)) < -60.0


def test_seeds_and_frames_differ() -> None:
    one, other = stream(noise_power(), 2), stream(noise_power(), 2, seed=2)
    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.1
    half = len(one) // 2
    assert abs(np.corrcoef(one[:half, 0], one[half:, 0])[0, 1]) < 0.1


def test_taking_apart_and_gathering_keep_the_energy() -> None:
    power = chord_power()
    noise, tonal = split_tonal(power)
    np.testing.assert_allclose(noise + tonal, power)
    assert tonal.sum() > 0.9 * power.sum()
    gathered = gather_peaks(tonal, 88_200, RATE)
    assert gathered.sum() == pytest.approx(tonal.sum())
    _, from_noise = split_tonal(noise_power())
    assert from_noise.sum() < 0.01 * noise_power().sum()


def test_a_peak_is_gathered_to_its_own_frequency() -> None:
    for hertz in (55.0, 440.0, 1234.5):
        clip = np.sin(2 * np.pi * hertz * np.arange(88_200) / RATE).astype(np.float32)
        _, tonal = split_tonal(AXIS.to_power(analyse(0.3 * clip)))
        power = gather_peaks(tonal, 132_300, RATE)
        centre = power @ np.arange(len(power)) / power.sum() * RATE / 132_300
        cents = 1200.0 * np.log2(centre / hertz)
        assert abs(cents) < 5.0, f"{hertz} Hz came out {cents:.1f} cents off"


def test_a_frame_of_silence_is_silent() -> None:
    assert not np.any(stream(np.zeros(AXIS.n_bands), 2))


def test_bins_get_what_the_bands_hold() -> None:
    power = chord_power()
    for n_fft, rate in ((22_050, 44_100), (132_300, 44_100), (288_000, 96_000)):
        assert bin_power(power, n_fft, rate).sum() == pytest.approx(power.sum())


def test_every_hop_is_as_loud_as_its_frames() -> None:
    """Partials that beat, and noise of few bins, by chance add up or cancel."""
    power = noise_power()
    for hz, width in ((196.0, 1), (207.7, 1), (330.0, 2), (523.0, 4)):
        band = int(np.argmin(np.abs(AXIS.centres - hz)))
        power[band - width : band + width + 1] += 0.01
    asked = float(loudness(power, AXIS))
    hop = 0.75
    sound = stream(power, 40, hop=hop, clarity=0.5).astype(np.float64)
    levels = [
        integrated_lufs(np.tile(sound[start : start + round(hop * RATE)], (2, 1)), RATE)
        for start in range(0, len(sound), round(hop * RATE))
    ]
    assert np.max(np.abs(np.array(levels) - asked)) < 0.35
