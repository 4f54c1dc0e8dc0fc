"""MIDI: knobs, faders, pads and keys of a controller, bound to controls by learning.

Learning changes no value, and a knob moves its control only once it has come by the
value in force; see `midi_knobs`.
"""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from effects.base.errors import InputError, LatentError, RunError
from effects.base.paths import config_dir
from engine.control.callbacks import Say
from engine.control.commands import COMMANDS_BY_NAME, Actions
from engine.control.controls import CONTROLS, Controls, Value
from engine.surfaces.midi_bindings import MidiBinding, check_target, load, save
from engine.surfaces.midi_knobs import (
    MidiInput,
    MidiSource,
    Mode,
    Takeover,
    mode_of,
    read,
    stepped,
    steps_of,
)

PRESSED = 64  # values of a button from here on count as pressed


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
        self._values: dict[MidiSource, int] = {}  # sent last
        self._takeovers: dict[tuple[MidiSource, str], Takeover] = {}
        self._learning: str | None = None
        self._lock = threading.Lock()

    def learn(self, target: str | None) -> None:
        """Bind the next message to a control or command; None cancels that.

        Raises:
            InputError: there is no such control or command.
        """
        if target is not None:
            check_target(target)
        self._learning = target

    def forget(self, target: str) -> None:
        """Remove all bindings of a control or command.

        Raises:
            InputError: nothing is bound to it.
            RunError: the file of bindings cannot be written.
        """
        with self._lock:
            kept = {s: b for s, b in self._bindings.items() if b.to != target}
            if len(kept) == len(self._bindings):
                raise InputError(f"{target}: no MIDI message is bound to it")
            self._bindings = kept
            save(self._path, kept)

    def handle(self, message: Any) -> None:
        """Carry out what a message, as `mido` has them, is bound to."""
        found = read(message)
        if found is None:
            return
        with self._lock:
            before = self._values.get(found.source)
            self._values[found.source] = found.value
            if self._learning is not None and found.position > 0.0:
                self._bind(found.source, self._learning)
                before = None
            binding = self._bindings.get(found.source)
            if binding is not None:
                binding = self._decided(found, binding, before)
        if binding is None or binding.mode is Mode.UNKNOWN:
            return
        try:
            self._carry_out(found, binding, before)
        except LatentError as error:
            self._say(f"MIDI: {binding.to}: {error}")

    def _carry_out(
        self, found: MidiInput, binding: MidiBinding, before: int | None
    ) -> None:
        pressed = _is_down(found, found.value) and not _is_down(found, before)
        if binding.to in COMMANDS_BY_NAME:
            if pressed:
                self._actions.command(binding.to)
            return
        control = CONTROLS[binding.to]
        value = self._controls.snapshot[control.name]
        if found.source.message == "note_on":
            if pressed:
                self._controls.set(control.name, _pressed(control.name, value, found))
        elif binding.mode is not Mode.ABSOLUTE:
            steps = steps_of(binding.mode, found.value)
            self._controls.set(control.name, stepped(control, value, steps))
        elif isinstance(control.default, bool):
            self._controls.set(control.name, control.from_norm(found.position))
        else:
            self._turn(found, binding.to, value)

    def _turn(self, found: MidiInput, name: str, value: Value) -> None:
        """Turn a control by a knob that stands somewhere, once it has taken over."""
        control = CONTROLS[name]
        takeover = self._takeovers.setdefault((found.source, name), Takeover())
        if takeover.moves(control, value, found.position):
            wanted = control.from_norm(found.position)
            takeover.has_set(self._controls.set(name, wanted))

    def _decided(
        self, found: MidiInput, binding: MidiBinding, before: int | None
    ) -> MidiBinding:
        """The binding with the mode that the value tells, which is written down."""
        if found.source.message != "control_change":
            return binding
        mode = mode_of(binding.mode, before, found.value)
        if mode is binding.mode:
            return binding
        decided = replace(binding, mode=mode)
        self._bindings = {**self._bindings, found.source: decided}
        self._save()
        return decided

    def _bind(self, source: MidiSource, target: str) -> None:
        self._learning = None
        is_knob = source.message == "control_change" and _turns(target)
        mode = Mode.UNKNOWN if is_knob else Mode.ABSOLUTE
        self._bindings = {**self._bindings, source: MidiBinding(target, mode)}
        self._save()
        where = f"{source.message} {source.number} on channel {source.channel + 1}"
        self._say(f"MIDI: {where} is {target} now")

    def _save(self) -> None:
        try:
            save(self._path, self._bindings)
        except RunError as error:
            self._say(f"MIDI: {error}; bound until the end only")


def _turns(target: str) -> bool:
    """Whether a target is turned, not switched or commanded by a button."""
    return target in CONTROLS and not isinstance(CONTROLS[target].default, bool)


def _is_down(found: MidiInput, value: int | None) -> bool:
    if value is None:
        return False
    return value > 0 if found.source.message == "note_on" else value >= PRESSED


def _pressed(name: str, value: Value, found: MidiInput) -> Value:
    """The value after a key was pressed: switched, the next choice, or its velocity."""
    control = CONTROLS[name]
    if isinstance(control.default, bool):
        return not value
    if control.choices:
        at = control.choices.index(str(value)) + 1
        return control.choices[at % len(control.choices)]
    return control.from_norm(found.position)
