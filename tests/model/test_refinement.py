"""Points that are refined: nearer to their timbres, and never farther."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.base.errors import InputError
from model.config import AXIS, N_LATENTS
from model.inference import BUNDLED, TimbreModel
from model.refinement import N_AT_ONCE, refine
from model.training.evaluate import rmse_db
from tests.support.timbres import harmonic_timbres, tiny_model

Rows = NDArray[np.float32]


def curved(z: Rows) -> Rows:
    """A decoder that bends: a mixture of the latents, and of their waves."""
    rng = np.random.default_rng(1)
    straight = rng.standard_normal((N_LATENTS, 200)) / 40.0
    waves = rng.standard_normal((N_LATENTS, 200)) / 20.0
    decoded = 0.5 + z @ straight + np.sin(1.5 * z) @ waves
    clipped: Rows = np.clip(decoded, 0.0, 1.0).astype(np.float32)
    return clipped


def points(n: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, N_LATENTS)).astype(np.float32)


def errors_db(z: Rows, timbres: Rows) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = np.mean((curved(z) - timbres) ** 2, axis=1)
    return 100.0 * np.sqrt(errors)


def test_the_point_of_a_timbre_is_found_from_beside_it() -> None:
    z = points(N_AT_ONCE + 9)
    timbres = curved(z)
    rough = z + 0.3 * points(len(z), seed=2)
    assert errors_db(rough, timbres).mean() > 4.0
    refined = refine(curved, rough, timbres, 4)
    assert np.median(errors_db(refined, timbres)) < 0.1
    assert refined.dtype == np.float32


def test_no_point_gets_worse() -> None:
    timbres = np.random.default_rng(3).random((20, 200)).astype(np.float32)
    rough = 3.0 * points(20)  # among waves, where a straight step leads astray
    refined = refine(curved, rough, timbres, 3)
    before, after = errors_db(rough, timbres), errors_db(refined, timbres)
    weight = 100.0 * 0.02 * np.sqrt(np.sum(rough**2, axis=1) / 200)  # of the origin
    assert np.all(after <= np.sqrt(before**2 + weight**2))
    assert after.mean() < 0.9 * before.mean()


def test_a_row_does_not_depend_on_the_others() -> None:
    z = points(N_AT_ONCE + 4)
    timbres, rough = curved(z), z + 0.2 * points(len(z), seed=2)
    whole = refine(curved, rough, timbres, 2)
    for row in (0, N_AT_ONCE, len(z) - 1):
        alone = refine(curved, rough[row : row + 1], timbres[row : row + 1], 2)
        assert np.allclose(alone[0], whole[row], atol=1e-4)


def test_a_model_refines_what_its_encoder_says(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    timbres = model.decode(model.sample(40, np.random.default_rng(9)))
    rough, variance = model.encode(timbres, refined=False)
    refined, same = model.encode(timbres)
    assert np.array_equal(variance, same)
    before = rmse_db(model.decode(rough), timbres)
    assert rmse_db(model.decode(refined), timbres) < 0.8 * before


def test_models_from_before_are_encoded_as_before() -> None:
    model = TimbreModel.load(BUNDLED)
    timbres = harmonic_timbres(5, np.random.default_rng(9)).astype(np.float32)
    whole, _ = model.encode(timbres)
    assert np.array_equal(whole, model.encode(timbres, refined=False)[0])
    assert timbres.shape[1] == AXIS.n_bands


@pytest.mark.parametrize("steps", [-1, 9, "three"])
def test_a_number_of_steps_beyond_reason_is_refused(
    tmp_path: Path, steps: object
) -> None:
    shutil.copytree(BUNDLED, tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    content = json.loads(path.read_text()) | {"refinements": steps}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="refinements"):
        TimbreModel.load(tmp_path / "m")
