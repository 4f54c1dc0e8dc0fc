"""A real sound device without a sound card: a private PulseAudio with null sinks.

The server has a runtime folder of its own and is ended by its process id, so it
neither meets the user's sound server nor outlives a test. What a program plays onto
a sink is captured from the sink's monitor, bit for bit.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from effects.audio.levels import Samples

START_S = 10.0  # a busy machine takes a second; more means that something is wrong
POLL_S = 0.02
CAPTURE_LATENCY_MS = 50


class VirtualAudio:
    """A PulseAudio server with one or two null sinks, from `with` to its end.

    Programs started with `env` see it as their only sound device, `pulse`. PortAudio
    looks for devices when it is imported, so what opens one is best a process of its
    own.

    Attributes:
        env: environment for programs that shall play here.
        rate: sample rate of the sinks in Hz.
        sinks: their names; the first is the default.
    """

    def __init__(
        self, rate: int = 48_000, channels: int = 2, *, two_sinks: bool = False
    ) -> None:
        self.rate = rate
        self.channels = channels
        self.sinks = ("latent", "second") if two_sinks else ("latent",)
        self._folder = tempfile.TemporaryDirectory(prefix="latent-pulse-")
        self.folder = Path(self._folder.name)
        self.env = self._environment()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"),
            *("--use-pid-file=no", "--high-priority=no", "--realtime=no"),
            "--disable-shm=yes",
        ]
        for sink in self.sinks:
            command += ["-L", f"module-null-sink {self._sink_arguments(sink)}"]
        if len(self.sinks) > 1:
            # Streams move to the sink that is left when theirs goes.
            command += ["-L", "module-rescue-streams"]
        command += ["-L", "module-native-protocol-unix"]
        log = self.folder / "server.log"
        with log.open("wb") as errors:
            self._server = subprocess.Popen(
                command, env=self.env, stdout=subprocess.DEVNULL, stderr=errors
            )
        end = time.monotonic() + START_S
        while self._pactl("info").returncode != 0:
            if self._server.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"pulseaudio did not start: {log.read_text()}")
            time.sleep(POLL_S)
        self.control("set-default-sink", self.sinks[0])

    def stop(self) -> None:
        """End the server, as a crash of it would."""
        if self._server is None:
            return
        self._server.terminate()
        try:
            self._server.wait(5.0)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def crash(self) -> None:
        """Kill the server."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        self._server = None
        for left in self.folder.glob("native"):  # its socket
            left.unlink()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server stand still, as a hung one does, while the block runs."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def load_sink(self, name: str = "latent") -> None:
        """Plug a sink in (again)."""
        self.control(
            "load-module", "module-null-sink", *self._sink_arguments(name).split()
        )
        if name == self.sinks[0]:
            self.control("set-default-sink", name)

    def unload_sink(self, name: str = "latent") -> None:
        """Unplug a sink while whatever plays on it goes on."""
        listed = self.control("list", "short", "modules")
        for line in listed.splitlines():
            number, module, arguments, *_ = [*line.split("\t"), "", ""]
            names_it = f"sink_name={name}" in arguments.split()
            if module == "module-null-sink" and names_it:
                self.control("unload-module", number)
                return
        raise RuntimeError(f"no sink {name!r} to unload among:\n{listed}")

    def suspend_sink(self, suspended: bool, name: str = "latent") -> None:
        """Stall a sink, or let it run again."""
        self.control("suspend-sink", name, "1" if suspended else "0")

    def streams(self, sink: str | None = None) -> int:
        """How many streams play now, on all sinks or on one."""
        inputs = self.control("list", "short", "sink-inputs").splitlines()
        if sink is None:
            return len(inputs)
        sinks = self.control("list", "short", "sinks").splitlines()
        number = next(s.split("\t")[0] for s in sinks if s.split("\t")[1] == sink)
        return sum(line.split("\t")[1] == number for line in inputs)

    @contextmanager
    def capture(self, sink: str = "latent") -> Iterator["Capture"]:
        """Capture what is played on a sink while the block runs.

        The block is entered once samples come in, so nothing that starts in it is
        lost.
        """
        file = self.folder / f"capture-{sink}-{time.monotonic_ns()}.f32"
        command = [
            *("parec", "-d", f"{sink}.monitor", "--format=float32le", "--raw"),
            *(f"--rate={self.rate}", f"--channels={self.channels}"),
            f"--latency-msec={CAPTURE_LATENCY_MS}",
        ]
        with file.open("wb") as out:
            recorder = subprocess.Popen(command, env=self.env, stdout=out)
        try:
            end = time.monotonic() + START_S
            while file.stat().st_size == 0:
                if recorder.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"nothing to capture from sink {sink!r}")
                time.sleep(POLL_S)
            yield Capture(file, self.channels)
            time.sleep(4 * CAPTURE_LATENCY_MS / 1000)  # what is on its way
        finally:
            recorder.terminate()
            recorder.wait()

    def control(self, *arguments: str) -> str:
        """Run `pactl` with these arguments and return what it prints."""
        result = self._pactl(*arguments)
        if result.returncode != 0:
            raise RuntimeError(f"pactl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def _pactl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["pactl", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def _sink_arguments(self, name: str) -> str:
        positions = "front-left,front-right" if self.channels == 2 else "mono"
        # Without norewinds playback begins with a stall of almost a second.
        return (
            f"sink_name={name} rate={self.rate} channels={self.channels} "
            f"format=float32le channel_map={positions} norewinds=1"
        )

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        without = {"PULSE_SERVER", "PULSE_SINK", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"}
        env = {name: text for name, text in os.environ.items() if name not in without}
        return env | {
            "PULSE_RUNTIME_PATH": folder,
            "PULSE_STATE_PATH": folder,
            "PULSE_COOKIE": f"{folder}/cookie",
            "XDG_CONFIG_HOME": folder,
            "XDG_RUNTIME_DIR": folder,
            "LC_ALL": "C",
        }


class Capture:
    """What a sink has played since the capture began, silence included."""

    def __init__(self, file: Path, channels: int) -> None:
        self._file = file
        self._channels = channels

    def samples(self) -> Samples:
        """All samples so far, shape (n_samples, channels)."""
        raw = np.fromfile(self._file, "<f4")
        whole = len(raw) // self._channels * self._channels
        return raw[:whole].reshape(-1, self._channels)

    def heard(self) -> Samples:
        """From the first to the last sample that is not silence."""
        samples = self.samples()
        loud = np.flatnonzero(np.any(samples != 0.0, axis=1))
        return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
