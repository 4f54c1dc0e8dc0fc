"""A controller's messages become values, after it has been told which."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mido
import pytest

from effects.base.errors import InputError
from engine.control.controls import CONTROLS, Controls
from engine.surfaces import midi_inputs
from engine.surfaces.midi import MidiBridge
from engine.surfaces.midi_bindings import MidiBinding, load
from engine.surfaces.midi_inputs import MidiInputs
from engine.surfaces.midi_knobs import MidiSource, Mode
from tests.support.osc import FakeSession


class Rig:
    """A bridge with what it plays on."""

    def __init__(self, path: Path) -> None:
        self.controls, self.session = Controls(), FakeSession()
        self.said: list[str] = []
        self.bridge = MidiBridge(self.controls, self.session, path, self.said.append)

    def value(self, name: str) -> object:
        return self.controls.snapshot[name]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "midi.json")


def knob(value: int, number: int = 7, channel: int = 0) -> mido.Message:
    return mido.Message("control_change", channel=channel, control=number, value=value)


def key(velocity: int, note: int = 36) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity)


def test_a_knob_that_was_learned_moves_a_control_over_its_range(rig: Rig) -> None:
    rig.bridge.handle(knob(100))
    assert rig.value("master/gain") == 0.0, "not bound yet"
    rig.bridge.learn("master/gain")
    rig.bridge.handle(knob(0, number=9))  # at rest: not the one that is turned
    rig.bridge.handle(knob(64))
    assert rig.value("master/gain") == 0.0, "learning changes nothing"
    for value, gain in ((127, 6.0), (0, -60.0)):
        rig.bridge.handle(knob(value))
        assert rig.value("master/gain") == gain
    rig.bridge.handle(knob(0, number=8))
    rig.bridge.handle(knob(0, channel=1))
    assert rig.value("master/gain") == -60.0, "other knobs are not bound"
    assert "control_change 7 on channel 1 is master/gain now" in rig.said[0]


def test_a_logarithmic_control_is_turned_by_ratios(rig: Rig) -> None:
    rig.bridge.learn("wiggle/rate")
    seen = []
    for value in (10, 127, 32, 64, 96):  # by the value in force, which takes over
        rig.bridge.handle(knob(value))
        seen.append(rig.value("wiggle/rate"))
    low, middle, high = map(float, seen[2:])  # type: ignore[arg-type]
    assert high / middle == pytest.approx(middle / low, rel=0.05)


def test_a_wheel_reaches_both_ends(rig: Rig) -> None:
    rig.bridge.learn("tilt")
    rig.bridge.handle(mido.Message("pitchwheel", pitch=0))
    assert rig.value("tilt") == 0.0
    rig.bridge.handle(mido.Message("pitchwheel", pitch=-8192))
    assert rig.value("tilt") == -12.0
    rig.bridge.handle(mido.Message("pitchwheel", pitch=8191))
    assert rig.value("tilt") == 12.0


@pytest.mark.parametrize(
    "up", [key(0), mido.Message("note_off", note=36)], ids=["velocity 0", "note off"]
)
def test_a_pad_switches_at_each_press(rig: Rig, up: mido.Message) -> None:
    rig.bridge.learn("hold")
    seen = []
    for message in (key(90), up, key(10), up):
        rig.bridge.handle(message)
        seen.append(rig.value("hold"))
    assert seen == [True, True, False, False]


def test_a_pad_steps_through_choices(rig: Rig) -> None:
    rig.bridge.learn("tuning/key")
    for expected in ("D#", "E"):
        rig.bridge.handle(key(64))
        rig.bridge.handle(key(0))
        assert rig.value("tuning/key") == expected


@pytest.mark.parametrize("press", [key(5), knob(127)], ids=["pad", "button"])
def test_a_command_is_given_once_a_press(rig: Rig, press: mido.Message) -> None:
    rig.bridge.learn("next")
    up = key(0) if press.type == "note_on" else knob(0)
    for message in (press, press, up, press, up):
        rig.bridge.handle(message)
    assert rig.session.done == [("next",), ("next",)]


def test_bindings_last_and_can_be_forgotten(rig: Rig, tmp_path: Path) -> None:
    rig.bridge.learn("width")
    rig.bridge.handle(knob(1, number=20))
    rig.bridge.learn("tilt")
    rig.bridge.handle(knob(1, number=21))
    again = Rig(tmp_path / "midi.json")
    source = MidiSource("control_change", 0, 20)
    assert load(tmp_path / "midi.json")[source] == MidiBinding("width", Mode.UNKNOWN)
    again.bridge.forget("width")
    left = {MidiSource("control_change", 0, 21): MidiBinding("tilt", Mode.UNKNOWN)}
    assert load(tmp_path / "midi.json") == left
    with pytest.raises(InputError, match="no MIDI message is bound"):
        again.bridge.forget("width")


def test_learning_can_be_given_up_and_knows_its_targets(
    rig: Rig, tmp_path: Path
) -> None:
    rig.bridge.learn("tilt")
    rig.bridge.learn(None)
    rig.bridge.handle(knob(64))
    assert not (tmp_path / "midi.json").exists()
    for target in ("tlit", "go", "preset/load"):
        with pytest.raises(InputError):
            rig.bridge.learn(target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}x",
        '"text"',
        '{"a": 1}',
        "[1]",
        '[{"message": "control_change", "channel": 0, "number": 7}]',
        '[{"message": "sysex", "channel": 0, "number": 7, "to": "tilt"}]',
        '[{"message": "note_on", "channel": "x", "number": 7, "to": "tilt"}]',
        '[{"message": "note_on", "channel": 0, "number": 7, "to": "../../x"}]',
        "[" * 2000,
    ],
)
def test_a_file_that_holds_no_bindings_is_one_clear_error(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "midi.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"midi\.json"):
        Rig(path)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rig = Rig(tmp_path / "file" / "midi.json")
    rig.bridge.learn("tilt")
    for value in (64, 127):
        rig.bridge.handle(knob(value))
    assert rig.value("tilt") == 12.0
    assert "until the end only" in rig.said[0]


def test_all_other_messages_are_passed_over(rig: Rig, tmp_path: Path) -> None:
    rig.bridge.learn("tilt")
    for kind in ("clock", "active_sensing", "sysex", "program_change", "aftertouch"):
        rig.bridge.handle(mido.Message(kind))
    assert not (tmp_path / "midi.json").exists()


class Loop:
    """Ports in memory: what is sent to a name comes in there."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.closed: list[str] = []

    def get_input_names(self) -> Sequence[str]:
        return self.names

    def open_input(self, name: str, *, callback: Callable[[Any], None]) -> Any:
        self.callbacks[name] = callback
        loop = self

        class Port:
            def close(self) -> None:
                loop.closed.append(name)

        return Port()


