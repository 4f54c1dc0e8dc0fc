"""What each slab of the stream is to hold: partials and noise, frame by frame.

The planner reads where the songs are, decodes the nodes around a slab, and moves what
lies between them. A slab's plan is a function of the transport, the controls and its
number: a restart with another transport forgets all that was decoded before.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.third_octaves import CENTRES_HZ, WIDTH, Bands
from effects.base.streams import Purpose, stream
from engine.compose.composer import ComposedSong
from engine.compose.path import SYMBOLS
from engine.compose.schedule import Slot, SongSchedule, mix_weight
from engine.control.controls import Snapshot
from engine.sound import foreground, motion
from engine.sound.decoding import BATCH, Decoded, Lags, Nodes, combine, decode
from engine.sound.foreground import Score, Tone, Tones, write_score
from engine.sound.motion import Depth, Gestures, Voices, find_voices
from engine.sound.partials import N_PLACES, gather, place_hz
from engine.sound.synthesis import OVERLAP, SLAB_FRAMES, Frames, Partials
from engine.sound.transport import Transport
from model.inference import TimbreModel
from model.spectrum import bin_power

GLIDE_S = 4.0  # to a point that was asked for, and back
FAINTEST = 10.0 ** (-75.0 / 10.0)  # power of a partial beside the loudest of a slab

FAINTEST_NOTE = 10.0 ** (-60.0 / 20.0)  # amplitude of a note's partial beside the note

# Lags between the parts of the music: a share of a song's step, within bounds.
LAG_STEPS = 0.3
LONGEST_LAG_S = 3.0
NOISE_S = 3.0  # over which the noise is a mean

_KEPT_BATCHES = 12
_KEPT_SONGS = 4

Powers = NDArray[np.float64]
Places = NDArray[np.intp]


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
        """Mean square of its partials in third octaves, at its end."""
        frame = SLAB_FRAMES - OVERLAP // 2
        power = 0.5 * self.partials.amplitude[:, frame].astype(np.float64) ** 2
        upper = np.searchsorted(self.partials.places, _UPPER)
        lower = np.searchsorted(self.partials.places, _LOWER)
        cumulative = np.concatenate([[0.0], np.cumsum(power)])
        return np.maximum(cumulative[upper] - cumulative[lower], 0.0)


_UPPER, _LOWER = (
    np.searchsorted(place_hz(), edges)
    for edges in (CENTRES_HZ * WIDTH, CENTRES_HZ / WIDTH)
)


@dataclass
class _Cast:
    """What stays the same of a song while it plays.

    Attributes:
        voices: of its partials.
        order: in which bass, body and noise come to a sound: a permutation of 0, 1, 2.
        step: seconds of its pattern for one symbol.
        score, tones: of its foreground.
        notes: samples at which the notes begin, their levels, and which of the score
            they are; worked out when first needed.
    """

    voices: Voices
    order: tuple[int, ...]
    step: float
    score: Score
    tones: Tones
    notes: tuple[Powers, Powers, Places] | None = None

    def lags(self, node_s: float) -> Lags:
        """Of the parts, for nodes so far apart; the path is ahead by the body's."""
        reach = min(LAG_STEPS * self.step, LONGEST_LAG_S)
        bass, body, noise = (round(place * reach / node_s) for place in self.order)
        n_taps = max(1, round(NOISE_S / node_s / 3.0))
        taps = {noise + tap * n_taps for tap in range(4)}
        return Lags(bass, body, tuple(sorted(taps)))


@dataclass(frozen=True)
class _Notes:
    """Notes in the frames of a slab.

    Attributes:
        partials: of all of them.
        breath: mean square in each bin, shape (SLAB_FRAMES, n_bins).
    """

    partials: Partials
    breath: NDArray[np.float32]


