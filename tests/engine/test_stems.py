"""Stems sum to the mix, and hold what they are called after."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from effects.audio.levels import Samples
from effects.base.errors import InputError
from engine.control.controls import snapshot_of
from engine.graph import Settings, build
from engine.offline.stems import render_stems, stem_paths
from tests.support import audio
from tests.support.command import latent

LSB = 2.0**-23


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def stems(
    home: Path, monkeypatch: pytest.MonkeyPatch, effects: tuple[str, ...] | None
) -> list[Samples]:
    monkeypatch.setenv("LATENT_HOME", str(home))
    controls = snapshot_of({"effects/gain": 3.0, "master/gain": -2.0, "tilt": 3.0})
    graph = build(Settings(seed=3, duration=5.0, controls=controls, effects=effects))
    parts: list[list[Samples]] = [[], [], []]
    render_stems(graph, *(lambda b, p=p: p.append(b.copy()) for p in parts))
    return [np.concatenate(part) for part in parts]


def test_files_sum_to_the_mix_within_rounding(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    done = latent(
        *("render", path, "--minutes", "0.1", "--seed", "2", "--preset", "dark"),
        "--stems",
        home=home,
    )
    assert done.returncode == 0, done.stderr
    mix, music, effects = (
        sf.read(tmp_path / f"song{part}.flac", dtype="float64")[0]
        for part in ("", "-music", "-effects")
    )
    assert np.abs(music + effects - mix).max() <= 2.0 * LSB
    assert np.sqrt(np.mean(effects**2)) > 1e-4
    plain = tmp_path / "plain.flac"
    done = latent("render", plain, "--card", path, home=home)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(sf.read(plain, dtype="float64")[0], mix)


def test_the_effects_are_the_bed_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mix, music, effects = stems(home, monkeypatch, ("waves",))
    dry, _, silence = stems(home, monkeypatch, None)
    assert np.abs(music + effects - mix).max() <= LSB
    assert np.abs(silence).max() == 0.0
    # Without a bed the music is brought to the target alone: another gain, no more.
    gain = float(np.sum(music * dry) / np.sum(dry.astype(np.float64) ** 2))
    assert audio.residual_db(music, gain * dry) < -90.0


def test_lossy_stems_are_refused() -> None:
    with pytest.raises(InputError, match="stems need"):
        stem_paths(Path("song.mp3"))
