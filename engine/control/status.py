"""The status of a session: one immutable value that every surface shows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from effects.audio.level_meter import MeterLevels

QUIETEST_DB = -200.0  # what a level of silence is shown as


@dataclass(frozen=True)
class SongStatus:
    """The song that plays.

    Attributes:
        number: of the song in the session, from 0.
        title: of the song, for people.
        pattern: letters of all its sounds, as `ABABAC`.
        place: number of the sounding letter in the pattern, from 1.
        progress: how far the song is, 0..1.
        seconds: since it began.
        length: of the song in seconds.
        point: in the latent space.
        seed: of the stream of songs.
        key: tonic and scale, as `D dorian`.
        chord: degree of the key on which the sound stands, from 1, and its root; 0 and
            nothing without chords.
        sounds: points of A..E, each as `compose.likeness` writes it.
        like: point that they lie near, or empty.
        card: of the song, as one line.
        verdict: of its listener: 1 liked, -1 not, 0 none.
    """

    number: int
    title: str
    pattern: str
    place: int
    progress: float
    seconds: float
    length: float
    point: tuple[float, ...] = ()
    seed: int = 0
    key: str = ""
    chord: tuple[int, str] = (0, "")
    sounds: tuple[str, ...] = ()
    like: str = ""
    card: str = ""
    verdict: int = 0

    @property
    def symbol(self) -> str:
        """The letter that sounds."""
        return self.pattern[self.place - 1]


@dataclass(frozen=True)
class RecordingStatus:
    """The recording that runs.

    Attributes:
        name: of its file.
        seconds: recorded so far.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class SessionStatus:
    """What a session shows besides its controls.

    Attributes:
        is_paused: whether it was paused.
        uptime_s: seconds played so far.
        underruns: times that the music broke off, since the ring had run dry.
        headroom_s: seconds of music that are rendered ahead.
        load: share of the time that the audio callback takes, 0..1.
        device: name of the sound device.
        device_losses: how often the device went away.
        away_s: seconds without a device.
        peak_db: highest samples of the last block, left and right, dBFS.
        levels: gives those of the last seconds. They are asked for when they are
            looked at, since they are measured less often where nobody looks.
        preset: name of the preset that was loaded last.
        presets: names of those that can be loaded.
        effects: names of the effects that can be chosen; None without a bed.
        sounding: names of the effects that sound.
        chosen: the effects that were asked for, as a mix; empty: they follow the order.
        model: name of the model.
        sleep_min: minutes until a sleep fade ends the session; 0 without one.
        listeners: to the streams over HTTP.
        song: that plays; None before the first.
        recording: that runs, or None.
    """

    is_paused: bool = False
    uptime_s: float = 0.0
    underruns: int = 0
    headroom_s: float = 0.0
    load: float = 0.0
    device: str = ""
    device_losses: int = 0
    away_s: float = 0.0
    peak_db: tuple[float, float] = (QUIETEST_DB, QUIETEST_DB)
    levels: Callable[[], MeterLevels] = field(default=MeterLevels, compare=False)
    preset: str = ""
    presets: tuple[str, ...] = ()
    effects: tuple[str, ...] | None = None
    sounding: tuple[str, ...] = ()
    chosen: str = ""
    model: str = ""
    sleep_min: float = 0.0
    listeners: int = 0
    song: SongStatus | None = None
    recording: RecordingStatus | None = None

    @property
    def state(self) -> str:
        """`playing` or `paused`."""
        return "paused" if self.is_paused else "playing"
