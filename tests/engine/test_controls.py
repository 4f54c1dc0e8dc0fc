"""The one table: every surface shows it, and nothing gets past its limits."""

import json
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.base.errors import InputError
from engine.cli.main import main
from engine.compose import preset
from engine.control.controls import (
    CONTROLS,
    FORMER_NAMES,
    TABLE,
    Control,
    Controls,
    snapshot_of,
)
from engine.offline.edits import edits_of
from engine.offline.journal import Header, read_journal
from engine.offline.journal_writer import JournalWriter

by_name = pytest.mark.parametrize("control", TABLE, ids=lambda control: control.name)
anything = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([10**400, -(10**400)]),
    st.booleans(),
    st.text(max_size=8),
    st.none(),
    st.binary(),
)


@by_name
def test_a_control_is_whole(control: Control) -> None:
    assert control.check(control.default) == control.default
    assert control.text.endswith(".")
    assert control.low < control.high
    assert control.curve == "linear" or control.low > 0


@given(name=st.sampled_from(sorted(CONTROLS)), value=anything)
def test_any_value_fits_or_changes_nothing(name: str, value: object) -> None:
    controls = Controls()
    before = controls.snapshot
    try:
        in_force = controls.set(name, value)
    except InputError:
        assert controls.snapshot is before
        return
    control = CONTROLS[name]
    if control.choices:
        assert in_force in control.choices
    elif isinstance(control.default, bool):
        assert isinstance(in_force, bool)
    else:
        assert isinstance(in_force, float)
        assert control.low <= in_force <= control.high
    assert {**before, name: in_force} == controls.snapshot


@by_name
@given(position=st.floats(0.0, 1.0))
def test_a_position_on_the_range_comes_back(control: Control, position: float) -> None:
    value = control.from_norm(position)
    assert control.check(value) == pytest.approx(value)
    there = control.to_norm(value)
    assert 0.0 <= there + 1e-9 <= 1.0 + 2e-9
    if not control.choices and not isinstance(control.default, bool):
        assert there == pytest.approx(position, abs=1e-9)
    else:
        assert control.from_norm(there) == value


@by_name
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(control: Control, wrong: float) -> None:
    with pytest.raises(InputError, match=control.name):
        control.check(wrong)
    with pytest.raises(InputError, match=control.name):
        control.from_norm(wrong)


def test_several_are_set_together_or_not_at_all() -> None:
    controls = Controls()
    before = controls.snapshot
    with pytest.raises(InputError):
        controls.update({"tilt": 3.0, "tuning/key": "H"})
    assert controls.snapshot is before
    controls.update({"tilt": 3.0, "tuning/key": "E"})
    assert (controls.snapshot["tilt"], controls.snapshot["tuning/key"]) == (3.0, "E")
    assert before["tilt"] == 0.0, "a snapshot stays what it was"
    with pytest.raises(InputError, match="no such control"):
        snapshot_of({"tlit": 1.0})


def test_writers_at_once_lose_nothing() -> None:
    controls = Controls()
    names = [control.name for control in TABLE if control.low <= -5.0]

    def write(name: str) -> None:
        for step in range(500):
            controls.set(name, -step / 100.0)

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [controls.snapshot[name] for name in names] == [-4.99] * len(names)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_command_shows_every_control(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "controls").splitlines()
    for control in TABLE:
        (line,) = [line for line in lines if line.startswith(control.name + " ")]
        assert control.text in line


@pytest.mark.parametrize("command", ["play", "render"])
def test_every_control_is_a_flag(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = run(capsys, command, "--help").replace(",", " ").split()
    assert {"--" + name.replace("/", "-") for name in CONTROLS} <= set(words)


def test_the_command_gives_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "controls", "--json"))
    assert [row["name"] for row in rows] == [control.name for control in TABLE]
    assert all(row["osc"] == "/latent/" + row["name"] for row in rows)
    assert all(CONTROLS[row["name"]].default == row["default"] for row in rows)


def test_the_command_lists_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {line.split()[0] for line in run(capsys, "osc", "addresses").splitlines()}
    assert {
        "/latent/tilt",
        "/latent/norm/tilt",
        "/latent/next",
        "/latent/now",
    } <= listed
    assert len(listed) > 2 * len(TABLE)


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_what_was_kept_by_an_earlier_version_is_read(
    former: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Presets, journals and defaults of users outlive the names of controls."""
    value = CONTROLS[name].from_norm(0.7)
    assert Controls().set(former, value) == value
    mine = tmp_path / "mine.toml"
    table, _, key = former.rpartition("/")
    mine.write_text(f"[{table}]\n{key} = {value}\n")
    assert preset.load(str(mine)).controls[name] == value
    journal = JournalWriter(tmp_path / "old.jsonl", Header(1, 48_000, {former: value}))
    journal.event({"at": 5, "set": {former: value}})
    journal.close()
    read = read_journal(tmp_path / "old.jsonl")
    assert snapshot_of(read.header.controls)[name] == value
    first, *_ = [edit for edit in edits_of(read.events) if edit.values]
    assert first.values == {name: value}
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir()
    config.write_text(f"[play]\n{former.replace('/', '-')} = {value}\n")
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "play"])
    assert ended.value.code in (0, None), capsys.readouterr().err
