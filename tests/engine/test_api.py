"""Three lines in a notebook: compose, render, play."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from effects.base.errors import InputError
from engine import api as latent
from tests.support import audio
from tests.support.command import ROOT, environment
from tests.support.virtual_audio import VirtualAudio


def test_compose_and_render_give_the_same_samples_each_time() -> None:
    song = latent.compose(seed=7, minutes=0.1, preset="dark", effects=False)
    samples = latent.render(song)
    assert samples.dtype == np.float32
    assert samples.shape == (6 * 44_100, 2)
    assert np.array_equal(song.render(), samples)
    assert set(song.pattern) <= set("ABCDE")
    other = latent.compose(
        seed=7, minutes=0.1, preset="dark", effects=False, controls={"tuning/key": "A"}
    )
    assert not np.array_equal(other.render(), samples)


def test_a_saved_song_is_the_rendered_one_and_comes_from_its_card(
    tmp_path: Path,
) -> None:
    song = latent.compose(
        seed=3, minutes=0.1, effects=False, grammar="S => ABX\nX => CDE\n"
    )
    path = song.save(tmp_path / "song.flac")
    samples = song.render()
    assert np.abs(sf.read(path, dtype="float32")[0] - samples).max() < 2.0**-22
    again = latent.from_card(path)
    assert np.array_equal(again.render(), samples)
    assert again.pattern == "ABCDE"


@pytest.mark.parametrize(
    "wrong",
    [
        {"minutes": 0.0},
        {"minutes": float("nan")},
        {"preset": "drak"},
        {"controls": {"wobble": 1}},
    ],
)
def test_what_cannot_be_composed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        latent.compose(seed=1, **wrong)  # type: ignore[arg-type]


PLAY = """
import sys
from engine import api as latent
song = latent.compose(seed=7, minutes=0.05, effects=False, sample_rate=48_000)
playing = song.play(wait=False)
assert playing.is_playing
playing.wait()
assert not playing.is_playing and playing.seconds > 2.9, playing.seconds
"""


def test_play_is_heard(tmp_path: Path) -> None:
    with VirtualAudio() as device:
        with device.capture() as heard:
            done = subprocess.run(
                [sys.executable, "-c", PLAY],
                cwd=ROOT,
                env={**environment(tmp_path), **device.env, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        samples = heard.heard()
    assert done.returncode == 0, done.stderr
    song = latent.compose(seed=7, minutes=0.05, effects=False, sample_rate=48_000)
    expected = song.render()
    # Digital silence at either end is not counted as heard.
    padded = np.pad(samples, ((100, 48_000), (0, 0)))
    delay = audio.align(padded, expected, 48_000)
    again = padded[delay : delay + len(expected)]
    assert audio.residual_db(again, expected) < -60.0


def test_play_without_a_device_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        cwd=ROOT,
        env={
            **environment(tmp_path),
            "PULSE_SERVER": "unix:/nowhere",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RunError" in done.stderr
