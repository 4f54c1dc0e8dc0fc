"""True-peak look-ahead limiter: never above the ceiling, and transparent below it.

Works in steps of 64 samples on the grid of absolute positions, so that its output
does not depend on how the stream is cut into blocks. For each step: the true peak
(4x oversampled), the gain that would bring it to the ceiling, the lowest such gain
of the next few milliseconds, an exponential release, and a moving average that
turns each drop into a straight ramp ending before the peak. Between steps the gain
is a straight line.

Safe in the callback: everything is allocated once; numpy and the standard library.
"""

import math

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples, db_to_amplitude, peak_of

STEP = 64
TAPS = 16  # per phase; the 12 of ITU-R BS.1770-5 annex 2 read 0.4 dB low near Nyquist
WINDOW_SHAPE = 2.0  # Kaiser beta with the least error at the top of the spectrum
PHASES = 4
LOOK_AHEAD_S = 0.005
RELEASE_S = 0.15
MARGIN_DB = 0.15  # the peaks between 4x oversampled points, and those a ramp moves
HIGHEST_AMPLITUDE = np.float32(1000.0)  # +60 dBFS; more would overflow later


class Limiter:
    """A limiter for one stream; `process` works in place and delays by `latency`.

    >>> limiter = Limiter(48_000)
    >>> block = np.full((512, 2), 3.0, np.float32)
    >>> limiter.process(block)
    >>> limiter.process(block)
    >>> bool(np.abs(block).max() <= 0.8913)
    True
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int = 2,
        ceiling_db: float = -1.0,
        max_block: int = 8192,
        release_s: float = RELEASE_S,
    ) -> None:
        if sample_rate < 1 or channels < 1 or max_block < 1:
            raise ValueError("sample rate, channels and block size must be positive")
        self._ahead = max(1, math.ceil(LOOK_AHEAD_S * sample_rate / STEP))
        #: Samples by which the output is late.
        self.latency = self._ahead * STEP + STEP + TAPS // 2 - 1
        self._ceiling = db_to_amplitude(ceiling_db - MARGIN_DB)
        self._release = 1.0 - math.exp(-STEP / (release_s * sample_rate))
        self._chunk = max_block
        self._kernel = _polyphase_kernel()
        # No filter output exceeds the largest sample times the one, nor the largest
        # sample and the other times the largest difference of neighbours: a filter is
        # a straight line between two samples, and a weighted sum of differences.
        self._overshoot = float(np.abs(self._kernel).sum(axis=1).max())
        self._overhang = _overhang(self._kernel)

        steps = max_block // STEP + 1
        width = steps * STEP
        history = self.latency
        self._line = np.zeros((channels, history + max_block), np.float32)
        self._tail = np.zeros((channels, history), np.float32)
        self._bad = np.zeros((channels, max_block), np.bool_)
        self._shaped_until = 0  # from this sample on, gains are 1
        self._sum = np.zeros((channels, width), np.float32)
        self._product = np.zeros((channels, width), np.float32)
        self._differences = np.zeros((channels, width + TAPS), np.float32)
        self._peaks = np.zeros((channels, width), np.float32)
        self._step_peaks = np.zeros(steps, np.float32)
        self._loud = np.zeros(steps + 2, np.bool_)
        self._from = np.ones(steps, np.float32)
        self._change = np.zeros(steps, np.float32)
        self._gains = np.ones(width + STEP, np.float32)
        self._gains_tail = np.ones(2 * STEP, np.float32)
        self._slope = np.arange(STEP, dtype=np.float32) / np.float32(STEP)
        self._allowed = [1.0] * (self._ahead + 1)  # gains of the last steps, a ring
        self._envelope = [1.0] * self._ahead  # released gains, a ring
        self.reset()

    def reset(self) -> None:
        """Start anew: silence in the delay line, gain 1."""
        self._line[:] = 0.0
        self._gains[:] = 1.0
        self._position = self._shaped_until = 0
        # The first step completes at sample 63; what leaves until then is silence.
        self._ready = STEP - 1
        self._gain = 1.0
        self._released = 1.0
        self._idle = self._ahead + 1  # steps in a row that needed no reduction
        for ring in (self._allowed, self._envelope):
            for i in range(len(ring)):
                ring[i] = 1.0

    def process(self, block: Samples) -> None:
        """Limit `block` in place.

        Args:
            block: shape (n_samples, channels), float32; any number of samples. NaN
                and infinite samples become silence.
        """
        for start in range(0, len(block), self._chunk):
            self._process_chunk(block[start : start + self._chunk])

    def _process_chunk(self, chunk: Samples) -> None:
        n = len(chunk)
        history = self.latency
        fresh = self._line[:, history : history + n]
        np.copyto(fresh, chunk.T)
        if not peak_of(fresh) <= HIGHEST_AMPLITUDE:  # NaN, too
            self._mend(fresh)

        first = self._position // STEP
        n_steps = (self._position + n) // STEP - first
        if n_steps:
            self._measure(history + first * STEP - self._position, n_steps)
            self._plan(first, n_steps)
        if self._position < self._shaped_until:
            np.multiply(self._line[:, :n], self._gains[:n], out=chunk.T)
        else:
            np.copyto(chunk.T, self._line[:, :n])

        left = self._ready + n_steps * STEP - n
        self._gains_tail[:left] = self._gains[n : n + left]
        self._gains[:left] = self._gains_tail[:left]
        self._ready = left
        np.copyto(self._tail, self._line[:, n : n + history])
        np.copyto(self._line[:, :history], self._tail)
        self._position += n

    def _mend(self, fresh: Samples) -> None:
        """Silence what is not finite, and keep the rest from overflowing later."""
        bad = self._bad[:, : fresh.shape[1]]
        np.isfinite(fresh, out=bad)
        np.logical_not(bad, out=bad)
        np.copyto(fresh, np.float32(0.0), where=bad)
        np.clip(fresh, -HIGHEST_AMPLITUDE, HIGHEST_AMPLITUDE, out=fresh)

    def _measure(self, start: int, n_steps: int) -> None:
        """True peak of each step; 0 of all if they are surely below the ceiling.

        `start` is where the first begins in the line.

        A step's peak is that of the points at and after samples -8..55 from its
        start: for those the taps reach no farther than the step's own end.
        """
        width = n_steps * STEP
        begin = start - TAPS // 2
        highest = self._step_peaks[:n_steps]
        reached = self._line[:, begin - TAPS // 2 + 1 : start + width]
        peak, may_exceed = peak_of(reached), self._ceiling / self._overshoot
        if peak > may_exceed:
            may_exceed = max(may_exceed, self._smooth_may_exceed(reached))
        if peak <= may_exceed:
            highest.fill(0.0)  # below the ceiling no gain depends on them
            return
        peaks = self._peaks[:, :width]
        np.abs(self._line[:, begin : begin + width], out=peaks)
        np.max(self._in_steps(0, n_steps), axis=(0, 2), out=highest)
        # Taps reach a few samples beyond a step: those of its neighbours, and before
        # the first and after the last step these.
        before = self._line[:, begin - TAPS // 2 + 1 : begin]
        after = self._line[:, begin + width : start + width]
        loud = self._loud[: n_steps + 2]
        np.greater(highest, may_exceed, out=loud[1:-1])
        loud[0], loud[-1] = peak_of(before) > may_exceed, peak_of(after) > may_exceed
        if loud.any():
            first = max(0, int(loud.argmax()) - 2)
            last = min(n_steps, n_steps + 2 - int(loud[::-1].argmax()))
            span = (last - first) * STEP
            self._measure_between(begin + first * STEP, first * STEP, span)
            np.max(self._in_steps(first, last), axis=(0, 2), out=highest[first:last])

    def _smooth_may_exceed(self, samples: Samples) -> float:
        """Magnitude up to which nothing between these is over, by their differences."""
        differences = self._differences[:, : samples.shape[1] - 1]
        np.subtract(samples[:, 1:], samples[:, :-1], out=differences)
        return self._ceiling - self._overhang * peak_of(differences)

    def _in_steps(self, first: int, last: int) -> Samples:
        """The peaks of steps, shape (channels, steps, STEP)."""
        peaks = self._peaks[:, first * STEP : last * STEP]
        return peaks.reshape(len(peaks), last - first, STEP)

    def _measure_between(self, begin: int, offset: int, width: int) -> None:
        """Raise `width` peaks from `offset` on, of samples from `begin` in the line."""
        # Plain products and sums: the result for a sample is the same whatever
        # the number of samples beside it, which a matrix product does not promise.
        total, product = self._sum[:, :width], self._product[:, :width]
        peaks = self._peaks[:, offset : offset + width]
        base = begin - TAPS // 2 + 1
        for phase in self._kernel:
            np.multiply(self._line[:, base : base + width], phase[0], out=total)
            for tap in range(1, TAPS):
                shifted = self._line[:, base + tap : base + tap + width]
                np.multiply(shifted, phase[tap], out=product)
                np.add(total, product, out=total)
            np.abs(total, out=total)
            np.maximum(peaks, total, out=peaks)

    def _plan(self, first: int, n_steps: int) -> None:
        """Gains of the steps that `n_steps` new peaks decide."""
        loudest = float(self._step_peaks[:n_steps].max())
        gains = self._gains[self._ready : self._ready + n_steps * STEP]
        if loudest <= self._ceiling and self._resting:
            gains[:] = 1.0
            self._gain = 1.0
            return
        for i in range(n_steps):
            before = self._gain
            self._gain = self._next_gain(first + i, float(self._step_peaks[i]))
            self._from[i] = before
            self._change[i] = self._gain - before
        self._shaped_until = self._position + self._ready + len(gains)
        shaped = gains.reshape(n_steps, STEP)
        np.multiply(self._change[:n_steps, None], self._slope, out=shaped)
        np.add(shaped, self._from[:n_steps, None], out=shaped)

    @property
    def _resting(self) -> bool:
        return self._gain == 1.0 and min(self._allowed) == min(self._envelope) == 1.0

    def _next_gain(self, step: int, peak: float) -> float:
        allowed = self._ceiling / peak if peak > self._ceiling else 1.0
        self._allowed[step % len(self._allowed)] = allowed
        lowest = min(self._allowed)
        rising = self._released + (lowest - self._released) * self._release
        self._released = min(lowest, rising)
        if self._released > 0.99999:  # else the release would never quite end
            self._released = min(lowest, 1.0)
        self._envelope[step % len(self._envelope)] = self._released
        return sum(self._envelope) / len(self._envelope)


def _overhang(kernel: NDArray[np.float32]) -> float:
    """By how much a filter may leave the line between two samples, in differences.

    A kernel without that line sums to 0, so it is one of differences of neighbours,
    whose weights are its running sums.
    """
    line = np.zeros(kernel.shape)
    fraction = np.arange(1, PHASES) / PHASES
    line[:, TAPS // 2 - 1], line[:, TAPS // 2] = 1.0 - fraction, fraction
    weights = np.cumsum(kernel.astype(np.float64) - line, axis=1)
    return float(np.abs(weights).sum(axis=1).max())


def _polyphase_kernel() -> NDArray[np.float32]:
    """Interpolators for the 3 points between samples, shape (3, TAPS).

    A sinc under a Kaiser window; the point on the sample needs no filter.
    """
    taps = np.arange(TAPS) - (TAPS // 2 - 1)
    fraction = np.arange(1, PHASES)[:, None] / PHASES
    distance = taps[None, :] - fraction
    inside = np.sqrt(np.maximum(0.0, 1.0 - (distance / (TAPS / 2)) ** 2))
    kernel = np.sinc(distance) * np.i0(WINDOW_SHAPE * inside) / np.i0(WINDOW_SHAPE)
    kernel /= kernel.sum(axis=1, keepdims=True)
    return kernel.astype(np.float32)
