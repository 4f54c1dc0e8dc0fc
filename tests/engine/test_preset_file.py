"""Presets that a user saves are presets like the others."""

from pathlib import Path

import pytest

from effects.base.errors import InputError
from effects.base.paths import config_dir
from engine.compose import preset as presets
from engine.compose.preset_file import LEFT_OUT, save
from engine.control.controls import CONTROLS, snapshot_of


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))


def test_what_is_saved_is_loaded_again() -> None:
    controls = snapshot_of(
        {"wiggle/amount": 1.25, "tuning/key": "D#", "master/gain": -9.0, "hold": True}
    )
    save("My evening", controls, description='a "quiet" one', effects=("rain",))
    found = presets.load("My evening")
    assert "My evening" in presets.names()
    assert found.description == 'a "quiet" one'
    assert found.effects == ("rain",)
    assert found.controls == {k: controls[k] for k in CONTROLS if k not in LEFT_OUT}


def test_a_preset_of_ones_own_is_replaced_and_a_bundled_one_never() -> None:
    save("own", snapshot_of({"width": 0.5}))
    save("own", snapshot_of({"width": 1.5}))
    assert presets.load("own").controls["width"] == 1.5
    with pytest.raises(InputError, match="bundled"):
        save("dark", snapshot_of({}))
    with pytest.raises(InputError, match="letters"):
        save("x" * 61, snapshot_of({}))
    assert [path.name for path in (config_dir() / "presets").iterdir()] == ["own.toml"]


def test_there_is_an_end_to_presets_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.compose.preset_file.MAX_OWN", 2)
    for name in ("one", "two", "one"):
        save(name, snapshot_of({}))
    with pytest.raises(InputError, match="2 presets already; remove some"):
        save("three", snapshot_of({}))
    assert "three" not in presets.names()
