"""`latent play` and its streams: from the command line to what a listener decodes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio
from tests.support.command import ROOT, environment, latent
from tests.support.osc import oscsend
from tests.support.playing import Player, playing
from tests.support.streams import decoded, fetch
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def port_of(player: Player) -> int:
    player.wait_for("serving http")
    match = re.search(r"serving http://127\.0\.0\.1:(\d+)/stream\.m3u", player.said)
    assert match is not None
    return int(match[1])


def test_every_format_is_what_was_recorded(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "evening.flac"
    asked = ["--seed", 3, "--serve", 0, "--record", file]
    heard = {}
    with playing(*asked, home=home) as player:
        port = port_of(player)
        time.sleep(6.0)
        url = f"http://127.0.0.1:{port}/stream."
        takers = {
            name: subprocess.Popen(
                ["curl", "-s", "-m", "10", "-o", tmp_path / name, url + name]
            )
            for name in ("mp3", "opus", "flac")
        }
        wait_until(lambda: now(port)["listeners"] == 3)
        for name, taker in takers.items():
            taker.wait(30.0)
            data = (tmp_path / name).read_bytes()
            heard[name] = decoded(data, "ogg" if name == "opus" else name, is_cut=True)
        wait_until(lambda: now(port)["listeners"] == 0)
        assert player.stop() == 0
    assert " 0 underruns" in player.lines[-1]
    assert player.lines[-1].endswith(", 3 listeners"), "and nothing was lost"
    recorded, rate = audio.load(file)
    assert rate == 48_000
    whole = np.pad(recorded, ((0, 12 * rate), (0, 0)))
    for name, samples in heard.items():
        assert len(samples) > 11 * rate
        part = samples[rate : 9 * rate]  # a decoder needs a moment; the end is cut
        at = audio.align(whole, part, len(whole) - len(part) - rate)
        expected = recorded[at : at + len(part)]
        if name == "flac":
            np.testing.assert_array_equal(part, expected)
        else:
            for low, high in ((100, 400), (400, 1_600), (1_600, 6_400)):
                levels = [band_db(each, rate, low, high) for each in (part, expected)]
                assert abs(levels[0] - levels[1]) < 1.0, (name, low, levels)


def band_db(samples: np.ndarray, rate: int, low: float, high: float) -> float:
    """Power between two frequencies in dB."""
    spectrum = np.abs(np.fft.rfft(samples.mean(axis=1))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1.0 / rate)
    return 10.0 * float(np.log10(spectrum[(hertz >= low) & (hertz < high)].sum()))


def now(port: int) -> dict[str, object]:
    with fetch(port, "/now.json") as answer:
        found: dict[str, object] = json.load(answer)
    return found


def test_titles_and_covers_follow_the_songs(home: Path) -> None:
    with playing("--seed", 5, "--serve", 0, "--preset", "dark", home=home) as player:
        port = port_of(player)
        wait_until(lambda: now(port)["song"] == 1)
        assert now(port)["preset"] == "dark"
        covers = [cover(port)]
        oscsend(player.osc, "/latent/next")
        wait_until(lambda: now(port)["song"] == 2)
        covers.append(cover(port))
        oscsend(player.osc, "/latent/preset/load", "s", "glass")
        wait_until(lambda: now(port)["preset"] == "glass")
        assert player.stop() == 0
    assert all(each.startswith(b"\x89PNG") for each in covers)
    assert covers[0] != covers[1]


def cover(port: int) -> bytes:
    with fetch(port, "/cover.png") as answer:
        assert answer.status == 200
        return answer.read()


def test_without_a_device_it_serves_this_machine(home: Path) -> None:
    nothing = {"PULSE_SERVER": "/nowhere"}
    with playing("--seed", 7, home=home, env=nothing) as player:
        port = port_of(player)
        assert re.fullmatch(
            r"latent: no sound device found; playing to streams alone .*",
            player.lines[0],
        )
        with fetch(port, "/stream.mp3") as answer:
            assert len(answer.read(30_000)) == 30_000
        assert player.stop(signal.SIGINT) == 0
    assert not any("Traceback" in line for line in player.lines)


def test_a_device_that_was_named_is_not_replaced_by_streams(home: Path) -> None:
    nothing = {"PULSE_SERVER": "/nowhere"}
    asked = ["--device", "speaker"]
    with playing(*asked, home=home, env=nothing, ready=False) as player:
        assert player.wait() == 1
    assert len(player.lines) == 1
    assert "no sound device found" in player.lines[0]


def test_stdout_is_pcm_alone_and_its_end_is_the_end(home: Path) -> None:
    play = [sys.executable, "-m", "engine.cli.main", "play", "--no-audio", "--no-osc"]
    play += ["--seed", "7", "--stdout", "--pcm", "f32le"]
    with subprocess.Popen(
        play,
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        data = process.stdout.read(8 * 5 * 48_000)
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(20.0) == 0, said
    assert "stdout: f32le, 48000 Hz, 2 channels" in said
    samples = np.frombuffer(data, "<f4").reshape(-1, 2)
    assert len(samples) == 5 * 48_000
    assert 0.001 < np.abs(samples).max() <= 1.0


def test_a_song_goes_through_a_pipe_whole(home: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "song.flac", tmp_path / "song.wav"
    command = (
        f"{sys.executable} -m engine.cli.main play --no-audio --no-osc --seed 7 "
        f"--minutes 0.2 --stdout --record {file} | "
        f"ffmpeg -v error -f s16le -ar 48000 -ac 2 -i - {out}"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded, heard = audio.load(file)[0], audio.load(out)[0]
    assert abs(len(heard) - len(recorded)) < 0.3 * 48_000
    n = min(len(heard), len(recorded))
    delay = audio.align(np.pad(recorded, ((0, 48_000), (0, 0))), heard, 48_000)
    n = min(len(heard), len(recorded) - delay)
    assert audio.residual_db(heard[:n], recorded[delay : delay + n]) < -40.0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--serve", "8000x"], "--serve 8000x: not [HOST:]PORT"),
        (["--serve", "99999"], "--serve 99999: not [HOST:]PORT"),
        (
            ["--serve", "198.51.100.7:8000"],
            "198.51.100.7 is no address of this machine",
        ),
        (["--icecast", "http://x"], "--icecast http://x: no mount"),
        (["--icecast", "http://x/y.mp3"], "no password in the URL"),
        (["--snapcast", "http://x:1"], "--snapcast http://x:1: not tcp://HOST:PORT"),
        (["--hls", "README.md"], "--hls README.md: not a folder"),
        (["--pipe", "README.md"], "--pipe README.md: not a FIFO"),
        (["--pipe", "nothing"], "--pipe nothing: No such file or directory"),
        (["--pcm", "u8"], "'u8' is not one of"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(
    asked: list[str], said: str, home: Path
) -> None:
    done = latent("play", "--no-audio", "--no-osc", *asked, home=home)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_told_at_once(home: Path) -> None:
    with playing("--serve", 0, "--no-effects", home=home) as player:
        port = port_of(player)
        done = latent("play", "--no-audio", "--no-osc", "--serve", port, home=home)
    assert done.returncode == 1
    assert f"TCP port {port} on 127.0.0.1 is in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_worker_goes_with_a_session_that_is_killed(home: Path) -> None:
    with playing("--serve", 0, "--no-effects", home=home) as player:
        port_of(player)
        found = subprocess.run(
            ["pgrep", "-P", str(player.process.pid), "-f", "engine.streams.worker"],
            capture_output=True,
            text=True,
            check=True,
        )
        worker = int(found.stdout)
        player.kill()
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), 5.0, "the worker")