class Planner:
    """Plans slabs of one stream.

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
        self.n_bad = 0
        self._model, self._schedule = model, schedule
        self._seed, self._frames = seed, frames
        self._target_lufs, self._controls = target_lufs, controls
        self._decoded: dict[tuple[int, int], Decoded] = {}
        self._batches: dict[int, dict[Slot, Nodes]] = {}
        self._casts: dict[int, _Cast] = {}

    def restart(self, transport: Transport, controls: Snapshot) -> None:
        """Plan all slabs anew, by this transport and these controls."""
        self.transport, self._controls = transport, controls
        self._decoded.clear()
        self._batches.clear()
        self._casts.clear()

    def slab(self, number: int) -> Slab:
        """The plan of slab `number`."""
        first = number * SLAB_FRAMES + OVERLAP // 2
        node, weights = self._between(first)
        centres = (first + np.arange(SLAB_FRAMES)) * self._frames.hop
        seconds = (centres - self.transport.at) / self._frames.sample_rate
        moved = self.transport.moved + seconds * float(self._controls["motion/rate"])
        depth = Depth(
            float(self._controls["motion/depth"]), float(self._controls["motion/own"])
        )
        gestures = motion.gestures(self._seed, moved)
        density = float(self._controls["foreground/density"])
        noise = np.zeros((SLAB_FRAMES, self._frames.n_bins), np.float32)
        bands = np.zeros(self._model.axis.n_bands)
        sources = []
        for slot, rows in self._nodes(node, len(weights)).items():
            noise += weights.T @ np.stack([nodes.noise[i] for nodes, i in rows])
            tonal = np.stack([nodes.tonal[i] for nodes, i in rows])
            sources.append(self._partials(slot, tonal, weights, gestures, depth))
            nodes, i = rows[-2]
            bands += nodes.bands[i]
            if density > 0.0:
                notes = self._notes(slot, centres)
                if notes is not None:
                    sources.append(notes.partials)
                    noise += notes.breath
        np.sqrt(noise, out=noise)
        gains = motion.noise_gains(gestures, depth).T
        for frame in range(0, SLAB_FRAMES, 8):  # products that no library divides
            rows = slice(frame, frame + 8)
            noise[rows] *= gains[rows] @ self._frames.noise_bands
        return Slab(number, _merged(sources), noise, bands)

    def line(self, at: int) -> Powers:
        """Latent, without wiggle, and level of the leading song at a sample."""
        position = np.array([at])
        tau = self.transport.tau_at(position, self._frames.sample_rate)
        slot = self._schedule.at(float(tau[0]))[-1]
        song = self._schedule.song(slot)
        line = song.path.weights(tau - slot.start) @ song.waypoints
        glided: Powers = self._glided(line, song, position)[0]
        return glided

    # Between nodes.

    @property
    def _step(self) -> int:
        """Frames between nodes."""
        hop = float(self._controls["hop"]) * self._frames.sample_rate
        return max(1, round(hop / self._frames.hop))

    @property
    def _notes_power(self) -> float:
        """Power of the notes beside the music's own."""
        return foreground.mean_power(
            float(self._controls["foreground/density"]),
            float(self._controls["foreground/level"]),
        )

    @property
    def _step_s(self) -> float:
        return self._step * self._frames.hop / self._frames.sample_rate

    def _between(self, first: int) -> tuple[int, NDArray[np.float32]]:
        """The first node that a slab needs, and the share of each in its frames.

        Shares have shape (n_nodes, SLAB_FRAMES), where the number of nodes depends on
        the step alone.
        """
        step = self._step
        n = (step + SLAB_FRAMES - 2) // step + 2
        node, ahead = divmod(first, step)
        place = (ahead + np.arange(SLAB_FRAMES)) / step
        weights = np.clip(1.0 - np.abs(place[None] - np.arange(n)[:, None]), 0.0, 1.0)
        return node, weights.astype(np.float32)

    def _partials(
        self,
        slot: Slot,
        tonal: NDArray[np.float32],
        weights: NDArray[np.float32],
        gestures: Gestures,
        depth: Depth,
    ) -> Partials:
        loudest = tonal.max(axis=0)
        places = np.flatnonzero(loudest > FAINTEST * loudest.max(initial=1e-20))
        voices = self._cast(slot).voices
        amplitude = np.ascontiguousarray(tonal[:, places].T) @ weights
        amplitude *= 2.0
        np.sqrt(amplitude, out=amplitude)
        amplitude *= motion.partial_gains(gestures, voices, places, depth)
        pan = motion.pans(gestures, depth)
        return Partials(
            places,
            voices.phases[places],
            voices.sides[places],
            amplitude,
            pan,
            voices.of_place[places],
        )

    def _notes(self, slot: Slot, centres: NDArray[np.int64]) -> "_Notes | None":
        """What sounds of a song's notes in frames with these centres."""
        cast, rate = self._cast(slot), self._frames.sample_rate
        if cast.notes is None:
            cast.notes = self._placed_notes(slot, cast.score)
        begun, levels, which = cast.notes
        first, last = np.searchsorted(
            begun, (centres[0] - foreground.LIFE_S * rate, centres[-1])
        )
        if first == last:
            return None
        tones = [
            cast.tones.tone(int(cast.score.symbols[i]), int(cast.score.moments[i]))
            for i in which[first:last]
        ]
        ends = self._shares(self.transport.tau_at(centres[[0, -1]], rate))
        share = np.linspace(*ends.get(slot, np.zeros(2)), SLAB_FRAMES)
        return _played(
            tones,
            (centres[None] - begun[first:last, None]) / rate,
            levels[first:last],
            np.sqrt(share).astype(np.float32),
            float(self._controls["foreground/space"]),
            self._frames,
        )

    def _placed_notes(
        self, slot: Slot, score: Score
    ) -> "tuple[Powers, Powers, Places]":
        """Samples at which a song's notes begin, their levels, and which they are."""
        which = np.flatnonzero(
            score.sounding(float(self._controls["foreground/density"]))
        )
        seconds = score.seconds[which]
        song = self._schedule.song(slot)
        level = (song.path.weights(seconds) @ song.waypoints)[:, -1]
        level += self._target_lufs + float(self._controls["foreground/level"])
        begun = self.transport.positions_of(
            slot.start + seconds, self._frames.sample_rate
        )
        return begun, level, which

    # Nodes.

    def _nodes(self, first: int, n: int) -> dict[Slot, list[tuple[Nodes, int]]]:
        """Nodes [first, first + n) of each song that sounds at one of them."""
        numbers = [divmod(node, BATCH) for node in range(first, first + n)]
        batches = {b: self._batch(b) for b in sorted({b for b, _ in numbers})}
        slots = sorted(
            {slot for batch in batches.values() for slot in batch},
            key=lambda slot: slot.index,
        )
        silent = self._silent()
        return {
            slot: [(batches[b].get(slot, silent), i) for b, i in numbers]
            for slot in slots
        }

    def _silent(self) -> Nodes:
        return Nodes(
            np.zeros((BATCH, N_PLACES), np.float32),
            np.zeros((BATCH, self._frames.n_bins), np.float32),
            np.zeros((BATCH, self._model.axis.n_bands)),
        )

    def _batch(self, number: int) -> dict[Slot, Nodes]:
        """Nodes of each song of a batch."""
        if number not in self._batches:
            _forget(self._batches)
            shares = self._shares(self._tau(number))
            self._batches[number] = {
                slot: self._combine(number, slot, share)
                for slot, share in shares.items()
            }
        return self._batches[number]

    def _combine(self, number: int, slot: Slot, share: Powers) -> Nodes:
        lags = self._cast(slot).lags(self._step_s)
        n_before = -(-lags.longest // BATCH)
        rows = [self._rows(b, slot) for b in range(number - n_before, number + 1)]
        whole = Decoded(
            np.concatenate([r.noise for r in rows]),
            np.concatenate([r.tonal for r in rows]),
            0,
        )
        level = self._line(number, slot, 0.0)[:, -1]
        with np.errstate(divide="ignore"):
            levels = self._target_lufs + level + 10.0 * np.log10(share)
        levels -= 10.0 * np.log10(1.0 + self._notes_power)
        return combine(
            whole,
            n_before * BATCH,
            lags,
            levels,
            self._frames.n_bins,
            self._frames.sample_rate,
        )

    def _rows(self, number: int, slot: Slot) -> Decoded:
        """What is decoded of a song in a batch, before any lag."""
        key = (number, slot.index)
        if key not in self._decoded:
            _forget(self._decoded)
            self._decoded[key] = self._decode(number, slot)
            self.n_bad += self._decoded[key].n_bad
        return self._decoded[key]

    def _decode(self, number: int, slot: Slot) -> Decoded:
        song = self._schedule.song(slot)
        ahead = self._cast(slot).lags(self._step_s).body * self._step_s
        at = self._positions(number)
        seconds = (at - self.transport.at) / self._frames.sample_rate
        rate = float(self._controls["wiggle/rate"])
        offset = song.wiggler.offset(
            self.transport.turns + seconds * rate,
            float(self._controls["wiggle/amount"]),
            float(self._controls["wiggle/spread"]),
            rate * self._step_s,
        )
        line = self._line(number, slot, ahead)[:, :-1]
        clarity = float(self._controls["clarity"])
        return decode(self._model, song, line, offset, clarity)

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
        for other, share in self._shares(tau).items():
            if other != slot:  # in transit, each is drawn towards the other
                theirs = self._schedule.song(other)
                goal = theirs.path.weights(tau - other.start) @ theirs.waypoints
                line = line + 0.5 * share[:, None] * (goal - own)
        return self._glided(line, song, self._positions(number))

    def _positions(self, number: int) -> NDArray[np.int64]:
        nodes = number * BATCH + np.arange(BATCH, dtype=np.int64)
        return nodes * (self._step * self._frames.hop)

    def _tau(self, number: int) -> Powers:
        return self.transport.tau_at(self._positions(number), self._frames.sample_rate)

    def _shares(self, tau: Powers) -> dict[Slot, Powers]:
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

    def _cast(self, slot: Slot) -> _Cast:
        if slot.index not in self._casts:
            _forget(self._casts, _KEPT_SONGS)
            song = self._schedule.song(slot)
            rng = stream(Purpose.SONG_LAYERS, self._seed, slot.index)
            sounds = decode(
                self._model,
                song,
                song.points.astype(np.float64),
                np.zeros(song.points.shape),
                float(self._controls["clarity"]),
            )
            times = song.path.times
            self._casts[slot.index] = _Cast(
                find_voices(
                    np.stack([gather(row) for row in sounds.tonal]),
                    stream(Purpose.SONG_VOICES, self._seed, slot.index),
                ),
                tuple(rng.permutation(3).tolist()),
                float(np.median(np.diff(times))) if len(times) > 1 else 0.0,
                write_score(song.path, slot.duration, self._seed, slot.index),
                Tones(sounds, self._seed, slot.index),
            )
        return self._casts[slot.index]


def _played(
    tones: list[Tone],
    seconds: Powers,
    level: Powers,
    share: NDArray[np.float32],
    space: float,
    frames: Frames,
) -> _Notes:
    """Notes in the frames of a slab.

    Args:
        tones: of each note.
        seconds: since it began, shape (n, SLAB_FRAMES).
        level: of each, LUFS.
        share: amplitude that their song has, shape (SLAB_FRAMES,).
        space: 0..1, amplitude of the diffuse tail.
        frames: of the sample rate.
    """
    gain = 10.0 ** (level / 20.0)
    counts = [len(tone.places) for tone in tones]
    note = np.repeat(np.arange(len(tones)), counts)
    amplitude = np.concatenate([tone.amplitude for tone in tones])
    amplitude *= gain.astype(np.float32)[note]
    amplitude[np.concatenate([tone.is_space for tone in tones])] *= np.float32(space)
    attack = np.concatenate([tone.attack for tone in tones])
    decay = np.concatenate([tone.decay for tone in tones])
    # Only what is still heard: most of a note's partials are gone soon.
    latest = np.maximum(seconds[note, 0] - attack, 0.0) / decay
    heard = np.flatnonzero(amplitude > FAINTEST_NOTE * gain[note] * np.exp(latest))
    note = note[heard]
    moving = foreground.envelope(seconds[note], attack[heard], decay[heard])
    moving *= amplitude[heard, None]
    moving *= share
    pan = np.array([tone.pan for tone in tones], np.float32)
    breath = np.zeros((SLAB_FRAMES, frames.n_bins), np.float32)
    for tone, when, by in zip(tones, seconds, gain, strict=True):
        if when[0] < foreground.BREATH_LIFE_S and when[-1] > 0.0:
            colour = bin_power(tone.breath, frames.length, frames.sample_rate)
            power = foreground.breath_envelope(when[None])[0] * np.float32(by * by)
            power *= share * share
            breath += np.outer(power, colour.astype(np.float32))
    return _Notes(
        Partials(
            np.concatenate([tone.places for tone in tones])[heard],
            np.concatenate([tone.phases for tone in tones])[heard],
            np.concatenate([tone.sides for tone in tones])[heard],
            moving,
            np.broadcast_to(pan[:, None], (len(tones), SLAB_FRAMES)),
            note,
        ),
        breath,
    )


def _forget(kept: dict[Any, Any], most: int = _KEPT_BATCHES) -> None:
    """Make room for one more."""
    while len(kept) >= most:
        del kept[next(iter(kept))]


def _merged(sources: list[Partials]) -> Partials:
    if len(sources) == 1:
        return sources[0]
    places = np.concatenate([s.places for s in sources])
    order = np.argsort(places, kind="stable")
    firsts = np.cumsum([0, *(len(s.pan) for s in sources[:-1])])
    return Partials(
        places[order],
        np.concatenate([s.phases for s in sources])[order],
        np.concatenate([s.sides for s in sources])[order],
        np.concatenate([s.amplitude for s in sources])[order],
        np.concatenate([s.pan for s in sources]),
        np.concatenate(
            [s.voices + first for s, first in zip(sources, firsts, strict=True)]
        )[order],
    )
