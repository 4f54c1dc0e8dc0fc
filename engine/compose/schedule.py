"""The song schedule: which song sounds at a moment, and how much of each.

A schedule is endless, or holds whole songs in a given duration. Each song gives way to
the next over an overlap; the last song of a schedule with an end has no successor, so
the stream ends as that song's pattern does.
"""

from dataclasses import dataclass, replace

import numpy as np

from effects.base.streams import Purpose, stream
from engine.compose.composer import ComposedSong, compose
from engine.compose.grammar import Grammar
from engine.compose.loudness_plan import fade_lengths
from engine.control.controls import Snapshot
from model.inference import TimbreModel

CROSSFADE_S = 16.0  # from one song into the next
NEXT_S = 4.0  # the same when asked to go on at once

# Composed songs that are kept, of a few kB each: who presses "next" again and again has
# many within the seconds that one batch of nodes reads back.
_KEPT_SONGS = 64
# Slots that ended so long ago are forgotten: more than what is decoded ahead of the
# ring's end, what the ring holds, and what a restart looks back for.
_KEPT_S = 180.0


@dataclass(frozen=True)
class Slot:
    """A song's place in the schedule, in seconds of composition time.

    Attributes:
        index: which song of the stream.
        start: when it begins.
        duration: length that it is composed for.
        end: when it has faded away: sooner than planned when it is cut short.
        overlap: seconds before its end in which it gives way to its successor.
        is_last: whether the stream ends with it; such a song has no successor, and
            sounds on after its end.
    """

    index: int
    start: float
    duration: float
    end: float
    overlap: float
    is_last: bool = False

    @property
    def next_start(self) -> float:
        """When its successor begins."""
        return np.inf if self.is_last else self.end - self.overlap


