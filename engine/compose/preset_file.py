"""Presets that a user saves: the controls in force, as a file of their own."""

import json
from collections.abc import Sequence

from effects.base.errors import InputError, RunError
from effects.base.paths import config_dir
from effects.base.whole_file import write_whole
from engine.compose import grammar as grammars
from engine.compose import preset as presets
from engine.control.controls import CONTROLS, Snapshot

# What belongs to an evening, not to a mood.
LEFT_OUT = ("master/gain", "master/mute", "hold")
MAX_OWN = 1000  # presets are saved over a network, too


def save(
    name: str,
    controls: Snapshot,
    *,
    description: str = "",
    grammar: str = "seed",
    effects: Sequence[str] = (),
) -> None:
    """Save a preset, in place of one of the user's own that has this name.

    Args:
        name: letters, digits, spaces, _ and -.
        controls: values in force; all are saved, since a preset leaves what it does
            not name as it is.
        description: one line.
        grammar: of the session; a file's is left out, since only its user has it.
        effects: that suit it; none means all.

    Raises:
        InputError: a bundled preset has this name, it is too long, or there are
            `MAX_OWN` already.
        RunError: the file cannot be written.
    """
    if name in presets.bundled_names():
        raise InputError(f"{name}: a bundled preset has this name; choose another")
    if len(name) > presets.MAX_NAME:
        raise InputError(f"{name[:20]}...: over {presets.MAX_NAME} letters")
    lines = [f"description = {json.dumps(description, ensure_ascii=False)}"]
    if grammar in grammars.bundled_names() and grammar != "seed":
        lines.append(f"grammar = {json.dumps(grammar)}")
    lines += [
        f"{json.dumps(key)} = {json.dumps(controls[key])}"
        for key in CONTROLS
        if key not in LEFT_OUT
    ]
    if effects:
        listed = json.dumps(list(effects), ensure_ascii=False)
        lines.append(f'"effects/only" = {listed}')
    text = "\n".join([*lines, ""])
    presets.parse(text, name, name)  # what is written can be read
    folder = config_dir() / "presets"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror}") from None
    path = folder / f"{name}.toml"
    if not path.exists() and sum(1 for _ in folder.glob("*.toml")) >= MAX_OWN:
        raise InputError(f"{folder}: {MAX_OWN} presets already; remove some")
    write_whole(path, text)
