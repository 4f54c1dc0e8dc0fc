import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects import room

RATE = 48_000


def test_bands_add_up_and_stay_loops() -> None:
    noise = np.random.default_rng(1).standard_normal((RATE, 2)).astype(np.float32)
    bands = room.split(noise, RATE)
    assert np.max(np.abs(sum(bands) - noise)) < 1e-5
    for rolled in (1000, 20_000):
        again = room.split(np.roll(noise, rolled, axis=0), RATE)
        for band, other in zip(bands, again, strict=True):
            assert np.allclose(np.roll(band, rolled, axis=0), other, atol=1e-5)


@pytest.mark.parametrize(("hz", "band"), [(80.0, 0), (700.0, 1), (6_000.0, 2)])
def test_a_tone_lands_in_its_band(hz: float, band: int) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    levels = room.band_levels(room.split(tone[:, None].repeat(2, 1), RATE))
    others = [level for i, level in enumerate(levels) if i != band]
    assert levels[band] == pytest.approx(-3.0, abs=0.1)
    assert max(others) < -60.0


def test_only_the_band_where_the_music_stands_gives_way() -> None:
    centres = np.geomspace(20.0, 20_000.0, 500)
    power = np.where(np.abs(centres - 600.0) < 100.0, 1e-3, 1e-12)
    music = room.levels_of_spectrum(power, centres)
    low, middle, high = room.yielding_gains(music, (-45.0, -40.0, -45.0), 4.0)
    assert (low, high) == (1.0, 1.0)
    assert 20 * np.log10(middle) == pytest.approx(-4.0, abs=0.01)


@given(
    music=st.floats(-120.0, 0.0),
    bed=st.floats(-120.0, 0.0),
    depth=st.floats(0.0, 12.0),
)
def test_yielding_stays_within_its_depth(
    music: float, bed: float, depth: float
) -> None:
    (gain,) = room.yielding_gains((music,), (bed,), depth)
    assert 10 ** (-depth / 20) - 1e-9 <= gain <= 1.0
    if music <= bed:
        assert gain == 1.0
