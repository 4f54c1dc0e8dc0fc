"""Devices that `latent play` is asked for, loses and finds again, on real sinks."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio, signals
from tests.support.command import ROOT, environment, latent
from tests.support.osc import Client, packet
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
AWAY_S = 4.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_the_device_goes_and_comes_back_and_the_recording_is_whole(
    tmp_path: Path,
) -> None:
    file, again = tmp_path / "evening.flac", tmp_path / "again.flac"
    asked = ["--seed", 7, "--no-effects", "--record", file]
    with (
        VirtualAudio(RATE) as device,
        playing(*asked, home=tmp_path, env=device.env) as player,
    ):
        time.sleep(3.5)
        went = time.monotonic()
        device.unload_sink()
        assert player.wait_for("is gone; playing on without it") - went < 1.5
        time.sleep(AWAY_S)
        came = time.monotonic()
        device.load_sink()
        with device.capture() as capture:
            began = time.monotonic()
            player.wait_for("playing on .* again")
            away = time.monotonic() - went
            time.sleep(2.0)
        heard = capture.samples()
        client = Client(player.osc)
        client.send(packet("/latent/device/losses"))
        assert client.receive() == [("/latent/device/losses", 1)]
        client.close()
        assert player.stop() == 0
    first = int(np.flatnonzero(np.any(np.abs(heard) > 1e-4, axis=1))[0])
    assert began - came + first / RATE < 2.0, "sound again within two seconds"
    assert not len(signals.clicks(heard))
    # One line when it goes and one when it is back, and no words of libraries.
    assert player.lines[1].endswith("is gone; playing on without it")
    assert player.lines[2].endswith("again")
    assert " 0 underruns" in player.lines[-1]
    told = float(player.lines[-1].partition("1 device losses (")[2].split()[0])
    assert abs(told - away) < 0.5

    # The recording: what was played meanwhile is in it, as if nothing had been.
    (path,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()][1:]
    (end,) = [e["recording"] for e in events if "first" in e.get("recording", {})]
    assert (end["first"], end["gaps"]) == (0, [])
    told_of = [next(iter(e["device"])) for e in events if "device" in e]
    assert told_of == ["lost", "found"]
    assert latent("replay", path, again, home=tmp_path).returncode == 0
    recorded, _ = audio.load(file)
    assert len(recorded) == end["samples"]
    assert len(recorded) / RATE > 3.5 + AWAY_S + 2.0 - 1.0
    rendered, _ = audio.load(again)
    n = min(len(recorded), len(rendered))
    assert n >= len(recorded) - RATE // 10
    assert audio.residual_db(recorded[:n], rendered[:n]) < -90.0
    # What is heard at the end is the recording's end, not what was played before.
    last = heard[first + RATE // 4 : first + 5 * RATE // 4]
    late = recorded[-5 * RATE :]
    delay = audio.align(np.pad(late, ((0, RATE), (0, 0))), last, 4 * RATE)
    assert audio.residual_db(late[delay : delay + len(last)], last) < -60.0


def test_a_device_by_number_or_name_and_a_stream_that_is_moved(
    home: Path, tmp_path: Path
) -> None:
    with VirtualAudio(RATE, two_sinks=True) as device:
        # ALSA's configuration gives each sink a name that PortAudio lists.
        config = tmp_path / "asound.conf"
        config.write_text(
            "</usr/share/alsa/alsa.conf>\n"
            "pcm.study { type pulse device latent }\n"
            "pcm.garden { type pulse device second }\n"
        )
        env = {**device.env, "ALSA_CONFIG_PATH": str(config)}
        listed = subprocess.run(
            [sys.executable, "-m", "engine.cli.main", "devices"],
            cwd=ROOT,
            env={**environment(home), **env},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        number = re.search(r"(\d+)  garden", listed)
        assert number is not None, listed
        asked = ["--no-effects", "--device"]
        with playing(*asked, number[1], home=home, env=env) as player:
            wait_for_stream(device, "second")
            assert device.streams("latent") == 0
            assert player.stop() == 0
        with playing(*asked, "study", home=home, env=env) as player:
            wait_for_stream(device, "latent")
            time.sleep(1.5)
            stream = device.control("list", "short", "sink-inputs").split("\t")[0]
            with device.capture("second") as capture:
                device.control("move-sink-input", stream, "second")
                time.sleep(1.0)
            heard = capture.samples()
            assert player.stop() == 0
    assert "is gone" not in player.said
    assert " 0 underruns" in player.lines[-1]
    loud = np.flatnonzero(np.any(np.abs(heard) > 1e-4, axis=1))
    assert len(loud) > RATE // 2, "it is heard on the sink that it was moved to"


def wait_for_stream(device: VirtualAudio, sink: str) -> None:
    deadline = time.monotonic() + 5.0
    while device.streams(sink) != 1:
        assert time.monotonic() < deadline, f"nothing plays on {sink}"
        time.sleep(0.05)


def test_it_waits_for_a_device_that_is_not_there_yet(home: Path) -> None:
    with VirtualAudio(RATE) as device:
        device.unload_sink()
        asked = ["--wait-device", "--no-effects"]
        with playing(*asked, home=home, env=device.env) as player:
            assert "waiting for one" in player.lines[0]
            time.sleep(1.0)
            came = time.monotonic()
            device.load_sink()
            with device.capture() as capture:
                began = time.monotonic()
                player.wait_for("playing on 'default'$")
                time.sleep(0.5)
            heard = capture.samples()
            assert player.stop() == 0
    first = int(np.flatnonzero(np.any(np.abs(heard) > 1e-5, axis=1))[0])
    assert began - came + first / RATE < 2.0
    assert "device losses" not in player.lines[-1]


def test_a_device_that_is_taken_is_told_and_played_on_once_it_is_free(
    tmp_path: Path,
) -> None:
    """It is there, and refuses: as when another program has it to itself."""
    raw = tmp_path / "away" / "sound.raw"
    config = tmp_path / "asound.conf"
    config.write_text(
        f'pcm.taken {{ type file file "{raw}" format raw slave.pcm "null" '
        'hint { show on description "taken" } }\n'
    )
    env = {
        "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{config}",
        "PULSE_SERVER": str(tmp_path / "none"),
    }
    asked = ["--no-effects", "--device", "taken"]
    with playing(*asked, home=tmp_path, env=env, ready=False) as player:
        assert player.wait() == 1
        (line,) = player.lines
        assert "taken" in line or "another program" in line
    with playing(*asked, "--wait-device", home=tmp_path, env=env) as player:
        assert "waiting for one" in player.lines[0]
        raw.parent.mkdir()
        player.wait_for("playing on 'taken'")
        assert player.stop() == 0
    assert raw.stat().st_size > 0


def test_a_rate_that_cannot_be_is_one_clear_line(home: Path) -> None:
    with playing("--rate", 100, home=home, ready=False) as player:
        assert player.wait() == 2
    assert player.lines == ["latent: --rate 100: choose from 22050 to 192000 Hz"]


def test_an_unknown_device_is_told_with_the_ones_there_are(home: Path) -> None:
    with (
        VirtualAudio(RATE) as device,
        playing(
            "--device", "theremin", home=home, env=device.env, ready=False
        ) as player,
    ):
        assert player.wait() == 2
    assert len(player.lines) == 1, player.said
    assert "pulse" in player.said
