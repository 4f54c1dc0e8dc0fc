"""The bed on its way to the mixer, giving way to the music band by band.

Frames of two hops, overlapped by half, lie on a grid of absolute positions. Each is
the bed as it will be there, since loops are known ahead, weighted in frequency by
gains that are decided once for the frame. So what sounds at a sample depends on its
position, the layers and the music alone, however the stream is cut into blocks.

Safe in the callback: arrays of fixed size, numpy only, two small transforms a hop.
"""

import numpy as np

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, bin_weights
from effects.bed.masking import Course, yield_into
from effects.bed.player import BedPlayer

HOP_S = 0.043  # about: a power of two in samples; bins are 12 Hz apart
CHANNELS = 2


class YieldingBed:
    """A bed player's layers, with room left for music.

    Args:
        player: of the layers.
        sample_rate: Hz.
    """

    def __init__(self, player: BedPlayer, sample_rate: int) -> None:
        self._player = player
        self._hop = hop = 2 ** max(5, round(np.log2(HOP_S * sample_rate)))
        position = (np.arange(2 * hop) + 0.5) / (2 * hop)
        self._window = np.sin(np.pi * position).astype(np.float32)
        self._weights = bin_weights(2 * hop, sample_rate)
        self._chunk = -2  # the hop that is ready
        self._ready = np.zeros((hop, CHANNELS), np.float32)
        self._tail = np.zeros((hop, CHANNELS), np.float32)
        self._dry = np.zeros((2 * hop, CHANNELS), np.float32)
        self._frame = np.zeros((CHANNELS, 2 * hop), np.float32)
        self._spectra = np.zeros((CHANNELS, hop + 1), np.complex64)
        self._bins = np.zeros(hop + 1, np.float32)
        self._music, self._bed = np.zeros(N_BANDS), np.zeros(N_BANDS)
        self._gains, self._gains_32 = np.ones(N_BANDS), np.ones(N_BANDS, np.float32)

    def mix_into(
        self, out: Samples, position: int, course: Course, depth_db: float
    ) -> None:
        """Callback: add the bed for positions [position, position + len(out)).

        Args:
            out: shape (n_samples, 2), added to in place.
            position: absolute sample that `out[0]` is.
            course: of the music's partials, known up to the end of `out`.
            depth_db: by how much a band yields at most.
        """
        done = 0
        while done < len(out):
            chunk, start = divmod(position + done, self._hop)
            if chunk != self._chunk:
                self._advance(chunk, course, depth_db)
            n = min(len(out) - done, self._hop - start)
            target = out[done : done + n]
            np.add(target, self._ready[start : start + n], out=target)
            done += n

    def _advance(self, chunk: int, course: Course, depth_db: float) -> None:
        """Make hop number `chunk` ready: the frame before fades out in it."""
        hop = self._hop
        if chunk != self._chunk + 1:
            self._read(self._dry[hop:], chunk - 1)
            self._make_frame(chunk - 1, course, depth_db)
            self._tail[:] = self._frame[:, hop:].T
        self._make_frame(chunk, course, depth_db)
        np.add(self._tail, self._frame[:, :hop].T, out=self._ready)
        self._tail[:] = self._frame[:, hop:].T
        self._chunk = chunk

    def _make_frame(self, chunk: int, course: Course, depth_db: float) -> None:
        """The frame that begins with a hop; the bed in that hop is in `_dry` already.

        It fills `_frame`, weighted in time so that frames add up.
        """
        hop, frame = self._hop, self._frame
        self._dry[:hop] = self._dry[hop:]
        self._read(self._dry[hop:], chunk + 1)
        np.multiply(self._dry.T, self._window, out=frame)
        course.read_into(self._music, chunk * hop)
        self._player.power_into(self._bed, chunk * hop)
        if yield_into(self._gains, self._music, self._bed, depth_db):
            self._gains_32[:] = self._gains
            np.matmul(self._gains_32, self._weights, out=self._bins)
            np.fft.rfft(frame, axis=1, out=self._spectra)
            np.multiply(self._spectra, self._bins, out=self._spectra)
            np.fft.irfft(self._spectra, 2 * hop, axis=1, out=frame)
        np.multiply(frame, self._window, out=frame)

    def _read(self, into: Samples, chunk: int) -> None:
        into.fill(0.0)
        self._player.mix_into(into, chunk * self._hop)
