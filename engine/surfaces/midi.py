"""MIDI: knobs, faders, pads and keys of a controller, bound to controls by learning.

`MidiBridge` turns messages into values and commands; `MidiInputs` opens the ports, also
those that are plugged in later, and closes those that were unplugged. Bindings are kept
in `midi.json` in the configuration folder, a row for each:

    {"message": "control_change", "channel": 0, "number": 7, "to": "master/gain"}
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from msgspec import Meta

from effects.base.errors import InputError, LatentError, RunError
from effects.base.open_file import read_bytes
from effects.base.paths import config_dir
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from engine.control.callbacks import Say
from engine.control.commands import COMMANDS_BY_NAME, Actions
from engine.control.controls import CONTROLS, Controls, Snapshot

# Message -> the attributes with its number and its value, and the greatest value.
KINDS = {
    "control_change": ("control", "value", 127),
    "note_on": ("note", "velocity", 127),
    "pitchwheel": ("", "pitch", 8191),
}
PRESSED = 0.5  # positions from here on count as pressed
MAX_FILE = 256 * 1024  # bytes
RESCAN_S = 2.0


class MidiMessage(Protocol):
    """The part of `mido.Message` that every type has."""

    type: str


@dataclass(frozen=True)
class MidiSource:
    """The knob, key or wheel that a message comes from."""

    message: str
    channel: int
    number: int


@dataclass(frozen=True)
class _BindingRow:
    """A row of the file: a source, and the control or command that it is bound to."""

    message: str
    channel: Annotated[int, Meta(ge=0, le=15)]
    number: Annotated[int, Meta(ge=0, le=127)]
    to: str


class MidiBackend(Protocol):
    """The part of the module `mido` that is used."""

    def get_input_names(self) -> Sequence[str]:
        """Return the names of all ports."""

    def open_input(self, name: str, *, callback: Callable[[Any], None]) -> Any:
        """Open a port that calls back for each message, until its `close`."""


def load(path: Path) -> dict[MidiSource, str]:
    """Read bindings from a file; empty if there is no file.

    Raises:
        InputError: it is not a file of bindings.
    """
    if not path.exists():
        return {}
    content = read_bytes(path, MAX_FILE, "list of MIDI bindings")
    try:
        rows = decode_json(content, list[_BindingRow], str(path))
        return dict(map(_binding, rows))
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(
            f"{path}: not a list of MIDI bindings ({reason}); mend or remove it"
        ) from error


def save(path: Path, bindings: dict[MidiSource, str]) -> None:
    """Write bindings to a file, whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    rows = [{**asdict(source), "to": target} for source, target in bindings.items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror})") from error
    write_whole(path, json.dumps(rows, indent=1) + "\n")


