"""`latent osc`: layouts for tablets, and the list of addresses."""

from pathlib import Path

import click

from effects.base.errors import InputError, RunError
from effects.base.whole_file import write_whole

SUFFIXES = {"touchosc": ".tosc", "open-stage-control": ".json"}


@click.group()
def osc() -> None:
    """Open Sound Control: layouts and addresses."""


@osc.command()
@click.option(
    "--for",
    "program",
    type=click.Choice(list(SUFFIXES)),
    required=True,
    help="Program that shows the layout.",
)
@click.option("--host", default="127.0.0.1", help="Where Latent will listen.")
@click.option("--port", type=click.IntRange(1, 65_535), default=9470, show_default=True)
@click.option(
    "--reply-port",
    type=click.IntRange(1024, 65_535),
    default=9471,
    show_default=True,
    help="Where TouchOSC listens (its receive port).",
)
@click.argument("out", type=Path)
def layout(program: str, host: str, port: int, reply_port: int, out: Path) -> None:
    """Write a layout with every control and command to the file OUT.

    \b
    Examples:
      latent osc layout --for touchosc latent.tosc
      latent osc layout --for open-stage-control latent.json
    """
    from engine.compose.preset import names
    from engine.osc.layout import items, open_stage_control
    from engine.osc.touchosc import touchosc

    if out.suffix != SUFFIXES[program]:
        raise InputError(f"{out}: a layout for {program} ends in {SUFFIXES[program]}")
    if out.exists():
        raise InputError(f"{out}: exists already; remove it or choose another name")
    surface = items(names(), reply_port)
    if program == "touchosc":
        content = touchosc(surface)
        hint = f"connection 1: UDP to {host}:{port}, receive port {reply_port}"
    else:
        content = open_stage_control(surface, host, port)
        hint = f"start it with: open-stage-control --load {out} --send {host}:{port}"
    try:
        write_whole(out, content)
    except RunError as error:  # the path is what was given
        raise InputError(str(error)) from error
    click.echo(f"{out}: {len(surface)} items; {hint}")


@osc.command()
def addresses() -> None:
    """List the OSC addresses with their types, one a line.

    \b
    Example:
      latent osc addresses | grep song
    """
    from engine.control.commands import COMMANDS, NORM, ROOT, control_type
    from engine.control.controls import TABLE
    from engine.control.readings import READINGS

    for control in TABLE:
        kind = {"f": "f", "T": "T/F", "s": "s"}[control_type(control)]
        click.echo(f"{ROOT}{control.name:28s} {kind:6s} {control.text}")
        click.echo(f"{ROOT}{NORM + control.name:28s} {'f':6s} As a position 0..1.")
    for command in COMMANDS:
        click.echo(f"{ROOT}{command.name:28s} {command.types or '-':6s} {command.text}")
    for reading in READINGS:
        click.echo(f"{ROOT}{reading.name:28s} -> {reading.types:3s} {reading.text}")
    for name, types, text in (
        ("ping", "-", "Renew a subscription; answered by pong."),
        ("subscribe", "[if]", "Get every change: [port], [seconds]."),
        ("unsubscribe", "[i]", "No more: [port]."),
        ("dump", "-", "All values, then dump/end."),
        ("error", "-> ss", "Address and what was wrong with it."),
    ):
        click.echo(f"{ROOT}{name:28s} {types:6s} {text}")
