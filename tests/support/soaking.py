"""Days of a session in simulated time, measured hour by hour."""

import gc
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from effects.audio.level_meter import LevelMeter
from effects.audio.levels import SILENCE_DB, Samples
from effects.audio.replaygain import LoudnessMeter
from effects.audio.third_octaves import N_BANDS
from engine.compose import preset as presets
from engine.graph import Graph, Settings, build
from engine.live.producer import Producer
from engine.offline.journal import Header
from engine.offline.journal_writer import JournalWriter
from engine.sound.synthesis import N_LAYERS
from engine.streams.shared_ring import SharedRing
from tests.support.memory import own_mb
from tests.support.simulated_session import Pace, SimulatedSession

RATE = 24_000
EFFECTS = ("rain", "waves", "wind")
BLOCK = 8192
WINDOW_S = 900.0  # of which the first part is made in full: four places of an hour
LEAD_S = 15.0  # within that part, before it is measured: the ring has to fill with it
RADIO_S = 8.0  # that the radio's ring holds
CLICK = 25.0  # times the local root mean square, of a third difference
HOUR_S = 3600.0
FAINT = 2e-4  # in place of music: a song that is silent is left for the next


@dataclass
class Hour:
    """What was measured in an hour of the session.

    Attributes:
        number: of the hour, from 0.
        own_mb: resident memory without that of files, the median of its minutes: what
            is held for a moment, as by a recording, comes and goes.
        threads: of the process then.
        descriptors: that were open then.
        lufs: loudness of the parts that were made in full.
        true_peak_db: highest of them.
        clicks: steps that stand far out of what is around them.
        bad: samples that were not finite.
        songs: that had begun by then.
    """

    number: int
    own_mb: float = 0.0
    threads: int = 0
    descriptors: int = 0
    lufs: float | None = None
    true_peak_db: float = SILENCE_DB
    clicks: int = 0
    bad: int = 0
    songs: int = 0


