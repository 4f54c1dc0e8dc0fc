from pathlib import Path

import pytest

from effects.base.errors import InputError
from effects.shelf.library import Library
from engine.compose import preset
from engine.control.controls import CONTROLS


def test_the_bundled_presets_fit_and_differ() -> None:
    loaded = [preset.load(name) for name in preset.names()]
    assert len(loaded) >= 6
    assert len({tuple(sorted(p.controls.items())) for p in loaded}) == len(loaded)
    effects = set(Library().names())
    for one in loaded:
        assert one.description
        assert set(one.controls) <= set(CONTROLS)
        assert set(one.effects) <= effects


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[rank]\npich = 1.0", "did you mean rank/pitch"),
        ("[rank]\npitch = 2.0", "rank/pitch = 2.0 is not in -1..1"),
        ("[rank]\npitch = 'high'", "is not a number"),
        ("hold = 'yes'", "is not on or off"),
        ("[tuning]\nscale = 'klingon'", "is none of"),
        ("rank = [", "Invalid"),
        ("description = 3", "description is not a text"),
        ("grammar = 3", "grammar is not a text"),
        ("grammar = 'sonnet'", "no such grammar"),
        ("[effects]\nonly = 'rain'", "not a list"),
        ("[wiggle]\namount = nan", "finite"),
    ],
)
def test_what_does_not_fit_is_told(text: str, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"mine\.toml") as caught:
        preset.load(str(file))
    assert fault in str(caught.value)


def test_a_users_own_preset_works_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('description = "mine"\nwidth = 0.5\n')
    assert "mine" in preset.names()
    assert preset.load("mine").controls == {"width": 0.5}
    with pytest.raises(InputError, match="no such preset"):
        preset.load("../mine")
