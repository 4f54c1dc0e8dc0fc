"""`latent config`: the defaults of flags that are kept in a file."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from effects.base.errors import InputError
from engine.cli.config_file import (
    config_path,
    default_map,
    flags_of,
    read_config,
)


@dataclass(frozen=True)
class FlagDefault:
    """The default of one flag.

    Attributes:
        command: that has it.
        flag: as it is typed.
        value: that holds when the flag is not given; None for none.
        source: path of the file that says so, or "built in".
    """

    command: str
    flag: str
    value: object
    source: str


@click.group()
def config() -> None:
    """Defaults for flags, kept in a file.

    \b
    The file has a table for each command and a key for each flag:
      [play]
      preset = "dark"
      serve = "0.0.0.0:8000"
    """


@config.command()
def path() -> None:
    """Print where the file is, or would be.

    \b
    Example:
      $EDITOR "$(latent config path)"
    """
    click.echo(config_path())


@config.command()
@click.argument("command", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def show(ctx: click.Context, command: str | None, as_json: bool) -> None:
    """Show the default of each flag, and where it comes from.

    COMMAND, as play or "album make", shows that command alone. Passwords are hidden.

    \b
    Example:
      latent config show play
    """
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    tables = read_config(config_path())
    defaults = default_map(root, tables, str(config_path()), "the file")
    rows = [
        row
        for row in _rows(root, defaults, "")
        if command is None or f"{row.command} ".startswith(f"{command} ")
    ]
    if not rows:
        raise InputError(f"{command}: no such command")
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    width = max(len(f"{row.command} {row.flag}") for row in rows)
    for row in rows:
        name = f"{row.command} {row.flag}"
        click.echo(f"{name:{width}}  {_text(row.value):24}  {row.source}".rstrip())


def _rows(
    command: click.Command, defaults: Mapping[str, Any], name: str
) -> Iterator[FlagDefault]:
    """All flags of a command and of those below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for key in command.list_commands(context):
            child = command.get_command(context, key)
            assert child is not None
            yield from _rows(child, defaults.get(key, {}), f"{name} {key}".strip())
        return
    for option in dict.fromkeys(flags_of(command).values()):
        flag = next(each for each in option.opts if each.startswith("--"))
        if option.name in defaults:
            value, source = _hidden(defaults[option.name]), str(config_path())
        else:
            value, source = _built_in(option), "built in"
        yield FlagDefault(name, flag, value, source)


def _built_in(option: click.Option) -> object:
    value = option.get_default(click.Context(click.Command(None)), call=False)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return list(value) if isinstance(value, tuple | list) else None


def _hidden(value: object) -> object:
    """A value without the passwords of its URLs."""
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"://.*@", "://***@", value)
    return value


def _text(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
