"""A surface over MQTT: a session as a device of Home Assistant.

The session announces itself by discovery topics, publishes its state once a second
when that has changed, and obeys what is published below its command topic. paho-mqtt
keeps the connection in a thread of its own; it is imported when a session wants MQTT.
"""

import contextlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from effects.base.errors import InputError, LatentError, RunError
from engine.control.callbacks import Say
from engine.control.commands import COMMANDS_BY_NAME, Actions
from engine.control.controls import CONTROLS, Controls
from engine.control.status import SessionStatus
from engine.version import VERSION

PORT, SECURE_PORT = 1883, 8883
EVERY_S = 1.0
RETRY_S = (1, 60)  # first and longest wait before the broker is tried again
LONGEST = 200  # bytes of a command
GAIN = "master/gain"


@dataclass(frozen=True)
class MqttSettings:
    """A broker, and the name of this session there.

    Attributes:
        host: of the broker.
        port: TCP.
        user: name, or nothing.
        password: of the user; never shown.
        secure: whether to speak TLS.
        node: name of this session in topics.
    """

    host: str
    port: int = PORT
    user: str = ""
    password: str = field(default="", repr=False)
    secure: bool = False
    node: str = ""

    @property
    def topic(self) -> str:
        """Root of the session's own topics."""
        return f"latent/{self.node}"


def mqtt_settings(text: str, password: str = "") -> MqttSettings:
    """Read [mqtt[s]://][USER[:PASSWORD]@]HOST[:PORT].

    Args:
        text: of the option.
        password: used when the text has none.

    Raises:
        InputError: it is not such a text; the error shows no password.
    """
    given = text if "://" in text else f"mqtt://{text}"
    shown = re.sub(r".*@", "", text, flags=re.DOTALL)
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise InputError(f"--mqtt {shown}: not HOST[:PORT]") from None
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not plain:
        raise InputError(f"--mqtt {shown}: not HOST[:PORT]")
    secure = parts.scheme == "mqtts"
    return MqttSettings(
        parts.hostname,
        port or (SECURE_PORT if secure else PORT),
        unquote(parts.username or ""),
        unquote(parts.password or "") or password,
        secure,
        re.sub(r"[^a-z0-9-]", "-", socket.gethostname().partition(".")[0].lower()),
    )


def discovery(settings: MqttSettings, status: SessionStatus) -> dict[str, str]:
    """Return the discovery topics of Home Assistant with their JSON payloads."""
    node, root = settings.node, settings.topic
    device = {
        "identifiers": [f"latent-{node}"],
        "name": f"Latent on {node}",
        "manufacturer": "Latent",
        "sw_version": VERSION,
    }
    gain, sleep = CONTROLS[GAIN], COMMANDS_BY_NAME["sleep"]
    entities: dict[str, dict[str, Any]] = {
        "switch/playing": {
            "name": "Playing",
            "payload_on": "ON",
            "payload_off": "OFF",
            "icon": "mdi:play-pause",
        },
        "button/next": {"name": "Next song", "icon": "mdi:skip-next"},
        "select/preset": {"name": "Preset", "options": list(status.presets)},
        "number/volume": {
            "name": "Volume",
            "min": gain.low,
            "max": gain.high,
            "step": 1,
            "unit_of_measurement": "dB",
            "icon": "mdi:volume-high",
        },
        "number/sleep": {
            "name": "Sleep timer",
            "min": sleep.low,
            "max": sleep.high,
            "step": 1,
            "unit_of_measurement": "min",
            "icon": "mdi:sleep",
        },
        "sensor/song": {"name": "Song", "icon": "mdi:music"},
        "sensor/listeners": {"name": "Listeners", "icon": "mdi:account-multiple"},
    }
    topics = {}
    for key, entity in entities.items():
        kind, name = key.split("/")
        row = {
            **entity,
            "unique_id": f"latent-{node}-{name}",
            "device": device,
            "availability_topic": f"{root}/available",
        }
        if kind != "button":
            row["state_topic"] = f"{root}/state"
            row["value_template"] = f"{{{{ value_json.{name} }}}}"
        if kind != "sensor":
            row["command_topic"] = f"{root}/set/{name}"
        topics[f"homeassistant/{kind}/latent-{node}/{name}/config"] = json.dumps(row)
    return topics


