"""Detection of clips that are not sustained: hits, clicks, sudden changes and fades.

A timbre is the spectrum of two seconds without their course in time, so a clip with a
drum hit, a click or a cut end would become a sustained sound that is not in the
recording. Ten measures are taken, and each is compared with its limit. All but two are
taken of each channel, since a hit may be on one side alone; `start` and `blip` look at
the power of all channels, which wavers less by chance:

    onset     superflux (Boeck and Widmer, DAFx 2013), by librosa
    click     lone peaks of the residual of linear prediction
    attack    fast rises in octave bands, which find kicks and basses under a pad
    tone      other partials than before, as of the next note or of a struck bass
    start     a hit at the very beginning, of which only the decay is in the clip
    blip      a short sound that comes and goes, in any third of an octave
    change    another sound from one moment to the next, as at a splice
    step      sudden changes of the level, up or down
    fade      long silence, or a fade
    unrest    onset, attack, change and tone together: a little of each is a hit, too

What a sound does by itself is no fault: a measure is taken over the usual movement of
the clip wherever wind, beating tones or a reed would otherwise be refused for theirs.

docs/corpus.md says how well this tells sustained clips from others.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage, signal

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.corpus.frames import (
    Channel,
    band_power,
    block_levels_db,
    frame_power,
    in_blocks,
    lifted_db,
    sides_db,
)

QUIETER_DB = 40.0  # a channel that lies so far under the other is not heard
SAME = 1e-4  # of full scale: channels that differ by no more are one
SHORTEST_S = 0.5  # of a sound in which starts can be told from its own movement

HOP = 220  # samples, 5 ms
N_FFT = 3072  # 70 ms: periods of the lowest tones are not taken for attacks
N_MELS = 138
MEL_HZ = (27.5, 16_000.0)
RANGE_DB = 55.0  # under the loudest mel band; what is quieter is not heard to start
N_STRONGEST = 20  # mel bands whose rise counts: a bass rises in few

LPC_ORDER = 32
CLICK_BLOCK = 882  # samples, 20 ms; longer than the period of most tones
CLICK_BLOCKS, CLICK_SHARE = 21, 70.0  # blocks around, and the percentile of them
CLICK_PART, CLICK_PARTS = 220, 21  # parts of 5 ms, of which one is compared with 20
CLICK_EDGES = 4  # parts that a click may be in: a gap has two edges, on two parts each
RESIDUAL_DB = -60.0  # under the level of the clip, where clicks are not heard

OCTAVES_HZ = (35.0, 70.0, 140.0, 280.0, 560.0, 1_120.0, 2_240.0, 4_480.0, 9_000.0)
ENVELOPE = 882  # samples, 20 ms, over which the power of a band is averaged
ATTACK_HOPS = 5  # 25 ms
BAND_RANGE_DB = 22.0  # under the loudest band: what is quieter is masked
ATTACK_AROUND, ATTACK_SHARE = 21, 70.0  # changes around, 25 ms apart, and a percentile

START_WINDOW, START_HOP = 2_646, 882  # samples, 60 and 20 ms
START_EDGES_HZ = np.geomspace(35.0, 9_000.0, 17)  # half octaves
START_RANGE_DB = 22.0
LATER = 13  # windows after which a hit at the beginning has decayed

BLIP_WINDOW, BLIP_HOP = 2_205, 441  # samples, 50 and 10 ms
BLIP_EDGES_HZ = np.geomspace(60.0, 12_000.0, 24)  # thirds of an octave
BLIP_RANGE_DB = 20.0
BLIP_HOPS = 11  # 110 ms: what lasts longer is no blip

CHANGE_WINDOW, CHANGE_HOP = 2_048, 441  # samples, 46 and 10 ms
CHANGE_BINS = np.unique(np.geomspace(3, 700, 40).astype(np.intp))
CHANGE_RANGE_DB = 50.0
GAP, SIDE = 2, 5  # hops between the sides that are compared, and on each of them

TONE_WINDOW, TONE_HOP = 8_192, 1_764  # samples, 186 and 40 ms
TONE_EDGES_HZ = np.geomspace(35.0, 9_000.0, 96)  # semitones
TONE_RANGE_DB = 40.0
TONE_GAP, TONE_SIDE = 3, 2  # hops between the sides that are compared, and on each
N_TONES = 15  # semitones that change most

STEP_BLOCK = 1_102  # samples, 25 ms
FADE_BLOCK = 4_410  # samples, 100 ms


@dataclass(frozen=True)
class TransientScores:
    """How far a clip is from a sustained sound, by ten measures.

    Attributes:
        onset: rise of the strongest mel bands within 10 ms, in dB, less its median.
        click: highest peak of the prediction residual over the 70th percentile of the
            peaks around it, and over the fifth of those within 50 ms, in dB.
        attack: rise of an octave band within 25 ms, over the usual change in it at that
            time.
        start: level of a half octave in the first 60 ms over all but the highest later
            ones, over the usual change in it, within as much time as well.
        blip: level of a third of an octave over what it has before and after, over the
            usual one.
        change: mean difference of the spectra 50 ms before and after a moment, over the
            usual one.
        tone: mean difference of the semitones that change most within 0.2 s, over the
            usual one.
        step: change of level within 50 ms, in dB.
        fade: level of the loudest 100 ms over the 20th percentile, in dB.
        unrest: sum of onset, attack, change and tone, each over its limit.
    """

    onset: float = 0.0
    click: float = 0.0
    attack: float = 0.0
    start: float = 0.0
    blip: float = 0.0
    change: float = 0.0
    tone: float = 0.0
    step: float = 0.0
    fade: float = 0.0
    unrest: float = 0.0


LIMITS = TransientScores(
    onset=2.5,
    click=9.8,
    attack=4.8,
    start=2.8,
    blip=1.75,
    change=2.7,
    tone=1.85,
    step=20.0,
    fade=16.0,
    unrest=3.0,
)


def transient_scores(clip: Samples) -> TransientScores:
    """Measure how far a clip is from a sustained sound.

    Args:
        clip: at 44.1 kHz, shape (n_samples, channels), finite.

    Returns:
        All are 0 for silence and for clips under half a second.
    """
    channels = _heard_channels(clip)
    return TransientScores(**dict(_measures(channels) if channels else ()))


def transience(scores: TransientScores) -> float:
    """The largest of the scores over their limits; a clip above 1 is refused."""
    limits = asdict(LIMITS)
    shares = [float(s / limits[name]) for name, s in asdict(scores).items()]
    return max(shares)


def first_exceeded(clip: Samples) -> str | None:
    """Name of the first measure over its limit; as `scores_to_exceeded`."""
    return scores_to_exceeded(clip)[0]


def scores_to_exceeded(clip: Samples) -> tuple[str | None, TransientScores]:
    """Measure a clip until a measure is over its limit, in the order of their costs.

    Args:
        clip: as for `transient_scores`.

    Returns:
        Name of that measure, None for a sustained sound, and the scores that were
        taken; those of a sustained sound are as `transient_scores` has them.
    """
    limits, taken = asdict(LIMITS), dict[str, float]()
    channels = _heard_channels(clip)
    for name, score in _measures(channels) if channels else ():
        taken[name] = score
        if score > limits[name]:
            return name, TransientScores(**taken)
    return None, TransientScores(**taken)


def has_transient(clip: Samples) -> bool:
    """Whether any measure of a clip (n_samples, channels) is over its limit."""
    return first_exceeded(clip) is not None


def _heard_channels(clip: Samples) -> list[Channel]:
    """The channels that are not masked by a louder one; equal ones only once."""
    if len(clip) < SHORTEST_S * SAMPLE_RATE or not np.any(clip):
        return []
    channels = clip.astype(np.float64) - clip.mean(axis=0, dtype=np.float64)
    power = np.mean(channels**2, axis=0)
    heard = power > np.max(power) * 10.0 ** (-QUIETER_DB / 10.0)
    found: list[Channel] = []
    for channel in channels.T[heard]:
        if not any(np.abs(channel - other).max() <= SAME for other in found):
            found.append(channel)
    return found


def _measures(channels: list[Channel]) -> Iterator[tuple[str, float]]:
    """Names and scores of all measures, the cheaper ones first."""
    yield "click", max(map(_click, channels))
    yield "step", max(map(_step, channels))
    yield "fade", max(map(_fade, channels))
    yield "start", _start(channels)
    yield "blip", _blip(channels)
    yield "change", max(changes := [_change(channel) for channel in channels])
    yield "tone", max(tones := [_tone(channel) for channel in channels])
    yield "onset", max(onsets := [_onset(channel) for channel in channels])
    powers = map(_octave_power, channels)
    yield "attack", max(attacks := [_attack(power) for power in powers])
    together = zip(
        np.divide(onsets, LIMITS.onset),
        np.divide(attacks, LIMITS.attack),
        np.divide(changes, LIMITS.change),
        np.divide(tones, LIMITS.tone),
        strict=True,
    )
    yield "unrest", max(float(sum(shares)) for shares in together)


def _onset(channel: Channel) -> float:
    from librosa import power_to_db
    from librosa.feature import melspectrogram
    from librosa.onset import onset_strength

    mel = melspectrogram(
        y=channel.astype(np.float32),
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        center=False,  # the silence before a clip would make its beginning an onset
        n_mels=N_MELS,
        fmin=MEL_HZ[0],
        fmax=MEL_HZ[1],
    )
    lag = 2
    strength = onset_strength(
        S=power_to_db(mel, ref=np.max, top_db=RANGE_DB),
        sr=SAMPLE_RATE,
        hop_length=HOP,
        lag=lag,
        max_size=3,  # bands: vibrato is no onset
        center=False,
        aggregate=_mean_of_strongest,
    )[lag:]
    return float(np.max(strength) - np.median(strength))


def _mean_of_strongest(rises: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    strongest = np.sort(rises, axis=axis).take(range(-N_STRONGEST, 0), axis=axis)
    mean: NDArray[np.float32] = strongest.mean(axis=axis)
    return mean


def _click(channel: Channel) -> float:
    """Peaks of what a linear predictor does not foresee, over the peaks around them."""
    n = len(channel)
    lags = range(LPC_ORDER + 1)
    correlation = np.array([channel[: n - lag] @ channel[lag:] for lag in lags])
    correlation[0] *= 1.0 + 1e-9  # or pure tones make the equations singular
    predictor = linalg.solve_toeplitz(correlation[:-1], correlation[1:])
    residual = signal.lfilter(np.r_[1.0, -predictor], [1.0], channel)[LPC_ORDER:]
    floor = 10.0 ** (RESIDUAL_DB / 20.0) * np.sqrt(np.mean(channel**2))
    peaks = floor + np.max(np.abs(in_blocks(residual, CLICK_PART)), axis=1)
    longer = np.max(in_blocks(peaks, CLICK_BLOCK // CLICK_PART), axis=1)
    # Reeds and plucked strings have some high peaks: the median would be too low.
    usual = ndimage.percentile_filter(longer, CLICK_SHARE, CLICK_BLOCKS, mode="nearest")
    usual = np.repeat(usual, CLICK_BLOCK // CLICK_PART)
    # Theirs come back with every period, for as long as the string is bowed hard: a
    # click is alone.
    others = ndimage.rank_filter(peaks, -1 - CLICK_EDGES, CLICK_PARTS, mode="constant")
    peaks, others = peaks[: len(usual)], others[: len(usual)]
    return float(20.0 * np.log10(np.max(peaks / np.maximum(usual, others))))


def _octave_power(channel: Channel) -> NDArray[np.float64]:
    """Smoothed power of each octave band over time, shape (n_bands, n_hops)."""
    window = np.hanning(ENVELOPE)
    window /= window.sum()
    first = HOP // 2  # sample in the middle of the first window
    # The convolution is taken at every hop alone, from half a window after that on: so
    # many zeros before the band put its first hop on one that `upfirdn` computes.
    skipped, padding = divmod(-(first + (ENVELOPE - 1) // 2), HOP)
    n_hops = len(range(first, len(channel), HOP))
    bands = []
    for filters in _octave_filters():
        band = np.square(signal.sosfiltfilt(filters, channel))
        smooth = signal.upfirdn(window, np.pad(band, (padding, ENVELOPE)), 1, HOP)
        bands.append(np.maximum(smooth[-skipped : n_hops - skipped], 0.0))
    return np.stack(bands)


@lru_cache(maxsize=1)
def _octave_filters() -> tuple[NDArray[np.float64], ...]:
    return tuple(
        signal.butter(2, edges, "band", fs=SAMPLE_RATE, output="sos")
        for edges in pairwise(OCTAVES_HZ)
    )


def _attack(power: NDArray[np.float64]) -> float:
    """Largest rise of a band in 25 ms, over the usual change of that band then."""
    level_db = lifted_db(power, BAND_RANGE_DB)
    change = level_db[:, ATTACK_HOPS:] - level_db[:, :-ATTACK_HOPS]
    # Noise in a narrow band wavers by itself, and more where a filter opens: what most
    # changes of a quarter of a second to each side stay under; hits are few in it.
    usual = ndimage.percentile_filter(
        np.abs(change[:, ::ATTACK_HOPS]),
        ATTACK_SHARE,
        size=(1, ATTACK_AROUND),
        mode="nearest",
    )
    at_each = np.repeat(usual, ATTACK_HOPS, axis=1)[:, : change.shape[1]]
    return float(np.max(change / (1.0 + at_each)))


def _start(channels: list[Channel]) -> float:
    """Level of the beginning of a band over that of the rest.

    Windows that taper to nothing: a filter would ring at the edge of the clip.
    """
    bands = band_power(channels, START_EDGES_HZ, START_WINDOW, START_HOP)
    level_db = lifted_db(bands, START_RANGE_DB)
    later = level_db[:, LATER:]
    over = level_db[:, 0] - np.percentile(later, 95.0, axis=1)
    # A band that moves so fast all the time, as in wind, is not struck at its start.
    lag = min(LATER, later.shape[1] // 2)
    within = np.abs(later[:, lag:] - later[:, :-lag])
    usual = np.std(later, axis=1) + np.percentile(within, 75.0, axis=1)
    return float(np.max(over / (1.0 + 0.5 * usual)))


def _blip(channels: list[Channel]) -> float:
    """Largest rise of a band that is over within a tenth of a second."""
    bands = band_power(channels, BLIP_EDGES_HZ, BLIP_WINDOW, BLIP_HOP)
    level_db = lifted_db(bands, BLIP_RANGE_DB)
    # What an opening takes off is what is narrower than it, and higher than both sides.
    over = level_db - ndimage.grey_opening(level_db, size=(1, BLIP_HOPS))
    usual = np.percentile(over, 95.0, axis=1, keepdims=True)
    return float(np.max(over / (4.0 + usual)))


def _change(channel: Channel) -> float:
    power = frame_power(channel, CHANGE_WINDOW, CHANGE_HOP)
    bands = np.add.reduceat(power, CHANGE_BINS, axis=1)[:, :-1]
    floor = np.max(bands) * 10.0 ** (-CHANGE_RANGE_DB / 10.0)
    level_db = 10.0 * np.log10(np.maximum(bands, floor + 1e-20))
    apart = np.mean(sides_db(level_db, GAP, SIDE), axis=1)
    return float(np.max(apart) / (1.0 + np.median(apart)))


def _tone(channel: Channel) -> float:
    """Largest change of partials, by semitones; below 300 Hz, several at once."""
    bands = band_power([channel], TONE_EDGES_HZ, TONE_WINDOW, TONE_HOP)
    apart = sides_db(lifted_db(bands, TONE_RANGE_DB).T, TONE_GAP, TONE_SIDE)
    apart /= 1.0 + 0.3 * np.median(apart, axis=0)  # partials beat, and noise wavers
    most = np.mean(np.sort(apart, axis=1)[:, -N_TONES:], axis=1)
    return float(np.max(most) / (2.0 + np.median(most)))


def _step(channel: Channel) -> float:
    level_db = block_levels_db(channel, STEP_BLOCK)
    return float(np.max(np.abs(level_db[2:] - level_db[:-2])))


def _fade(channel: Channel) -> float:
    level_db = block_levels_db(channel, FADE_BLOCK)
    return float(np.max(level_db) - np.percentile(level_db, 20.0))
