from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model import guard
from model.config import AXIS
from model.inference import TimbreModel
from model.prior import Latents
from tests.support.timbres import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TimbreModel:
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    return tiny_model(folder)


def tone(frequency_hz: float, level_db: float, width: int = 3) -> np.ndarray:
    """Band powers of one narrow peak, shape (1, n_bands)."""
    power = np.zeros((1, AXIS.n_bands))
    centre = int(np.argmin(np.abs(AXIS.centres - frequency_hz)))
    power[0, centre - width // 2 : centre + width // 2 + 1] = 10 ** (level_db / 10)
    return power / width


def test_sharpness_rises_with_pitch_and_not_with_level() -> None:
    of_tones = [guard.sharpness(tone(f, -20.0))[0] for f in (200, 800, 3200, 10_000)]
    assert of_tones == sorted(of_tones)
    louder = guard.sharpness(tone(800, -10.0))[0]
    assert louder == pytest.approx(of_tones[1], rel=0.01)


def test_a_narrow_band_at_1_khz_has_a_sharpness_of_one_acum() -> None:
    # DIN 45692 defines the unit so: narrow-band noise at 1 kHz, one Bark wide.
    assert guard.sharpness(tone(1000.0, -30.0, 26))[0] == pytest.approx(1.0, abs=0.15)


def test_whistle_is_a_high_tone_alone() -> None:
    noise = np.full((1, AXIS.n_bands), 1e-6)
    assert guard.whistle(noise)[0] < 0.05
    assert guard.whistle(noise + tone(3000.0, -20.0))[0] > 0.8
    assert guard.whistle(noise + tone(200.0, -20.0))[0] < 0.05
    assert guard.whistle(np.zeros((1, AXIS.n_bands)))[0] == 0.0


def limits_touching(model: TimbreModel, share: float) -> dict[str, float]:
    z = model.sample(2000, np.random.default_rng(1))
    return {
        name: float(np.quantile(values, 1.0 - share))
        for name, values in guard.point_features(model, z).items()
    }


def test_after_the_guard_no_point_is_over_the_limits(model: TimbreModel) -> None:
    limits = limits_touching(model, 0.1)
    anchor = np.asarray(model.statistics["anchor"], np.float32)
    assert not guard.exceeds(model, anchor[None], limits).any()
    z = 1.5 * model.sample(10_000, np.random.default_rng(2))
    over = guard.exceeds(model, z, limits)
    assert over.sum() > 500
    drawn, moved = guard.draw_back(model, z, anchor, limits)
    assert guard.exceeds(model, drawn, limits).sum() == 0
    assert np.array_equal(moved, over)
    assert np.array_equal(drawn[~over], z[~over])


def test_points_move_along_the_line_and_no_farther_than_needed(
    model: TimbreModel,
) -> None:
    limits = limits_touching(model, 1e-9) | {"weirdness": 5.0}
    limits = {k: v if k == "weirdness" else 1e9 for k, v in limits.items()}
    rng = np.random.default_rng(3)
    z = 3.0 * model.sample(50, rng)
    drawn, moved = guard.draw_back(model, z, np.zeros(32, np.float32), limits)
    assert moved.any()
    length = np.linalg.norm(drawn, axis=1)
    assert np.all(length[moved] <= 5.0)
    assert np.all(length[moved] > 5.0 - np.linalg.norm(z[moved], axis=1) / 100)
    cosine = (drawn * z).sum(axis=1) / (length * np.linalg.norm(z, axis=1))
    assert np.allclose(cosine, 1.0, atol=1e-5)


def test_a_few_points_come_as_far_as_many(model: TimbreModel) -> None:
    """Few are looked for by another search than many."""
    limits = limits_touching(model, 0.1)
    anchor = np.asarray(model.statistics["anchor"], np.float32)
    z = 2.0 * model.sample(400, np.random.default_rng(5))
    z = z[guard.exceeds(model, z, limits)][:40]
    together, timbres = guard.safe_sounds(model, z, anchor, limits)
    assert np.allclose(timbres, model.decode(together), atol=1e-5)
    way = np.linalg.norm(z - anchor, axis=1)
    for n in (1, 3, guard.FEW_LINES):
        few, of_few = guard.safe_sounds(model, z[:n], anchor, limits)
        assert not guard.exceeds(model, few, limits).any()
        assert np.allclose(of_few, model.decode(few), atol=1e-5)
        apart = np.linalg.norm(few - together[:n], axis=1)
        assert np.median(apart) <= 0.02 * np.median(way)  # limits may be crossed twice


def test_a_point_with_no_way_out_ends_at_its_anchor(model: TimbreModel) -> None:
    limits = {name: -1e9 for name in guard.UNITS}
    z = model.sample(3, np.random.default_rng(6))
    z[1, 4] = np.nan
    anchor = np.asarray(model.statistics["anchor"], np.float32)
    found, timbres = guard.safe_sounds(model, z, anchor, limits)
    assert np.array_equal(found, np.tile(anchor, (3, 1)))
    assert np.allclose(timbres, model.decode(anchor[None]), atol=1e-5)


def test_each_point_may_have_its_own_anchor(model: TimbreModel) -> None:
    limits = limits_touching(model, 0.1)
    rng = np.random.default_rng(4)
    within = model.sample(400, rng)
    within = within[~guard.exceeds(model, within, limits)][:100]
    z = 3.0 * model.sample(len(within), rng)
    drawn, moved = guard.draw_back(model, z, within, limits)
    assert guard.exceeds(model, drawn, limits).sum() == 0
    assert moved.mean() > 0.5


def test_numbers_that_are_none_count_as_over(model: TimbreModel) -> None:
    z = np.full((1, 32), np.nan, np.float32)
    assert guard.exceeds(model, z, limits_touching(model, 0.1)).all()


def test_stored_limits_and_anchor_fit_each_other(model: TimbreModel) -> None:
    assert set(model.statistics["limits"]) == set(guard.UNITS)
    anchor = np.asarray(model.statistics["anchor"], np.float32)[None]
    assert not guard.exceeds(model, anchor, model.statistics["limits"]).any()


class Planted:
    """A space of four directions, each of which leads into one fault."""

    axis = AXIS

    def decode(self, z: Latents) -> guard.Timbres:
        """Pink noise at the origin; louder, hissing or whistling away from it."""
        octaves = np.log2(AXIS.centres / 500.0)
        level = np.full((len(z), AXIS.n_bands), 0.3) + 0.2 * z[:, :1]
        level += 0.06 * np.clip(z[:, 1:2], 0.0, None) * octaves
        peak = int(np.argmin(np.abs(AXIS.centres - 4000.0)))
        level[:, peak - 1 : peak + 2] += 0.4 * np.clip(z[:, 2:3], 0.0, None)
        timbres: guard.Timbres = np.clip(level, 0.0, 1.0).astype(np.float32)
        return timbres

    def weirdness(self, z: Latents) -> NDArray[np.float32]:
        """Distance from the origin."""
        distance: NDArray[np.float32] = np.linalg.norm(z, axis=1).astype(np.float32)
        return distance


@pytest.mark.parametrize(
    ("fault", "z"),
    [
        ("loudness", [3.0, 0, 0, 0]),
        ("sharpness", [0, 1.2, 0, 0]),
        ("whistle", [0, 0, 1.0, 0]),
        ("weirdness", [0, 0, 0, 9.0]),
    ],
)
def test_each_fault_is_found_and_drawn_back(fault: str, z: list[float]) -> None:
    space = Planted()
    limits = {"loudness": 5.0, "sharpness": 4.0, "whistle": 0.6, "weirdness": 5.0}
    offender, origin = np.array([z], np.float32), np.zeros(4, np.float32)
    found = guard.point_features(space, offender)
    assert [name for name in guard.UNITS if found[name] > limits[name]] == [fault]
    assert not guard.exceeds(space, origin[None], limits).any()
    drawn, moved = guard.draw_back(space, offender, origin, limits)
    assert moved.all()
    assert not guard.exceeds(space, drawn, limits).any()
    assert np.linalg.norm(drawn) > 0.1 * np.linalg.norm(offender)
