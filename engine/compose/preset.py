"""Presets: named sets of control values, in TOML."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from effects.base.errors import InputError
from effects.base.open_file import read_text
from effects.base.paths import config_dir
from effects.base.schema import decode_toml
from engine.compose import grammar as grammars
from engine.control.controls import CONTROLS, FORMER_NAMES, Value

DEFAULT_PRESET = "shoreline"
MAX_FILE = 8 * 1024  # bytes; see `decode_toml` on dotted keys
MAX_DEPTH = 4  # of tables; the names of controls have two parts
MAX_NUMBER = 1e9
MAX_NAME = 60  # letters; song cards have to hold it


@dataclass(frozen=True)
class Preset:
    """A named set of control values; what it does not name keeps its default.

    Attributes:
        name: of the preset.
        description: one line.
        controls: control name to value.
        effects: names of the effects that suit it; none means all.
        grammar: of the songs' patterns, as `grammar.load` takes it.
    """

    name: str
    description: str
    controls: Mapping[str, Value]
    effects: tuple[str, ...] = ()
    grammar: str = "seed"


def bundled_names() -> list[str]:
    """Names of the bundled presets."""
    return sorted(_bundled())


def names() -> list[str]:
    """Names of the bundled presets and of the user's own."""
    own = config_dir() / "presets"
    found = {path.stem for path in own.glob("*.toml")} if own.is_dir() else set()
    return sorted(found | set(_bundled()))


def load(name_or_path: str) -> Preset:
    """A preset by name, or from a file.

    Raises:
        InputError: there is none, or something in it does not fit.
    """
    bundled = _bundled()
    own = config_dir() / "presets" / f"{name_or_path}.toml"
    path = Path(name_or_path)
    # Unlike Path.is_file, this raises for no text, however long.
    if path.suffix == ".toml" or os.path.isfile(name_or_path):
        return parse(read_text(path, MAX_FILE, "preset"), str(path), path.stem)
    if path.name == name_or_path and os.path.isfile(own):
        return parse(read_text(own, MAX_FILE, "preset"), str(own), name_or_path)
    if name_or_path in bundled:
        return parse(bundled[name_or_path], name_or_path, name_or_path)
    raise InputError(
        f"{name_or_path:.200}: no such preset{_did_you_mean(name_or_path, names())}; "
        f"there are {', '.join(names())}"
    )


def parse(text: str, where: str, name: str) -> Preset:
    """The preset that a TOML text holds.

    Raises:
        InputError: not TOML, an unknown key, a value out of kind, or a grammar that
            cannot be used.
    """
    content = decode_toml(text, dict[str, Any], where)
    description = content.pop("description", "")
    if not isinstance(description, str):
        raise InputError(f"{where}: description is not a text")
    grammar = content.pop("grammar", "seed")
    if not isinstance(grammar, str):
        raise InputError(f"{where}: grammar is not a text")
    try:
        grammars.load(grammar)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    values = _flat(content, where)
    effects = values.pop("effects/only", [])
    if not isinstance(effects, list) or not all(isinstance(e, str) for e in effects):
        raise InputError(f"{where}: effects/only is not a list of names")
    if len(set(effects)) < len(effects):
        raise InputError(f"{where}: effects/only has a name twice")
    controls: dict[str, Value] = {}
    for given, value in values.items():
        key = FORMER_NAMES.get(given, given)
        if key not in CONTROLS:
            hint = _did_you_mean(key, list(CONTROLS))
            raise InputError(f"{where}: {key[:60]} is no control{hint}")
        control = CONTROLS[key]
        try:
            controls[key] = control.check(value)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if isinstance(value, int | float) and controls[key] != value:
            raise InputError(
                f"{where}: {key} = {value} is not in {control.low:g}..{control.high:g}"
            )
    return Preset(name[:MAX_NAME], description, controls, tuple(effects), grammar)


def _bundled() -> dict[str, str]:
    folder = resources.files("engine.compose.presets")
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def _flat(
    table: Mapping[str, Any], where: str, prefix: str = "", depth: int = 1
) -> dict[str, object]:
    """Values by the names of controls, which the tables' names begin.

    Raises:
        InputError: tables within tables, or a number that no control can take.
    """
    if depth > MAX_DEPTH:
        raise InputError(f"{where}: {prefix[:60]} lies too deep")
    flat: dict[str, object] = {}
    for key, value in table.items():
        name = prefix + key
        if isinstance(value, dict):
            flat |= _flat(value, where, f"{name}/", depth + 1)
        elif isinstance(value, int | float) and abs(value) > MAX_NUMBER:
            raise InputError(f"{where}: {name[:60]} is too large a number")
        else:
            flat[name] = value
    return flat


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
