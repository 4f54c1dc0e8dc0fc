"""What each slab of the stream is to hold: partials and noise, frame by frame.

Between the nodes around a slab, powers go in straight lines; movement and notes are
added. A slab's plan is a function of the transport, the controls and its number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.audio.third_octaves import CENTRES_HZ, WIDTH, Bands
from engine.compose.schedule import Slot, SongSchedule
from engine.control.controls import Snapshot
from engine.sound import motion
from engine.sound.frames import SLAB_FRAMES, Frames
from engine.sound.motion import Depth, Gestures
from engine.sound.node_source import NodeSource
from engine.sound.notes import SlabNotes, play
from engine.sound.partials import place_hz, place_weighting
from engine.sound.synthesis import Partials
from engine.sound.tones import Notes
from model.config import AXIS

FAINTEST = 10.0 ** (-75.0 / 10.0)  # power at a place beside the strongest one's
UNHEARD = 10.0 ** (-75.0 / 20.0)  # the same of a partial's amplitude, K-weighted
MOVED_DIGITS = 9  # decimals to which seconds of the movement are rounded

Powers = NDArray[np.float64]
Places = NDArray[np.intp]
# Notes of a kind, the samples at which they begin, and their levels in LUFS.
_Placed = tuple[Notes, Powers, Powers]


@dataclass(frozen=True)
class Slab:
    """What a slab is to hold.

    Attributes:
        number: of the slab.
        partials: see `synthesis`.
        noise: magnitude in each bin, shape (SLAB_FRAMES, n_bins).
        bands: band powers near its end, shape (n_bands,).
    """

    number: int
    partials: Partials
    noise: NDArray[np.float32]
    bands: Powers

    @cached_property
    def masking(self) -> Bands:
        """Mean square of its partials in third octaves, shape (2, N_BANDS).

        About in its middle and at its end.
        """
        frames = [SLAB_FRAMES // 2 - 1, SLAB_FRAMES - 1]
        power = 0.5 * self.partials.amplitude[:, frames].T.astype(np.float64) ** 2
        upper = np.searchsorted(self.partials.places, _UPPER)
        lower = np.searchsorted(self.partials.places, _LOWER)
        cumulative = np.zeros((2, power.shape[1] + 1))
        np.cumsum(power, axis=1, out=cumulative[:, 1:])
        bands: Bands = np.maximum(cumulative[:, upper] - cumulative[:, lower], 0.0)
        return bands


_UPPER, _LOWER = (
    np.searchsorted(place_hz(), edges)
    for edges in (CENTRES_HZ * WIDTH, CENTRES_HZ / WIDTH)
)


class Planner:
    """Plans slabs of one stream.

    Args:
        nodes: of the stream.
        schedule: of the songs.
        seed: of the stream.
        frames: of the sample rate.
        target_lufs: integrated loudness of the music.
        controls: in force at the start.
    """

    def __init__(
        self,
        nodes: NodeSource,
        schedule: SongSchedule,
        seed: int,
        frames: Frames,
        target_lufs: float,
        controls: Snapshot,
    ) -> None:
        self._nodes, self._schedule = nodes, schedule
        self._seed, self._frames = seed, frames
        self._target_lufs, self._controls = target_lufs, controls
        self._placed: dict[int, list[_Placed]] = {}

    def restart(self, controls: Snapshot) -> None:
        """Plan all slabs anew; the node source has been restarted."""
        self._controls = controls
        self._placed.clear()

    def slab(self, number: int) -> Slab:
        """The plan of slab `number`."""
        centres = self._frames.centres(number)
        node, weights = self._between(centres)
        seconds = (centres - self._nodes.transport.at) / self._frames.sample_rate
        moved = self._nodes.transport.moved + seconds * float(
            self._controls["motion/rate"]
        )
        # The same moment counted from another sample differs in its last bit. Where it
        # lies on an entry of a table, it would then be read from the entry before.
        moved = np.round(moved, MOVED_DIGITS)
        depth = Depth(
            float(self._controls["motion/depth"]), float(self._controls["motion/own"])
        )
        gestures = motion.gestures(self._seed, moved)
        around = self._nodes.nodes(node, len(weights))
        weighted = np.zeros((motion.N_COLOURS, SLAB_FRAMES), np.float32)
        for rows in around.values():
            at_nodes = np.stack([nodes.weighted[i] for nodes, i in rows], axis=1)
            weighted += at_nodes.astype(np.float32) @ weights
        colours = motion.colours(gestures, depth, weighted)
        noise = np.zeros((SLAB_FRAMES, self._frames.n_bins), np.float32)
        bands = np.zeros(AXIS.n_bands)
        sources = []
        for slot, rows in around.items():
            noise += weights.T @ np.stack([nodes.noise[i] for nodes, i in rows])
            tonal = np.stack([nodes.tonal[i] for nodes, i in rows])
            partials = self._partials(slot, tonal, weights, gestures, depth, colours)
            sources.append(partials)
            nodes, i = rows[-2]
            bands += nodes.bands[i]
            for notes in self._notes(slot, centres):
                sources.append(notes.partials)
                if notes.breath is not None:
                    noise += notes.breath
        np.sqrt(noise, out=noise)
        gains = motion.noise_gains(gestures, depth, colours).T
        for frame in range(0, SLAB_FRAMES, 8):  # products that no library divides
            part = slice(frame, frame + 8)
            noise[part] *= gains[part] @ self._frames.noise_bands
        return Slab(number, _merged(sources), noise, bands)

    def _between(self, centres: NDArray[np.int64]) -> tuple[int, NDArray[np.float32]]:
        """The first of the nodes around frames, and the share of each in each frame.

        Shares have shape (n_nodes, SLAB_FRAMES), where the number of nodes depends on
        the step alone.
        """
        step = self._nodes.step
        n = (step + SLAB_FRAMES - 2) // step + 2
        apart = step * self._frames.hop
        node = int(centres[0]) // apart
        place = centres / apart - node
        weights = np.clip(1.0 - np.abs(place[None] - np.arange(n)[:, None]), 0.0, 1.0)
        return node, weights.astype(np.float32)

    def _partials(
        self,
        slot: Slot,
        tonal: NDArray[np.float32],
        weights: NDArray[np.float32],
        gestures: Gestures,
        depth: Depth,
        colours: NDArray[np.float32],
    ) -> Partials:
        loudest = tonal.max(axis=0)
        places = np.flatnonzero(loudest > FAINTEST * loudest.max(initial=1e-20))
        voices = self._nodes.cast(slot).voices
        power = np.ascontiguousarray(tonal[:, places].T) @ weights
        gains = motion.partial_gains(gestures, voices, places, power, depth, colours)
        amplitude = np.sqrt(2.0 * power)
        amplitude *= gains
        pan = motion.pans(gestures, depth)
        return Partials(
            places,
            voices.phases[places],
            voices.sides[places],
            amplitude,
            pan,
            voices.of_place[places],
        )

    def _notes(self, slot: Slot, centres: NDArray[np.int64]) -> Iterator[SlabNotes]:
        """What sounds of each kind of a song's notes in frames with these centres."""
        rate, share = self._frames.sample_rate, None
        for notes, begun, levels in self._placed_notes(slot):
            earliest = centres[0] - notes.life_s * rate
            first, last = np.searchsorted(begun, (earliest, centres[-1]))
            if first == last:
                continue
            if share is None:
                share = self._share(slot, centres)
            yield play(
                [notes.tone(*key) for key in notes.keys[first:last]],
                (centres[None] - begun[first:last, None]) / rate,
                levels[first:last],
                share,
                float(self._controls["foreground/space"]),
                self._frames,
            )

    def _share(self, slot: Slot, centres: NDArray[np.int64]) -> NDArray[np.float32]:
        """Amplitude that a song has in frames with these centres."""
        rate = self._frames.sample_rate
        ends = self._nodes.transport.tau_at(centres[[0, -1]], rate)
        first, last = self._nodes.shares(ends).get(slot, np.zeros(2)).tolist()
        return np.sqrt(np.linspace(first, last, SLAB_FRAMES)).astype(np.float32)

    def _placed_notes(self, slot: Slot) -> list[_Placed]:
        """Each kind of a song's notes, when they begin, and their levels."""
        if slot.index not in self._placed:
            cast = self._nodes.cast(slot)
            kinds = (cast.foreground, cast.arpeggio)
            self._placed[slot.index] = [
                self._place(slot, kind.notes(self._controls)) for kind in kinds
            ]
        return self._placed[slot.index]

    def _place(self, slot: Slot, notes: Notes) -> _Placed:
        song = self._schedule.song(slot)
        held = (song.path.weights(notes.seconds) @ song.waypoints)[:, -1]
        begun = self._nodes.transport.positions_of(
            slot.start + notes.seconds, self._frames.sample_rate
        )
        level = held + self._target_lufs - self._nodes.room_db(slot)
        return notes, begun, level + notes.level_db


@lru_cache(maxsize=1)
def _heard_as() -> NDArray[np.float32]:
    """K-weighting of an amplitude at each place."""
    return np.sqrt(place_weighting()).astype(np.float32)


def _merged(sources: list[Partials]) -> Partials:
    """All partials by their places, but for those that nobody hears beside the rest."""
    amplitude = np.concatenate([s.amplitude for s in sources])
    places = np.concatenate([s.places for s in sources])
    highest = amplitude.max(axis=1, initial=0.0) * _heard_as()[places]
    heard = np.flatnonzero(highest > UNHEARD * highest.max(initial=0.0))
    order = heard[np.argsort(places[heard], kind="stable")]
    firsts = np.cumsum([0, *(len(s.pan) for s in sources[:-1])])
    return Partials(
        places[order],
        np.concatenate([s.phases for s in sources])[order],
        np.concatenate([s.sides for s in sources])[order],
        amplitude[order],
        np.concatenate([s.pan for s in sources]),
        np.concatenate(
            [s.voices + first for s, first in zip(sources, firsts, strict=True)]
        )[order],
    )
