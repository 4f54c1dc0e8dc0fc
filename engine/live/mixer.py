"""The mixer: layers of music and the bed of effects to the master, block by block.

`Mixer.render` is the body of the audio callback; an offline render calls it, too. It
copies and mixes preallocated float32 arrays; it takes no lock, opens nothing, logs
nothing. It reads one snapshot of controls a block.

Every gain moves along a straight ramp of fixed length from the sample at which the
change was first seen, and everything else is computed per absolute sample, so that
the result does not depend on how the stream is cut into blocks. The sample of each
change is noted in `log`, from which a session is rendered again.
"""

from collections.abc import Callable
from contextvars import Context
from typing import Protocol

import numpy as np

from effects.audio.levels import Samples, db_to_amplitude, peak_of, planar
from effects.audio.limiter import Limiter
from effects.audio.low_pass import LowPass
from effects.bed.ducking import DuckedBed
from effects.bed.filtering import BedFilter
from effects.bed.masking import BandEnvelope
from engine.control.controls import Snapshot
from engine.live.callback_log import CallbackLog
from engine.live.fade import Fade, FadeKind
from engine.live.metrics import Metrics

RAMP_S = 0.05  # duration of a ramp to a changed gain
MAX_BLOCK = 8192  # longer blocks are rendered in parts

TILT_PIVOT_HZ = 700.0  # of the shelf that tilts the music

# Power of the music's side beside its mid, and share of its loudness below the
# pivot: means of songs, for a width and a tilt that leave it about as loud.
SIDE_OVER_MID, LOW_SHARE = 0.35, 0.7

_N_GAINS = 5
_MID, _SIDE, _MID_LOW, _SIDE_LOW, _BED = range(_N_GAINS)
_PLAIN = (1.0, 1.0, 0.0, 0.0)  # of the music


class MusicSource(Protocol):
    """The source of a mixer's music: the ring's reader, or offline the stream."""

    @property
    def band_envelope(self) -> BandEnvelope:
        """Of the music's partials, known at least as far as music was read."""

    def read_into(self, out: Samples) -> int:
        """Fill `out` and return how many samples of it were music."""


class MasterSink(Protocol):
    """A receiver of the master besides the speaker."""

    def write(self, samples: Samples) -> bool:
        """Take a block, or refuse it and return False; never waits."""


