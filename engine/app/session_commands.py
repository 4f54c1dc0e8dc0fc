"""The commands of a session and its status, for every surface.

Surfaces (OSC, MIDI, terminal, media keys) call `command` and `status` from their
threads; the session's own thread calls `poll`. Commands return at once: what takes time
is done by the producer, the recorder or a separate process.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from effects.audio.level_meter import MeterLevels
from effects.audio.levels import amplitude_to_db
from effects.base.errors import InputError, RunError
from engine.app.allowance import Allowance
from engine.app.playing_song import PlayingSong
from engine.app.sleep_timer import SleepTimer
from engine.compose import preset as presets
from engine.compose import preset_file
from engine.compose.chords import chord_name
from engine.compose.likeness import point_of, text_of
from engine.control.callbacks import OnEvent, Say
from engine.control.controls import Value
from engine.control.status import RecordingStatus, SessionStatus, SongStatus
from engine.live.fade import FadeKind
from engine.live.session import Session
from engine.recording.naming import safe_stem
from engine.recording.recorder import Recorder
from engine.sound.music import Now

PAUSE_S = 1.0

Argument = float | bool | str


class SessionCommands:
    """Carries out the commands of one session, and gives its status.

    Args:
        session: that is played.
        recordings: folder that recordings go to unless a file is named at the start.
        keep: saves the last so many seconds; must return at once.
        say: takes one line for the user.
        on_event: takes rows for the journal.
        report: see `Recorder`.
        levels: gives the levels of the master.
        preset: name of the preset that the session began with.
        sleep_fade_s: seconds of the fade at the end of a sleep timer; None fades all
            the time.
    """

    def __init__(
        self,
        session: Session,
        recordings: Path,
        keep: Callable[[float], None],
        say: Say,
        on_event: OnEvent,
        report: Callable[[], None],
        levels: Callable[[], MeterLevels] = MeterLevels,
        preset: str = "",
        sleep_fade_s: float | None = None,
    ) -> None:
        self._session, self._recordings = session, recordings
        self._keep, self._say, self._on_event = keep, say, on_event
        self._report, self._levels = report, levels
        self._lock = threading.Lock()  # held by commands of any thread
        self._recorder: Recorder | None = None
        self._files = Allowance(lambda: session.seconds)
        self._paused = False
        self._held_before_pause = False
        self._sleep_timer = SleepTimer(session, sleep_fade_s)
        self._preset = preset
        self._playing = PlayingSong(session.graph, on_event)
        self.listeners: Callable[[], int] = lambda: 0  # of the streams; set before use
        self._song = -1
        self._titled = (-1, "")  # the song whose title was shown last, and its title
        self._presets = tuple(presets.names())
        self._commands: dict[str, Callable[..., None]] = {
            "play": self.resume,
            "pause": self.pause,
            "stop": session.stop,
            "next": lambda: session.producer.command("next"),
            "go": lambda point="": session.producer.command("go", point),
            "preset/load": self.load_preset,
            "preset/save": self.save_preset,
            "verdict/like": lambda: self._judge(liked=True),
            "verdict/dislike": lambda: self._judge(liked=False),
            "record/start": self.start_recording,
            "record/stop": self.stop_recording,
            "like": self._start_from,
            "keep": lambda seconds: keep(float(seconds)),
            "effects/next": lambda: session.command_bed("effects/next"),
            "effects/only": lambda name="": session.command_bed("effects/only", name),
            "effects/mix": lambda mix="": session.command_bed("effects/mix", mix),
            "sleep": lambda minutes: self.sleep(60.0 * float(minutes)),
        }

    def add_command(self, name: str, do: Callable[..., None]) -> None:
        """Add a command that a surface carries out, before surfaces are started."""
        self._commands[name] = do

    def command(self, name: str, *args: Argument) -> None:
        """Any thread: carry out a command of `COMMANDS`.

        Raises:
            LatentError: there is no such command, or it cannot be done now.
        """
        if name not in self._commands:
            raise InputError(f"{name}: no such command")
        with self._lock:
            self._commands[name](*args)

    def status(self) -> SessionStatus:
        """Any thread: the status now."""
        session, bed = self._session, self._session.graph.bed
        metrics = session.metrics
        return SessionStatus(
            is_paused=self._paused,
            uptime_s=session.seconds,
            underruns=metrics.underruns,
            headroom_s=session.headroom_s,
            load=session.device.load,
            device=session.device.name,
            device_losses=metrics.device_losses,
            away_s=session.device.away_s,
            peak_db=(
                amplitude_to_db(metrics.peak_left),
                amplitude_to_db(metrics.peak_right),
            ),
            levels=self._levels,
            preset=self._preset,
            presets=self._presets,
            effects=None if bed is None else tuple(bed.available),
            sounding=() if bed is None else bed.sounding(session.mixer.position),
            chosen=session.chosen_effects,
            model=session.graph.model.name,
            sleep_min=self._sleep_timer.remaining_s / 60.0,
            listeners=self.listeners(),
            song=self._song_status(),
            recording=self._recording_status(),
        )

    def poll(self) -> None:
        """The session's thread: write down songs, and end or sleep when it is time."""
        now = self._session.now()
        if now is not None and now.index != self._song:
            self._song = now.index
            self._on_event(
                {
                    "at": now.position,
                    "song": {
                        "index": now.index,
                        "title": self._title(now),
                        "pattern": now.pattern,
                    },
                }
            )
            if self._recorder is not None:
                self._recorder.add_chapter(self._title(now), now.position)
        if self._recorder is not None and self._recorder.state().failure:
            self.stop_recording()
        with self._lock:
            self._sleep_timer.poll()

    def close(self) -> None:
        """The session's thread, after the music has ended: end the recording."""
        with self._lock:
            self.stop_recording()

    def pause(self) -> None:
        """Fade out and hold the music at its place."""
        if not self._paused:
            self._paused = True
            self._session.fade(FadeKind.MAIN, PAUSE_S, 0.0)
            hold = self._session.graph.controls.snapshot["hold"]
            self._held_before_pause = bool(hold)
            self._set("hold", True)

    def resume(self) -> None:
        """Go on after a pause."""
        if self._paused:
            self._paused = False
            self._set("hold", self._held_before_pause)
            self._session.fade(FadeKind.MAIN, PAUSE_S, 1.0)

    def wake(self, seconds: float, sleep: float | None = None) -> None:
        """Before the session starts: have it rise from silence, then fade if asked.

        Args:
            seconds: that the rise takes.
            sleep: seconds after it until the sleep timer ends the session; None: never.
        """
        self._session.rise(seconds)
        if sleep is not None:
            self._sleep_timer.set(sleep, after=seconds)

    def sleep(self, seconds: float) -> None:
        """End in so many seconds, in a fade to silence; 0 takes that back."""
        self._sleep_timer.set(seconds)

    def load_preset(
        self, name: str, instead: Mapping[str, Value] = MappingProxyType({})
    ) -> None:
        """Set the controls that a preset names; others stay as they are.

        Args:
            name: of the preset.
            instead: values that are taken in place of the preset's.

        Raises:
            InputError: there is no such preset.
        """
        if name not in self._presets:  # names only: no path comes over a network
            raise InputError(f"{name}: no such preset")
        preset = presets.load(name)
        self._session.graph.controls.update({**preset.controls, **instead})
        self._preset = name

    def save_preset(self, name: str) -> None:
        """Save the controls in force as a preset of the user's own.

        Raises:
            InputError: a bundled preset has this name, or there are too many.
            RunError: it cannot be written.
        """
        self._files.take()
        graph = self._session.graph
        chosen = None if graph.bed is None else graph.settings.effects
        preset_file.save(
            name,
            graph.controls.snapshot,
            description=f"As it was played, from {self._preset or 'the defaults'}.",
            grammar=graph.settings.grammar,
            effects=chosen or (),
        )
        self._presets = tuple(presets.names())
        self._preset = name
        self._say(f"saved preset {name}")

    def start_recording(self, name: str | Path = "") -> None:
        """Record into a new file.

        Args:
            name: of a file in the folder of recordings, or a path; empty for a name
                made of the time.

        Raises:
            LatentError: a recording runs, or the file cannot be written.
        """
        if self._recorder is not None:
            raise InputError("a recording is running already")
        self._files.take()
        target = name if isinstance(name, Path) else self._recordings
        if isinstance(name, str) and name:
            target = self._recordings / f"{safe_stem(name)}.flac"
        if not isinstance(name, Path):
            try:
                self._recordings.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunError(f"{self._recordings}: {error.strerror}") from None
        session = self._session
        recorder = Recorder(
            target,
            session.graph.sample_rate,
            metadata={"title": target.stem, "artist": "Latent"},
            on_message=self._say,
            position=lambda: session.mixer.position,
            on_event=self._on_event,
            report=self._report,
        )
        self._recorder = recorder  # first: a signal may end the start anywhere
        try:
            recorder.start()
        except BaseException:
            self._recorder = None
            raise
        if (now := session.now()) is not None:
            recorder.add_chapter(self._title(now), session.mixer.position)
        session.add_tap(recorder.tap)

    def stop_recording(self) -> None:
        """End the recording, if one is running."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        self._session.remove_tap(recorder.tap)
        recorder.stop()
        state = recorder.state()
        for path in state.files:
            if str(path) not in (state.failure or ""):  # the message named it
                self._say(f"recorded {path}")

    def _start_from(self, like: str = "") -> None:
        """Go on to songs near a point, or to songs from everywhere.

        Raises:
            InputError: it is no point of the model.
        """
        if like:
            point_of(like, self._session.graph.model.n_latents)
        self._session.producer.command("like", like)

    def _judge(self, *, liked: bool) -> None:
        now = self._session.now()
        if now is None:
            raise InputError("no song plays yet")
        self._playing.judge(now, self._session.mixer.position, liked=liked)

    def _set(self, name: str, value: Argument) -> None:
        self._session.graph.controls.set(name, value)

    def _song_status(self) -> SongStatus | None:
        session, now = self._session, self._session.now()
        if now is None:
            return None
        controls = session.graph.controls.snapshot
        return SongStatus(
            number=now.index,
            title=self._title(now),
            pattern=now.pattern,
            place=now.symbol + 1,
            progress=now.progress,
            seconds=min(now.length, self._seconds_into(now)),
            length=now.length,
            point=now.point,
            seed=session.graph.settings.seed,
            key=f"{controls['tuning/key']} {controls['tuning/scale']}",
            chord=chord_name(controls, now.pattern[now.symbol]),
            sounds=tuple(text_of(point) for point in now.points),
            like=now.like,
            card=self._playing.card_line(now),
            verdict=self._playing.verdict(now),
        )

    def _title(self, now: Now) -> str:
        """Title of the song; it keeps the one that it began with."""
        index, title = self._titled
        if index != now.index:
            title = now.title
            self._titled = (now.index, title)
        return title

    def _recording_status(self) -> RecordingStatus | None:
        recorder = self._recorder
        if recorder is None:
            return None
        state = recorder.state()
        seconds = state.n_samples / self._session.graph.sample_rate
        return RecordingStatus(state.path.name if state.path else "", seconds)

    def _seconds_into(self, now: Now) -> float:
        """Return the time since the song began; `now` is where the last hop began."""
        session = self._session
        since = (session.mixer.position - now.position) / session.graph.sample_rate
        held = session.graph.controls.snapshot["hold"]
        return now.progress * now.length + (0.0 if held else max(0.0, since))
