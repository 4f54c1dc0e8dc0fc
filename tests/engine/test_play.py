"""`latent play` on a real PortAudio stream, heard through the sink's monitor."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio
from tests.support.virtual_audio import VirtualAudio

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "engine.cli.main"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = str(tmp_path_factory.mktemp("home"))
    return {"LATENT_HOME": folder, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_is_heard_is_what_is_rendered(
    rate: int, home: dict[str, str], tmp_path: Path
) -> None:
    song = ["--minutes", "0.4", "--seed", "7"]
    out = tmp_path / "song.wav"
    subprocess.run(
        [*COMMAND, "render", str(out), *song, "--rate", str(rate)],
        cwd=ROOT,
        env={**os.environ, **home},
        check=True,
    )
    expected, _ = audio.load(out)
    with VirtualAudio(rate) as device:
        with device.capture() as capture:
            done = subprocess.run(
                [*COMMAND, "play", *song],
                cwd=ROOT,
                env={**device.env, **home},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        heard = capture.heard()
    assert done.returncode == 0, done.stderr
    assert " 0 underruns, 0 device xruns" in done.stderr
    # Both begin with a fade from silence; align them by what is loud.
    longest = rate
    delay = audio.align(np.pad(heard, ((0, longest), (0, 0))), expected, longest)
    assert delay >= 0
    n = min(len(heard) - delay, len(expected))
    assert n >= len(expected) - rate // 10
    assert audio.residual_db(heard[delay : delay + n], expected[:n]) < -60.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_softly_and_soon(
    number: signal.Signals, home: dict[str, str]
) -> None:
    with VirtualAudio(48_000) as device:
        with device.capture() as capture:
            process = subprocess.Popen(
                [*COMMAND, "play", "--seed", "7", "--no-effects"],
                cwd=ROOT,
                env={**device.env, **home},
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stderr is not None
            assert "playing" in process.stderr.readline()
            time.sleep(3.0)
            asked = time.monotonic()
            process.send_signal(number)
            process.communicate(timeout=10)
            took = time.monotonic() - asked
        heard = capture.heard()
    assert process.returncode == 0
    assert took < 2.0
    # The end is a fade: the last tenth of it is far below what was before.
    before = np.abs(heard[-24_000:-14_400]).max()
    assert before > 0.005
    assert np.abs(heard[-200:]).max() < 0.1 * before


def test_without_a_device_one_line_names_the_ways_out(home: dict[str, str]) -> None:
    empty = {"PULSE_SERVER": "/nonexistent", "HOME": home["LATENT_HOME"]}
    done = subprocess.run(
        [*COMMAND, "play", "--minutes", "0.1"],
        cwd=ROOT,
        env={**os.environ, **home, **empty},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "latent render" in done.stderr


def test_an_unknown_device_is_told_with_the_ones_there_are(
    home: dict[str, str],
) -> None:
    with VirtualAudio(48_000) as device:
        done = subprocess.run(
            [*COMMAND, "play", "--device", "theremin"],
            cwd=ROOT,
            env={**device.env, **home},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "pulse" in done.stderr


def test_the_device_goes_and_comes_back(home: dict[str, str]) -> None:
    with VirtualAudio(48_000) as device:
        process = subprocess.Popen(
            [*COMMAND, "play", "--minutes", "0.35", "--seed", "7", "--no-effects"],
            cwd=ROOT,
            env={**device.env, **home},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "playing" in process.stderr.readline()
        time.sleep(3.0)
        device.unload_sink()
        # PortAudio has words of its own on stderr.
        assert any("is gone" in line for line in process.stderr)
        time.sleep(3.0)
        device.load_sink()
        back = time.monotonic()
        assert any("again" in line for line in process.stderr)
        assert time.monotonic() - back < 6.0
        with device.capture() as capture:
            time.sleep(2.0)
        assert np.abs(capture.samples()).max() > 0.005
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "played" in rest


def test_a_recording_is_what_a_replay_gives(
    home: dict[str, str], tmp_path: Path
) -> None:
    env = {**os.environ, **home, "LATENT_HOME": str(tmp_path / "home")}
    file, again = tmp_path / "evening.flac", tmp_path / "again.flac"
    process = subprocess.Popen(
        [
            *COMMAND,
            "play",
            "--no-audio",
            "--seed",
            "3",
            "--no-effects",
            "--osc",
            "0",
            "--record",
            str(file),
        ],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any("playing" in line for line in process.stderr)
    time.sleep(5.0)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    (journal,) = (tmp_path / "home" / "state" / "journals").glob("*.jsonl")
    subprocess.run(
        [*COMMAND, "replay", str(journal), str(again)], cwd=ROOT, env=env, check=True
    )
    recorded, rate = audio.load(file)
    rendered, _ = audio.load(again)
    assert len(recorded) > 4 * rate
    n = min(len(recorded), len(rendered))
    assert audio.residual_db(rendered[:n], recorded[:n]) < -90.0


def test_the_sleep_timer_fades_to_silence_and_ends(
    home: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "sleep.flac"
    done = subprocess.run(
        [
            *COMMAND,
            "play",
            "--no-audio",
            "--seed",
            "3",
            "--no-osc",
            "--sleep",
            "8s",
            "--record",
            str(file),
        ],
        cwd=ROOT,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    samples, rate = audio.load(file)
    level = np.sqrt(np.mean(samples[: 8 * rate].reshape(16, -1, 2) ** 2, axis=(1, 2)))
    smooth = np.convolve(level, np.ones(4) / 4.0, "valid")
    assert np.all(np.diff(smooth[6:]) < 0), "falls all the time"
    assert np.abs(samples[-rate // 10 :]).max() < 1e-3
