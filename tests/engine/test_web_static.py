"""The files of the page against what they speak of: addresses and modules."""

import re
from importlib import resources

from engine.control.commands import COMMANDS, ROOT
from engine.control.controls import TABLE
from engine.control.readings import READINGS


def scripts() -> dict[str, str]:
    folder = resources.files("engine.web") / "static" / "js"
    return {
        each.name: each.read_text(encoding="utf-8")
        for each in folder.iterdir()
        if each.name.endswith(".js")
    }


def test_every_address_is_in_the_tables() -> None:
    known = {ROOT + row.name for table in (TABLE, COMMANDS, READINGS) for row in table}
    known |= {ROOT + "error"}
    used = {
        (name, address)
        for name, text in scripts().items()
        for address in re.findall(r"[\"'`](/latent/[\w/-]+)[\"'`]", text)
    }
    assert len(used) > 30
    assert {row for row in used if row[1] not in known} == set()


def test_every_module_is_there() -> None:
    found = scripts()
    for name, text in found.items():
        for wanted in re.findall(r"from \"\./([\w-]+\.js)\"", text):
            assert wanted in found, f"{name} imports {wanted}"
