"""How fast other makers of such sound are, beside ours, in one run.

Run as `bin/bench peers`. Those of PyPI get an environment of their own in a folder that
is kept in the cache; those of Debian (fluidsynth, csound) are measured where they are
installed. Numbers are seconds of audio a second of processor time, on one thread,
without start and imports.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from effects.base.paths import cache_dir
from tests.support.command import ROOT
from tests.support.kept_figures import Figure, keep

RUNS = 3
SHORT_S, LONG_S = 20.0, 140.0  # the difference of two renders has no start in it

OURS = """
import sys, time
from engine.graph import Settings, build
from engine.offline.render import render
seconds, effects = float(sys.argv[1]), () if sys.argv[2] == "bed" else None
def made(duration):
    asked = Settings(seed=7, sample_rate=48000, duration=duration, effects=effects)
    graph = build(asked)
    if graph.bed is not None:
        graph.bed.prepare(0)
    begun = time.process_time()
    render(graph, lambda block: None)
    return time.process_time() - begun
made(10.0)
print(seconds / made(seconds))
"""

FLOOR = """
import sys, time
import numpy as np
seconds, rate, n = float(sys.argv[1]), 48000, 4096
rng, window = np.random.default_rng(0), np.hanning(4096).astype(np.float32)
level = rng.random(n // 2 + 1, np.float32)
begun, done = time.process_time(), 0
out = np.zeros((2, n), np.float32)
while done < seconds * rate:
    phases = rng.random((2, n // 2 + 1), np.float32) * np.float32(2 * np.pi)
    frames = np.fft.irfft(level * np.exp(1j * phases), axis=1) * window
    out[:, : n // 2] = out[:, n // 2 :] + frames[:, : n // 2]
    out[:, n // 2 :] = frames[:, n // 2 :]
    done += n // 2
print(seconds / (time.process_time() - begun))
"""

PAULSTRETCH = """
import sys, time
import numpy as np
from paulstretch import stretch
seconds, rate = float(sys.argv[1]), 48000
sound = np.random.default_rng(0).normal(size=(int(seconds * rate / 8), 2))
begun = time.process_time()
stretch(sound.astype(np.float32), 8.0, 8192)
print(seconds / (time.process_time() - begun))
"""

GRIFFIN_LIM = """
import sys, time
import numpy as np
import librosa
seconds, rate = min(20.0, float(sys.argv[1])), 48000
levels = np.random.default_rng(0).random((1025, int(seconds * rate / 512)))
librosa.griffinlim(levels[:, :20].astype(np.float32), n_iter=2)
begun = time.process_time()
librosa.griffinlim(levels.astype(np.float32), n_iter=32)
print(seconds / (time.process_time() - begun))
"""

CSOUND = """<CsoundSynthesizer>
<CsOptions>
-d -m0 -o {out}
</CsOptions>
<CsInstruments>
sr = 48000
ksmps = 64
nchnls = 2
0dbfs = 1
ga init 0
instr 1
  asum = 0
  k1 jspline 0.01, 0.1, 0.5
  a1 vco2 0.02, p4 * (1 + k1)
  a2 vco2 0.02, p4 * 1.003
  a3 vco2 0.02, p4 * 0.997
  a4 vco2 0.02, p4 * 2.001
  kcut jspline 600, 0.05, 0.2
  asum moogladder a1 + a2 + a3 + a4, 1200 + kcut, 0.2
  aenv linsegr 0, 4, 1, 4, 0
  ga = ga + asum * aenv
  outs asum * aenv, asum * aenv
endin
instr 99
  al, ar reverbsc ga, ga, 0.9, 9000
  outs al * 0.3, ar * 0.3
  ga = 0
endin
</CsInstruments>
<CsScore>
i 99 0 {seconds}
i 1 0 {seconds} 110
i 1 0 {seconds} 164.8
i 1 0 {seconds} 220
i 1 0 {seconds} 277.2
i 1 0 {seconds} 329.6
e
</CsScore>
</CsoundSynthesizer>
"""


@dataclass(frozen=True)
class Peer:
    """A Python peer.

    Attributes:
        name: as the table has it.
        script: prints its speed; takes seconds of audio.
        needs: package of PyPI; empty if ours will do.
        more: arguments of the script.
    """

    name: str
    script: str
    needs: str = ""
    more: tuple[str, ...] = ()


PEERS = (
    Peer("Latent, with its bed", OURS, more=("bed",)),
    Peer("Latent, music alone", OURS, more=("alone",)),
    Peer("for scale: noise by two inverse FFTs in numpy", FLOOR),
    Peer("paulstretch, stereo", PAULSTRETCH, "paulstretch==0.1.3"),
    Peer("librosa, Griffin-Lim, mono", GRIFFIN_LIM, "librosa==0.11.0"),
)


def speed(peer: Peer) -> float | None:
    """Median speed of a peer; None where it cannot be had."""
    python = _python_of(peer.needs) if peer.needs else Path(sys.executable)
    if python is None:
        return None
    command = [str(python), "-c", peer.script, str(LONG_S), *peer.more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if peer.needs:
        environment.pop("PYTHONPATH", None)
    speeds = []
    for _ in range(RUNS):
        said = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        if said.returncode:
            return None
        speeds.append(float(said.stdout))
    return statistics.median(speeds)


def fluidsynth_speed(folder: Path) -> float | None:
    """A held chord of a soft pad through FluidSynth; None where it is not installed."""
    fonts = sorted(Path("/usr/share/sounds/sf2").glob("*.sf2"))
    if not shutil.which("fluidsynth") or not fonts:
        return None

    def render(seconds: float) -> None:
        song = folder / "pad.mid"
        song.write_bytes(_pad_midi(seconds))
        command = [
            "fluidsynth",
            "-q",
            "-ni",
            "-r",
            "48000",
            "-F",
            str(folder / "x.wav"),
        ]
        subprocess.run(
            [*command, str(fonts[0]), str(song)], capture_output=True, check=True
        )

    return _difference(render)


def csound_speed(folder: Path) -> float | None:
    """Five voices of four oscillators, filtered, with a reverb; None without csound."""
    if not shutil.which("csound"):
        return None

    def render(seconds: float) -> None:
        score = folder / "pad.csd"
        score.write_text(CSOUND.format(out=folder / "x.wav", seconds=seconds))
        subprocess.run(["csound", str(score)], capture_output=True, check=True)

    return _difference(render)


def _difference(render: Callable[[float], None]) -> float:
    """Speed of a program, from what a long render takes more than a short one."""

    def cost(seconds: float) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        render(seconds)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        user = after.ru_utime - before.ru_utime
        return user + after.ru_stime - before.ru_stime

    costs = [cost(LONG_S) - cost(SHORT_S) for _ in range(RUNS)]
    return (LONG_S - SHORT_S) / max(1e-3, statistics.median(costs))


def _pad_midi(seconds: float) -> bytes:
    """A standard MIDI file: five notes of a pad, held, at one tick a millisecond."""
    notes = (45, 52, 57, 61, 64)
    track = bytearray(b"\x00\xff\x51\x03\x0f\x42\x40\x00\xc0\x59")
    for note in notes:
        track += bytes((0x00, 0x90, note, 80))
    track += _variable(round(1000 * seconds)) + bytes((0x80, notes[0], 0))
    for note in notes[1:]:
        track += bytes((0x00, 0x80, note, 0))
    track += b"\x00\xff\x2f\x00"
    head = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x03\xe8"
    return head + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _variable(number: int) -> bytes:
    """A number in groups of seven bits, as MIDI files have their delays."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def _python_of(package: str) -> Path | None:
    """The interpreter of an environment that has a package; made when it is missing."""
    folder = cache_dir() / "peers" / package.replace("==", "-")
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "-q", package]
    if subprocess.run(install, capture_output=True).returncode:
        return None
    (folder / "ready").touch()
    return python


def main() -> None:
    """Print the table."""
    found: list[tuple[str, float | None]] = [(p.name, speed(p)) for p in PEERS]
    with tempfile.TemporaryDirectory() as folder:
        found.append(
            ("FluidSynth, a pad of five notes", fluidsynth_speed(Path(folder)))
        )
        found.append(("csound, five voices and a reverb", csound_speed(Path(folder))))
    console = Console()
    table = Table("x real time on one thread", "measured")
    for name, value in found:
        table.add_row(name, "not to be had here" if value is None else f"{value:.3g}")
    console.print(table)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    figures = [
        Figure(name, value, "x real time", more_is_better=True)
        for name, value in found
        if value is not None
    ]
    keep("peers", figures, console)


if __name__ == "__main__":
    main()
