"""`latent play` on a real PortAudio stream, heard through the sink's monitor."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio
from tests.support.command import latent
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_is_heard_is_what_is_rendered(
    rate: int, home: Path, tmp_path: Path
) -> None:
    song = ["--minutes", "0.4", "--seed", "7"]
    out = tmp_path / "song.wav"
    assert latent("render", out, *song, "--rate", rate, home=home).returncode == 0
    expected, _ = audio.load(out)
    with VirtualAudio(rate) as device:
        with (
            device.capture() as capture,
            playing(*song, home=home, env=device.env) as player,
        ):
            assert player.wait(60.0) == 0, player.said
        heard = capture.heard()
    assert " 0 underruns, 0 device xruns" in player.lines[-1]
    # Both begin with a fade from silence; align them by what is loud.
    longest = rate
    delay = audio.align(np.pad(heard, ((0, longest), (0, 0))), expected, longest)
    assert delay >= 0
    n = min(len(heard) - delay, len(expected))
    assert n >= len(expected) - rate // 10
    assert audio.residual_db(heard[delay : delay + n], expected[:n]) < -60.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_softly_and_soon(number: signal.Signals, home: Path) -> None:
    with VirtualAudio(48_000) as device:
        with (
            device.capture() as capture,
            playing("--seed", 7, "--no-effects", home=home, env=device.env) as player,
        ):
            time.sleep(3.0)
            asked = time.monotonic()
            assert player.stop(number) == 0
            assert time.monotonic() - asked < 2.0
        heard = capture.heard()
    # The end is a fade: the last tenth of it is far below what was before.
    before = np.abs(heard[-24_000:-14_400]).max()
    assert before > 0.005
    assert np.abs(heard[-200:]).max() < 0.1 * before


def test_the_sleep_timer_fades_to_silence_and_ends(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "sleep.flac"
    still = ["--motion-depth", 0]  # nothing swells against the fade
    asked = ["--seed", 3, "--sleep", "8s", "--record", file, *still]
    with playing(*asked, home=home) as player:
        assert player.wait(60.0) == 0, player.said
    assert subprocess.run(["flac", "-t", "-s", str(file)]).returncode == 0
    assert {each.suffix for each in tmp_path.iterdir()} == {".flac", ".cue"}, "closed"
    samples, rate = audio.load(file)
    level = np.sqrt(np.mean(samples[: 8 * rate].reshape(16, -1, 2) ** 2, axis=(1, 2)))
    smooth = np.convolve(level, np.ones(4) / 4.0, "valid")
    assert np.all(np.diff(smooth[6:]) < 0), "falls all the time"
    assert np.abs(samples[-rate // 10 :]).max() < 1e-3
