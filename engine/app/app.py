"""The app of `latent play`: a session with its journal, recording and surfaces.

Each part is started after those that it depends on, and stopped before them, whatever
happens.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from effects.base.errors import RunError
from effects.base.paths import data_dir
from engine.app.keep_jobs import KeepJobs
from engine.app.now_streaming import NowStreaming
from engine.app.options import AppOptions
from engine.app.preset_rotation import PresetRotation
from engine.app.service_manager import ServiceManager
from engine.app.session_commands import SessionCommands
from engine.control.callbacks import Say
from engine.control.steady import Steady
from engine.graph import Graph
from engine.live.meter import Meter
from engine.live.session import Session
from engine.offline.journal import Header
from engine.offline.journal_writer import Event, JournalWriter, begin_journal
from engine.osc.server import OscServer
from engine.recording.recovery import repair_all
from engine.streams.radio import StreamRadio
from engine.web.link import SessionLink
from engine.web.messages import SessionFacts

# Surfaces are imported where they are started: most sessions have none of them.
if TYPE_CHECKING:
    from engine.web.process import PageProcess

TICK_S = 5.0  # between rows of the journal that say how far the session is


class Surface(Protocol):
    """A part that was started beside the session."""

    def stop(self) -> None:
        """End its threads and close its ports."""


class App:
    """Plays a graph, with a journal, a recorder, streams, a page, OSC, MIDI and more.

    Args:
        graph: what sounds.
        options: the device, and what is started beside the session.
        say: takes one line for the user.
    """

    def __init__(self, graph: Graph, options: AppOptions, say: Say) -> None:
        self._options, self._say = options, say
        self._recordings = data_dir() / "recordings"
        self._journal = _journal(_header(graph), say)
        self._keep_jobs = KeepJobs(
            self._journal.path if self._journal else None,
            self._recordings,
            graph.sample_rate,
            say,
        )
        self.session = Session(graph, options.device, say, self._on_event)
        self._meter = Meter(graph.sample_rate)
        self.commands = SessionCommands(
            self.session,
            self._recordings,
            self._keep,
            say,
            self._on_event,
            self._report,
            lambda: self._meter.levels,
            options.preset,
            options.sleep_fade_s,
        )
        self._steady = Steady("session", self._say)
        self._rotation: PresetRotation | None = None
        if options.rotation is not None:
            self._rotation = PresetRotation(
                options.rotation, self.commands, graph.controls
            )
        self.radio: StreamRadio | None = None  # once started, if there is one
        self._now_streaming: NowStreaming | None = None
        self._osc: OscServer | None = None  # once started, as the page
        self._page: PageProcess | None = None
        self._surfaces: list[Surface] = []  # that were started
        self._manager = ServiceManager(self.session)
        self._ticked = time.monotonic()

    def run(
        self,
        poll: Callable[[], None] = lambda: None,
        on_playing: Callable[[], None] = lambda: None,
    ) -> None:
        """Play until the music has ended or was stopped.

        Args:
            poll: called some ten times a second, for a display.
            on_playing: called once, when the music has begun.

        Raises:
            LatentError: no device, no room for a recording, or a part that died.
        """
        if self._recordings.is_dir():
            repair_all(self._recordings, self._say)
        wake_s, sleep_s = self._options.wake_s, self._options.sleep_s
        try:
            if self._options.record is not None:
                self.commands.start_recording(self._options.record)
            self._start_surfaces()
            if wake_s is not None:
                self.commands.wake(wake_s, sleep_s)
            self.session.start()
            on_playing()
            if wake_s is None and sleep_s is not None:
                self.commands.sleep(sleep_s)
            self._manager.ready()
            self._say(f"playing, seed {self.session.graph.settings.seed}; Ctrl-C ends")
            self.session.run(lambda: self._poll(poll))
        finally:
            self._manager.stopping()
            for surface in reversed(self._surfaces):
                self._steady.do(surface.stop)
            self._steady.do(self.commands.close)
            self._steady.do(self._keep_jobs.cancel)
            if self._journal is not None:
                self._journal.close()

    def _start_surfaces(self) -> None:
        self.session.add_tap(self._meter.tap)
        self._meter.start()
        self._surfaces.append(self._meter)
        self._start_streams()
        self._start_osc()
        self._start_midi()
        self._start_mqtt()
        self._start_media_keys()
        self._start_inhibitor()
        self._start_page()

    def _start_streams(self) -> None:
        if self._options.streams is None:
            return
        rate = self.session.graph.sample_rate
        self.radio = radio = StreamRadio(
            self._options.streams, rate, self._say, self.session.stop
        )
        self._surfaces.append(radio)
        radio.start()
        self.session.add_tap(radio.tap)
        self._now_streaming = NowStreaming(self.session, self.commands, radio)
        self.commands.listeners = lambda: radio.counts.listeners

    def _start_osc(self) -> None:
        if self._options.osc is None:
            return
        controls = self.session.graph.controls
        server = OscServer(controls, self.commands, self._options.osc, self._say)
        try:
            server.start()
        except RunError as error:
            if self._options.osc_required:
                raise
            self._say(f"{error}; playing without OSC")
            return
        self._osc = server
        self._surfaces.append(server)
        if self._options.query_port is not None:
            from engine.osc.query import QueryServer

            query = QueryServer(
                controls,
                self.commands,
                self._options.osc.host,
                server.port,
                port=self._options.query_port,
                say=self._say,
                listen=self._listens_at,
            )
            query.start()
            self._surfaces.append(query)

    def _start_midi(self) -> None:
        if self._options.midi is None:
            return
        from engine.surfaces.midi import MidiBridge
        from engine.surfaces.midi_inputs import MidiInputs

        controls = self.session.graph.controls
        bridge = MidiBridge(controls, self.commands, say=self._say)
        self.commands.add_command("midi/learn", bridge.learn)
        self.commands.add_command("midi/forget", bridge.forget)
        inputs = MidiInputs(bridge, self._options.midi, self._say)
        inputs.start()
        self._surfaces.append(inputs)

    def _start_mqtt(self) -> None:
        if self._options.mqtt is None:
            return
        from engine.surfaces.mqtt import MqttSurface

        controls = self.session.graph.controls
        surface = MqttSurface(controls, self.commands, self._options.mqtt, self._say)
        surface.start()
        self._surfaces.append(surface)

    def _start_media_keys(self) -> None:
        wanted = self._options.media_keys
        if wanted is False:
            return
        from engine.surfaces.mpris import MediaKeys

        keys = MediaKeys(self.session.graph.controls, self.commands, self._say)
        try:
            keys.start()
        except RunError:
            if wanted:
                raise
            return
        self._surfaces.append(keys)

    def _start_inhibitor(self) -> None:
        if self._options.stay_awake:
            from engine.surfaces.stay_awake import StayAwake

            inhibitor = StayAwake(self._say)
            inhibitor.start()
            self._surfaces.append(inhibitor)

    def _start_page(self) -> None:
        session = self.session
        controls = session.graph.controls
        link = SessionLink(
            controls,
            self.commands,
            self._facts(),
            session.add_tap,
            session.remove_tap,
            self._say,
        )
        self._surfaces.append(link)
        link.start()
        if self._options.web is not None:
            from engine.web.process import PageProcess

            page = PageProcess(link, self._options.web, self._say)
            self._surfaces.append(page)
            page.start()
            self._page = page

    def _listens_at(self) -> tuple[str, int] | None:
        """Any thread: host and port of the page's server; None without a page."""
        web = self._options.web
        return None if web is None or not self._page else (web.host, self._page.port)

    def _facts(self) -> SessionFacts:
        settings = self.session.graph.settings
        return SessionFacts(
            sample_rate=settings.sample_rate,
            model="" if settings.model is None else str(settings.model.absolute()),
            seed=settings.seed,
            preset=settings.preset,
            grammar=settings.grammar,
            like=settings.like,
            journal=str(self._journal.path) if self._journal else "",
            recordings=str(self._recordings),
            osc_host=self._osc.settings.host if self._osc else "",
            osc_port=self._osc.port if self._osc else 0,
        )

    def _poll(self, poll: Callable[[], None]) -> None:
        do = self._steady.do
        do(self.commands.poll)
        do(self._manager.poll)
        poll()
        do(self._keep_jobs.report)
        if self._rotation is not None:
            do(partial(self._rotation.poll, self.session.seconds))
        if self._now_streaming is not None:
            do(self._now_streaming.poll)
        if time.monotonic() - self._ticked >= TICK_S:
            self._tick()

    def _tick(self) -> None:
        """Write to the journal how far the session is."""
        self._ticked = time.monotonic()
        at = self.session.mixer.position
        self._on_event({"at": at, "command": "tick", "args": []})

    def _keep(self, seconds: float) -> None:
        self._tick()
        self._keep_jobs.start(seconds, self.session.mixer.position)

    def _report(self) -> None:
        """The recorder's thread: have the journal know what the callback did so far."""
        self.session.report_changes()
        if self._journal is not None:
            self._journal.flush()

    def _on_event(self, event: Event) -> None:
        """Any thread but the callback: write a row to the journal, if there is one."""
        if self._journal is not None:
            self._journal.event(event)


def _journal(header: Header, say: Say) -> JournalWriter | None:
    """Begin the session's journal; without room for one, it is played all the same."""
    try:
        return begin_journal(header, say)
    except RunError as error:
        say(f"{error}; playing without a journal, so nothing can be kept or replayed")
        return None


def _header(graph: Graph) -> Header:
    settings = graph.settings
    return Header(
        seed=settings.seed,
        sample_rate=settings.sample_rate,
        controls=dict(graph.controls.snapshot),
        duration=settings.duration,
        model=graph.model.hash,
        model_dir=None if settings.model is None else str(settings.model.absolute()),
        preset=settings.preset,
        grammar=settings.grammar,
        effects=graph.bed.names if graph.bed else None,
        like=settings.like,
        pid=os.getpid(),
    )