class MidiBridge:
    """Turns MIDI messages into values and commands; any thread may call it.

    Args:
        controls: the values to set.
        actions: commands of the session.
        path: file of the bindings; by default the user's.
        say: takes one line for the user.

    Raises:
        InputError: the file of bindings cannot be used.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        path: Path | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self._controls, self._actions, self._say = controls, actions, say
        self._path = path or config_dir() / "midi.json"
        self._bindings = load(self._path)
        self._down: set[MidiSource] = set()  # pressed, as far as messages said
        self._learning: str | None = None
        self._lock = threading.Lock()

    def learn(self, target: str | None) -> None:
        """Bind the next message to a control or command; None cancels that.

        Raises:
            InputError: there is no such control or command.
        """
        if target is not None:
            _check_target(target)
        self._learning = target

    def forget(self, target: str) -> None:
        """Remove all bindings of a control or command.

        Raises:
            InputError: nothing is bound to it.
            RunError: the file of bindings cannot be written.
        """
        with self._lock:
            kept = {s: t for s, t in self._bindings.items() if t != target}
            if len(kept) == len(self._bindings):
                raise InputError(f"{target}: no MIDI message is bound to it")
            self._bindings = kept
            save(self._path, kept)

    def handle(self, message: MidiMessage) -> None:
        """Carry out what a message is bound to, if it is bound."""
        read = _read(message)
        if read is None:
            return
        source, position = read
        with self._lock:
            if self._learning is not None and position > 0.0:
                self._bind(source, self._learning)
            target = self._bindings.get(source)
            was_down = source in self._down
            is_down = (
                position >= PRESSED if source.message != "note_on" else position > 0
            )
            (self._down.add if is_down else self._down.discard)(source)
        if target is None:
            return
        pressed = is_down and not was_down
        try:
            if target in COMMANDS_BY_NAME:
                if pressed:
                    self._actions.command(target)
            else:
                self._set(target, source, position, pressed)
        except LatentError as error:
            self._say(f"MIDI: {target}: {error}")

    def _set(
        self, name: str, source: MidiSource, position: float, pressed: bool
    ) -> None:
        control = CONTROLS[name]
        if source.message != "note_on":
            self._controls.set(name, control.from_norm(position))
            return
        snapshot: Snapshot = self._controls.snapshot
        if not pressed:
            return  # releasing a key changes nothing
        if isinstance(control.default, bool):
            self._controls.set(name, not snapshot[name])
        elif control.choices:
            at = control.choices.index(str(snapshot[name])) + 1
            self._controls.set(name, control.choices[at % len(control.choices)])
        else:
            self._controls.set(name, control.from_norm(position))

    def _bind(self, source: MidiSource, target: str) -> None:
        self._learning = None
        self._bindings = {**self._bindings, source: target}
        try:
            save(self._path, self._bindings)
        except RunError as error:
            self._say(f"MIDI: {error}; bound until the end only")
        where = f"{source.message} {source.number} on channel {source.channel + 1}"
        self._say(f"MIDI: {where} is {target} now")


class MidiInputs:
    """Listens to all ports whose names hold a text, from `start` to `stop`.

    Args:
        bridge: takes the messages, in the thread of the MIDI library.
        wanted: part of the ports' names, in any case; empty for all.
        say: takes one line for the user.
        backend: by default the module `mido`.
    """

    def __init__(
        self,
        bridge: MidiBridge,
        wanted: str = "",
        say: Say = lambda line: None,
        backend: MidiBackend | None = None,
    ) -> None:
        self._bridge, self._wanted, self._say = bridge, wanted.casefold(), say
        self._backend = backend
        self._ports: dict[str, Any] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="midi", daemon=True)

    def start(self) -> None:
        """Open the ports, and look for new ones every two seconds.

        Raises:
            InputError: a package is missing, or the system has no MIDI.
        """
        self._backend = self._backend or _mido()
        try:
            self.scan()
        except Exception as error:
            # rtmidi's errors have no common base with Python's.
            raise InputError(f"MIDI cannot be used here: {error}") from error
        if not self._ports:
            self._say("MIDI: no port yet; one that is plugged in later is opened")
        self._thread.start()

    def stop(self) -> None:
        """Close all ports; harmless when not started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        for port in self._ports.values():
            port.close()
        self._ports = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the open ports."""
        return tuple(self._ports)

    def scan(self) -> None:
        """Open ports that are new, and close those that are gone."""
        assert self._backend is not None
        there = [
            name
            for name in self._backend.get_input_names()
            if self._wanted in name.casefold()
        ]
        for name in [name for name in self._ports if name not in there]:
            self._ports.pop(name).close()
            self._say(f"MIDI: {name} is gone")
        for name in there:
            if name not in self._ports:
                callback = self._bridge.handle
                self._ports[name] = self._backend.open_input(name, callback=callback)
                self._say(f"MIDI: listening to {name}")

    def _watch(self) -> None:
        told = ""
        while not self._stopping.wait(RESCAN_S):
            try:
                self.scan()
            except Exception as error:
                # Another program uses the port, or the sound system restarts.
                if told != str(error):
                    self._say(f"MIDI: {error}")
                told = str(error)


def _mido() -> MidiBackend:
    try:
        import mido
        import rtmidi  # noqa: F401 - mido would report it missing only later
    except ImportError as error:
        raise InputError(
            "MIDI needs the package python-rtmidi: 'bin/latent play --midi NAME' "
            "installs it"
        ) from error
    found: MidiBackend = mido
    return found


def _read(message: Any) -> tuple[MidiSource, float] | None:
    """Return the source of a message and its position 0..1; None for other types."""
    if message.type == "note_off":
        return MidiSource("note_on", message.channel, message.note), 0.0
    if message.type not in KINDS:
        return None
    number_name, value_name, highest = KINDS[message.type]
    number = getattr(message, number_name) if number_name else 0
    value = getattr(message, value_name)
    if message.type == "pitchwheel":
        return MidiSource(message.type, message.channel, 0), (value + 8192) / 16_383
    return MidiSource(message.type, message.channel, number), value / highest


def _binding(row: "_BindingRow") -> tuple[MidiSource, str]:
    if row.message not in KINDS:
        raise InputError(f"no MIDI message {row.message!r:.40}")
    _check_target(row.to)
    return MidiSource(row.message, row.channel, row.number), row.to


def _check_target(target: str) -> None:
    if target not in COMMANDS_BY_NAME["midi/learn"].choices:
        raise InputError(f"{target!r:.60}: no control, and no command to be bound")
