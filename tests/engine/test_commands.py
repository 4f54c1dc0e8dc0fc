"""The tables of what surfaces do and show: one address is one thing."""

from engine.control.commands import COMMANDS
from engine.control.controls import TABLE
from engine.control.readings import READINGS


def test_no_address_is_two_things() -> None:
    names = [control.name for control in TABLE]
    names += [command.name for command in COMMANDS]
    names += [reading.name for reading in READINGS]
    assert sorted(names) == sorted(set(names))
