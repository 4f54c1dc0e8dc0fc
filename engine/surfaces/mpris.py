"""Media keys and desktop players: the session on the D-Bus session bus, as MPRIS.

A thread with an asyncio loop runs from `start` to `stop`; it uses the same commands and
status as OSC. A bus that goes away or misbehaves ends the thread, never the music.
"""

import asyncio
import contextlib
import importlib.util
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from effects.base.errors import RunError
from engine.control.callbacks import Say
from engine.control.commands import Actions
from engine.control.controls import Controls
from engine.surfaces.mpris_state import PlayerState

if TYPE_CHECKING:
    from engine.surfaces.mpris_objects import Player

NAME = "org.mpris.MediaPlayer2.latent"
PATH = "/org/mpris/MediaPlayer2"
POLL_S = 0.25
SEEKED_S = 2.0  # the position may differ so much from the time that has passed
CONNECT_S = 5.0


def session_bus() -> str | None:
    """Return the address of the session bus, or None; it is never started."""
    if address := os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    socket = Path(runtime, "bus") if runtime else None
    return f"unix:path={socket}" if socket and socket.is_socket() else None


def missing() -> str | None:
    """Return what is missing here for MPRIS, or None."""
    if importlib.util.find_spec("dbus_fast") is None:
        return "the package dbus-fast ('bin/latent play --media-keys' installs it)"
    return None if session_bus() else "a D-Bus session bus"


class MediaKeys:
    """A media player on the session bus.

    Args:
        controls: for the volume.
        actions: commands and status of the session; called from the bus's thread.
        say: takes one line for the user.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        say: Say = lambda line: None,
    ) -> None:
        self.name = ""  # on the bus, once it is there
        self._controls, self._actions, self._say = controls, actions, say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mpris", daemon=True)

    def start(self) -> None:
        """Start the thread, which connects.

        Raises:
            RunError: the package or the bus is missing.
        """
        if lacking := missing():
            raise RunError(f"media keys need {lacking}")
        self._thread.start()

    def stop(self) -> None:
        """Leave the bus; harmless when not started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # whatever a bus does, the music goes on
            if not self._stopping.is_set():
                self._say(f"media keys: {error or type(error).__name__}")

    async def _serve(self) -> None:
        from dbus_fast import NameFlag, RequestNameReply
        from dbus_fast.aio import MessageBus

        from engine.surfaces.mpris_objects import Player, Root

        bus = MessageBus(bus_address=session_bus(), auth_timeout=CONNECT_S)
        await asyncio.wait_for(bus.connect(), CONNECT_S)
        try:
            player = Player(self._actions, self._controls)
            bus.export(PATH, Root(self._actions))
            bus.export(PATH, player)
            for name in (NAME, f"{NAME}.instance{os.getpid()}"):
                reply = await bus.request_name(name, NameFlag.DO_NOT_QUEUE)
                if reply == RequestNameReply.PRIMARY_OWNER:
                    self.name = name
                    break
            await self._watch(lambda: bus.connected, player)
        finally:
            self.name = ""
            with contextlib.suppress(Exception):
                bus.disconnect()

    async def _watch(self, connected: Callable[[], bool], player: "Player") -> None:
        """Tell the bus what has changed, until it is gone or `stop` is called."""
        shown, since = player.state(), time.monotonic()
        while not self._stopping.is_set() and connected():
            await asyncio.sleep(POLL_S)
            state, now = player.state(), time.monotonic()
            if changed := _changed(shown, state):
                player.emit_properties_changed(changed)
            ran = now - since if shown.status == "Playing" else 0.0
            gone = 1e-6 * (state.position - shown.position)
            if abs(gone - ran) > SEEKED_S:
                player.seeked(state.position)
                shown, since = state, now
            elif changed:
                shown, since = state, now


def _changed(before: PlayerState, after: PlayerState) -> dict[str, object]:
    from engine.surfaces.mpris_objects import variants

    found: dict[str, object] = {}
    if before.status != after.status:
        found["PlaybackStatus"] = after.status
    if before.volume != after.volume:
        found["Volume"] = after.volume
    if variants(before) != variants(after):
        found["Metadata"] = variants(after)
    return found
