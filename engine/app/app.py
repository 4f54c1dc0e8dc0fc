"""The station: a session with all that surrounds it, in the order of dependence.

Graph, journal, session, desk, recorder, OSC: started in this order, and taken down in
the reverse one, whatever happens.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from effects.base.errors import RunError
from effects.base.paths import data_dir
from engine.app.session_commands import SessionCommands
from engine.graph import Graph
from engine.live.meter import Meter
from engine.live.session import DeviceChoice, Session
from engine.offline.journal import Header
from engine.offline.journal_writer import begin_journal
from engine.osc.query import QueryServer
from engine.osc.server import OscServer, OscSettings
from engine.recording.recovery import repair_all
from engine.surfaces.midi import MidiBridge, MidiInputs
from engine.surfaces.mpris import MediaKeys

TICK_S = 5.0  # between rows of the journal that say how far the session is

Say = Callable[[str], None]


class Surface(Protocol):
    """Whatever reaches the desk from outside."""

    def stop(self) -> None:
        """Close what is open."""


@dataclass(frozen=True)
class AppOptions:
    """What a session is to have around it.

    Attributes:
        preset: name of the preset it began with.
        record: file to record into from the start.
        wake: seconds over which it rises from silence.
        sleep: seconds over which it, then, fades to silence and ends.
        osc: where to listen, or None not to.
        osc_wanted: whether it is an error when it cannot listen there.
        query: TCP port of OSCQuery, 0 for a free one, or None for none.
        midi: part of the names of MIDI ports to listen to, or None for none.
        media_keys: be a media player of the desktop; None: where there is one.
    """

    preset: str = ""
    record: Path | None = None
    wake: float | None = None
    sleep: float | None = None
    osc: OscSettings | None = None
    osc_wanted: bool = False
    query: int | None = None
    midi: str | None = None
    media_keys: bool | None = None


class App:
    """Plays a graph, with journal, desk, recorder and OSC.

    Args:
        graph: what sounds.
        choice: on which device; None plays to nobody.
        options: what the session is to have around it.
        say: takes one line for the user.
    """

    def __init__(
        self, graph: Graph, choice: DeviceChoice | None, options: AppOptions, say: Say
    ) -> None:
        self._options, self._say = options, say
        self._recordings = data_dir() / "recordings"
        self._journal = begin_journal(_header(graph, options.preset), say)
        self.session = Session(graph, choice, say, self._journal.event)
        self._meter = Meter(graph.sample_rate)
        self.commands = SessionCommands(
            self.session,
            self._recordings,
            self._keep,
            say,
            self._journal.event,
            lambda: self._meter.levels,
            options.preset,
        )
        self._surfaces: list[Surface] = []  # that were started
        self._keeping: list[tuple[subprocess.Popen[str], Path]] = []
        self._ticked = time.monotonic()

    def run(self, poll: Callable[[], None] = lambda: None) -> None:
        """Play until the music has ended or was stopped.

        Args:
            poll: called some twenty times a second, for a display.

        Raises:
            LatentError: no device, no room for a recording, or a part that died.
        """
        if self._recordings.is_dir():
            repair_all(self._recordings, self._say)
        try:
            if self._options.record is not None:
                self.commands.start_recording(self._options.record)
            self.session.add_tap(self._meter.tap)
            self._meter.start()
            self._surfaces.append(self._meter)
            self._start_osc()
            self._start_midi()
            self._start_media_keys()
            if self._options.wake is not None:
                self.commands.wake(self._options.wake, self._options.sleep)
            self.session.start()
            if self._options.wake is None and self._options.sleep is not None:
                self.commands.sleep(self._options.sleep)
            self._say(f"playing, seed {self.session.graph.settings.seed}; Ctrl-C ends")
            self.session.run(lambda: self._poll(poll))
        finally:
            for surface in reversed(self._surfaces):
                surface.stop()
            self.commands.close()
            self._journal.close()
        self._tell_kept(wait=True)

    def _start_osc(self) -> None:
        if self._options.osc is None:
            return
        controls = self.session.graph.controls
        server = OscServer(controls, self.commands, self._options.osc, self._say)
        try:
            server.start()
        except RunError as error:
            if self._options.osc_wanted:
                raise
            self._say(f"{error}; playing without OSC")
            return
        self._surfaces.append(server)
        if self._options.query is not None:
            query = QueryServer(
                controls,
                self.commands,
                self._options.osc.host,
                server.port,
                port=self._options.query,
                say=self._say,
            )
            query.start()
            self._surfaces.append(query)

    def _start_midi(self) -> None:
        if self._options.midi is None:
            return
        controls = self.session.graph.controls
        bridge = MidiBridge(controls, self.commands, say=self._say)
        self.commands.add_command("midi/learn", bridge.learn)
        self.commands.add_command("midi/forget", bridge.forget)
        inputs = MidiInputs(bridge, self._options.midi, self._say)
        inputs.start()
        self._surfaces.append(inputs)

    def _start_media_keys(self) -> None:
        wanted = self._options.media_keys
        if wanted is False:
            return
        keys = MediaKeys(self.session.graph.controls, self.commands, self._say)
        try:
            keys.start()
        except RunError:
            if wanted:
                raise
            return
        self._surfaces.append(keys)

    def _poll(self, poll: Callable[[], None]) -> None:
        self.commands.poll()
        poll()
        self._tell_kept()
        if time.monotonic() - self._ticked >= TICK_S:
            self._tick()

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        self._journal.command(self.session.mixer.position, "tick")

    def _keep(self, seconds: float) -> None:
        """Let a process of its own render the end of the session again."""
        self._tick()
        self._recordings.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        out = self._recordings / f"kept-{stamp}.flac"
        self._say(f"keeping the last {seconds:g} s in {out}")
        command = [sys.executable, "-m", "engine.cli.main", "replay"]
        command += [str(self._journal.path), str(out), "--last", str(seconds)]
        process = subprocess.Popen(
            ["nice", "-n", "10", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # a line at most: the screen may be a view's
            text=True,
        )
        self._keeping.append((process, out))

    def _tell_kept(self, *, wait: bool = False) -> None:
        """Tell of what has been kept by now, or wait until all of it is."""
        for process, out in tuple(self._keeping):
            if not wait and process.poll() is None:
                continue
            _, problem = process.communicate()
            self._keeping.remove((process, out))
            said = problem.strip().removeprefix("latent: ").splitlines()
            self._say(
                f"not kept: {' '.join(said[-1:])}"
                if process.returncode
                else f"kept {out}"
            )


def _header(graph: Graph, preset: str) -> Header:
    settings = graph.settings
    return Header(
        seed=settings.seed,
        sample_rate=settings.sample_rate,
        controls=dict(graph.controls.snapshot),
        duration=settings.duration,
        model=graph.model.hash,
        model_dir=None if settings.model is None else str(settings.model.absolute()),
        preset=preset,
        grammar=settings.grammar,
        effects=graph.bed.names if graph.bed else None,
        like=settings.like,
        pid=os.getpid(),
    )
