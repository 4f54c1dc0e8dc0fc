"""What the streams are told of the song that plays, for titles and covers."""

import time

import numpy as np

from engine.app.session_commands import SessionCommands
from engine.live.session import Session
from engine.streams.cover import cover_spectra
from engine.streams.messages import Playing
from engine.streams.radio import StreamRadio

EVERY_S = 0.5  # between looks at what plays


class NowStreaming:
    """Tells a radio of each new song, and of each new preset.

    Args:
        session: that is played.
        commands: whose status says what plays.
        radio: to tell.
    """

    def __init__(
        self, session: Session, commands: SessionCommands, radio: StreamRadio
    ) -> None:
        self._session, self._commands, self._radio = session, commands, radio
        self._told: tuple[int, str] | None = None  # number of the song, preset
        self._due = 0.0  # monotonic

    def poll(self) -> None:
        """The session's thread: look at what plays, twice a second at most."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_S
        status, now = self._commands.status(), self._session.now()
        song = status.song
        if song is None or now is None or self._told == (song.number, status.preset):
            return
        self._told = (song.number, status.preset)
        timbres = self._session.graph.model.decode(now.points.astype(np.float32))
        self._radio.tell(
            Playing(
                song.number + 1,
                song.title,
                status.preset,
                song.pattern,
                cover_spectra(timbres),
            )
        )
