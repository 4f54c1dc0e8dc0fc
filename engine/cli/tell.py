"""`latent tell`: a remote control for the session that plays."""

import json

import click

from effects.base.errors import InputError
from engine.cli.durations import Duration
from engine.cli.options import ControlNumber
from engine.cli.stream_options import endpoint
from engine.control.commands import (
    COMMANDS_BY_NAME,
    FORMER_READINGS,
    Argument,
    Command,
    control_type,
)
from engine.control.controls import CONTROLS, FORMER_NAMES, Control
from engine.control.readings import READINGS_BY_NAME
from engine.osc.client import OscClient
from engine.osc.server import HOST, PORT

SHOWN = (
    *("status", "song/title", "song/pattern", "song/progress", "preset/name"),
    *("effects/now", "effects/chosen", "master/gain", "record/name"),
    *("sleep-remaining", "listeners"),
)
# Shorter words for what is said often.
WORDS = {
    "preset": "preset/load",
    "gain": "master/gain",
    "volume": "master/gain",
    "mute": "master/mute",
    "record": "record/start",
    "effect": "effects/only",
    "mix": "effects/mix",
}
SWITCHES = {"on": True, "off": False, "true": True, "false": False, "1": True}


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--osc",
    default=f"{HOST}:{PORT}",
    show_default=True,
    help="[HOST:]PORT it plays on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@click.argument("what", required=False)
@click.argument("value", nargs=-1)
def tell(osc: str, as_json: bool, what: str | None, value: tuple[str, ...]) -> None:
    """Tell the session that plays what to do, or ask what it does.

    WHAT is a command (next, pause, play, preset NAME, sleep 45m, keep 10m, record),
    a control with its value (gain -6, wiggle/amount 0.8), a control or a reading
    alone, which prints it, or nothing, for the status.

    \b
    Examples:
      latent tell
      latent tell next
      latent tell gain -6
    """
    client = OscClient(*endpoint("--osc", osc, HOST))
    if what is None:
        _show_status(client, as_json)
        return
    name = _name(what)
    if name in CONTROLS and value:
        control = CONTROLS[name]
        client.send(name, control_type(control), (_control_value(control, value),))
    elif name in COMMANDS_BY_NAME:
        command = COMMANDS_BY_NAME[name]
        client.send(name, *_command_arguments(command, value))
    elif not value:
        _show_values(client, name)
    else:
        raise InputError(f"{name}: is shown, not set")


def _name(what: str) -> str:
    """Return the name of a control, a command or a reading from what was typed.

    Raises:
        InputError: there is none, or more than one that ends so.
    """
    known = (*CONTROLS, *COMMANDS_BY_NAME, *READINGS_BY_NAME)
    if what in WORDS or what in known:
        return WORDS.get(what, what)
    former = {**FORMER_NAMES, **FORMER_READINGS}
    if what in former:
        return former[what]
    ending = dict.fromkeys(name for name in known if name.endswith(f"/{what}"))
    if len(ending) == 1:
        return next(iter(ending))
    if ending:
        raise InputError(f"{what}: which of {', '.join(ending)}?")
    raise InputError(f"{what}: neither a command nor a control; see 'latent controls'")


def _control_value(control: Control, value: tuple[str, ...]) -> Argument:
    if len(value) != 1:
        raise InputError(f"{control.name}: takes one value, got {len(value)}")
    (text,) = value
    if control.is_number:
        try:
            return ControlNumber(control).convert(text, None, None)
        except click.BadParameter as error:
            raise InputError(f"{control.name}: {error.message}") from None
    if control.choices:
        return control.check(text)
    if text.lower() not in SWITCHES | {"0": False}:
        raise InputError(f"{control.name}: {text} is neither on nor off")
    return SWITCHES.get(text.lower(), False)


def _command_arguments(
    command: Command, value: tuple[str, ...]
) -> tuple[str, tuple[Argument, ...]]:
    """Return the OSC types and arguments of a command.

    Raises:
        InputError: they do not fit, or are out of range.
    """
    if command.types != "f" or not value:
        if command.listed is None:  # otherwise the session knows
            _check(command, value)
        return command.types if value else "", value
    number = _number(command, " ".join(value))
    if not command.low <= number <= command.high:
        ends = f"{command.low:g} to {command.high:g} {command.unit}"
        raise InputError(f"{command.name}: {value[0]}: choose from {ends}")
    return "f", (number,)


def _check(command: Command, value: tuple[str, ...]) -> None:
    try:
        command.check(value, None)
    except InputError as error:
        raise InputError(f"{command.name}: {error}") from None


def _number(command: Command, text: str) -> float:
    """A number; of a time in the command's unit, also as 45m."""
    try:
        return float(text)
    except ValueError:
        if command.unit not in ("s", "min"):
            raise InputError(f"{command.name}: {text} is not a number") from None
    try:
        seconds = Duration().convert(text, None, None)
    except click.BadParameter as error:
        raise InputError(f"{command.name}: {error.message}") from None
    return seconds / 60.0 if command.unit == "min" else seconds


def _show_values(client: OscClient, name: str) -> None:
    found = client.ask([name]).get(name)
    if found is None:
        raise InputError(f"{name}: not known now")
    click.echo(" ".join(map(_text, found)))


def _show_status(client: OscClient, as_json: bool) -> None:
    found = client.ask(SHOWN)
    if as_json:
        rows = {k: list(v) if len(v) != 1 else v[0] for k, v in found.items()}
        click.echo(json.dumps(rows, indent=2))
        return
    if status := found.pop("status", ()):
        state, uptime, underruns, load, device = status
        click.echo(
            f"{'state':16} {state} for {uptime:.0f} s, {underruns} underruns, "
            f"load {100.0 * float(load):.0f} %, device {device}"
        )
    for name, values in found.items():
        click.echo(f"{name:16} {' '.join(map(_text, values))}".rstrip())


def _text(value: Argument) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return "".join(c if c.isprintable() else "?" for c in str(value))
