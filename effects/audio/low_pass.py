"""A low-pass of first order, sample by sample, for blocks of any length.

y[n] = a y[n-1] + (1 - a) x[n] with a = exp(-2 pi f / rate): the analogue RC filter with
its impulse response sampled (Oppenheim and Schafer, Discrete-Time Signal Processing,
7.2). A recursion is a loop over samples, for which numpy has no means but a running
sum: y[n] / a^n is the sum of (1 - a) x[k] / a^k. The powers begin again at 1 on a grid
of absolute positions, so what comes out does not depend on how blocks are cut.

Safe in the callback: numpy only.
"""

import numpy as np

from effects.audio.levels import Samples

_NEPERS = 100.0  # that the powers fall between two points of the grid


class LowPass:
    """A low-pass for several signals, each with a state of its own.

    Args:
        hertz: at which it lets through half the power, far below half the rate.
        sample_rate: Hz.
        channels: how many signals.
        max_block: longest block, in samples.

    >>> low_pass = LowPass(700.0, 48_000, channels=1, max_block=4096)
    >>> out = np.zeros((4096, 1), np.float32)
    >>> low_pass.process(np.ones((4096, 1), np.float32), 0, out)
    >>> round(float(out[-1, 0]), 3)
    1.0
    """

    def __init__(
        self, hertz: float, sample_rate: int, channels: int, max_block: int
    ) -> None:
        fall = 2.0 * np.pi * hertz / sample_rate  # nepers a sample
        self._period = max(1, int(_NEPERS / fall))
        powers = np.exp(-fall * np.arange(self._period))
        self._rises = (1.0 - np.exp(-fall)) / powers
        self._falls = powers
        self._fall_of_period = float(np.exp(-fall * self._period))
        self._sums = np.zeros((channels, min(max_block, self._period)))
        self._sum = np.zeros(channels)  # up to the last sample, since the grid

    def reset(self) -> None:
        """Go on as if there had been silence."""
        self._sum.fill(0.0)

    def process(self, block: Samples, position: int, out: Samples) -> None:
        """Filter a block.

        Args:
            block: shape (n, channels), n at most `max_block`.
            position: of its first sample; the block before ended there.
            out: takes the result, shape like `block`, and may be the same.
        """
        done = 0
        while done < len(block):
            first = (position + done) % self._period
            n = min(len(block) - done, self._period - first)
            sums = self._sums[:, :n]
            part = block[done : done + n].T
            np.multiply(part, self._rises[first : first + n], out=sums)
            sums[:, 0] += self._sum
            np.cumsum(sums, axis=1, out=sums)
            self._sum[:] = sums[:, -1]
            sums *= self._falls[first : first + n]
            out[done : done + n] = sums.T
            done += n
            if first + n == self._period:
                self._sum *= self._fall_of_period
                if not np.isfinite(self._sum).all():  # it would never end
                    self.reset()
