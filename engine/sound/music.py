"""The stream of music: songs placed in time, decoded, synthesised in slabs.

`Music` yields the stream slab by slab, as the layers of `synthesis.LAYERS`, and
can go back: `replan` and `command` change what is played from a given sample on, and
the next slab starts there again. Whoever holds what was already rendered crossfades
into the new. What a `Music` yields depends on its seed, model, grammar and on those
calls alone, so a live session and its replay give the same samples. One thread owns
it.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError
from effects.base.streams import Purpose, stream
from effects.bed.masking import BandEnvelope
from engine.compose.grammar import Grammar
from engine.compose.likeness import point_of
from engine.compose.loudness_plan import FADE_IN_S, FADE_OUT_S, fade_lengths
from engine.compose.path import SYMBOLS
from engine.compose.schedule import SongSchedule
from engine.control.controls import Snapshot
from engine.sound.concealment import Concealment, ConcealmentRecipe
from engine.sound.concealment_loop import concealment_loop
from engine.sound.frames import frames_at
from engine.sound.node_source import NodeSource
from engine.sound.planning import Planner, Slab
from engine.sound.synthesis import Synthesiser
from engine.sound.transport import Transport
from model.inference import TimbreModel

COMMANDS = ("next", "go", "like", "resume")


@dataclass(frozen=True)
class Now:
    """Where the music is, for those who watch.

    Attributes:
        position: sample of the stream.
        index: which song.
        title: of it.
        pattern: of it.
        symbol: number of the symbol that sounds, in the pattern.
        progress: through the song, 0..1.
        length: of the song in s.
        point: on the line, without wiggle, shape (n_latents,).
        points: the song's five sounds, shape (5, n_latents).
        like: point that they lie near, see `likeness`; or nothing.
    """

    position: int
    index: int
    title: str
    pattern: str
    symbol: int
    progress: float
    length: float
    point: tuple[float, ...]
    points: NDArray[np.float32] = field(compare=False)
    like: str = ""


@dataclass(frozen=True)
class _Rendered:
    """A slab without the tail of the one before, and its own tail."""

    slab: Slab
    samples: Samples
    tail: Samples


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
        song: of a radio, that it begins with; see `SongSchedule`.
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
        song: int | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.position = 0  # the next sample that `next` yields
        # Of the partials, from the last restart to where the last slab ends: whoever
        # splices what was rendered before into the new joins the two.
        self.band_envelope = BandEnvelope()
        self.n_samples = None if duration is None else round(duration * sample_rate)
        self._model, self._controls = model, controls
        self._seed = seed
        self._frames = frames_at(sample_rate)
        self._synthesiser = Synthesiser(self._frames, seed)
        self._schedule = SongSchedule(
            model,
            grammar,
            controls,
            seed=seed,
            duration=duration,
            like=like,
            preset=preset,
            song=song,
        )
        self._nodes = NodeSource(
            model, self._schedule, seed, self._frames, target_lufs, controls
        )
        self._planner = Planner(
            self._nodes, self._schedule, seed, self._frames, target_lufs, controls
        )
        self._ending = np.zeros(model.axis.n_bands)
        self._last: _Rendered | None = None

    @property
    def bad_frames(self) -> int:
        """Decoded timbres that were not finite."""
        return self._nodes.n_bad

    def next(self) -> Samples | None:
        """The next slab, shape (n, 2) with n up to a slab; None at the end."""
        if self.n_samples is not None and self.position >= self.n_samples:
            return None
        length = self._frames.slab
        number, start = divmod(self.position, length)
        if self._last is None or self._last.slab.number != number - 1:
            self._last = self._render(number - 1)
        before, self._last = self._last, self._render(number)
        samples = self._last.samples
        samples[:, : before.tail.shape[1]] += before.tail
        stop = length
        if self.n_samples is not None:
            stop = min(length, self.n_samples - number * length)
        self._extend_band_envelope(before.slab, self._last.slab)
        self._ending = self._last.slab.bands
        taken: Samples = samples[:, start:stop].T
        if (envelope := self._envelope(self.position, len(taken))) is not None:
            taken *= envelope[:, None]
        self.position += len(taken)
        return taken

    @property
    def ending(self) -> NDArray[np.float64]:
        """Band powers of the sound with which the last slab ends, shape (n_bands,)."""
        return self._ending * self._gain_at(self.position) ** 2

    def concealment(self) -> Concealment:
        """That sound without end, in phases of its own."""
        clarity = float(self._controls["clarity"])
        recipe = ConcealmentRecipe(
            self.ending.astype(np.float32), self.position, clarity
        )
        return self.concealment_of(recipe)

    def concealment_of(self, recipe: ConcealmentRecipe) -> Concealment:
        """A sound without end, from its recipe."""
        loop = concealment_loop(
            recipe.bands.astype(np.float64),
            sample_rate=self.sample_rate,
            clarity=recipe.clarity,
            rng=stream(Purpose.CONCEALMENT, self._seed, recipe.position),
            axis=self._model.axis,
        )
        return Concealment(loop, recipe=recipe)

    def compose_ahead(self) -> None:
        """Compose what may be asked for next; nothing that sounds is changed."""
        self._schedule.compose_ahead()

    def replan(self, at: int, controls: Snapshot) -> None:
        """From sample `at` on, play under these controls; `next` goes on there."""
        transport = self._transport_at(at).with_hold(bool(controls["hold"]))
        self._controls = controls
        self._schedule.recompose(transport.tau, controls)
        self._restart(at, transport)

    def command(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        """From sample `at` on, do what `name` says.

        `next` goes over to the next song; `go` glides to a point ("A".."E"), or back
        to the path (without a point); `like` goes over to a song near a likeness, and
        stays there (without one, to songs from everywhere); `resume` leaves out what
        lies before the sample, and changes nothing else.

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
                glide_from=self._nodes.line(at),
                target=target,
            )
        elif name == "like":
            like = str(args[0]) if args and args[0] else ""
            if like:
                point_of(like, self._model.n_latents)  # refused before it is followed
            self._schedule.start_from(transport.tau, like)
        elif name != "resume":
            raise InputError(f"{name}: no such command; there are {COMMANDS}")
        self._restart(at, transport)

    def now(self, position: int) -> Now:
        """Where the music is at a sample that was rendered lately."""
        tau = self._transport_at(position).tau
        slot = self._schedule.at(tau)[-1]
        song = self._schedule.song(slot)
        seconds = tau - slot.start
        return Now(
            position,
            slot.index,
            song.title,
            song.path.pattern,
            song.path.symbol_at(seconds),
            min(1.0, seconds / slot.duration),
            slot.duration,
            tuple(self._nodes.line(position)[:-1].tolist()),
            song.points,
            self._schedule.like(slot.index),
        )

    def _transport_at(self, at: int) -> Transport:
        return self._nodes.transport.advanced(at, self._controls, self.sample_rate)

    def _restart(self, at: int, transport: Transport) -> None:
        self.position = at
        self.band_envelope = BandEnvelope()
        self._last = None
        self._nodes.restart(transport, self._controls)
        self._planner.restart(self._controls)

    def _render(self, number: int) -> _Rendered:
        slab = self._planner.slab(number)
        samples, tail = self._synthesiser.slab(number, slab.partials, slab.noise)
        return _Rendered(slab, samples, tail)

    def _extend_band_envelope(self, before: Slab, slab: Slab) -> None:
        """Carry the course of the partials on to the end of a slab.

        Its nodes lie where slabs meet, and in their middles.
        """
        first, half = slab.number * self._frames.slab, self._frames.slab // 2
        nodes = [first, first + half, first + 2 * half]
        powers = [
            power * self._gain_at(node) ** 2
            for node, power in zip(
                nodes, (before.masking[-1], *slab.masking), strict=True
            )
        ]
        if not self.band_envelope.positions:
            i = int(self.position >= nodes[1])
            share = (self.position - nodes[i]) / half
            begin = powers[i] + share * (powers[i + 1] - powers[i])
            self.band_envelope = self.band_envelope.extended(
                self.position, begin, self.sample_rate
            )
        for node, power in zip(nodes[1:], powers[1:], strict=True):
            if node > self.position:
                self.band_envelope = self.band_envelope.extended(
                    node, power, self.sample_rate
                )

    def _gain_at(self, position: int) -> float:
        envelope = self._envelope(position, 1)
        return 1.0 if envelope is None else float(envelope[0])

    def _envelope(self, start: int, n_samples: int) -> NDArray[np.float32] | None:
        """Fade-in at the stream's start, fade-out at its end; None where it is 1."""
        total = self.n_samples
        fade_in, fade_out = FADE_IN_S, FADE_OUT_S
        if total is not None:
            fade_in, fade_out = fade_lengths(total / self.sample_rate)
        rise, fall = fade_in * self.sample_rate, fade_out * self.sample_rate
        is_late = total is not None and start + n_samples > total - 1 - fall
        if start >= rise and not is_late:
            return None
        position = np.arange(start, start + n_samples)
        envelope = np.minimum(position / max(1.0, rise), 1.0)
        if total is not None:
            falling = (total - 1 - position) / max(1.0, fall)
            envelope = np.minimum(envelope, falling)
        return np.sin(0.5 * np.pi * np.clip(envelope, 0.0, 1.0)).astype(np.float32)
