"""The map: neighbours beside neighbours, the same again, and refused when damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.base.errors import InputError
from model.inference import BUNDLED, TimbreModel
from model.timbre_map import (
    MAP_FILE,
    TimbreMap,
    load_map,
    made_map,
    map_sounds,
    principal_plane,
    spectra_of,
)


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.fixture(scope="module")
def bundled(model: TimbreModel) -> TimbreMap:
    return load_map(model)


def nearest(values: NDArray[Any], n: int) -> list[set[int]]:
    """The `n` nearest rows of each of the first hundred."""
    found = []
    for i in range(100):
        away = np.square(values - values[i]).sum(axis=1)
        away[i] = np.inf
        found.append(set(np.argsort(away)[:n].tolist()))
    return found


def kept(spectra: NDArray[Any], places: NDArray[Any]) -> float:
    """Share of the ten nearest spectra that are among the fifty nearest places."""
    near, beside = nearest(spectra, 10), nearest(places, 50)
    return float(np.mean([len(a & b) / 10 for a, b in zip(near, beside, strict=True)]))


def test_what_sounds_alike_lies_side_by_side(bundled: TimbreMap) -> None:
    assert kept(bundled.spectra, bundled.places) > 0.5
    plane = principal_plane(bundled.spectra)
    assert kept(bundled.spectra, bundled.places) > 1.5 * kept(bundled.spectra, plane)


def test_its_sounds_are_the_models_and_fill_the_plane(
    model: TimbreModel, bundled: TimbreMap
) -> None:
    np.testing.assert_array_equal(bundled.z, map_sounds(model))
    decoded = spectra_of(model.decode(bundled.z[:200]), model.axis)
    np.testing.assert_allclose(bundled.spectra[:200], decoded, atol=0.11)  # dB
    assert np.abs(bundled.places).max(axis=0).tolist() == [1.0, 1.0]
    assert bundled.places.std(axis=0).min() > 0.3
    for values in bundled.colours.values():
        assert (values.min(), values.max()) == (0.0, 1.0)


def test_a_sound_of_the_map_has_its_own_place(
    model: TimbreModel, bundled: TimbreMap
) -> None:
    placed = bundled.place(model, bundled.z[100:160])
    np.testing.assert_allclose(placed, bundled.places[100:160], atol=1e-3)
    assert bundled.nearest(bundled.places[100:160]).tolist() == list(range(100, 160))


def test_others_lie_among_those_that_they_resemble(
    model: TimbreModel, bundled: TimbreMap
) -> None:
    z = model.sample(60, np.random.default_rng(5))
    spectra = spectra_of(model.decode(z), model.axis)
    beside = bundled.spectra[bundled.nearest(bundled.place(model, z))]
    anywhere = bundled.spectra[np.random.default_rng(6).integers(5000, size=60)]

    def apart(others: NDArray[np.float32]) -> float:
        return float(np.sqrt(np.mean((others - spectra) ** 2)))

    assert apart(beside) < 0.6 * apart(anywhere)


def test_what_moves_slowly_moves_slowly_on_the_map(
    model: TimbreModel, bundled: TimbreMap
) -> None:
    start, stop = bundled.z[10], bundled.z[11]
    share = np.linspace(0.0, 1.0, 400, dtype=np.float32)[:, None]
    places = bundled.place(model, start + share * (stop - start))
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.max() < 0.2 * np.linalg.norm(places[-1] - places[0]) + 0.02


def test_it_is_the_same_when_it_is_made_again(model: TimbreModel) -> None:
    z = map_sounds(model, 300)
    first, again = (made_map(model, z, principal_plane) for _ in range(2))
    assert json.dumps(first.to_json()) == json.dumps(again.to_json())


def test_a_file_gives_the_map_again(model: TimbreModel, bundled: TimbreMap) -> None:
    content = json.dumps(bundled.to_json()).encode()
    again = TimbreMap.from_json(content, model.n_latents, "map.json")
    np.testing.assert_array_equal(again.places, bundled.places)
    np.testing.assert_array_equal(again.z, bundled.z)
    assert again.ranges == bundled.ranges


def folder_with(tmp_path: Path, content: bytes) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    (folder / MAP_FILE).write_bytes(content)
    return folder


def test_a_map_that_was_replaced_is_refused(model: TimbreModel, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, b"{}")
    with pytest.raises(InputError, match="not the map that model"):
        load_map(TimbreModel.load(folder), folder)
    (folder / MAP_FILE).unlink()
    with pytest.raises(InputError, match="no such file"):
        load_map(TimbreModel.load(folder), folder)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"format": "another"}, "format"),
        ({"latents": "AAAA"}, "do not fit together"),
        ({"places": "!"}, "damaged"),
        ({"places": "AAA"}, "damaged"),
        ({"colours": {}}, "lacks 'pitch'"),
        ({"spectra": 7}, "spectra"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(
    model: TimbreModel, bundled: TimbreMap, changed: dict[str, Any], told: str
) -> None:
    content = json.dumps(bundled.to_json() | changed).encode()
    with pytest.raises(InputError, match=told):
        TimbreMap.from_json(content, model.n_latents, "map.json")


def test_a_model_without_a_map_gets_a_plane_of_its_own(
    model: TimbreModel, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    (folder / MAP_FILE).unlink()
    metadata = json.loads((folder / "model.json").read_text())
    del metadata["files"][MAP_FILE]
    (folder / "model.json").write_text(json.dumps(metadata))
    made = load_map(TimbreModel.load(folder), folder)
    assert np.abs(made.places).max() == 1.0
    np.testing.assert_array_equal(made.z, map_sounds(model))
