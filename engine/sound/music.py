"""The stream of music: songs slot in time, decoded, synthesised and blended.

`Music` yields the stream hop by hop, as the four layers of `synthesis.LAYERS`, and
can go back: `replan` and `command` change what is played from a given sample on, and
the next hops start there again. Whoever holds what was already rendered crossfades
into the new. What a `Music` yields depends on its seed, model, grammar and on those
calls alone, so a live session and its replay are the same object turned by another
crank. One thread owns it.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples, db_to_amplitude
from effects.audio.third_octaves import Bands, band_sums
from effects.base.errors import InputError
from effects.bed.masking import BandEnvelope as Course
from engine.compose.composer import ComposedSong
from engine.compose.grammar import Grammar
from engine.compose.loudness_plan import FADE_IN_S, FADE_OUT_S, fade_lengths
from engine.compose.path import SYMBOLS
from engine.compose.pool import guarded
from engine.compose.schedule import Slot, SongSchedule, mix_weight
from engine.compose.tuning import dissolved, shift_bands
from engine.compose.wiggler import PERIOD
from engine.control.controls import Snapshot
from engine.sound.blend import blend
from engine.sound.concealment import Concealment
from engine.sound.concealment_loop import standby_loop
from engine.sound.synthesis import Frame, synthesise
from model.inference import TimbreModel
from model.spectrum import loudness

GLIDE_S = 4.0  # to a point that was asked for, and back
QUIETEST_LUFS = -90.0  # what is softer as decoded is not raised to its level
COMMANDS = ("next", "go")

_STANDBY = 3  # after the kinds of phases in `synthesis`


@dataclass(frozen=True)
class Transport:
    """How stream time maps to composition time, from sample `at` on.

    Attributes:
        at: sample from which this holds.
        tau: composition time there, seconds.
        running: False while held.
        turns: of the wiggler, at that sample.
        glide_from: latent and level from which a glide set out at sample `glide_at`,
            shape (n_latents + 1,), or None.
        target: symbol that is glided to, or None for the path.
    """

    at: int = 0
    tau: float = 0.0
    running: bool = True
    turns: float = 0.0
    glide_at: int = 0
    glide_from: NDArray[np.float64] | None = field(default=None, compare=False)
    target: str | None = None


@dataclass(frozen=True)
class Now:
    """Where the music is, for those who watch.

    Attributes:
        position: sample of the stream.
        index: which song.
        pattern: of it.
        symbol: number of the symbol that sounds, in the pattern.
        progress: through the song, 0..1.
        length: of the song in s.
        point: on the line, without wiggle, shape (n_latents,).
        points: the song's five sounds, shape (5, n_latents).
    """

    position: int
    index: int
    pattern: str
    symbol: int
    progress: float
    length: float
    point: tuple[float, ...]
    points: NDArray[np.float32] = field(compare=False)


class Music:
    """An endless, or `duration` seconds long, stream of songs.

    Args:
        model: timbre space.
        grammar: of the patterns.
        controls: in force at the start.
        seed: of everything random.
        sample_rate: Hz.
        duration: seconds, or None for a radio without end.
        target_lufs: integrated loudness of the music.
        like: point that all sounds lie near, see `likeness`; or nothing.
        preset: name that patterns depend on beside the seed.
    """

    def __init__(
        self,
        model: TimbreModel,
        grammar: Grammar,
        controls: Snapshot,
        *,
        seed: int,
        sample_rate: int,
        duration: float | None = None,
        target_lufs: float = -18.0,
        like: str = "",
        preset: str = "",
    ) -> None:
        self.sample_rate = sample_rate
        self.position = 0  # the next sample that `next` yields
        # Of the partials, from the last restart to where the last hop ends: whoever
        # splices what was rendered before into the new joins the two.
        self.room = Course()
        self.bad_frames = 0
        self.n_samples = None if duration is None else round(duration * sample_rate)
        self._model, self._controls = model, controls
        self._seed = seed
        self._target_lufs = target_lufs
        self._schedule = SongSchedule(
            model,
            grammar,
            controls,
            seed=seed,
            duration=duration,
            like=like,
            preset=preset,
        )
        self._transport = Transport()
        self._last_good = np.zeros(model.axis.n_bands)
        self._latest = self._last_good  # band powers of the newest frame
        self._frames: dict[int, Frame] = {}
        self._hop_length = _hop_length(controls, sample_rate)

    def next(self) -> Samples | None:
        """The next hop, shape (n, 4) with n up to a hop; None at the end."""
        if self.n_samples is not None and self.position >= self.n_samples:
            return None
        hop = self._hop_length
        index = self.position // hop
        frames = self._frame(index), self._frame(index + 1)
        samples = blend(*frames, self.sample_rate)
        self._extend_room(index)
        self._frames.pop(index, None)
        start = self.position - index * hop
        stop = hop
        if self.n_samples is not None:
            stop = min(hop, self.n_samples - index * hop)
        samples = samples[start:stop]
        samples *= self._envelope(self.position, len(samples))[:, None]
        self.position += len(samples)
        return samples

    @property
    def ending(self) -> NDArray[np.float64]:
        """Band powers of the sound with which the last hop ends, shape (n_bands,)."""
        envelope = float(self._envelope(self.position, 1)[0])
        return self._latest * envelope**2

    def standby(self) -> Concealment:
        """That sound without end, in phases of its own."""
        rng = np.random.default_rng([self._seed, _STANDBY, self.position])
        return Concealment(
            standby_loop(
                self.ending,
                sample_rate=self.sample_rate,
                clarity=float(self._controls["clarity"]),
                rng=rng,
                axis=self._model.axis,
            )
        )

    def compose_ahead(self) -> None:
        """Compose what may be asked for next; nothing that sounds is changed."""
        self._schedule.compose_ahead()

    def replan(self, at: int, controls: Snapshot) -> None:
        """From sample `at` on, play under these controls; `next` goes on there."""
        transport = self._transport_at(at)
        self._controls = controls
        self._transport = replace(transport, running=not controls["hold"])
        self._hop_length = _hop_length(controls, self.sample_rate)
        self._schedule.recompose(transport.tau, controls)
        self._restart(at)

    def command(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        """From sample `at` on, do what `name` says.

        `next` goes over to the next song; `go` glides to a point ("A".."E"), or back
        to the path (without a point).

        Raises:
            InputError: no such command, or an argument that it does not take.
        """
        transport = self._transport_at(at)
        if name == "next":
            self._schedule.cut_short(transport.tau)
        elif name == "go":
            target = str(args[0]) if args and args[0] else None
            if target is not None and target not in SYMBOLS:
                raise InputError(f"go: {target!r:.20} is none of A, B, C, D, E")
            transport = replace(
                transport,
                glide_at=at,
                glide_from=self._line(at, transport),
                target=target,
            )
        else:
            raise InputError(f"{name}: no such command; there are {COMMANDS}")
        self._transport = transport
        self._restart(at)

    def now(self, position: int) -> Now:
        """Where the music is at a sample that was rendered lately."""
        transport = self._transport_at(position)
        tau = transport.tau
        slot = self._schedule.at(tau)[-1]
        song = self._schedule.song(slot)
        seconds = tau - slot.start
        return Now(
            position,
            slot.index,
            song.path.pattern,
            song.path.symbol_at(seconds),
            min(1.0, seconds / slot.duration),
            slot.duration,
            tuple(self._line(position, transport)[:-1].tolist()),
            song.points,
        )

    # Time.

    def _restart(self, at: int) -> None:
        self.position = at
        self.room = Course()
        self._frames.clear()

    def _transport_at(self, at: int) -> Transport:
        transport = self._transport
        seconds = (at - transport.at) / self.sample_rate
        turns = transport.turns + seconds * float(self._controls["wiggle/rate"])
        tau = transport.tau + (seconds if transport.running else 0.0)
        return replace(transport, at=at, tau=tau, turns=turns % PERIOD)

    def _envelope(self, start: int, n_samples: int) -> NDArray[np.float32]:
        """Fade-in at the stream's start, fade-out at its end."""
        position = np.arange(start, start + n_samples)
        total = self.n_samples
        fade_in, fade_out = FADE_IN_S, FADE_OUT_S
        if total is not None:
            fade_in, fade_out = fade_lengths(total / self.sample_rate)
        envelope = np.minimum(position / max(1.0, fade_in * self.sample_rate), 1.0)
        if total is not None:
            falling = (total - 1 - position) / max(1.0, fade_out * self.sample_rate)
            envelope = np.minimum(envelope, falling)
        return np.sin(0.5 * np.pi * np.clip(envelope, 0.0, 1.0)).astype(np.float32)

    # Sound.

    def _frame(self, index: int) -> Frame:
        """Frame that sounds in hops index - 1 and index; centred between them."""
        if index not in self._frames:
            power = self._band_power(index * self._hop_length)
            self._latest = power
            self._frames[index] = synthesise(
                power,
                hop_length=self._hop_length,
                sample_rate=self.sample_rate,
                index=index,
                seed=self._seed,
                clarity=float(self._controls["clarity"]),
                axis=self._model.axis,
            )
        return self._frames[index]

    def _extend_room(self, index: int) -> None:
        """Carry the course of the partials on to the end of hop `index`.

        Its nodes lie where frames are centred, between hops.
        """
        rate, hop = self.sample_rate, self._hop_length
        begin, end = (self._partials(index), self._partials(index + 1))
        if not self.room.positions:
            share = (self.position - index * hop) / hop
            power = begin + share * (end - begin)
            self.room = self.room.extended(self.position, power, rate)
        self.room = self.room.extended((index + 1) * hop, end, rate)

    def _partials(self, index: int) -> Bands:
        """Mean square of a frame's tonal part in each band of `effects.room`."""
        power = self._frame(index).partials.astype(np.float64) ** 2
        envelope = float(self._envelope(index * self._hop_length, 1)[0])
        return band_sums(power, self.sample_rate) * envelope**2

    def _band_power(self, at: int) -> NDArray[np.float64]:
        """Levelled band powers of each channel at a sample."""
        transport = self._transport_at(at)
        songs = self._schedule.at(transport.tau)
        total = np.zeros(self._model.axis.n_bands)
        lines = [self._song_line(slot, transport.tau) for slot in songs]
        for i, slot in enumerate(songs):
            line = self._pulled(i, lines, songs, transport.tau)
            line = self._glided(line, slot, at, transport)
            power = self._decoded(line, self._schedule.song(slot), transport)
            total += mix_weight(slot, songs, transport.tau) * power
        return total

    def _song_line(self, slot: Slot, tau: float) -> NDArray[np.float64]:
        """Latent, without wiggle, and level of a song: shape (n_latents + 1,)."""
        song = self._schedule.song(slot)
        weights = song.path.weights(np.array([tau - slot.start]))
        line: NDArray[np.float64] = weights[0] @ song.waypoints
        return line

    def _pulled(
        self,
        i: int,
        lines: list[NDArray[np.float64]],
        songs: list[Slot],
        tau: float,
    ) -> NDArray[np.float64]:
        """In transit between two songs, each is drawn towards the other."""
        if len(songs) < 2:
            return lines[i]
        return lines[i] + 0.5 * (1.0 - mix_weight(songs[i], songs, tau)) * (
            lines[1 - i] - lines[i]
        )

    def _glided(
        self, line: NDArray[np.float64], slot: Slot, at: int, transport: Transport
    ) -> NDArray[np.float64]:
        if transport.glide_from is None:
            return line
        goal = line
        if transport.target is not None:
            waypoints = self._schedule.song(slot).waypoints
            goal = waypoints[SYMBOLS.index(transport.target)]
        progress = (at - transport.glide_at) / (GLIDE_S * self.sample_rate)
        share = float(np.clip(progress, 0.0, 1.0))
        return transport.glide_from + share * (goal - transport.glide_from)

    def _line(self, at: int, transport: Transport) -> NDArray[np.float64]:
        """Latent, without wiggle, and level of the leading song."""
        slot = self._schedule.at(transport.tau)[-1]
        line = self._song_line(slot, transport.tau)
        return self._glided(line, slot, at, transport)

    def _decoded(
        self, line: NDArray[np.float64], song: ComposedSong, transport: Transport
    ) -> NDArray[np.float64]:
        z = (
            line[:-1]
            + song.wiggler.offset(
                np.array([transport.turns]),
                float(self._controls["wiggle/amount"]),
                float(self._controls["wiggle/spread"]),
                float(self._controls["wiggle/rate"])
                * self._hop_length
                / self.sample_rate,
            )[0]
        )
        safe = guarded(self._model, z[None].astype(np.float32))
        timbre = self._model.decode(safe)[0]
        if not np.all(np.isfinite(timbre)):
            self.bad_frames += 1
            return self._last_good
        power = self._model.axis.to_power(timbre)
        power[timbre <= 0.0] = 0.0
        power = self._tuned(power, line[:-1], song)
        heard = max(QUIETEST_LUFS, float(loudness(power, self._model.axis)))
        gain = db_to_amplitude(self._target_lufs + float(line[-1]) - heard)
        self._last_good = power * gain**2
        return self._last_good

    def _tuned(
        self, power: NDArray[np.float64], z: NDArray[np.float64], song: ComposedSong
    ) -> NDArray[np.float64]:
        """Transposed, and moved by the chords, as the nearest points are."""
        distance = np.linalg.norm(song.points - z, axis=1)
        nearness = 1.0 / (distance + 1e-3) ** 4
        nearness /= nearness.sum()
        tuned = shift_bands(power, float(nearness @ song.transpositions.shifts))
        return dissolved(tuned, *song.chords(nearness))


def _hop_length(controls: Snapshot, sample_rate: int) -> int:
    return 2 * round(float(controls["hop"]) * sample_rate / 2)
