"""The gate: what of an album is set aside before anybody listens, and why.

Everything is measured on the rendered audio: loudness on all of it, timbres in clips of
two seconds along it. The limits were set beside 66 songs of all bundled presets, which
all pass: they lay at -18.7 to -16.5 LUFS, 3.6 to 9.1 from the origin, 3.1 to 8.7 dB of
spread, -37 to -8 dB of treble and 0.02 to 0.33 of roughness.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.gating import BLOCK_S, HOP_S, lufs_of
from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples
from effects.audio.replaygain import LoudnessMeter
from engine.album.state import Measures
from engine.compose.criteria import Sounds, brightness, dissonance
from model.config import CLIP_SECONDS, SAMPLE_RATE
from model.inference import TimbreModel
from model.spectrum import analyse

MAX_LUFS = -15.5  # integrated; songs are brought to -18
MAX_CLIP_LUFS = -9.0  # of any two seconds
MIN_LUFS = -30.0  # something went wrong, or the song is empty
MAX_WEIRDNESS = 9.6  # mean distance of its sounds from the origin of latent space
MIN_SPREAD_DB = 1.5  # mean distance of its sounds from their mean
MAX_TREBLE_DB = -5.0  # K-weighted power above TREBLE_HZ against all of it
MAX_ROUGHNESS = 0.35  # mean sensory roughness
TREBLE_HZ = 3000.0

_SMOOTH_BANDS = 12
MAX_CLIPS = 24  # analysed of a song, evenly spread: of four minutes, every ten seconds


def timbres_of(samples: Samples) -> NDArray[np.float32]:
    """Timbres along a song at 44.1 kHz, shape (n, n_bands)."""
    length = round(CLIP_SECONDS * SAMPLE_RATE)
    if len(samples) <= length:
        return analyse(samples)[None]
    n_clips = min(MAX_CLIPS, len(samples) // length)
    starts = np.linspace(0, len(samples) - length, n_clips).astype(int)
    return np.stack([analyse(samples[start : start + length]) for start in starts])


def measure(
    samples: Samples, timbres: NDArray[np.float32], model: TimbreModel
) -> Measures:
    """Measure a song.

    Args:
        samples: shape (n, 2), at 44.1 kHz.
        timbres: along it, as `timbres_of` gives them.
        model: whose encoder says where they lie.
    """
    meter = LoudnessMeter(SAMPLE_RATE)
    blocks: list[float] = []
    for start in range(0, len(samples), SAMPLE_RATE):
        blocks += meter.add(samples[start : start + SAMPLE_RATE])
    lufs = meter.lufs()
    inner = timbres[1:-1] if len(timbres) > 3 else timbres  # without the fades
    z, _ = model.encode(inner, refined=False)
    sounds = Sounds(inner, z, model.axis)
    weighted = sounds.power * k_weighting(model.axis.centres)
    treble = weighted[:, model.axis.centres > TREBLE_HZ].sum()
    octave_tenths = smoothed(inner)
    away = np.abs(octave_tenths - octave_tenths.mean(axis=0)).mean()
    return Measures(
        lufs=-70.0 if lufs is None else round(lufs, 2),
        clip_lufs=_rounded(lufs_of(_loudest(blocks))),
        weirdness=_rounded(np.linalg.norm(z, axis=1).mean()),
        spread_db=_rounded(model.axis.range_db * away),
        treble_db=_rounded(
            10.0 * np.log10((treble + 1e-20) / (weighted.sum() + 1e-20))
        ),
        roughness=round(float(dissonance(sounds).mean()), 4),
        brightness=_rounded(brightness(sounds).mean()),
    )


def reasons(measures: Measures) -> list[str]:
    """Why a song is set aside; empty for one that passes."""
    found = []
    if measures.lufs > MAX_LUFS:
        found.append(f"too loud: {measures.lufs:.1f} LUFS, over {MAX_LUFS}")
    if measures.clip_lufs > MAX_CLIP_LUFS:
        found.append(
            f"too loud in places: {measures.clip_lufs:.1f} LUFS, over {MAX_CLIP_LUFS}"
        )
    if measures.lufs < MIN_LUFS:
        found.append(f"nearly silent: {measures.lufs:.1f} LUFS, under {MIN_LUFS}")
    if measures.weirdness > MAX_WEIRDNESS:
        found.append(
            f"too weird: {measures.weirdness:.1f} from the origin, over {MAX_WEIRDNESS}"
        )
    if measures.spread_db < MIN_SPREAD_DB:
        found.append(
            f"too static: {measures.spread_db:.1f} dB of change, under {MIN_SPREAD_DB}"
        )
    if measures.treble_db > MAX_TREBLE_DB:
        found.append(
            f"too harsh: treble {measures.treble_db:.1f} dB, over {MAX_TREBLE_DB}"
        )
    if measures.roughness > MAX_ROUGHNESS:
        found.append(
            f"too harsh: roughness {measures.roughness:.2f}, over {MAX_ROUGHNESS}"
        )
    return found


def _loudest(blocks: list[float]) -> float:
    """Mean square of the loudest two seconds of gating blocks; of all, if shorter."""
    n = min(len(blocks), round((CLIP_SECONDS - BLOCK_S) / HOP_S) + 1)
    if n == 0:
        return 0.0
    sums = np.cumsum([0.0, *blocks])
    return float((sums[n:] - sums[:-n]).max() / n)


def smoothed(timbres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over tenths of an octave, shape (n, about 100)."""
    starts = np.arange(0, timbres.shape[1], _SMOOTH_BANDS)
    widths = np.diff(np.append(starts, timbres.shape[1]))
    return np.asarray(np.add.reduceat(timbres, starts, axis=1) / widths, np.float32)


def _rounded(value: float) -> float:
    return round(float(value), 2)
