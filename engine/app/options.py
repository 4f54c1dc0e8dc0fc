"""The options of `latent play` besides what decides the music."""

from dataclasses import dataclass
from pathlib import Path

from engine.app.preset_rotation import Rotation
from engine.live.device_watch import DeviceChoice
from engine.osc.server import OscSettings
from engine.streams.radio import StreamSettings
from engine.surfaces.mqtt import MqttSettings
from engine.web.process import WebSettings


@dataclass(frozen=True)
class AppOptions:
    """What a session plays on, and what is started around it.

    Attributes:
        device: to play on; None plays to nobody, in real time.
        preset: name of the preset it begins with.
        record: file to record into from the start.
        wake_s: seconds over which it rises from silence.
        sleep_s: seconds over which it fades to silence and ends, after the rise.
        sleep_fade_s: seconds of the fade at the end of a sleep timer; None fades all
            the time.
        rotation: presets that follow one another, or None to stay with one.
        osc: where to listen for OSC, or None not to.
        osc_required: whether it is an error when it cannot listen there.
        query_port: TCP port of OSCQuery, 0 for a free one, or None for none.
        midi: part of the names of MIDI ports to listen to, or None for none.
        mqtt: broker to be announced to, or None for none.
        media_keys: whether to be a media player of the desktop; None: if there is one.
        stay_awake: whether to keep the machine from sleeping.
        streams: where the music goes besides the device, or None for nowhere.
        web: where the page is served, or None for nowhere.
    """

    device: DeviceChoice | None = None
    preset: str = ""
    record: Path | None = None
    wake_s: float | None = None
    sleep_s: float | None = None
    sleep_fade_s: float | None = None
    rotation: Rotation | None = None
    osc: OscSettings | None = None
    osc_required: bool = False
    query_port: int | None = None
    midi: str | None = None
    mqtt: MqttSettings | None = None
    media_keys: bool | None = None
    stay_awake: bool = False
    streams: StreamSettings | None = None
    web: WebSettings | None = None
