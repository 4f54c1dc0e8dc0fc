"""Clips made ready to be heard in a loop, some ahead of their turn."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_reader import read_sound
from effects.base.errors import InputError

SEAM_S = 0.03  # over which a loop's end is faded into its beginning


class Loops:
    """Loops of clips, read by a thread before they are needed.

    Args:
        path_of: the sound file of a clip's id; it may raise `InputError`.
        sample_rate: Hz, of the device.
    """

    def __init__(self, path_of: Callable[[int], Path], sample_rate: int) -> None:
        self._path_of, self._rate = path_of, sample_rate
        self._pool = ThreadPoolExecutor(1, "clips")
        self._loops: dict[int, Future[Samples]] = {}

    def prepare(self, clips: Sequence[int]) -> None:
        """Read these clips, the first one first, and forget all others."""
        for clip in [c for c in self._loops if c not in clips]:
            self._loops.pop(clip).cancel()
        for clip in clips:
            if clip not in self._loops:
                self._loops[clip] = self._pool.submit(self._read, clip)

    def loop(self, clip: int) -> Samples:
        """The loop of a clip, shape (n_samples, 2), once it has been read.

        Raises:
            InputError: it cannot be read.
        """
        if clip not in self._loops:
            self._loops[clip] = self._pool.submit(self._read, clip)
        return self._loops[clip].result()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, clip: int) -> Samples:
        path = self._path_of(clip)
        samples, _ = read_sound(path, sample_rate=self._rate, max_seconds=10.0)
        if not len(samples):
            raise InputError(f"{path}: holds no sound")
        return looped(as_stereo(samples), round(SEAM_S * self._rate))


def as_stereo(samples: Samples) -> Samples:
    """Two channels of a sound (n_samples, channels); mono is on both."""
    if samples.shape[1] == 1:
        return np.repeat(samples, 2, axis=1)
    return samples[:, :2]


def looped(samples: Samples, seam: int) -> Samples:
    """A sound whose end passes into its beginning.

    Its last `seam` samples are faded into the first ones, with equal power, and left
    out; so the loop is as much shorter.

    Args:
        samples: shape (n_samples, channels).
        seam: samples; at most a quarter of the sound is taken.
    """
    seam = min(seam, len(samples) // 4)
    if seam < 1:
        return samples
    angle = 0.5 * np.pi * (np.arange(seam, dtype=np.float32) + 0.5) / seam
    loop = samples[:-seam].copy()
    loop[:seam] *= np.sin(angle)[:, None]
    loop[:seam] += np.cos(angle)[:, None] * samples[-seam:]
    return loop
