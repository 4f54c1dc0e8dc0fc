"""The two D-Bus interfaces of a media player (MPRIS 2.2), for dbus-fast.

Imported only where that package is installed. All of it runs in the thread of the bus.
"""

from typing import Annotated, Any

from dbus_fast import DBusError, PropertyAccess, Variant
from dbus_fast.annotations import (
    DBusBool,
    DBusDict,
    DBusDouble,
    DBusInt64,
    DBusObjectPath,
    DBusSignature,
    DBusStr,
)
from dbus_fast.service import (
    ServiceInterface,
    dbus_method,
    dbus_property,
    dbus_signal,
)

from effects.base.errors import LatentError
from engine.control.commands import Actions
from engine.control.controls import Controls
from engine.surfaces.mpris_state import PlayerState, controls_at, state_of

_READ = PropertyAccess.READ
_Strings = Annotated[list[str], DBusSignature("as")]
ERROR = "org.latent.Error"


class Root(ServiceInterface):
    """`org.mpris.MediaPlayer2`: name of the player, and quitting it."""

    def __init__(self, actions: Actions) -> None:
        super().__init__("org.mpris.MediaPlayer2")
        self._actions = actions

    @dbus_method(name="Raise")
    def raise_(self) -> None:
        """Do nothing: there is no window."""

    @dbus_method(name="Quit")
    def quit(self) -> None:
        """End the session."""
        _do(self._actions, "stop")

    @dbus_property(_READ, "CanQuit")
    def can_quit(self) -> DBusBool:
        """Always."""
        return True

    @dbus_property(_READ, "CanRaise")
    def can_raise(self) -> DBusBool:
        """Never: there is no window."""
        return False

    @dbus_property(_READ, "HasTrackList")
    def has_track_list(self) -> DBusBool:
        """Never: songs to come are not known by name."""
        return False

    @dbus_property(_READ, "Identity")
    def identity(self) -> DBusStr:
        """Name for people."""
        return "Latent"

    @dbus_property(_READ, "SupportedUriSchemes")
    def supported_uri_schemes(self) -> _Strings:
        """Return none: Latent plays what it composes."""
        return []

    @dbus_property(_READ, "SupportedMimeTypes")
    def supported_mime_types(self) -> _Strings:
        """Return none."""
        return []


class Player(ServiceInterface):
    """`org.mpris.MediaPlayer2.Player`: keys, volume, and what plays."""

    def __init__(self, actions: Actions, controls: Controls) -> None:
        super().__init__("org.mpris.MediaPlayer2.Player")
        self._actions, self._controls = actions, controls

    def state(self) -> PlayerState:
        """Return the state to show now."""
        return state_of(self._actions.status(), self._controls.snapshot)

    @dbus_method(name="Next")
    def next(self) -> None:
        """Go on to the next song."""
        _do(self._actions, "next")

    @dbus_method(name="Previous")
    def previous(self) -> None:
        """Do nothing: no song comes twice."""

    @dbus_method(name="Play")
    def play(self) -> None:
        """Go on after a pause."""
        _do(self._actions, "play")

    @dbus_method(name="Pause")
    def pause(self) -> None:
        """Fade out and wait."""
        _do(self._actions, "pause")

    @dbus_method(name="PlayPause")
    def play_pause(self) -> None:
        """Pause if it plays, else play."""
        _do(self._actions, "pause" if self.state().status == "Playing" else "play")

    @dbus_method(name="Stop")
    def stop(self) -> None:
        """Fade out and end."""
        _do(self._actions, "stop")

    @dbus_method(name="Seek")
    def seek(self, offset: DBusInt64) -> None:
        """Do nothing: music is made while it plays."""

    @dbus_method(name="SetPosition")
    def set_position(self, track: DBusObjectPath, position: DBusInt64) -> None:
        """Do nothing: music is made while it plays."""

    @dbus_method(name="OpenUri")
    def open_uri(self, uri: DBusStr) -> None:
        """Refuse.

        Raises:
            DBusError: always.
        """
        raise DBusError(ERROR, "Latent plays what it composes, and nothing else")

    @dbus_signal(name="Seeked")
    def seeked(self, position: int) -> DBusInt64:
        """Signal that the position differs from the time that has passed."""
        return position

    @dbus_property(_READ, "PlaybackStatus")
    def playback_status(self) -> DBusStr:
        """`Playing` or `Paused`."""
        return self.state().status

    @dbus_property(_READ, "Rate")
    def rate(self) -> DBusDouble:
        """Always 1."""
        return 1.0

    @dbus_property(_READ, "MinimumRate")
    def minimum_rate(self) -> DBusDouble:
        """Always 1."""
        return 1.0

    @dbus_property(_READ, "MaximumRate")
    def maximum_rate(self) -> DBusDouble:
        """Always 1."""
        return 1.0

    @dbus_property(PropertyAccess.READWRITE, "Volume")
    def volume(self) -> DBusDouble:
        """0 is silent, 1 is 0 dB; see `mpris_state`."""
        return self.state().volume

    @volume.setter  # type: ignore[no-redef]
    def volume(self, volume: DBusDouble) -> None:
        """Set the master gain."""
        self._controls.update(controls_at(volume))

    @dbus_property(_READ, "Position")
    def position(self) -> DBusInt64:
        """Microseconds since the song began."""
        return self.state().position

    @dbus_property(_READ, "Metadata")
    def metadata(self) -> DBusDict:
        """Metadata of the song."""
        return variants(self.state())

    @dbus_property(_READ, "CanGoNext")
    def can_go_next(self) -> DBusBool:
        """Always."""
        return True

    @dbus_property(_READ, "CanGoPrevious")
    def can_go_previous(self) -> DBusBool:
        """Never: no song comes twice."""
        return False

    @dbus_property(_READ, "CanPlay")
    def can_play(self) -> DBusBool:
        """Always."""
        return True

    @dbus_property(_READ, "CanPause")
    def can_pause(self) -> DBusBool:
        """Always."""
        return True

    @dbus_property(_READ, "CanSeek")
    def can_seek(self) -> DBusBool:
        """Never: music is made while it plays."""
        return False

    @dbus_property(_READ, "CanControl")
    def can_control(self) -> DBusBool:
        """Always."""
        return True


def variants(state: PlayerState) -> dict[str, Any]:
    """Return the metadata of a song with the types of MPRIS."""
    return {
        "mpris:trackid": Variant("o", state.track),
        "mpris:length": Variant("x", state.length),
        "xesam:title": Variant("s", state.title),
        "xesam:artist": Variant("as", ["Latent"]),
        "xesam:album": Variant("s", state.album),
    }


def _do(actions: Actions, name: str) -> None:
    try:
        actions.command(name)
    except LatentError as error:
        raise DBusError(ERROR, str(error)) from error
