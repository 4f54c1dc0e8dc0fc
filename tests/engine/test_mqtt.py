"""A session as a device of Home Assistant, through a real Mosquitto."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from effects.base.errors import InputError
from engine.control.controls import Controls
from engine.surfaces.mqtt import MqttSettings, MqttSurface, mqtt_settings
from tests.support.command import latent
from tests.support.osc import FakeSession
from tests.support.playing import playing
from tests.support.streams import free_tcp_port, is_listening, program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

NODE = mqtt_settings("localhost").node


class Broker:
    """A Mosquitto, and what was published to it."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log

    def messages(self) -> list[tuple[str, str]]:
        rows = [line.partition(" ") for line in self._log.read_text().splitlines()]
        return [(topic, payload) for topic, _, payload in rows]

    def last(self, topic: str) -> str:
        found = [payload for name, payload in self.messages() if name == topic]
        return found[-1] if found else ""

    def state(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.last(f"latent/{NODE}/state") or "{}")
        return found

    def has(self, key: str, value: object) -> bool:
        return self.state()[key] == value

    def n_errors(self) -> int:
        return sum(topic.endswith("/error") for topic, _ in self.messages())

    def has_errors(self, n: int) -> bool:
        return self.n_errors() >= n

    def publish(self, name: str, payload: str) -> None:
        subprocess.run(
            [
                *("mosquitto_pub", "-p", str(self.port), "-q", "1"),
                *("-t", f"latent/{NODE}/set/{name}", "-m", payload),
            ],
            check=True,
            timeout=20,
        )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    port, log = free_tcp_port(), tmp_path / "messages.log"
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    watch = ["mosquitto_sub", "-p", str(port), "-v", "-t", "#"]
    with program(["mosquitto", "-c", str(file)], tmp_path / "mosquitto.log"):
        wait_until(lambda: is_listening(port))
        with program(watch, log):
            yield Broker(port, log)


def test_home_assistant_finds_it_and_is_obeyed(broker: Broker, tmp_path: Path) -> None:
    asked = ["--seed", 7, "--preset", "dark", "--mqtt", f"127.0.0.1:{broker.port}"]
    available = f"latent/{NODE}/available"
    with playing(*asked, home=tmp_path / "home") as player:
        wait_until(lambda: broker.state().get("song"), 40.0, "a state")
        found = {
            topic: json.loads(payload)
            for topic, payload in broker.messages()
            if topic.startswith("homeassistant/")
        }
        assert {topic.split("/")[1] for topic in found} == {
            *("switch", "button", "select", "number", "sensor")
        }
        for topic, row in found.items():
            assert topic.endswith("/config")
            assert row["unique_id"].startswith(f"latent-{NODE}-")
            assert row["availability_topic"] == available
        presets = found[f"homeassistant/select/latent-{NODE}/preset/config"]["options"]
        assert "glass" in presets
        assert broker.last(available) == "online"
        song = broker.state()["song"]
        assert broker.state() == {
            "playing": "ON",
            "song": song,
            "preset": "dark",
            "volume": 0.0,
            "sleep": 0,
            "listeners": 0,
        }
        for name, payload, key, value in (
            ("playing", "OFF", "playing", "OFF"),
            ("playing", "ON", "playing", "ON"),
            ("volume", "-12", "volume", -12.0),
            ("preset", "glass", "preset", "glass"),
            ("sleep", "30", "sleep", 30),
            ("sleep", "0", "sleep", 0),
        ):
            broker.publish(name, payload)
            wait_until(partial(broker.has, key, value), 10.0, name)
        broker.publish("next", "PRESS")
        wait_until(lambda: broker.state()["song"] != song, 20.0, "another song")
        for name, payload in (
            *(("volume", "loud"), ("volume", "nan"), ("preset", "nope")),
            *(("playing", "maybe"), ("nothing", "1"), ("preset", "x" * 5_000)),
        ):
            n = broker.n_errors()
            broker.publish(name, payload)
            wait_until(
                partial(broker.has_errors, n + 1),
                10.0,
                f"an error for {name}",
            )
        assert broker.state()["volume"] == -12.0
        assert player.stop() == 0
        wait_until(lambda: broker.last(available) == "offline")


def test_a_killed_session_is_offline_and_a_broker_that_comes_later_is_found(
    broker: Broker, tmp_path: Path
) -> None:
    with playing(
        "--mqtt", f"127.0.0.1:{broker.port}", home=tmp_path / "home"
    ) as player:
        player.wait_for("MQTT: connected")
        player.kill()
    wait_until(lambda: broker.last(f"latent/{NODE}/available") == "offline")
    away = free_tcp_port()
    with playing("--mqtt", f"127.0.0.1:{away}", home=tmp_path / "home") as player:
        player.wait_for("MQTT: cannot connect to 127.0.0.1; trying again")
        file = tmp_path / "later.conf"
        file.write_text(f"listener {away} 127.0.0.1\nallow_anonymous true\n")
        with program(["mosquitto", "-c", str(file)], tmp_path / "later.log"):
            player.wait_for("MQTT: connected")
        player.wait_for("MQTT: lost the connection")
        assert player.stop() == 0


@pytest.mark.parametrize(
    "text", ["", "http://x", "me:hush@x:99999", "me:hush@/", "a/b"]
)
def test_what_is_no_broker_is_refused_without_a_password(text: str) -> None:
    with pytest.raises(InputError) as refused:
        mqtt_settings(text)
    assert "hush" not in str(refused.value)
    done = latent("play", "--no-audio", "--mqtt", text, home=Path(os.devnull))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_broker_has_its_parts() -> None:
    found = mqtt_settings("mqtts://me:a%40b@home.example")
    assert (found.host, found.port, found.user) == ("home.example", 8883, "me")
    assert found.password == "a@b"
    assert "a@b" not in repr(found)
    assert mqtt_settings("me@x:1", "secret").password == "secret"


def test_a_machine_without_any_network_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even its own address is out of reach there, which paho asks for."""

    def unreachable(client: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr("paho.mqtt.client.Client.loop_start", unreachable)
    said: list[str] = []
    surface = MqttSurface(
        Controls(), FakeSession(), MqttSettings("localhost"), said.append
    )
    surface.start()
    surface.stop()
    assert said == ["MQTT: Network is unreachable; playing without it"]
