"""A live bed is loaded, changed and made ahead by threads beside the callback."""

import time
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS
from effects.base.errors import InputError
from effects.bed.ducking import DuckedBed
from effects.bed.masking import BandEnvelope
from effects.shelf.library import Library
from effects.shelf.loops import Loop
from engine.control.controls import Controls
from engine.live.bed_keeper import BedKeeper
from engine.live.metrics import Metrics
from engine.live.mixer import Mixer
from engine.sound.bed import Bed

RATE = 22_050
BLOCK = 256


class _Tones:
    """A source whose partials stand in all bands, and of which nothing is heard."""

    def __init__(self) -> None:
        power = np.full(N_BANDS, 1e-2)
        self.band_envelope = BandEnvelope((0, 600 * RATE), (power, power))

    def read_into(self, out: Samples) -> int:
        out.fill(0.0)
        return len(out)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    shelf = Library(tmp_path / "data", tmp_path / "cache")
    for number, name in enumerate(("brook", "gale", "surf")):
        rng = np.random.default_rng(number)
        noise = 0.02 * rng.standard_normal((7 * RATE, 2))
        shelf.store(Loop(name, noise.astype(np.float32), RATE))
    return shelf


class _Played:
    """A bed in a mixer, with its keeper; `render` stands for the callback."""

    def __init__(self, library: Library, *, kept: bool) -> None:
        self.controls = Controls()
        names = ("brook", "gale", "surf")
        self.bed = Bed(
            self.controls, names=names, seed=1, sample_rate=RATE, library=library
        )
        ducked = DuckedBed(self.bed.layers, RATE)
        self.made_in_callback = 0
        make = ducked._maker.make

        def counted(*args: object) -> object:
            self.made_in_callback += 1
            return make(*args)  # type: ignore[arg-type]

        ducked._maker.make = counted  # type: ignore[method-assign, assignment]
        self.mixer = Mixer(
            _Tones(), ducked, RATE, lambda: self.controls.snapshot, Metrics()
        )
        self.events: list[object] = []
        self.keeper = BedKeeper(
            self.bed, self.controls, self.mixer, RATE, print, self.events.append
        )
        self.keeper.begin(10.0)
        if kept:
            self.keeper.start()

    def render(self, seconds: float) -> Samples:
        out = np.zeros((round(seconds * RATE) // BLOCK * BLOCK, 2), np.float32)
        for at in range(0, len(out), BLOCK):
            self.mixer.render(out[at : at + BLOCK])
        return out


def test_what_is_made_ahead_is_what_the_callback_would_make(library: Library) -> None:
    alone, kept = _Played(library, kept=False), _Played(library, kept=True)
    try:
        expected = alone.render(1.5)
        assert np.array_equal(kept.render(1.5), expected)
        assert np.any(expected)
        assert alone.made_in_callback > 15
        assert kept.made_in_callback <= 1  # the frame before the first
    finally:
        kept.keeper.stop()


def test_the_threads_follow_the_mixer_and_end(library: Library) -> None:
    played = _Played(library, kept=True)
    try:
        played.render(1.5)
        before = played.made_in_callback
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            time.sleep(0.3)  # the thread looks every quarter of a second
            played.render(0.5)
            if played.made_in_callback == before:
                break
            before = played.made_in_callback
        else:
            pytest.fail("the thread does not make what comes next")
    finally:
        played.keeper.stop()
    assert not played.keeper._thread.is_alive()
    assert not played.keeper._frames_thread.is_alive()


def test_a_command_is_heard_from_the_sample_that_is_written_down(
    library: Library,
) -> None:
    played = _Played(library, kept=True)
    try:
        with pytest.raises(InputError, match="no such effect"):
            played.keeper.command("effects/only", "applause")
        current = played.bed.sounding(0)[0]
        other = next(n for n in ("brook", "gale", "surf") if n != current)
        played.keeper.command("effects/only", other)
        deadline = time.monotonic() + 20.0
        while not played.events and time.monotonic() < deadline:
            played.render(0.05)
            time.sleep(0.01)
        (event,) = played.events
        assert isinstance(event, dict)
        assert (event["command"], event["args"]) == ("effects/only", [other])
        assert event["at"] > 0
        assert other in played.bed.sounding(event["at"] + RATE)
    finally:
        played.keeper.stop()


def test_what_is_asked_for_is_shown_at_once_and_asked_for_again_does_nothing(
    library: Library,
) -> None:
    played = _Played(library, kept=True)
    try:
        for command, arg in (
            *(("effects/mix", "gale:-6, surf"), ("effects/mix", "gale:-6,surf:0")),
            *(("effects/only", "surf"), ("effects/mix", "surf"), ("effects/only", "")),
        ):
            played.keeper.command(command, arg)
            if arg:
                assert arg.split(":")[0].split(",")[0] in played.keeper.chosen
        assert played.keeper.chosen == ""
        with pytest.raises(InputError, match="no such effect"):
            played.keeper.command("effects/mix", "gale,applause")
        deadline = time.monotonic() + 20.0
        while len(played.events) < 3 and time.monotonic() < deadline:
            played.render(0.05)
            time.sleep(0.01)
        done = [e["args"] for e in played.events if isinstance(e, dict)]
        assert done == [["gale:-6, surf"], ["surf"], [""]]
    finally:
        played.keeper.stop()