class MqttSurface:
    """Announces a session to a broker and obeys it, from `start` to `stop`.

    Args:
        controls: of the session.
        actions: commands and status of the session; called from paho's thread.
        settings: of the broker.
        say: takes one line for the user.
    """

    def __init__(
        self, controls: Controls, actions: Actions, settings: MqttSettings, say: Say
    ) -> None:
        self._controls, self._actions = controls, actions
        self._settings, self._say = settings, say
        self._client: Any = None  # of paho, once started
        self._connected = threading.Event()
        self._told_away = False
        self._published = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begin to connect; a broker that is away is tried again and again.

        Raises:
            RunError: paho-mqtt is not installed.
        """
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise RunError("MQTT needs paho-mqtt: pip install paho-mqtt") from None
        settings = self._settings
        client = Client(CallbackAPIVersion.VERSION2, f"latent-{settings.node}")
        if settings.user:
            client.username_pw_set(settings.user, settings.password or None)
        if settings.secure:
            client.tls_set()
        client.will_set(f"{settings.topic}/available", "offline", 1, True)
        client.reconnect_delay_set(*RETRY_S)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = lambda *_: self._tell_away("cannot connect")
        client.on_message = self._on_message
        client.connect_async(settings.host, settings.port)
        try:
            client.loop_start()
        except OSError as error:  # without a network of its own, or descriptors
            self._say(f"MQTT: {error.strerror}; playing without it")
            return
        self._client = client
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye to the broker and end the threads; harmless if not started."""
        self._stopping.set()
        client = self._client
        if client is None:
            return
        self._thread.join(2.0)
        if self._connected.is_set():
            topic = f"{self._settings.topic}/available"
            with contextlib.suppress(RuntimeError, ValueError):
                client.publish(topic, "offline", 1, True).wait_for_publish(1.0)
        client.disconnect()
        client.loop_stop()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            if self._connected.is_set():
                self._publish_state()

    def _publish_state(self) -> None:
        state = json.dumps(self._state())
        if state != self._published and self._client is not None:
            self._published = state
            self._client.publish(f"{self._settings.topic}/state", state, 0, True)

    def _state(self) -> dict[str, object]:
        status = self._actions.status()
        return {
            "playing": "OFF" if status.is_paused else "ON",
            "song": status.song.title if status.song else "",
            "preset": status.preset,
            "volume": self._controls.snapshot[GAIN],
            "sleep": round(status.sleep_min),
            "listeners": status.listeners,
        }

    def _on_connect(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._tell_away(f"refused ({reason})")
            return
        self._say(f"MQTT: connected to {self._settings.host}")
        self._told_away, self._published = False, ""
        root = self._settings.topic
        for topic, payload in discovery(self._settings, self._actions.status()).items():
            client.publish(topic, payload, 1, True)
        client.subscribe(f"{root}/set/#", 1)
        client.publish(f"{root}/available", "online", 1, True)
        self._connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._connected.clear()
        if not self._stopping.is_set():
            self._tell_away("lost the connection")

    def _tell_away(self, why: str) -> None:
        """Tell once that the broker is away, until it is back."""
        if not self._told_away and not self._stopping.is_set():
            self._told_away = True
            self._say(f"MQTT: {why} to {self._settings.host}; trying again")

    def _on_message(self, client: Any, _: Any, message: Any) -> None:
        name = message.topic.removeprefix(f"{self._settings.topic}/set/")
        try:
            if len(message.payload) > LONGEST:
                raise InputError("too long")
            self._obey(name, message.payload.decode("utf-8").strip())
            self._publish_state()
        except (LatentError, ValueError) as error:
            text = f"{name[:60]}: {error}"[:LONGEST]
            client.publish(f"{self._settings.topic}/error", text)

    def _obey(self, name: str, text: str) -> None:
        """Carry out what was published.

        Raises:
            LatentError: it cannot be done.
            ValueError: the text is not a number where one is asked for.
        """
        if name == "playing":
            if text.upper() not in ("ON", "OFF"):
                raise InputError("takes ON or OFF")
            self._actions.command("play" if text.upper() == "ON" else "pause")
        elif name == "next":
            self._actions.command("next")
        elif name == "preset":
            given = COMMANDS_BY_NAME["preset/load"].check(
                (text,), self._actions.status()
            )
            self._actions.command("preset/load", *given)
        elif name == "volume":
            self._controls.set(GAIN, float(text))
        elif name == "sleep":
            self._actions.command(
                "sleep", *COMMANDS_BY_NAME["sleep"].check((float(text),), None)
            )
        else:
            raise InputError("no such command")