@dataclass
class Soak:
    """A soak in simulated time.

    Args:
        hours: that it lasts.
        full_s: seconds of each quarter of an hour in which music is made in full; in
            the rest songs are composed and placed, and everything but the music's
            sound goes on.
        folder: for the journal and the recordings.
        on_hour: called with each hour's row.
    """

    hours: float
    full_s: float
    folder: Path
    on_hour: Callable[[Hour], None] = lambda hour: None
    rows: list[Hour] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the session."""
        graph = build(Settings(seed=11, sample_rate=RATE, effects=EFFECTS))
        _skip_music(graph, self._is_full)
        self._rng = random.Random(3)
        self.session = SimulatedSession(
            graph, Pace(cut=lambda: BLOCK), self.folder / "recordings", self._act
        )
        self.session.keep_events = False
        self.journal = JournalWriter(self.folder / "soak.jsonl", _header(graph))
        self.session.on_event = self.journal.event
        self.radio = SharedRing.create(round(RADIO_S * RATE))
        self._listener = SharedRing(os.dup(self.radio.descriptor), self.radio.capacity)
        self._radio_read = 0
        self._row = Hour(0)
        self._held_mb: list[float] = []  # in each minute of the hour
        self._loudness, self._levels = LoudnessMeter(RATE), LevelMeter(RATE)
        live = self.session.session
        _keep_concealment(live.producer, self._is_full)
        live.add_tap(self.radio)
        live.add_tap(self)

    def run(self) -> None:
        """Play all of it."""
        gc.collect()
        self.session.play()
        self._listen()
        self.journal.close()
        for ring in (self._listener, self.radio):
            ring.close()

    @property
    def position_error(self) -> int:
        """Samples by which the session's position differs from what was streamed."""
        return self.session.session.mixer.position - self._radio_read

    def write(self, samples: Samples) -> bool:
        """The mixer's: measure a block of the parts that are made in full."""
        position = self.session.session.mixer.position
        if not np.isfinite(samples.sum()):  # so that all are looked at only then
            self._row.bad += int(np.count_nonzero(~np.isfinite(samples).all(axis=1)))
        into = (position / RATE) % WINDOW_S
        if LEAD_S < into < self.full_s:
            self._loudness.add(samples)
            levels = self._levels.add(samples)
            self._row.true_peak_db = max(self._row.true_peak_db, levels.true_peak_db)
            self._row.clicks += _clicks(samples)
        return True

    def _is_full(self, position: int) -> bool:
        return (position / RATE) % WINDOW_S < self.full_s

    def _act(self, session: SimulatedSession) -> None:
        """Read the radio's ring, turn controls, record, and close each hour."""
        seconds, turned_at = 0.0, 0.0
        while session.session.seconds < HOUR_S * self.hours:
            session.sleep(1.0)
            self._listen()
            seconds = session.session.seconds
            if seconds - turned_at > 60.0:
                turned_at = seconds
                gc.collect()
                self._held_mb.append(own_mb())
                self._turn(session)
            if seconds >= HOUR_S * (self._row.number + 1):
                self._end_hour(session)
        session.session.stop()

    def _listen(self) -> None:
        """Read what the radio's ring has, as its worker does."""
        self._radio_read += len(self._listener.read())

    def _turn(self, session: SimulatedSession) -> None:
        """What a listener might do in a minute."""
        rng, commands = self._rng, session.commands
        choice = rng.random()
        if choice < 0.1:
            commands.command("next")
        elif choice < 0.15:
            commands.command("preset/load", rng.choice(presets.names()))
        elif choice < 0.3:
            commands.command("effects/next")
        elif choice < 0.35:
            commands.command("effects/only", rng.choice([*EFFECTS, ""]))
        elif choice < 0.5:
            session.graph.controls.set("wiggle/amount", rng.uniform(0.1, 1.0))
        elif choice < 0.6:
            commands.command("record/stop")
            if (session.session.seconds % WINDOW_S) < self.full_s:
                commands.command("record/start", "")
        session.graph.controls.set("master/mute", False)

    def _end_hour(self, session: SimulatedSession) -> None:
        row, now = self._row, session.session.now()
        row.own_mb = float(np.median(self._held_mb))
        row.threads = threading.active_count()
        row.descriptors = len(os.listdir("/proc/self/fd"))
        row.lufs = self._loudness.lufs()
        row.songs = 0 if now is None else now.index + 1
        self.rows.append(row)
        self.on_hour(row)
        self._row = Hour(row.number + 1)
        self._held_mb.clear()
        self._loudness = LoudnessMeter(RATE)


def slope_kb(rows: list[Hour]) -> float:
    """Kilobytes that the memory grows in an hour, by a straight line."""
    if len(rows) < 2:
        return 0.0
    hours = [row.number for row in rows]
    return 1e3 * float(np.polyfit(hours, [row.own_mb for row in rows], 1)[0])


def _skip_music(graph: Graph, is_full: Callable[[int], bool]) -> None:
    """Have music be made in some parts only; in the others hardly anything sounds."""
    music, make = graph.music, graph.music.next
    slab = music._frames.slab
    faint = np.full((slab, N_LAYERS), FAINT, np.float32)
    no_partials = np.zeros(N_BANDS)

    def make_some() -> Samples | None:
        if is_full(music.position):
            return make()
        n = slab - music.position % slab
        music.position += n
        music._last = None
        music.band_envelope = music.band_envelope.extended(
            music.position, no_partials, RATE
        )
        return faint[:n].copy()

    music.next = make_some  # type: ignore[method-assign]


def _keep_concealment(producer: Producer, is_full: Callable[[int], bool]) -> None:
    """Leave the concealment as it is where there is hardly any sound to make it of."""
    keep = producer._keep_concealment

    def keep_some() -> None:
        if is_full(producer._music.position):
            keep()

    producer._keep_concealment = keep_some  # type: ignore[method-assign]


def _clicks(samples: Samples) -> int:
    """Steps in a block that stand far out of it."""
    bend = np.abs(np.diff(samples.astype(np.float64), n=3, axis=0)).max(axis=1)
    usual = float(np.sqrt(np.mean(bend**2)))
    return int(np.count_nonzero(bend > max(CLICK * usual, 1e-3)))


def _header(graph: Graph) -> Header:
    settings = graph.settings
    return Header(
        seed=settings.seed,
        sample_rate=settings.sample_rate,
        controls=dict(graph.controls.snapshot),
        effects=settings.effects,
    )
