"""`latent play`: the radio."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import click

from engine.cli.options import check_rate, composition_options, settings_from

DEFAULT_RATE = 48_000  # of a session that plays to nobody


@click.command()
@click.option("--minutes", type=float, help="Stop after so long [default: never].")
@click.option("--device", help="Number or name; see 'latent devices'.")
@click.option("--rate", type=int, help="Sample rate [default: the device's].")
@click.option("--wait-device", is_flag=True, help="Wait until there is a device.")
@click.option("--no-audio", is_flag=True, help="Play to nobody, in real time.")
@composition_options
def play(
    minutes: float | None,
    device: str | None,
    rate: int | None,
    wait_device: bool,
    no_audio: bool,
    **options: Any,
) -> None:
    """Play music on a device: without end, or one programme of --minutes.

    \b
    Examples:
      latent play
      latent play --preset dark --minutes 30 --seed 7
    """
    _limit_threads()
    from engine.graph import build
    from engine.live.session import DeviceChoice, Session

    choice = None if no_audio else DeviceChoice(device, wait_device)
    settings = settings_from(options, sample_rate=_rate(choice, rate), minutes=minutes)
    graph = build(settings)
    session = Session(graph, choice, _say)

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends at once
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    session.start()
    _say(f"playing, seed {settings.seed}; Ctrl-C ends")
    session.run()
    metrics = session.metrics
    _say(
        f"played {session.seconds:.1f} s, {metrics.underruns} underruns, "
        f"{metrics.device_xruns} device xruns"
    )
    if not session.closed_cleanly:
        # PortAudio hangs, and would again when the interpreter ends it.
        sys.stderr.flush()
        os._exit(0)


def _rate(choice: Any, rate: int | None) -> int:
    """The rate asked for, or the one at which the device does not resample."""
    from effects.errors import RunError
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


def _say(line: str) -> None:
    click.echo(f"latent: {line}", err=True)
