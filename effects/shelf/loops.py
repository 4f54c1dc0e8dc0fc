"""Loops of recordings: trimmed, crossfaded at the best seam, and at -30 LUFS."""

import mmap
from dataclasses import dataclass, field

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.audio.bands import frame_band_power, window_means
from effects.audio.conversion import to_stereo
from effects.audio.fades import crossfade
from effects.audio.levels import Samples, peak_db, rms_db
from effects.audio.loudness import normalise
from effects.base.errors import InputError

BED_LUFS = -30.0
CEILING_DBTP = -9.0  # thunder may be louder than the rest, but not startling
SHORTEST_S = 4.0
QUIETEST_DBFS = -75.0
CLIPPED_SHARE = 1e-3  # of samples in runs at full scale
CROSSFADE_S = (0.5, 4.0)
CROSSFADE_SHARE = 0.15  # of the recording
SEARCH_SHARE = 0.2  # of the recording, at either end, where the seam may lie
MOST_PLACES = 300  # at either end; 15 s of frames
SILENT_END_DB = 40.0  # under the loud parts of a recording
FRAME_S = 0.05
CORRELATION_WORTH_DB = 3.0  # a seam with matching phase may differ by so much more
LENGTH_WORTH_DB = 2.0  # by so much better a seam that leaves a very short loop
EVEN_OUT_DB = 2.0  # by how much at most a crossfade is brought to its surroundings


class LoopError(InputError):
    """A recording of which no loop can be made; the text says why."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A nature sound whose end flows into its start.

    Attributes:
        name: of the effect.
        samples: float32 of shape (n_samples, 2), normalised to -30 LUFS.
        sample_rate: Hz.
        seam: sample at which the crossfade from the end into the start is over.
        mode: "loop", "texture" or "generated".
        credit: title, author, licence and source, as far as they are known.
        power: mean square in each third-octave band, shape (N_BANDS,); None until
            the loop is kept for playing.
        memory: of the file in which the samples lie, if they are mapped.
    """

    name: str
    samples: Samples
    sample_rate: int
    seam: int = 0
    mode: str = "loop"
    credit: dict[str, str] = field(default_factory=dict)
    power: NDArray[np.float64] | None = None
    memory: mmap.mmap | None = None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def give_back(self) -> None:
        """Let go of memory that was read; the system fetches it again when needed."""
        if self.memory is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.memory.madvise(mmap.MADV_DONTNEED)


def loop_of(body: Samples, sample_rate: int, name: str = "") -> Loop:
    """Make a seamless loop at -30 LUFS of a recording.

    Args:
        body: of the recording, as `prepared_body` gives it, shape (n_samples, 2).
        sample_rate: Hz.
        name: of the loop.

    Returns:
        The loop, at the same rate; shorter than the recording.
    """
    start, end, length = find_seam(body, sample_rate)
    looped = close_loop(body, start, end, length)
    return finished_loop(looped, sample_rate, name, seam=length)


def finished_loop(
    looped: Samples, sample_rate: int, name: str, *, seam: int = 0, mode: str = "loop"
) -> Loop:
    """Make a `Loop` of a periodic sound, at the loudness of the bed.

    Args:
        looped: shape (n_samples, 2).
        sample_rate: Hz.
        name: of the loop.
        seam: sample at which its crossfade ends, if it has one.
        mode: "loop", "texture" or "generated".
    """
    level = normalise(looped, sample_rate, BED_LUFS, CEILING_DBTP, circular=True)
    return Loop(name, level, sample_rate, seam, mode)


def prepared_body(samples: Samples, sample_rate: int) -> Samples:
    """The steady part of a recording, stereo and without DC, if it can be used.

    Raises:
        LoopError: silent, too short, or clipped.
    """
    check_usable(samples)
    stereo = to_stereo(samples)
    stereo = np.asarray(stereo - stereo.mean(axis=0, dtype=np.float64), np.float32)
    if rms_db(stereo) < QUIETEST_DBFS:
        raise LoopError("is silent but for a constant offset")
    stereo = _without_silent_ends(stereo, sample_rate)
    start, end = trim_points(stereo, sample_rate)
    seconds = (end - start) / sample_rate
    if seconds < SHORTEST_S:
        raise LoopError(
            f"is too short: {seconds:.1f} s of steady sound, {SHORTEST_S:.0f} s needed"
        )
    return stereo[start:end]