def test_ports_come_and_go(rig: Rig) -> None:
    loop = Loop("nanoKONTROL2 1", "Midi Through")
    said: list[str] = []
    inputs = MidiInputs(rig.bridge, "nanokontrol", said.append, loop)
    inputs.start()
    try:
        assert inputs.names == ("nanoKONTROL2 1",)
        rig.bridge.learn("tilt")
        for value in (64, 127):
            loop.callbacks["nanoKONTROL2 1"](knob(value))
        assert rig.value("tilt") == 12.0
        loop.names.remove("nanoKONTROL2 1")
        inputs.scan()
        assert not inputs.names
        loop.names.append("nanoKONTROL2 2")
        inputs.scan()
        assert inputs.names == ("nanoKONTROL2 2",)
    finally:
        inputs.stop()
    assert loop.closed == ["nanoKONTROL2 1", "nanoKONTROL2 2"]
    assert [line.split()[-1] for line in said] == ["1", "gone", "2"]


def test_what_is_missing_for_midi_is_one_clear_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "alsa_midi", None)
    with pytest.raises(InputError, match="needs the packages mido and alsa-midi"):
        MidiInputs(rig.bridge).start()
    monkeypatch.undo()
    monkeypatch.setattr(midi_inputs, "SEQUENCER", tmp_path / "seq")
    with pytest.raises(InputError, match=r"there is no .*seq; 'modprobe snd-seq'"):
        MidiInputs(rig.bridge).start()


