"""Options that several commands share, and the settings that they stand for."""

import math
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from effects.base.errors import InputError
from engine.control.controls import (
    FORMER_NAMES,
    TABLE,
    Control,
    Snapshot,
    as_float,
    snapshot_of,
)

if TYPE_CHECKING:
    from engine.compose.preset import Preset
    from engine.graph import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_MINUTES = 24 * 60.0
RATES = (22_050, 192_000)


def composition_options(command: Command) -> Command:
    """Add options for seed, model, preset, grammar, effects and every control."""
    for control in reversed(TABLE):
        former = (old for old, new in FORMER_NAMES.items() if new == control.name)
        names = (control.name, *former)
        span = "" if control.choices else f" {control.low:g}..{control.high:g}"
        text = f"{control.text}{span and f' [{span.strip()} {control.unit}]'}"
        option = click.option(
            *("--" + name.replace("/", "-") for name in names),
            control.name.replace("/", "_"),
            type=_click_type(control),
            default=None,
            help=text.replace(" ]", "]"),
        )
        command = option(command)
    options = [
        click.option(
            "--seed",
            type=click.IntRange(0, 2**31 - 1),
            help="Seed [default: drawn]; a seed gives the same song again.",
        ),
        click.option("--preset", "preset_name", help="Name or TOML file."),
        click.option("--grammar", help="Name or file of the song grammar."),
        click.option("--model", "model_dir", type=Path, help="Model folder."),
        click.option("--like", type=Path, help="Start from this sound file."),
        click.option("--no-effects", is_flag=True, help="Music alone, without a bed."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def settings_from(
    options: Mapping[str, Any], *, sample_rate: int, minutes: float | None
) -> "Settings":
    """Return the settings that the shared options ask for.

    Raises:
        InputError: a preset, a value or a length that cannot be used.
    """
    # Late, since the graph imports all that sounds, which --help must not wait for.
    from engine.compose import preset as presets
    from engine.graph import Settings

    if minutes is not None and not 0.05 <= minutes <= MAX_MINUTES:
        raise InputError(
            f"--minutes {minutes:g}: choose from 0.05 to {MAX_MINUTES:g} minutes"
        )
    preset = presets.load(options["preset_name"] or presets.DEFAULT_PRESET)
    seed = options["seed"]
    return Settings(
        seed=secrets.randbelow(2**31) if seed is None else seed,
        sample_rate=sample_rate,
        duration=None if minutes is None else 60.0 * minutes,
        controls=controls_from(preset, options),
        model=options["model_dir"],
        grammar=options["grammar"] or preset.grammar,
        effects=None if options["no_effects"] else preset.effects,
        like=like_from(options["like"], options["model_dir"]),
        preset=preset.name,
    )


def like_from(sound: Path | None, model_dir: Path | None) -> str:
    """Return the point of the latent space for a sound, as settings hold it.

    Raises:
        InputError: the sound or the model cannot be used.
    """
    if sound is None:
        return ""
    from engine.compose.likeness import hear
    from model.inference import TimbreModel

    return hear(TimbreModel.load(model_dir), sound)


def controls_from(preset: "Preset", options: Mapping[str, Any]) -> Snapshot:
    """Return the controls of a preset, with the values of flags in their place."""
    flags = {
        control.name: options[control.name.replace("/", "_")]
        for control in TABLE
        if options[control.name.replace("/", "_")] is not None
    }
    return snapshot_of({**preset.controls, **flags})


def check_rate(rate: int) -> int:
    """Return a sample rate in Hz, if it can be synthesised.

    Raises:
        InputError: it is out of range.
    """
    low, high = RATES
    if not low <= rate <= high:
        raise InputError(f"--rate {rate}: choose from {low} to {high} Hz")
    return rate


class ControlNumber(click.ParamType[float]):
    """A number within the range of a control.

    What is typed is meant: unlike a fader's, it is refused beyond the ends.

    Args:
        control: whose range it is.
    """

    name = "float"

    def __init__(self, control: Control) -> None:
        self._control = control

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number; a usage error if it is none, or out of range."""
        low, high = self._control.low, self._control.high
        try:
            number = as_float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            unit = f" {self._control.unit}" if self._control.unit else ""
            self.fail(f"{value}: choose from {low:g} to {high:g}{unit}", param, ctx)
        return number


def _click_type(control: Control) -> Any:
    if isinstance(control.default, bool):
        return click.BOOL
    return ControlNumber(control) if control.is_number else click.STRING