def check_usable(samples: Samples) -> None:
    """Refuse a recording of which no loop can be made, whatever its length.

    Raises:
        LoopError: silent or clipped.
    """
    if len(samples) == 0 or rms_db(samples) < QUIETEST_DBFS:
        raise LoopError("is silent")
    if _clipped_share(samples) > CLIPPED_SHARE:
        raise LoopError("is clipped")


def _without_silent_ends(samples: Samples, sample_rate: int) -> Samples:
    """What lies between silent ends, however long they are.

    Half a recording of silence would make silence its usual level.
    """
    frame = max(1, int(FRAME_S * sample_rate))
    power = _frame_power(samples, frame)
    if len(power) < 2:
        return samples
    loud = np.quantile(power, 0.9) * 10.0 ** (-SILENT_END_DB / 10.0)
    sounding = np.flatnonzero(power >= loud)
    stop = (
        len(samples) if sounding[-1] == len(power) - 1 else (sounding[-1] + 1) * frame
    )
    return samples[sounding[0] * frame : stop]


def trim_points(samples: Samples, sample_rate: int) -> tuple[int, int]:
    """Samples at which a sound has risen to its usual level, and begins to fall.

    The usual level is a low quantile of the middle part, so that a sound that swells
    and sinks by nature is not cut back to its swells.
    """
    frame = max(1, int(FRAME_S * sample_rate))
    power = _frame_power(samples, frame)
    width = max(1, min(len(power) // 8, round(0.5 / FRAME_S)))
    smooth = np.convolve(power, np.ones(width) / width, "valid")
    if len(smooth) < 8:
        return 0, len(samples)
    middle = smooth[3 * len(smooth) // 10 : 7 * len(smooth) // 10 + 1]
    usual = 10.0 ** (-0.02) * np.quantile(middle, 0.1)
    loud = np.flatnonzero(smooth >= usual)
    first, last = int(loud[0]), int(loud[-1])
    # A window that is loud enough may still begin within the fade: skip all of it.
    start = (first + width) * frame if first else 0
    end = last * frame if last < len(smooth) - 1 else len(samples)
    if end - start < len(samples) // 4:
        return first * frame, min(len(samples), (last + width) * frame)
    return start, end


def find_seam(samples: Samples, sample_rate: int) -> tuple[int, int, int]:
    """Find the two places of a recording that are most alike, to crossfade there.

    Every place in the first quarter (at most 15 s) is compared with every place in
    the last, by the level in 24 bands over the crossfade and around it. The best few
    are aligned to the sample by cross-correlation, and compared again.

    Returns:
        `start`, `end` and `length` in samples: samples[end : end + length] is to be
        crossfaded into samples[start : start + length].
    """
    seconds = len(samples) / sample_rate
    crossfade_s = min(max(CROSSFADE_S[0], CROSSFADE_SHARE * seconds), CROSSFADE_S[1])
    frame = max(1, int(FRAME_S * sample_rate))
    length = max(1, round(crossfade_s * sample_rate / frame)) * frame
    n_window = length // frame
    levels = frame_band_power(samples, sample_rate, frame)
    windows = window_means(levels, n_window)
    n_search = max(1, min(int(SEARCH_SHARE * len(windows)), MOST_PLACES))
    heads = np.arange(n_search)
    tails = np.arange(len(windows) - n_search, len(windows))
    cost = _seam_cost(levels, windows, tails, heads, n_window)
    lengths = tails[:, None] - heads[None, :]
    cost += LENGTH_WORTH_DB * (1.0 - lengths / lengths.max())
    best = (np.inf, 0, 0)
    for index in _spread_minima(cost, count=6):
        tail, head = np.unravel_index(index, cost.shape)
        start, end = int(heads[head]) * frame, int(tails[tail]) * frame
        end, correlation = _align(samples, start, end, length, sample_rate)
        total = float(cost[tail, head]) - CORRELATION_WORTH_DB * max(0.0, correlation)
        if total < best[0]:
            best = (total, start, end)
    return best[1], best[2], length


def close_loop(samples: Samples, start: int, end: int, length: int) -> Samples:
    """Cut a loop, and crossfade what follows its end into its start.

    Args:
        samples: shape (n_samples, channels).
        start: first sample of the loop.
        end: first sample after it; at least `length` more must follow.
        length: of the crossfade.

    Returns:
        Shape (end - start, channels).
    """
    joined = crossfade(samples[end : end + length], samples[start : start + length])
    before = samples[max(start + length, end - length) : end]
    after = samples[start + length : min(start + 2 * length, end)]
    if len(before) and len(after):
        joined = _evened_out(joined, before, after)
    return np.concatenate([joined, samples[start + length : end]])


def _evened_out(joined: Samples, before: Samples, after: Samples) -> Samples:
    """Bring a crossfade to the level around it, by a bump that is 0 at both ends."""
    around = [10.0 ** (rms_db(part) / 10.0) for part in (before, after)]
    target = 10.0 * np.log10(0.5 * sum(around) + 1e-20)
    bump = np.hanning(len(joined))[:, None]
    excess_db, evened = 0.0, joined
    for _ in range(3):
        # The bump's mean is a half, so its height has to be the double.
        excess_db += 2.0 * (target - rms_db(evened))
        excess_db = float(np.clip(excess_db, -2.0 * EVEN_OUT_DB, 2.0 * EVEN_OUT_DB))
        evened = np.asarray(joined * 10.0 ** (excess_db * bump / 20.0), np.float32)
    return evened


def _seam_cost(
    levels: NDArray[np.float32],
    windows: NDArray[np.float64],
    tails: NDArray[np.intp],
    heads: NDArray[np.intp],
    n_window: int,
) -> NDArray[np.float64]:
    """Mean difference in dB over all pairs of places, shape (n_tails, n_heads)."""
    cost = _distance(windows[tails][:, None, :], windows[heads][None, :, :])
    # The halves of the crossfade, and the sound before and after it, are heard side by
    # side as well. Where the sound varies least, a join is least noticeable.
    half = max(1, n_window // 2)
    halves = window_means(levels, half)
    for shift in (0, n_window - half):
        cost += 0.5 * _distance(
            halves[tails + shift][:, None, :], halves[heads + shift][None, :, :]
        )
    before = windows[np.maximum(0, tails - n_window)]
    after = windows[np.minimum(len(windows) - 1, heads + n_window)]
    cost += 0.5 * _distance(before[:, None, :], after[None, :, :])
    cost += 0.5 * _distance(before, windows[tails])[:, None]
    cost += 0.5 * _distance(after, windows[heads])[None, :]
    return cost


def _clipped_share(samples: Samples) -> float:
    """Share of samples in runs of three or more at the highest magnitude."""
    if peak_db(samples) < -3.0:
        return 0.0
    magnitude = np.abs(samples)
    at_peak = magnitude >= 0.9995 * float(np.max(magnitude))
    runs = at_peak[:-2] & at_peak[1:-1] & at_peak[2:]
    return float(np.mean(runs)) if runs.size else 0.0


def _frame_power(samples: Samples, frame: int) -> NDArray[np.float64]:
    n = len(samples) // frame
    shaped = samples[: n * frame].reshape(n, -1)
    power: NDArray[np.float64] = np.einsum("ij,ij->i", shaped, shaped) / shaped.shape[1]
    return power.astype(np.float64)


def _distance(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.mean(np.abs(first - second), axis=-1)
    return distance


def _spread_minima(cost: NDArray[np.float64], count: int) -> list[int]:
    """Flat indices of the lowest costs that are not each other's neighbours."""
    work = cost.copy()
    found = []
    for _ in range(min(count, cost.size)):
        index = int(np.argmin(work))
        if not np.isfinite(work.flat[index]):
            break
        found.append(index)
        row, column = np.unravel_index(index, work.shape)
        work[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = np.inf
    return found


def _align(
    samples: Samples, start: int, end: int, length: int, sample_rate: int
) -> tuple[int, float]:
    """Move `end` by up to 50 ms to where the waveforms correlate best."""
    reach = min(int(0.05 * sample_rate), end, len(samples) - end - length)
    if reach < 1:
        reach = 0
    head = samples[start : start + length].mean(axis=1)
    tail = samples[end - reach : end + reach + length].mean(axis=1)
    size = 1 << (len(tail) + len(head)).bit_length()
    product = fft.rfft(tail, size) * np.conj(fft.rfft(head, size))
    matches = fft.irfft(product, size)[: 2 * reach + 1]
    power = np.sqrt(np.sum(head**2) * _running_energy(tail, length)) + 1e-20
    correlation = matches / power
    shift = int(np.argmax(correlation))
    return end - reach + shift, float(correlation[shift])


def _running_energy(signal: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64))])
    energy: NDArray[np.float64] = total[length:] - total[:-length]
    return energy