class Mixer:
    """Mixes music and bed into blocks of the master.

    Args:
        source: of music, shape (n, 2), layers as in `synthesis.LAYERS`.
        bed: player of the effects, or None.
        sample_rate: Hz.
        snapshot: gives the controls in force.
        metrics: `peak_left` and `peak_right` are set here.
    """

    def __init__(
        self,
        source: MusicSource,
        bed: DuckedBed | None,
        sample_rate: int,
        snapshot: Callable[[], Snapshot],
        metrics: Metrics,
    ) -> None:
        self.position = 0  # the next sample to render
        self.taps: tuple[MasterSink, ...] = ()  # replaced as a whole, never changed
        self.log = CallbackLog()  # of snapshots seen and fades begun
        self.fades = {kind: Fade(sample_rate, MAX_BLOCK) for kind in FadeKind}
        self._source = source
        self._bed = bed
        self._fades = tuple(self.fades.values())
        self._snapshot, self._metrics = snapshot, metrics
        self._limiter = Limiter(sample_rate, channels=2, max_block=MAX_BLOCK)
        self._ramp = max(1, round(RAMP_S * sample_rate))
        self._seen: Snapshot | None = None
        self._from = np.zeros(_N_GAINS, np.float32)
        self._to = np.zeros(_N_GAINS, np.float32)
        self._turned_at = -self._ramp
        self._is_plain = True  # behind the ramp, gains of the music leave it as it is
        self._was_tilted = self._is_tilted = False  # at both ends of the ramp
        self._low_pass = LowPass(TILT_PIVOT_HZ, sample_rate, 2, MAX_BLOCK)
        # The limiter replaces what is not finite. A context that is made once: entering
        # `np.errstate` for each block takes an eighth of the block's time.
        self._without_warnings = Context()
        self._without_warnings.run(np.seterr, all="ignore")
        self._layers, self._low = planar(MAX_BLOCK, 2), planar(MAX_BLOCK, 2)
        self._bed_block, self._mix = planar(MAX_BLOCK, 2), planar(MAX_BLOCK, 2)
        self._gain = np.zeros(MAX_BLOCK, np.float32)
        self._index = np.arange(MAX_BLOCK, dtype=np.float32)

    @property
    def latency(self) -> int:
        """Delay of the master behind the music that was read, in samples."""
        return self._limiter.latency

    def make_bed_ahead(self) -> None:
        """Another thread: make the bed up to two seconds ahead, for `render` to add."""
        if self._bed is not None:
            bed_filter = bed_filter_of(self._snapshot())
            envelope = self._source.band_envelope
            self._bed.make_ahead(self.position, envelope, bed_filter)

    def render(self, out: Samples) -> int:
        """Fill `out`, shape (n, 2), with the next block of the master.

        Returns:
            How many samples held music.
        """
        n_music = 0
        for start in range(0, len(out), MAX_BLOCK):
            part = out[start : start + MAX_BLOCK]
            n_music += self._without_warnings.run(self._render_part, part)
        return n_music

    def _render_part(self, out: Samples) -> int:
        n = len(out)
        layers, mix = self._layers[:n], self._mix[:n]
        n_music = self._source.read_into(layers)
        snapshot = self._snapshot()
        self._turn(snapshot)
        is_tilted = self._is_tilted_at(self.position)
        low = self._low[:n]
        if is_tilted:
            self._low_pass.process(layers, self.position, low)
        mid, side = layers[:, 0], layers[:, 1]
        is_weighed = self._is_weighed
        if is_weighed:
            self._weigh(mid, _MID)
            self._weigh(side, _SIDE)
        if is_tilted:  # a shelf: the rest of the gain that lows have
            self._weigh(low[:, 0], _MID_LOW)
            self._weigh(low[:, 1], _SIDE_LOW)
            layers += low
        np.add(mid, side, out=mix[:, 0])
        np.subtract(mid, side, out=mix[:, 1])
        if self._bed is not None:
            bed = self._bed_block[:n]
            bed.fill(0.0)
            envelope = self._source.band_envelope
            self._bed.mix_into(bed, self.position, envelope, bed_filter_of(snapshot))
            self._weigh(bed[:, 0], _BED)
            self._weigh(bed[:, 1], _BED)
            mix += bed
        for fade in self._fades:
            if (asked := fade.take(self.position)) is not None:
                self.log.put(self.position, asked)
            fade.apply(mix, self.position)
        self._limiter.process(mix)
        self._metrics.peak_left = peak_of(mix[:, 0])
        self._metrics.peak_right = peak_of(mix[:, 1])
        for channel in range(2):  # five times as fast as both at once
            out[:, channel] = mix[:, channel]
        self.position += n
        for tap in self.taps:
            tap.write(out)
        return n_music

    def _turn(self, snapshot: Snapshot) -> None:
        """Begin a ramp to the gains of a snapshot, if it is a new one."""
        if snapshot is self._seen:
            return
        first = self._seen is None
        self._seen = snapshot
        self.log.put(self.position, snapshot)
        target = _gains(snapshot)
        self._is_plain = target[:_BED] == _PLAIN
        if first:
            self._from[:] = self._to[:] = target
            self._is_tilted = _is_tilt(target)
        elif target != tuple(self._to.tolist()):
            was_tilted = self._is_tilted_at(self.position)
            if not was_tilted:
                self._low_pass.reset()  # what it holds is from when it ran last
            self._was_tilted, self._is_tilted = was_tilted, _is_tilt(target)
            progress = min(1.0, (self.position - self._turned_at) / self._ramp)
            self._from += (self._to - self._from) * np.float32(progress)
            self._to[:] = target
            self._turned_at = self.position

    def _is_tilted_at(self, position: int) -> bool:
        """Whether lows have another gain than highs, at a sample or on a way there."""
        is_moving = position - self._turned_at < self._ramp
        return self._is_tilted or (is_moving and self._was_tilted)

    @property
    def _is_weighed(self) -> bool:
        """Whether a gain changes the music in a block; most of the time none does."""
        return not self._is_plain or self.position - self._turned_at < self._ramp

    def _weigh(self, samples: Samples, which: int) -> None:
        """Multiply the samples of a block by a gain, in place."""
        gain = self._gain_of(which, len(samples))
        if not (isinstance(gain, np.float32) and gain == 1.0):
            samples *= gain

    def _gain_of(self, which: int, n: int) -> Samples | np.float32:
        """Gain of each sample of a block, or one for all where it stands still."""
        start, stop = self._from[which], self._to[which]
        since = self.position - self._turned_at
        moving = 0 if start == stop else min(max(self._ramp - since, 0), n)
        if not moving:
            return np.float32(stop)
        gain = self._gain[:n]
        gain[moving:] = stop  # exactly, wherever blocks are cut
        ramp = gain[:moving]
        np.add(self._index[:moving], since, out=ramp)
        ramp *= 1.0 / self._ramp
        ramp *= stop - start
        ramp += start
        return gain


def bed_filter_of(snapshot: Snapshot) -> BedFilter:
    """The bed's filter under these controls."""
    return BedFilter(
        ducking_db=float(snapshot["effects/ducking"]),
        cutoff_hz=float(snapshot["effects/cutoff"]),
    )


def _held(tilt: float, width: float) -> float:
    """Gain at which tilt, dB a side, and width leave the music about as loud."""
    low, high = db_to_amplitude(-2.0 * tilt), db_to_amplitude(2.0 * tilt)  # of power
    tilted = LOW_SHARE * low + (1.0 - LOW_SHARE) * high
    widened = (1.0 + SIDE_OVER_MID * width * width) / (1.0 + SIDE_OVER_MID)
    return float((tilted * widened) ** -0.5)


def _is_tilt(gains: tuple[float, ...]) -> bool:
    """Whether lows get another gain than highs."""
    return gains[_MID_LOW] != 0.0 or gains[_SIDE_LOW] != 0.0


def _gains(snapshot: Snapshot) -> tuple[float, ...]:
    master = db_to_amplitude(float(snapshot["master/gain"]))
    if snapshot["master/mute"]:
        master = 0.0
    tilt = float(snapshot["tilt"]) / 2.0
    width = float(snapshot["width"])
    music = master * _held(tilt, width)
    low, high = music * db_to_amplitude(-tilt), music * db_to_amplitude(tilt)
    bed = master * db_to_amplitude(float(snapshot["effects/gain"]))
    gains = (high, high * width, low - high, (low - high) * width, bed)
    return tuple(float(np.float32(gain)) for gain in gains)
