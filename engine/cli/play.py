"""`latent play`: the radio."""

import os
import signal
import sys
from datetime import datetime, time
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from effects.base.errors import InputError, RunError
from engine.cli.durations import Duration, TimeOfDay, next_time
from engine.cli.options import (
    DEFAULT_PRESET,
    check_rate,
    composition_options,
    settings_from,
)

if TYPE_CHECKING:
    from engine.cli.view import View
    from engine.live.session import DeviceChoice, Session
    from engine.osc.server import OscSettings

DEFAULT_RATE = 48_000  # of a session that plays to nobody
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_AT_CLOCK_S = 10.0


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
    help="Fade to silence over so long, and end; with --wake, after that.",
)
@click.option("--at", type=TimeOfDay(), help="Begin at this time of day, as 06:30.")
@click.option("--osc", help="[HOST:]PORT for OSC [default: 127.0.0.1:9470].")
@click.option("--oscquery", type=click.IntRange(0, 65_535), help="TCP port; 0: any.")
@click.option("--midi", help="Listen to MIDI ports whose names hold this text.")
@click.option("--no-osc", is_flag=True, help="Do not listen for OSC.")
@click.option(
    "--media-keys/--no-media-keys",
    default=None,
    help="Be a player of the desktop (MPRIS) [default: where there is one].",
)
@click.option("--plain", is_flag=True, help="Lines, not the view, on a terminal.")
@composition_options
def play(
    minutes: float | None,
    device: str | None,
    rate: int | None,
    wait_device: bool,
    no_audio: bool,
    record: Path | None,
    wake: float | None,
    sleep: float | None,
    at: time | None,
    osc: str | None,
    oscquery: int | None,
    midi: str | None,
    no_osc: bool,
    media_keys: bool | None,
    plain: bool,
    **options: Any,
) -> None:
    """Play music on a device: without end, or one programme of --minutes.

    A terminal shows what plays, and takes single keys: n next, space pause, h hold,
    e another effect, r record, k keep the last ten minutes, + and - volume, q quit.

    \b
    Examples:
      latent play
      latent play --preset dark --minutes 30 --seed 7
      latent play --record evening.flac --sleep 45m
      latent play --at 06:30 --wake 20m
    """
    _limit_threads()
    _hush_libraries()
    from engine.app.app import App, AppOptions
    from engine.cli.view import View, terminal
    from engine.graph import build
    from engine.live.session import DeviceChoice

    if at is not None:
        # What is wrong with the options is told now, not in the morning.
        build(settings_from(options, sample_rate=DEFAULT_RATE, minutes=minutes))
        if not _waited_until(next_time(at, datetime.now())):
            return
    choice = None if no_audio else DeviceChoice(device, wait_device)
    settings = settings_from(options, sample_rate=_rate(choice, rate), minutes=minutes)
    around = AppOptions(
        preset=options["preset_name"] or DEFAULT_PRESET,
        record=record,
        wake=wake,
        sleep=sleep,
        osc=None if no_osc else _osc(osc),
        osc_wanted=osc is not None,
        query=oscquery,
        midi=midi,
        media_keys=media_keys,
    )
    voice = _Voice()
    app = App(build(settings), choice, around, voice)
    session = app.session
    with View(app.commands, session.graph.controls, _say) as view:

        def stop(number: int, frame: FrameType | None) -> None:
            signal.signal(number, end)  # a second one ends at once
            session.stop()

        def end(number: int, frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            view.give_back()
            os.kill(os.getpid(), number)

        for number in END_SIGNALS:
            signal.signal(number, stop)
        if terminal() and not plain:
            voice.view = view
            app.run(view.begin)
        else:
            app.run()
    if view.hangs:
        os._exit(0)  # all files are closed; there is nobody to tell
    _say(
        f"played {session.seconds:.1f} s, {session.metrics.underruns} underruns, "
        f"{session.metrics.device_xruns} device xruns" + _losses(session)
    )
    if not session.closed_cleanly:
        # PortAudio hangs, and would again when the interpreter ends it.
        sys.stderr.flush()
        os._exit(0)


def _losses(session: "Session") -> str:
    n = session.metrics.device_losses
    if not n:
        return ""
    return f", {n} device losses ({session.away_s:.1f} s without one)"


class _Voice:
    """Says lines where they are seen: in the view while it is there."""

    def __init__(self) -> None:
        self.view: View | None = None

    def __call__(self, line: str) -> None:
        if self.view is not None and self.view.is_shown:
            self.view.say(line)
            if sys.stderr.isatty():
                return
        _say(line)


def _waited_until(then: datetime) -> bool:
    """Wait, looking at the clock as it may be set or the machine sleep.

    Returns:
        False when it was told to end before.
    """
    _say(f"waiting until {then:%H:%M:%S}; Ctrl-C ends")
    ended = Event()
    for number in END_SIGNALS:
        signal.signal(number, lambda number, frame: ended.set())
    while (left := (then - datetime.now()).total_seconds()) > 0.0:
        if ended.wait(min(left, LOOK_AT_CLOCK_S)):
            return False
    return True


def _osc(address: str | None) -> "OscSettings":
    from engine.osc.server import OscSettings

    if address is None:
        return OscSettings()
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise InputError(f"--osc {address}: not [HOST:]PORT")
    return OscSettings(host.strip("[]") or OscSettings().host, int(port))


def _rate(choice: "DeviceChoice | None", rate: int | None) -> int:
    """The rate asked for, or the one at which the device does not resample."""
    from engine.live.output import choose, list_devices, native_rate

    if rate is not None:
        return check_rate(rate)
    if choice is None:
        return DEFAULT_RATE
    try:
        return native_rate(choose(list_devices(), choice.name))
    except RunError:
        if choice.wait:
            return DEFAULT_RATE
        raise


def _limit_threads() -> None:
    """Idle workers of numerical libraries would take the callback's time."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _hush_libraries() -> None:
    """PortAudio and ALSA write a dozen lines on stderr whenever a device is not there.

    They know it by its number. What Python writes goes where it went before.
    """
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        return
    sys.stderr = os.fdopen(
        kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def _say(line: str) -> None:
    click.echo(f"latent: {line}", err=True)
