"""The nodes of a stream: where its songs are at regular times, and how they sound.

Nodes lie `hop` seconds apart on a grid of absolute frames. They are decoded and put
together in batches on a grid of their own, and kept: a node is a function of the
transport, the controls and its number.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compose.composer import ComposedSong
from engine.compose.path import SYMBOLS
from engine.compose.schedule import Slot, SongSchedule, mix_weight
from engine.control.controls import Snapshot
from engine.sound.cast import SongCast, cast_song
from engine.sound.decoding import BATCH, Decoded, Nodes, combine, decode
from engine.sound.frames import HOP_S, Frames
from engine.sound.motion import N_COLOURS
from engine.sound.partials import N_PLACES
from engine.sound.tones import mean_power
from engine.sound.transport import Transport
from model.inference import TimbreModel

# That songs lack of their loudness since they move: of 8 songs of each preset, 138 s
# and without a bed, the mean.
MOVED_LU = 0.15
GLIDE_S = 4.0  # to a point that was asked for, and back

_KEPT_BATCHES = 3  # of nodes: music goes on from one to the next
_KEPT_DECODED = 12  # batches that parts come after, of two songs
_KEPT_SONGS = 4

Powers = NDArray[np.float64]


class NodeSource:
    """Decodes the nodes of one stream when they are asked for.

    Args:
        model: timbre space.
        schedule: of the songs.
        seed: of the stream.
        frames: of the sample rate.
        target_lufs: integrated loudness of the music.
        controls: in force at the start.
    """

    def __init__(
        self,
        model: TimbreModel,
        schedule: SongSchedule,
        seed: int,
        frames: Frames,
        target_lufs: float,
        controls: Snapshot,
    ) -> None:
        self.transport = Transport()
        self.n_bad = 0  # timbres that were not finite
        self._model, self._schedule = model, schedule
        self._seed, self._frames = seed, frames
        self._target_lufs, self._controls = target_lufs, controls
        self._decoded: dict[tuple[int, int], Decoded] = {}
        self._batches: dict[int, dict[Slot, Nodes]] = {}
        self._casts: dict[int, SongCast] = {}
        self._rooms: dict[int, float] = {}

    def restart(self, transport: Transport, controls: Snapshot) -> None:
        """Forget all nodes; the next ones follow this transport and these controls."""
        self.transport, self._controls = transport, controls
        self._decoded.clear()
        self._batches.clear()
        self._casts.clear()
        self._rooms.clear()

    @property
    def step(self) -> int:
        """Frames between nodes."""
        return max(1, round(float(self._controls["hop"]) / HOP_S))  # at any rate

    @property
    def step_s(self) -> float:
        """Seconds between nodes."""
        return self.step * self._frames.hop / self._frames.sample_rate

    def cast(self, slot: Slot) -> SongCast:
        """What stays the same of a slot's song."""
        if slot.index not in self._casts:
            _make_room(self._casts, _KEPT_SONGS)
            song = self._schedule.song(slot)
            self._casts[slot.index] = cast_song(self._model, song, self._seed)
        return self._casts[slot.index]

    def line(self, at: int) -> Powers:
        """Latent, without wiggle, and level of the leading song at a sample."""
        position = np.array([at])
        tau = self.transport.tau_at(position, self._frames.sample_rate)
        slot = self._schedule.at(float(tau[0]))[-1]
        song = self._schedule.song(slot)
        line = song.path.weights(tau - slot.start) @ song.waypoints
        glided: Powers = self._glided(line, song, position)[0]
        return glided

    def nodes(self, first: int, n: int) -> dict[Slot, list[tuple[Nodes, int]]]:
        """Nodes [first, first + n) of each song that sounds at one of them."""
        numbers = [divmod(node, BATCH) for node in range(first, first + n)]
        batches = {b: self._batch(b) for b in sorted({b for b, _ in numbers})}
        slots = sorted(
            {slot for batch in batches.values() for slot in batch},
            key=lambda slot: slot.index,
        )
        return {
            slot: [(batches[b].get(slot) or self._silent, i) for b, i in numbers]
            for slot in slots
        }

    @cached_property
    def _silent(self) -> Nodes:
        """What sounds of a song where it does not."""
        return Nodes(
            np.zeros((BATCH, N_PLACES), np.float32),
            np.zeros((BATCH, self._frames.n_bins), np.float32),
            np.zeros((BATCH, self._model.axis.n_bands)),
            np.zeros((BATCH, N_COLOURS)),
        )

    def _batch(self, number: int) -> dict[Slot, Nodes]:
        """Nodes of each song of a batch."""
        if number not in self._batches:
            _make_room(self._batches, _KEPT_BATCHES)
            shares = self.shares(self._tau(number))
            self._batches[number] = {
                slot: self._combine(number, slot, share)
                for slot, share in shares.items()
            }
        return self._batches[number]

    def room_db(self, slot: Slot) -> float:
        """By how much sounds and notes of a song are lowered, to be at its level."""
        if slot.index not in self._rooms:
            _make_room(self._rooms, _KEPT_SONGS)
            cast, seconds = self.cast(slot), self._schedule.song(slot).duration
            space = float(self._controls["foreground/space"])
            power = sum(
                mean_power(kind.notes(self._controls), seconds, space)
                for kind in (cast.foreground, cast.arpeggio)
            )
            self._rooms[slot.index] = float(10.0 * np.log10(1.0 + power))
        return self._rooms[slot.index]

    def _combine(self, number: int, slot: Slot, share: Powers) -> Nodes:
        cast = self.cast(slot)
        lags = cast.lags(self.step_s)
        n_before = -(-lags.longest // BATCH)
        rows = [self._rows(b, slot) for b in range(number - n_before, number + 1)]
        whole = Decoded(
            cast.noise_gain * np.concatenate([r.noise for r in rows]),
            np.concatenate([r.tonal for r in rows]),
            0,
        )
        level = self._line(number, slot, 0.0)[:, -1]
        with np.errstate(divide="ignore"):
            levels = self._target_lufs + level + 10.0 * np.log10(share)
        levels += MOVED_LU - self.room_db(slot)
        return combine(
            whole,
            n_before * BATCH,
            lags,
            levels,
            float(self._controls["clarity"]),
            self._frames.n_bins,
            self._frames.sample_rate,
        )

    def _rows(self, number: int, slot: Slot) -> Decoded:
        """What is decoded of a song in a batch, before any lag."""
        key = (number, slot.index)
        if key not in self._decoded:
            _make_room(self._decoded, _KEPT_DECODED)
            self._decoded[key] = self._decode(number, slot)
            self.n_bad += self._decoded[key].n_bad
        return self._decoded[key]

    def _decode(self, number: int, slot: Slot) -> Decoded:
        song = self._schedule.song(slot)
        ahead = self.cast(slot).lags(self.step_s).body * self.step_s
        at = self._positions(number)
        seconds = (at - self.transport.at) / self._frames.sample_rate
        rate = float(self._controls["wiggle/rate"])
        offset = song.wiggler.offset(
            self.transport.turns + seconds * rate,
            float(self._controls["wiggle/amount"]),
            float(self._controls["wiggle/spread"]),
            rate * self.step_s,
        )
        line = self._line(number, slot, ahead)[:, :-1]
        return decode(self._model, song, line, offset)

    def _line(self, number: int, slot: Slot, ahead: float) -> Powers:
        """Latents, without wiggle, and levels of a song at the nodes of a batch.

        Args:
            number: of the batch.
            slot: of the song.
            ahead: seconds by which its path is read ahead.
        """
        tau, song = self._tau(number), self._schedule.song(slot)
        own = song.path.weights(tau + ahead - slot.start) @ song.waypoints
        line = own
        for other, share in self.shares(tau).items():
            if other != slot:  # in transit, each is drawn towards the other
                theirs = self._schedule.song(other)
                goal = theirs.path.weights(tau - other.start) @ theirs.waypoints
                line = line + 0.5 * share[:, None] * (goal - own)
        return self._glided(line, song, self._positions(number))

    def _positions(self, number: int) -> NDArray[np.int64]:
        nodes = number * BATCH + np.arange(BATCH, dtype=np.int64)
        return nodes * (self.step * self._frames.hop)

    def _tau(self, number: int) -> Powers:
        return self.transport.tau_at(self._positions(number), self._frames.sample_rate)

    def shares(self, tau: Powers) -> dict[Slot, Powers]:
        """Share of the power of each song that sounds at one of these times."""
        shares: dict[Slot, Powers] = {}
        for column, when in enumerate(tau.tolist()):
            sounding = self._schedule.at(when)
            for slot in sounding:
                share = shares.setdefault(slot, np.zeros(len(tau)))
                share[column] = mix_weight(slot, sounding, when)
        return shares

    def _glided(
        self, line: Powers, song: ComposedSong, at: NDArray[np.int64]
    ) -> Powers:
        transport = self.transport
        if transport.glide_from is None:
            return line
        goal = line
        if transport.target is not None:
            goal = np.broadcast_to(
                song.waypoints[SYMBOLS.index(transport.target)], line.shape
            )
        progress = (at - transport.glide_at) / (GLIDE_S * self._frames.sample_rate)
        share = np.clip(progress, 0.0, 1.0)[:, None]
        glided = transport.glide_from + share * (goal - transport.glide_from)
        return np.where(progress[:, None] < 0.0, line, glided)


def _make_room(kept: dict[Any, Any], most: int) -> None:
    """Remove the oldest of what is kept, so that one more makes `most`."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
