"""Playing songs of an album, one at a time, on the sound device."""

from pathlib import Path

import numpy as np

from effects.audio.conversion import to_stereo
from effects.audio.levels import Samples
from effects.audio.sound_reader import read_sound
from engine.album.plan import MINUTES
from engine.live.device_watch import DeviceChoice, DeviceWatch
from engine.live.devices import choose, native_rate
from engine.live.metrics import Metrics
from engine.live.output import list_devices


class Auditioner:
    """Plays one file at a time; opens the device when it is first needed.

    The callback reads one reference a block. What is replaced or stopped fades out
    over a block.

    Args:
        device: number or name; the default one when None.
    """

    def __init__(self, device: str | None = None) -> None:
        self._wanted = device
        self._device: DeviceWatch | None = None
        self._rate = 0
        self._asked: Samples | None = None
        self._sounding: Samples | None = None
        self._position = 0

    @property
    def is_playing(self) -> bool:
        """Whether something is heard, or will be in the next block."""
        asked = self._asked
        return asked is not None and not (
            asked is self._sounding and self._position >= len(asked)
        )

    @property
    def seconds(self) -> float:
        """How far into the file the device is."""
        return self._position / self._rate if self._rate else 0.0

    def play(self, path: Path) -> None:
        """Play a file from its beginning.

        Raises:
            InputError: it cannot be read.
            RunError: there is no device, or it cannot be opened.
        """
        self._open()
        longest = 60.0 * MINUTES[1]
        samples, _ = read_sound(path, sample_rate=self._rate, max_seconds=longest)
        self._asked = to_stereo(samples)

    def stop(self) -> None:
        """Fall silent."""
        self._asked = None

    def close(self) -> None:
        """Give the device back."""
        if self._device is not None:
            self._device.close()
            self._device = None

    def _open(self) -> None:
        if self._device is not None:
            return
        self._rate = native_rate(choose(list_devices(), self._wanted))
        device = DeviceWatch(
            DeviceChoice(self._wanted),
            self.render,
            lambda: self._position,
            self._rate,
            Metrics(),
            lambda line: None,
            lambda event: None,
        )
        device.open()
        device.start()
        self._device = device

    def render(self, out: Samples) -> int:
        """The pacer's thread: fill `out`, shape (n, 2), and return samples of music."""
        out.fill(0.0)
        asked = self._asked
        n = self._copy(out)
        if asked is not self._sounding:
            out *= np.linspace(1.0, 0.0, len(out), dtype=np.float32)[:, None]
            self._sounding, self._position = asked, 0
        return n

    def _copy(self, out: Samples) -> int:
        if self._sounding is None:
            return 0
        piece = self._sounding[self._position : self._position + len(out)]
        out[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
