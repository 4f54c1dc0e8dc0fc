"""The configuration file: defaults for the flags of every command.

`config.toml` has a table for each command, named as it is typed, and in it a key for
each flag without its dashes:

    [play]
    preset = "dark"
    serve = "0.0.0.0:8000"

    [album.make]
    songs = 20
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from effects.base.errors import InputError
from effects.base.open_file import read_text
from effects.base.paths import config_dir
from effects.base.schema import decode_toml

FILE_NAME = "config.toml"
MAX_FILE = 16 * 1024  # bytes; see `decode_toml` on dotted keys


def config_path() -> Path:
    """Return the path of the configuration file, which need not be there."""
    return config_dir() / FILE_NAME


def read_config(path: Path) -> Mapping[str, Any]:
    """Return the tables of a configuration file; none if it is not there.

    Raises:
        InputError: it cannot be read, or is no TOML.
    """
    if not path.exists():
        return {}
    text = read_text(path, MAX_FILE, "configuration")
    return decode_toml(text, dict[str, Any], str(path))


def default_map(
    command: click.Command, table: object, where: str, name: str
) -> dict[str, Any]:
    """Return the defaults of a command, by parameter, from its table of the file.

    Args:
        command: or a group of them, whose tables lie in the table.
        table: of the file.
        where: path of the file, for errors.
        name: of the table, for errors.

    Raises:
        InputError: a key is no flag of the command, or its value does not fit.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: {name} is no table; write [{name}] above its keys")
    context = click.Context(command, info_name=name)
    found: dict[str, Any] = {}
    if isinstance(command, click.Group):
        for key, below in table.items():
            child = command.get_command(context, key)
            if child is None:
                raise _unknown(where, name, key, command.list_commands(context))
            found[key] = default_map(child, below, where, f"{name}.{key}")
        return found
    flags = flags_of(command)
    for key, value in table.items():
        if key not in flags:
            raise _unknown(where, name, key, flags)
        option = flags[key]
        try:
            option.type_cast_value(context, value)
        except click.BadParameter as error:
            raise InputError(f"{where}: {name}.{key}: {error.message}") from None
        except TypeError:
            raise InputError(
                f"{where}: {name}.{key}: {value!r:.60}: one value"
            ) from None
        except OverflowError:
            raise InputError(
                f"{where}: {name}.{key}: {value!r:.60}: a number of that size is none"
            ) from None
        assert option.name is not None
        found[option.name] = value
    return found


def flags_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command by their flags, without dashes in front."""
    return {
        flag.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in parameter.opts
        if flag.startswith("--")
    }


def _unknown(where: str, name: str, key: str, known: Any) -> InputError:
    near = difflib.get_close_matches(key, list(known), 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InputError(f"{where}: {name} has no {key}{hint}")
