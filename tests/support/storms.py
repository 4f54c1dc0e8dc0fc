"""Random storms of OSC over a simulated session, and the replay of what was heard."""

import random
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from effects.audio.levels import Samples
from engine.compose import preset as presets
from engine.control.controls import CONTROLS, snapshot_of
from engine.graph import Settings, build
from engine.offline.edits import edits_of
from engine.offline.replay import replay
from engine.recording.segment import to_24_bits
from tests.support.simulated_session import Kept, Pace, SimulatedSession, chosen

EFFECTS = ("rain", "waves", "wind")
RATE = 24_000
BLOCKS = ([64], [512], [960], [4096], [1, 60, 480, 1000, 4096], [9000, 300])


@dataclass(frozen=True)
class Outcome:
    """How a storm went.

    Attributes:
        seconds: that were heard.
        n_packets: that were sent.
        n_different: samples in which the replay is not what was heard.
        first_different: the first of them.
        recordings: recordings that were made, and how many differ from what was heard.
        concealments: turns to the concealment.
        underruns: times that the music broke off.
        waits: times that the bed waited for a loop.
        events: of the journal.
    """

    seconds: float
    n_packets: int
    n_different: int
    first_different: int | None
    recordings: tuple[int, int]
    concealments: int
    underruns: int
    waits: int
    events: int

    @property
    def is_exact(self) -> bool:
        """Whether replay and recordings are what was heard."""
        return self.n_different == 0 and self.recordings[1] == 0


def storm(seed: int, folder: Path, seconds: float = 12.0) -> Outcome:
    """Play a session under a storm of its own, and render it again.

    Args:
        seed: decides everything.
        folder: for recordings.
        seconds: that it lasts.
    """
    rng = random.Random(seed)
    controls = {"effects/dwell": rng.choice([10.0, 90.0]), "effects/crossfade": 1.0}
    settings = Settings(
        seed=rng.randrange(1 << 31),
        sample_rate=RATE,
        effects=rng.choice([EFFECTS, EFFECTS, EFFECTS[:2], None]),
        controls=snapshot_of(controls),
        duration=rng.choice([None, None, 0.7 * seconds]),
    )
    stalls = rng.choice([0.0, 0.02, 0.1])  # how often the producer stalls

    def slab_s() -> float:
        slow = rng.random() < stalls
        return rng.choice([0.3, 1.0, 4.0, 12.0]) if slow else rng.choice([0.01, 0.05])

    pace = Pace(
        slab_s,
        lambda: rng.choice([0.0, 0.0, 1.0, 8.0, 20.0]),
        chosen(rng, rng.choice(BLOCKS)),
    )
    sent: list[bytes] = []
    session = SimulatedSession(
        build(settings), pace, folder, lambda s: _rage(s, rng, seconds, sent)
    )
    kept = Kept()
    session.session.add_tap(kept)
    session.play()
    heard = np.concatenate(kept.blocks)
    out: list[Samples] = []
    replay(
        build(settings),
        edits_of(session.events),
        0,
        len(heard),
        lambda block: out.append(block.copy()),
    )
    different = np.flatnonzero(np.any(np.concatenate(out) != heard, axis=1))
    metrics = session.metrics
    return Outcome(
        len(heard) / RATE,
        len(sent),
        len(different),
        int(different[0]) if len(different) else None,
        _recordings(session, heard),
        metrics.concealments,
        metrics.underruns,
        sum(event.get("command") == "effects/wait" for event in session.events),
        len(session.events),
    )


def _rage(
    session: SimulatedSession, rng: random.Random, seconds: float, sent: list[bytes]
) -> None:
    """Send packets of all kinds for so long, then stop the session."""
    end = seconds * rng.uniform(0.6, 1.0)
    while session.session.seconds < end and session.clock.now() < 20.0 * seconds:
        for _ in range(rng.choice([1, 1, 1, 3, 40])):
            packet = _packet(rng)
            sent.append(packet)
            session.send(packet)
        session.sleep(rng.choice([0.0, 0.0, 0.003, 0.02, 0.1, 0.4, 1.5]))
    session.session.stop()


def _packet(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.08:
        bundle = OscBundleBuilder(IMMEDIATELY)
        for _ in range(rng.randrange(1, 9)):
            bundle.add_content(_message(rng))
        return bytes(bundle.build().dgram)
    packet = bytes(_message(rng).dgram)
    if kind < 0.12:  # broken on its way
        place = rng.randrange(len(packet))
        packet = packet[:place] + rng.randbytes(rng.randrange(5)) + packet[place + 1 :]
    return packet


def _message(rng: random.Random) -> OscMessage:
    address, args = _command(rng) if rng.random() < 0.35 else _value(rng)
    builder = OscMessageBuilder(f"/latent/{address}")
    for arg in args:
        builder.add_arg(arg)
    return builder.build()


def _value(rng: random.Random) -> tuple[str, list[float | str]]:
    names = [*CONTROLS, *["master/gain", "width", "tilt", "song/minutes"] * 4]
    control = CONTROLS[rng.choice(names)]
    if rng.random() < 0.03:
        odd: list[float | str] = [float("nan"), float("inf"), -1e30, "x", 1e30]
        return control.name, [rng.choice(odd)]
    return f"{control.name}/norm", [
        struct.unpack("f", struct.pack("f", rng.random()))[0]
    ]


def _command(rng: random.Random) -> tuple[str, list[float | str]]:
    effect = rng.choice([*EFFECTS, "", "birds of no feather"])
    choices: list[tuple[str, list[float | str]]] = [
        ("next", []),
        ("go", [rng.choice("ABCDE")]),
        ("go", []),
        ("pause", []),
        ("play", []),
        ("preset/load", [rng.choice(presets.names())]),
        ("effects/next", []),
        ("effects/only", [effect]),
        ("effects/only", []),
        ("effects/mix", [f"rain:-{rng.randrange(9)},wind:{-rng.random():.2f}"]),
        ("effects/mix", []),
        ("sleep", [rng.choice([0.0, 5.0])]),
        ("record/start", [f"take-{rng.randrange(1 << 30)}"]),
        ("record/stop", []),
        ("keep", [10.0]),
    ]
    return rng.choice(choices)


def _recordings(session: SimulatedSession, heard: Samples) -> tuple[int, int]:
    """How many recordings there are, and how many of them are not what was heard."""
    exact, _ = to_24_bits(heard)
    done = different = 0
    for event in session.events:
        row = event.get("recording", {})
        if row.get("state") != "end":
            continue
        done += 1
        found, _ = soundfile.read(row["file"], dtype="int32", always_2d=True)
        first = row["first"]
        expected = exact[first : first + row["samples"]]
        different += not np.array_equal(found, expected)
    return done, different
