"""What a model hears of the shelf, and what becomes of it in the order of effects."""

from pathlib import Path

import numpy as np
import pytest

from effects.generators import GENERATORS, VERSION
from effects.shelf.library import Library, at_rate
from effects.shelf.loops import Loop
from engine.control.controls import Controls
from engine.sound import effect_timbres as hearing
from engine.sound.bed import Bed
from model.config import SAMPLE_RATE
from model.inference import TimbreModel


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data", tmp_path / "cache")


def _noise(name: str, colour: float, seed: int = 0) -> Loop:
    """Noise whose spectrum falls by `colour` dB an octave, as a loop."""
    white = np.random.default_rng(seed).standard_normal((48_000 * 6, 2))
    spectrum = np.fft.rfft(white, axis=0)
    hz = np.maximum(20.0, np.fft.rfftfreq(len(white), 1 / 48_000))
    spectrum *= (hz[:, None] / 1000.0) ** (-colour / 6.02)
    noise = np.fft.irfft(spectrum, axis=0)
    return Loop(name, (0.03 * noise / np.std(noise)).astype(np.float32), 48_000)


def test_the_kept_timbres_are_those_of_the_bundled_sounds(library: Library) -> None:
    with np.load(hearing.TABLE) as file:
        assert int(file["version"]) == VERSION, "bin/bench sounds --write"
        assert set(file.files) == {*GENERATORS, "version"}
    loop = at_rate(library.load("rain-light", 48_000), SAMPLE_RATE)
    kept = hearing.timbres_of(library, "rain-light")
    assert np.max(np.abs(kept - hearing.measure(loop))) < 0.01


def test_the_bundled_sounds_are_heard_without_rendering(
    library: Library, model: TimbreModel
) -> None:
    names = library.names()
    latents = hearing.heard(model, library, names)
    rendered = [path for path in library.cache.rglob("*") if path.is_file()]
    assert not [path for path in rendered if not path.name.startswith("heard-")]
    assert {z.shape for z in latents.values()} == {(model.n_latents,)}
    again = hearing.heard(model, Library(library.folder, library.cache), names)
    assert all(np.array_equal(latents[name], again[name]) for name in names)

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(latents[a] - latents[b]))

    assert apart("rain", "rain-heavy") < apart("rain", "thunder")
    assert apart("rain", "rain-light") < apart("wind", "snow")


def test_own_effects_are_heard_once_and_again_when_made_anew(
    library: Library, model: TimbreModel
) -> None:
    library.store(_noise("mine", 6.0))
    first = hearing.heard(model, library, ["mine"])["mine"]
    (file,) = library.cache.glob("*.timbre.npy")
    written = file.stat().st_mtime_ns
    again = hearing.heard(model, library, ["mine"])["mine"]
    assert np.array_equal(first, again)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(b"garbage")
    assert np.array_equal(hearing.heard(model, library, ["mine"])["mine"], first)
    library.store(_noise("mine", 0.0), {"source_sha256": "another"})
    other = hearing.heard(model, library, ["mine"])["mine"]
    assert np.linalg.norm(other - first) > 1.0


def test_the_order_follows_what_is_heard(library: Library, model: TimbreModel) -> None:
    """Modulation alone cannot tell noises apart; the encoder tells their colours."""
    for i, colour in enumerate((0.0, 0.5, 9.0, 9.5)):
        library.store(_noise(f"noise-{i}", colour, seed=i))
    names = tuple(f"noise-{i}" for i in range(4))
    matrix = library.similarity(names, hearing.heard(model, library, names))
    assert matrix[0, 1] > matrix[0, 2]
    assert matrix[2, 3] > matrix[2, 0]
    bed = Bed(
        Controls(),
        names=names,
        seed=1,
        sample_rate=48_000,
        library=library,
        model=model,
    )
    similarity = bed.schedule.similarity
    assert similarity is not None
    assert np.array_equal(similarity, matrix)


def test_a_broken_effect_does_not_keep_the_rest_from_being_heard(
    library: Library, model: TimbreModel
) -> None:
    library.store(_noise("mine", 6.0))
    (library.folder / "mine.flac").unlink()
    latents = hearing.heard(model, library, ["mine", "rain"])
    assert not latents["mine"].any()
    assert latents["rain"].any()