def test_a_knob_takes_over_where_the_control_is(rig: Rig) -> None:
    """Whatever else has turned the control: nothing jumps to where the knob stands."""
    rig.bridge.learn("master/gain")
    rig.bridge.handle(knob(100))
    rig.controls.set("master/gain", 0.0)
    rig.bridge.handle(knob(3))
    assert rig.value("master/gain") == 0.0
    for value in (60, 110):
        rig.bridge.handle(knob(value))
        assert rig.value("master/gain") == 0.0
    rig.bridge.handle(knob(116))  # 0 dB lies between 110 and 116
    assert float(str(rig.value("master/gain"))) == pytest.approx(0.3, abs=0.3)
    rig.bridge.handle(knob(30))
    low = float(str(rig.value("master/gain")))
    assert low < -40.0, "it holds the control now"
    rig.controls.set("master/gain", -3.0)  # a page, say
    rig.bridge.handle(knob(31))
    assert rig.value("master/gain") == -3.0


@pytest.mark.parametrize("name", ["tilt", "rank/brightness"])
def test_the_middle_of_a_knob_is_exactly_the_middle(rig: Rig, name: str) -> None:
    rig.bridge.learn(name)
    for value, expected in ((64, 0.0), (127, 1.0), (64, 0.0), (0, -1.0), (64, 0.0)):
        rig.bridge.handle(knob(value))
        control = CONTROLS[name]
        assert rig.value(name) == expected * control.high


UP_AND_DOWN = {  # what encoders send for +1, +1, -1, -1, and for three steps up
    "two's complement": ((1, 1, 127, 127), 3),
    "offset": ((65, 65, 63, 63), 67),
    "sign": ((1, 1, 65, 65), 3),
}


@pytest.mark.parametrize("notation", UP_AND_DOWN)
@pytest.mark.parametrize("down_first", [False, True])
def test_an_encoder_sends_steps(
    rig: Rig, notation: str, down_first: bool, tmp_path: Path
) -> None:
    values, three_up = UP_AND_DOWN[notation]
    ticks = [(value, 1) for value in values[:2]] + [(value, -1) for value in values[2:]]
    if down_first and notation == "sign":
        pytest.skip("65 alone may be a step up from 64: known at the first step up")
    if down_first:
        ticks = ticks[2:] + ticks[:2]
    rig.bridge.learn("master/gain")
    rig.bridge.handle(knob(ticks[0][0], number=16))  # seen, and not understood yet
    rig.controls.set("master/gain", -6.0)
    step, expected = 66.0 / 127.0, -6.0
    for value, steps in ticks:
        rig.bridge.handle(knob(value, number=16))
        expected += steps * step
        assert rig.value("master/gain") == pytest.approx(expected)
    rig.bridge.handle(knob(three_up, number=16))
    assert rig.value("master/gain") == pytest.approx(expected + 3.0 * step)
    again = Rig(tmp_path / "midi.json")  # the notation is kept
    again.bridge.handle(knob(three_up, number=16))
    assert again.value("master/gain") == pytest.approx(3.0 * step)


def test_an_encoder_steps_through_choices_and_switches(rig: Rig) -> None:
    rig.bridge.learn("tuning/key")
    for value in (1, 1, 1, 127):
        rig.bridge.handle(knob(value))
    assert rig.value("tuning/key") == "D#"


def test_a_knob_at_its_end_is_no_encoder(rig: Rig) -> None:
    rig.bridge.learn("tilt")
    for value in (1, 2, 3, 4, 5, 64, 126, 127, 126):
        rig.bridge.handle(knob(value))
    assert rig.value("tilt") == pytest.approx(12.0, abs=0.3)


def test_the_file_is_for_people_to_read(rig: Rig, tmp_path: Path) -> None:
    rig.bridge.learn("next")
    rig.bridge.handle(key(1))
    rows = json.loads((tmp_path / "midi.json").read_text())
    assert rows == [{"message": "note_on", "channel": 0, "number": 36, "to": "next"}]
