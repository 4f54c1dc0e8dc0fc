"""Songs in composition time: which sound at a moment, and how much of each.

A programme is endless, or holds whole songs of equal length in a given duration. Each
song gives way to the next over an overlap.
"""

from dataclasses import dataclass, replace

import numpy as np

from engine.compose.composer import Song, compose
from engine.compose.grammar import Grammar
from engine.compose.loudness_plan import fade_lengths
from engine.control.controls import Snapshot
from model.inference import TimbreModel

CROSSFADE_S = 16.0  # from one song into the next
NEXT_S = 4.0  # the same when asked to go on at once
ARC_SONGS = 12  # an hour: the period in which an endless programme brightens and dims
ARC_DEPTH = 0.35  # of that, in ranking weight

_KEPT_SONGS = 4  # behind the ring's depth none is asked for again


@dataclass(frozen=True)
class Placed:
    """The place of a song, in seconds of composition time.

    Attributes:
        index: which song of the stream.
        start: when it begins.
        duration: how long it is meant to be.
        end: when it has faded away: sooner when it is cut short.
        overlap: time before its end in which it gives way to its successor.
    """

    index: int
    start: float
    duration: float
    end: float
    overlap: float


class Programme:
    """The songs of a stream, composed when they are needed.

    Args:
        model: timbre space.
        grammar: of the patterns.
        controls: in force at the start.
        seed: of everything random.
        duration: seconds, or None for a programme without end.
        like: point that all sounds lie near, see `likeness`; or nothing.
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
    ) -> None:
        self._model, self._grammar, self._controls = model, grammar, controls
        self._seed, self._duration, self._like = seed, duration, like
        self._placed: list[Placed] = []
        self._songs: dict[tuple[int, float], Song] = {}

    def at(self, tau: float) -> list[Placed]:
        """The songs that sound at `tau` seconds: one, or two while one gives way."""
        if not self._placed:
            self._place(0, 0.0)
        while self._placed[-1].end - self._placed[-1].overlap <= tau:
            last = self._placed[-1]
            self._place(last.index + 1, last.end - last.overlap)
        del self._placed[:-_KEPT_SONGS]
        sounding = [p for p in self._placed if p.start <= tau < p.end]
        return sounding[-2:] or [self._placed[-1]]

    def song(self, placed: Placed) -> Song:
        """The song of a place, composed when it is first asked for."""
        key = (placed.index, placed.duration)
        if key not in self._songs:
            while len(self._songs) >= _KEPT_SONGS:
                del self._songs[next(iter(self._songs))]
            self._songs[key] = self._compose(placed.index, placed.duration)
        return self._songs[key]

    def foresee(self) -> None:
        """Compose the song after the last, so that it is there when it is asked for."""
        if self._placed:
            index = self._placed[-1].index + 1
            duration, overlap = self._song_length(index)
            self.song(Placed(index, 0.0, duration, duration, overlap))

    def recompose(self, tau: float, controls: Snapshot) -> None:
        """From `tau` on, compose so; songs that have begun keep their length."""
        self._controls = controls
        self._songs.clear()
        self._placed = [p for p in self._placed if p.start <= tau]

    def cut_short(self, tau: float) -> None:
        """End the song at `tau` soon, and start its successor there."""
        current = self.at(tau)[-1]
        ended = replace(current, end=tau + NEXT_S, overlap=NEXT_S)
        self._placed = [p for p in self._placed if p.start < current.start]
        self._placed.append(ended)
        self._place(current.index + 1, tau)

    def _place(self, index: int, start: float) -> None:
        duration, overlap = self._song_length(index)
        end = start + duration
        self._placed.append(Placed(index, start, duration, end, overlap))

    def _song_length(self, index: int) -> tuple[float, float]:
        """Duration and overlap of a song, in seconds."""
        nominal = 60.0 * float(self._controls["song/minutes"])
        overlap = min(CROSSFADE_S, nominal / 4.0)
        if self._duration is None:
            rng = np.random.default_rng([self._seed, index])
            return nominal * rng.uniform(0.85, 1.15), overlap
        n_songs = self._n_songs(self._duration)
        overlap = min(overlap, self._duration / n_songs / 4.0)
        return (self._duration + (n_songs - 1) * overlap) / n_songs, overlap

    def _n_songs(self, duration: float) -> int:
        return max(1, round(duration / (60.0 * float(self._controls["song/minutes"]))))

    def _compose(self, index: int, duration: float) -> Song:
        return compose(
            self._model,
            self._grammar,
            self._with_arc(index),
            seed=self._seed,
            index=index,
            duration=duration,
            fades=self._fades(index),
            like=self._like,
        )

    def _fades(self, index: int) -> tuple[float, float]:
        """Seconds over which a song rises from silence, and falls to it."""
        if self._duration is None:
            return 0.0, 0.0
        fade_in, fade_out = fade_lengths(self._duration)
        last = self._n_songs(self._duration) - 1
        return fade_in if index == 0 else 0.0, fade_out if index == last else 0.0

    def _with_arc(self, index: int) -> Snapshot:
        """The controls, with the slow swing of an endless programme."""
        if self._duration is not None:
            return self._controls
        swing = ARC_DEPTH * float(np.sin(2.0 * np.pi * index / ARC_SONGS))
        brightness = float(self._controls["rank/brightness"]) + swing
        return {**self._controls, "rank/brightness": brightness}


def presence(placed: Placed, songs: list[Placed], tau: float) -> float:
    """Share of the power that a sounding song has at `tau`; the shares sum to 1."""
    if len(songs) < 2:
        return 1.0
    first = songs[0]
    progress = (tau - (first.end - first.overlap)) / first.overlap
    share = float(np.sin(0.5 * np.pi * np.clip(progress, 0.0, 1.0)) ** 2)
    return 1.0 - share if placed is first else share
