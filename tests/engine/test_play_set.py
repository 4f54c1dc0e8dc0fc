"""A whole set played on a real `latent play` with nothing but liblo's own tools."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from engine.control.commands import COMMANDS
from engine.control.controls import TABLE, Control
from engine.control.readings import READINGS
from tests.support.osc import Dump, oscdump, oscsend
from tests.support.playing import START_S, Player, playing

# Command, what is given with it, and what is then shown: to a subscriber, to the user,
# or in the journal.
SHOWN, SAID, WRITTEN = "shown", "said", "written"
ORDERS = [
    ("pause", "", SHOWN, r"^/latent/playing F"),
    ("play", "", SHOWN, r"^/latent/playing T"),
    ("next", "", SHOWN, r"^/latent/now isssf 1 "),
    ("go", "s D", WRITTEN, "go"),
    ("like", "", WRITTEN, "like"),
    ("verdict/like", "", SHOWN, r"^/latent/verdict/now i 1"),
    ("verdict/dislike", "", SHOWN, r"^/latent/verdict/now i -1"),
    ("preset/save", "s Mine", SHOWN, r'^/latent/preset/list .*"Mine"'),
    ("preset/load", "s dark", SHOWN, r'^/latent/preset/name s "dark"'),
    ("record/start", "s Monday", SHOWN, r'^/latent/record/name s "Monday\.flac'),
    ("effects/next", "", WRITTEN, "effects/next"),
    ("effects/only", "s rain", SHOWN, r'^/latent/effects/chosen s "rain:0"'),
    ("effects/mix", "s wind:-6,rain:0", WRITTEN, "wind:-6,rain:0"),
    ("keep", "f 2", SAID, r"keeping the last 2 s"),
    ("midi/learn", "s tilt", SHOWN, r'error ss "/latent/midi/learn" ".*no such'),
    ("midi/forget", "s tilt", SHOWN, r'error ss "/latent/midi/forget" ".*no such'),
    ("sleep", "i 30", SHOWN, r"^/latent/sleep-remaining f (29|30)\."),
    ("sleep", "i 0", SHOWN, r"^/latent/sleep-remaining f 0\.0"),
]
QUERIED_LATER = {"record/stop", "stop"}  # at the end of the set


def test_a_set_with_oscsend_alone(tmp_path: Path) -> None:
    given = {name for name, *_ in ORDERS} | QUERIED_LATER
    assert given == {command.name for command in COMMANDS}, "a command is not tried"
    with playing("--seed", 6, home=tmp_path) as player, oscdump(tmp_path) as dump:
        oscsend(player.osc, "/latent/subscribe", "i", dump.port)
        dump.wait_for("^/latent/status")
        for control in TABLE:
            turn(control, player, dump)
        for name, values, where, pattern in ORDERS:
            before = len(dump.lines())
            oscsend(player.osc, f"/latent/{name}", *values.split())
            if where == SHOWN:
                dump.wait_for(pattern, after=before)
            elif where == SAID:
                player.wait_for(pattern)
            else:
                wait_until_written(pattern, tmp_path)
        for reading in READINGS:  # a recording runs: all of them are known
            before = len(dump.lines())
            oscsend(player.osc, f"/latent/{reading.name}")
            dump.wait_for(rf"^/latent/{reading.name}( |$)", after=before)
        before = len(dump.lines())
        oscsend(player.osc, "/latent/record/stop")
        dump.wait_for(r"^/latent/record/active F", after=before)
        oscsend(player.osc, "/latent/unsubscribe", "i", dump.port)
        oscsend(player.osc, "/latent/stop")
        assert player.wait() == 0, player.said
    file = tmp_path / "data" / "recordings" / "Monday.flac"
    assert subprocess.run(["flac", "-t", "-s", str(file)]).returncode == 0


def turn(control: Control, player: Player, dump: Dump) -> None:
    """Set a control to what it was not, and ask for it: both show it in force."""
    address = f"/latent/{control.name}"
    if control.choices:
        types: tuple[str, ...]
        value: object = next(c for c in control.choices if c != control.default)
        types, shown = ("s", str(value)), f's "{value}"'
    elif isinstance(control.default, bool):
        types, shown = ("F" if control.default else "T",), "TF"[control.default]
    else:
        position = 0.25 if control.to_norm(control.default) > 0.5 else 0.75
        value = round(float(control.from_norm(position)), 2)
        types, shown = ("f", str(value)), "f "
    for words in (types, ()):
        before = len(dump.lines())
        oscsend(player.osc, address, *words)
        line = dump.wait_for(rf"^{address} {shown}", after=before)
        if shown == "f ":
            assert float(line.split()[2]) == pytest.approx(value, rel=1e-3)


def wait_until_written(wanted: str, home: Path) -> None:
    """Until the journal has a command, by its name or an argument."""
    (journal,) = (home / "state" / "journals").glob("*.jsonl")
    deadline = time.monotonic() + START_S  # loops are made first
    while time.monotonic() < deadline:
        rows = journal.read_text().splitlines()[:-1]
        commands = [row for row in map(json.loads, rows) if "command" in row]
        if any(wanted in (row["command"], *row["args"]) for row in commands):
            return
        time.sleep(0.05)
    raise AssertionError(f"{wanted} is not in {journal}")
