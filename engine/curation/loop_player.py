"""Playing one sound in a loop on the sound device, until another takes its place."""

import numpy as np

from effects.audio.levels import Samples
from engine.live.device_watch import DeviceChoice, DeviceWatch
from engine.live.devices import choose, native_rate
from engine.live.metrics import Metrics
from engine.live.output import list_devices


class LoopPlayer:
    """Plays a loop; opens the device at once.

    The pacer reads one reference a block. What is replaced or stopped fades out
    over a block.

    Args:
        device: number or name; the default one when None.

    Raises:
        RunError: there is no device, or it cannot be opened.
    """

    def __init__(self, device: str | None = None) -> None:
        #: Hz, at which loops have to be.
        self.sample_rate = native_rate(choose(list_devices(), device))
        self._asked: Samples | None = None
        self._sounding: Samples | None = None
        self._position = 0
        self._done = 0  # samples
        self._device = DeviceWatch(
            DeviceChoice(device),
            self.render,
            lambda: self._done,
            self.sample_rate,
            Metrics(),
            lambda line: None,
            lambda event: None,
        )
        self._device.open()
        self._device.start()

    @property
    def is_playing(self) -> bool:
        """Whether something is heard, or will be in the next block."""
        return self._asked is not None

    def play(self, samples: Samples) -> None:
        """Play samples (n_samples, 2) over and over, from the next block on."""
        self._asked = samples if len(samples) else None

    def stop(self) -> None:
        """Fall silent."""
        self._asked = None

    def close(self) -> None:
        """Give the device back."""
        self._device.close()

    def render(self, out: Samples) -> int:
        """The pacer's thread: fill `out`, shape (n, 2), and return samples of sound."""
        asked = self._asked
        n = self._copy(out)
        self._done += len(out)
        if asked is not self._sounding:
            out *= np.linspace(1.0, 0.0, len(out), dtype=np.float32)[:, None]
            self._sounding, self._position = asked, 0
        return n

    def _copy(self, out: Samples) -> int:
        sounding = self._sounding
        if sounding is None:
            out.fill(0.0)
            return 0
        done = 0
        while done < len(out):
            piece = sounding[self._position : self._position + len(out) - done]
            out[done : done + len(piece)] = piece
            done += len(piece)
            self._position = (self._position + len(piece)) % len(sounding)
        return done