class SongSchedule:
    """The songs of a stream, composed when they are needed.

    Args:
        model: timbre space.
        grammar: of the patterns.
        controls: in force at the start.
        seed: of everything random.
        duration: seconds, or None for a schedule without end.
        like: point that all sounds lie near, see `likeness`; or nothing.
        preset: name that patterns depend on beside the seed.
        song: of the radio without end that begins this schedule, where it has an
            end of its own; None for a programme from the first song on.
    """

    def __init__(
        self,
        model: TimbreModel,
        grammar: Grammar,
        controls: Snapshot,
        *,
        seed: int,
        duration: float | None,
        like: str = "",
        preset: str = "",
        song: int | None = None,
    ) -> None:
        self._first = song or 0
        self._is_radio = duration is None or song is not None
        self._model, self._grammar, self._controls = model, grammar, controls
        self._seed, self._duration = seed, duration
        self._likes = [(0, like)]  # first song, and the point from it on
        self._preset = preset
        self._slots: list[Slot] = []
        self._songs: dict[tuple[int, float, bool, str], ComposedSong] = {}

    def at(self, tau: float) -> list[Slot]:
        """The songs that sound at `tau` seconds: one, or two while one gives way."""
        if not self._slots:
            self._append(self._first, 0.0)
        while self._slots[-1].next_start <= tau:
            last = self._slots[-1]
            self._append(last.index + 1, last.next_start)
        while len(self._slots) > 1 and self._slots[0].end < tau - _KEPT_S:
            del self._slots[0]
        sounding = [slot for slot in self._slots if slot.start <= tau < slot.end]
        return sounding[-2:] or [self._slots[0 if tau < self._slots[0].start else -1]]

    def song(self, slot: Slot) -> ComposedSong:
        """The song of a slot, composed when it is first asked for."""
        like = self.like(slot.index)
        key = (slot.index, slot.duration, slot.is_last, like)
        if key not in self._songs:
            while len(self._songs) >= _KEPT_SONGS:
                del self._songs[next(iter(self._songs))]
            self._songs[key] = self._compose(slot, like)
        return self._songs[key]

    def like(self, index: int) -> str:
        """The point that the sounds of song `index` lie near; or nothing."""
        return next(like for first, like in reversed(self._likes) if first <= index)

    def compose_ahead(self) -> None:
        """Compose the song after the latest slot, so that it is there in time."""
        if self._slots and not self._slots[-1].is_last:
            last = self._slots[-1]
            self.song(self._slot(last.index + 1, last.next_start))

    def recompose(self, tau: float, controls: Snapshot) -> None:
        """From `tau` on, compose so; songs that have begun keep their length.

        They are placed first, under the controls that were in force when they began: a
        replay from the middle of a session has asked for none of them yet.
        """
        self.at(tau)
        self._controls = controls
        self._songs.clear()
        self._slots = [slot for slot in self._slots if slot.start <= tau]

    def cut_short(self, tau: float) -> None:
        """End the song at `tau` soon, and start its successor there.

        Nothing changes where the stream itself ends sooner than that.
        """
        if self._duration is not None and tau + NEXT_S >= self._duration:
            return
        current = self.at(tau)[-1]
        ended = replace(current, end=tau + NEXT_S, overlap=NEXT_S, is_last=False)
        self._slots = [slot for slot in self._slots if slot.start < current.start]
        self._slots.append(ended)
        self._append(current.index + 1, tau)

    def start_from(self, tau: float, like: str) -> None:
        """Have the songs after the one at `tau` lie near a point, from soon on.

        Args:
            tau: composition time, seconds.
            like: the point, see `likeness`; or nothing for songs from everywhere.
        """
        following = self.at(tau)[-1].index + 1
        before = [entry for entry in self._likes if entry[0] < following]
        self._likes = [*before, (following, like)]
        self.cut_short(tau)

    def _append(self, index: int, start: float) -> None:
        self._slots.append(self._slot(index, start))

    def _slot(self, index: int, start: float) -> Slot:
        """Where song `index` goes if it begins at `start`.

        In a schedule with an end, what is left is divided into songs of equal length,
        as many as come nearest to the length that is asked for.
        """
        nominal = 60.0 * float(self._controls["song/minutes"])
        overlap = min(CROSSFADE_S, nominal / 4.0)
        if self._duration is None:
            rng = stream(Purpose.SONG_LENGTH, self._seed, index)
            length = nominal * rng.uniform(0.85, 1.15)
            return Slot(index, start, length, start + length, overlap)
        left = self._duration - start
        n_songs = max(1, round(left / nominal))
        if n_songs == 1:
            return Slot(index, start, left, self._duration, 0.0, is_last=True)
        overlap = min(overlap, left / n_songs / 4.0)
        length = (left + (n_songs - 1) * overlap) / n_songs
        return Slot(index, start, length, start + length, overlap)

    def _compose(self, slot: Slot, like: str) -> ComposedSong:
        return compose(
            self._model,
            self._grammar,
            self._controls,
            seed=self._seed,
            index=slot.index,
            duration=slot.duration,
            fades=self._fades(slot),
            like=like,
            preset=self._preset,
            is_endless=self._is_radio,
        )

    def _fades(self, slot: Slot) -> tuple[float, float]:
        """Seconds over which a song rises from silence, and falls to it."""
        if self._duration is None:
            return 0.0, 0.0
        fade_in, fade_out = fade_lengths(self._duration)
        return (
            fade_in if slot.index == self._first else 0.0,
            fade_out if slot.is_last else 0.0,
        )


def mix_weight(slot: Slot, sounding: list[Slot], tau: float) -> float:
    """Share of the power that a sounding song has at `tau`; the shares sum to 1."""
    if len(sounding) < 2:
        return 1.0
    first = sounding[0]
    progress = (tau - first.next_start) / first.overlap
    share = float(np.sin(0.5 * np.pi * np.clip(progress, 0.0, 1.0)) ** 2)
    return 1.0 - share if slot is first else share
