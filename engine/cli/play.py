"""`latent play`: the radio."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effects.base.errors import InputError, RunError
from effects.base.memory import give_memory_back
from engine.cli.durations import Duration, TimeOfDay, next_time
from engine.cli.options import check_rate, composition_options, settings_from
from engine.cli.quiet import limit_threads, silence_libraries
from engine.cli.stream_options import endpoint, stream_options

MQTT_PASSWORD_VARIABLE = "LATENT_MQTT_PASSWORD"

if TYPE_CHECKING:
    from engine.app.options import AppOptions
    from engine.app.preset_rotation import Rotation
    from engine.live.device_watch import DeviceChoice
    from engine.live.devices import Device
    from engine.osc.server import OscSettings
    from engine.surfaces.mqtt import MqttSettings
    from engine.web.process import WebSettings


@click.command()
@click.option("--minutes", type=float, help="Stop after so long [default: never].")
@click.option("--device", help="Number or name; see 'latent devices'.")
@click.option("--rate", type=int, help="Sample rate [default: the device's].")
@click.option("--wait-device", is_flag=True, help="Wait until there is a device.")
@click.option("--no-audio", is_flag=True, help="Play to nobody, in real time.")
@click.option("--record", type=Path, help="Record into this FLAC file.")
@click.option("--wake", type=Duration(), help="Rise from silence over so long.")
@click.option(
    "--sleep",
    type=Duration(),
    help="End in so long, fading all the time; with --wake, after that.",
)
@click.option(
    "--fade",
    type=Duration(),
    help="With --sleep: hold the level, and fade over so long at the end.",
)
@click.option(
    "--every", type=Duration(), help="With --presets: the next after so long."
)
@click.option("--presets", help="Presets that follow one another, as dark,warm,glass.")
@click.option("--at", type=TimeOfDay(), help="Begin at this time of day, as 06:30.")
@click.option("--osc", help="[HOST:]PORT for OSC [default: 127.0.0.1:9470].")
@click.option("--oscquery", type=click.IntRange(0, 65_535), help="TCP port; 0: any.")
@click.option("--midi", help="Listen to MIDI ports whose names hold this text.")
@click.option("--mqtt", help="[USER@]HOST[:PORT] of a broker, for Home Assistant.")
@click.option("--web", help="[HOST:]PORT of a page in the browser, as 8080.")
@click.option("--web-name", multiple=True, help="Another name of this machine.")
@click.option("--no-osc", is_flag=True, help="Do not listen for OSC.")
@click.option(
    "--media-keys/--no-media-keys",
    default=None,
    help="Be a player of the desktop (MPRIS) [default: where there is one].",
)
@click.option(
    "--stay-awake", is_flag=True, help="Keep the machine from sleeping meanwhile."
)
@click.option("--plain", is_flag=True, help="Lines, not the view, on a terminal.")
@stream_options
@composition_options
def play(
    minutes: float | None,
    rate: int | None,
    at: time | None,
    plain: bool,
    **options: Any,
) -> None:
    """Play music on a device: without end, or for --minutes.

    A terminal shows what plays, and takes single keys: n next, space pause, h hold,
    e another effect, r record, k keep the last ten minutes, + and - volume, q quit.

    \b
    Examples:
      latent play
      latent play --preset dark --minutes 30 --seed 7
      latent play --record evening.flac --sleep 45m
      latent play --at 06:30 --wake 20m
      latent play --serve 0.0.0.0:8000 --no-audio
      latent play --web 8080
      latent play --stdout --no-audio | aplay -t raw -f S16_LE -c 2 -r 48000
    """
    limit_threads()
    give_memory_back()
    silence_libraries()
    is_chosen = options["device"] is not None or options["wait_device"]
    if at is None and not options["no_audio"] and not (is_chosen and rate):
        _listing()  # goes on while the rest is loaded
    from engine.cli.runner import Runner, wait_until
    from engine.graph import LIVE_RATE, build
    from engine.sound.balance import balance_db
    from model.inference import TimbreModel

    app_options = _app_options(options)
    options["preset_name"] = app_options.preset
    if rate is not None:
        check_rate(rate)
    settings = settings_from(options, sample_rate=LIVE_RATE, minutes=minutes)
    if at is not None:
        # What is wrong with the options is reported now, not in the morning.
        build(settings)
        if not wait_until(next_time(at, datetime.now())):
            return
    model = TimbreModel.load(settings.model)
    balance_db(model)  # both are kept for the graph, and made while devices are listed
    app_options = _heard(app_options)
    settings = replace(settings, sample_rate=_rate(app_options.device, rate))
    graph = build(settings, model)
    Runner(graph, app_options, plain=plain).run()


def _app_options(given: dict[str, Any]) -> "AppOptions":
    """Return the app's options from the flags of the command.

    Raises:
        InputError: the OSC address cannot be read.
    """
    from engine.app.options import AppOptions
    from engine.cli.stream_options import stream_settings
    from engine.live.device_watch import DeviceChoice

    rotation = _rotation(given)
    device = DeviceChoice(given["device"], given["wait_device"])
    return AppOptions(
        device=None if given["no_audio"] else device,
        preset=_preset_name(given, rotation),
        record=given["record"],
        wake_s=given["wake"],
        sleep_s=given["sleep"],
        sleep_fade_s=given["fade"],
        rotation=rotation,
        osc=None if given["no_osc"] else _osc_settings(given["osc"]),
        osc_required=given["osc"] is not None,
        query_port=given["oscquery"],
        midi=given["midi"],
        mqtt=_mqtt_settings(given["mqtt"]),
        media_keys=given["media_keys"],
        stay_awake=given["stay_awake"],
        streams=stream_settings(given),
        web=_web_settings(given),
    )


def _heard(options: "AppOptions") -> "AppOptions":
    """Return the options under which the music is heard without a sound device.

    Where there is none, and none was asked for by name or is waited for, it goes to
    the streams alone: those that were asked for, or HTTP on this machine.
    """
    from engine.cli.runner import say
    from engine.live.devices import choose
    from engine.streams.messages import Outputs
    from engine.streams.radio import StreamSettings

    device = options.device
    if device is None or device.name is not None or device.wait:
        return options
    try:
        choose(_devices(), None)
        return options
    except RunError as error:
        problem = str(error).partition(";")[0]
    streams = options.streams or StreamSettings(
        Outputs(serve=True), port_required=False
    )
    say(f"{problem}; playing to streams alone ('latent doctor' says more)")
    return replace(options, device=None, streams=streams)


@cache
def _listing() -> "Callable[[], list[Device]]":
    """Begin to list the output devices: one process is started for it, not two."""
    from engine.live.output import begin_listing

    return begin_listing()


@cache
def _devices() -> "list[Device]":
    try:
        return _listing()()
    finally:
        _listing.cache_clear()  # it answers once


def _rotation(given: Mapping[str, Any]) -> "Rotation | None":
    """Return the presets that follow one another.

    Raises:
        InputError: one is not there, or an option lacks the other.
    """
    from engine.app.preset_rotation import Rotation
    from engine.compose.preset import names as preset_names

    presets, every = given["presets"], given["every"]
    if presets is None and every is None:
        return None
    if presets is None or every is None:
        raise InputError("--every and --presets belong together")
    if given["preset_name"] is not None:
        raise InputError("--preset and --presets: choose one of them")
    names = tuple(name.strip() for name in presets.split(","))
    for name in names:
        if name not in preset_names():
            listed = ", ".join(preset_names())
            raise InputError(f"--presets: {name!r:.60} is none of {listed}")
    return Rotation(names, every)


def _preset_name(given: Mapping[str, Any], rotation: "Rotation | None") -> str:
    from engine.compose.preset import DEFAULT_PRESET

    if rotation is not None:
        return rotation.presets[0]
    name: str = given["preset_name"] or DEFAULT_PRESET
    return name


def _mqtt_settings(broker: str | None) -> "MqttSettings | None":
    from engine.surfaces.mqtt import mqtt_settings

    if broker is None:
        return None
    return mqtt_settings(broker, os.environ.get(MQTT_PASSWORD_VARIABLE, ""))


def _osc_settings(address: str | None) -> "OscSettings":
    from engine.osc.server import OscSettings

    if address is None:
        return OscSettings()
    return OscSettings(*endpoint("--osc", address, OscSettings().host))


def _web_settings(given: Mapping[str, Any]) -> "WebSettings | None":
    if given["web"] is None:
        return None
    from engine.cli.web import web_settings

    return web_settings("--web", given["web"], given["web_name"])


def _rate(device: "DeviceChoice | None", rate: int | None) -> int:
    """Return the rate asked for, or the one at which the device does not resample.

    Raises:
        InputError: there is no device of that name.
        RunError: there is no device.
    """
    from engine.graph import LIVE_RATE
    from engine.live.devices import choose, native_rate

    if rate is not None:
        return rate
    if device is None:
        return LIVE_RATE
    try:
        return native_rate(choose(_devices(), device.name))
    except RunError:
        if device.wait:
            return LIVE_RATE
        raise
