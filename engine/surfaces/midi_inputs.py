"""MIDI ports: opened when they are there, also later, and closed when they are gone."""

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from effects.base.errors import InputError
from engine.control.callbacks import Say
from engine.surfaces.midi import MidiBridge

RESCAN_S = 2.0
SEQUENCER = Path("/dev/snd/seq")
# Linux has a package that needs no compiler on any machine or Python.
BACKENDS = {"linux": ("alsa_midi.mido_backend", "alsa-midi")}
OTHER_BACKEND = ("mido.backends.rtmidi", "python-rtmidi")


class MidiBackend(Protocol):
    """The part of the module `mido` that is used."""

    def get_input_names(self) -> Sequence[str]:
        """Return the names of all ports."""

    def open_input(self, name: str, *, callback: Callable[[Any], None]) -> Any:
        """Open a port that calls back for each message, until its `close`."""


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
            # The errors of MIDI libraries have no common base with Python's.
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
    module, package = BACKENDS.get(sys.platform, OTHER_BACKEND)
    try:
        import mido

        importlib.import_module(module.partition(".")[0])
    except ImportError as error:
        raise InputError(
            f"MIDI needs the packages mido and {package}: "
            "'bin/latent play --midi NAME' installs them"
        ) from error
    if sys.platform == "linux" and not SEQUENCER.exists():
        raise InputError(
            f"MIDI cannot be used here: there is no {SEQUENCER}; 'modprobe snd-seq' "
            "loads it"
        )
    found: MidiBackend = mido.Backend(module)
    return found
