"""The tables of what surfaces do and show: one address is one thing."""

from engine.control.commands import COMMANDS
from engine.control.controls import TABLE
from engine.control.readings import READINGS


def test_no_address_is_two_things() -> None:
    names = [each.name for each in (*TABLE, *COMMANDS, *READINGS)]
    assert sorted(names) == sorted(set(names))
