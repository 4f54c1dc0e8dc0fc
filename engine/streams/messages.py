"""What the session and its stream worker say to each other: lines of JSON.

The worker is told on its standard input, so that no password stands among its
arguments, and answers on its standard output.
"""

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

PCM_FORMATS = ("s16le", "f32le")


@dataclass(frozen=True)
class Outputs:
    """Where the master goes besides the speaker.

    Attributes:
        serve: whether listening sockets were passed on, for HTTP.
        icecast: URLs of mounts, with their passwords.
        hls: folder for segments, or nothing.
        snapcast: HOST:PORT of TCP sources.
        pipe: path of a FIFO, or nothing.
        pcm: format of `pipe` and of the standard output.
        name: of the radio, as players show it.
    """

    serve: bool = False
    icecast: tuple[str, ...] = ()
    hls: str = ""
    snapcast: tuple[str, ...] = ()
    pipe: str = ""
    pcm: str = PCM_FORMATS[0]
    name: str = "Latent"


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker is started with.

    Attributes:
        outputs: what it is to feed.
        sample_rate: Hz, of the shared ring.
        capacity: of the ring, in samples.
        ring: descriptor of the ring.
        sockets: descriptors of listening sockets.
        stdout: descriptor to write PCM to, or -1.
    """

    outputs: Outputs
    sample_rate: int
    capacity: int
    ring: int
    sockets: tuple[int, ...] = ()
    stdout: int = -1


@dataclass(frozen=True)
class Playing:
    """The song that plays.

    Attributes:
        number: of the song, from 1.
        title: its name.
        preset: that it plays under.
        pattern: its symbols.
        spectra: its sounds A to E, each the levels 0..255 of bands from low to high.
    """

    number: int = 0
    title: str = ""
    preset: str = ""
    pattern: str = ""
    spectra: tuple[tuple[int, ...], ...] = ()

    @property
    def line(self) -> str:
        """One line for players, as `Latent - Song 3 (dark)`."""
        preset = f" ({self.preset})" if self.preset else ""
        return f"Latent - {self.title}{preset}" if self.title else "Latent"


@dataclass(frozen=True)
class StreamCounts:
    """What a worker has done so far.

    Attributes:
        listeners: over HTTP, now.
        served: listeners since its start.
        slow: listeners that were dropped because they did not keep up.
        dropped: samples that found the shared ring full.
        lost: samples that pipes and sources did not take in time.
    """

    listeners: int = 0
    served: int = 0
    slow: int = 0
    dropped: int = 0
    lost: int = 0


@dataclass(frozen=True)
class WorkerReport:
    """A line from the worker: a message for the user, counts, or its end.

    Attributes:
        say: a line for the user.
        counts: what was done so far.
        finished: whether the standard output was closed by its reader.
    """

    say: str = ""
    counts: StreamCounts = field(default_factory=StreamCounts)
    finished: bool = False


Message = TypeVar("Message", WorkerPlan, Playing, WorkerReport)


def to_line(message: WorkerPlan | Playing | WorkerReport) -> str:
    """Return a message as one line, with its end."""
    return msgspec.json.encode(message).decode() + "\n"


def from_line(line: str, kind: type[Message]) -> Message:
    """Return the message of that kind that `to_line` wrote.

    Raises:
        msgspec.DecodeError: it is another.
    """
    return msgspec.json.decode(line, type=kind)
