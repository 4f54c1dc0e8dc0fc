"""`latent controls`: the table of controls, which can be changed while it plays."""

import json
import sys

import click

from engine.control.controls import TABLE, Control

ACTS = {
    "block": "at once",
    "plan": "within a quarter of a second",
    "song": "with the next song",
    "bed": "with the next effect",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def controls(as_json: bool) -> None:
    """List the controls: flags, OSC addresses, keys of presets.

    \b
    Example:
      latent controls
    """
    if as_json:
        click.echo(json.dumps([_row(control) for control in TABLE], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "default", "range", "heard", "what it is"):
        table.add_column(title, overflow="fold")
    for control in TABLE:
        table.add_row(
            control.name,
            _text(control.default),
            _span(control),
            ACTS[control.acts],
            control.text,
        )
    # Lines that go to a pipe are not wrapped.
    Console(width=None if sys.stdout.isatty() else 400).print(table)
    click.echo("\nflag: --wiggle-amount 0.5   OSC: /latent/wiggle/amount 0.5")


def _row(control: Control) -> dict[str, object]:
    row: dict[str, object] = {
        "name": control.name,
        "flag": "--" + control.name.replace("/", "-"),
        "osc": "/latent/" + control.name,
        "default": control.default,
        "acts": control.acts,
        "text": control.text,
    }
    if control.choices:
        return {**row, "type": "choice", "choices": list(control.choices)}
    if isinstance(control.default, bool):
        return {**row, "type": "switch"}
    ends = {"low": control.low, "high": control.high}
    return {
        **row,
        "type": "number",
        **ends,
        "unit": control.unit,
        "curve": control.curve,
    }


def _span(control: Control) -> str:
    if control.choices:
        return " ".join(control.choices)
    if isinstance(control.default, bool):
        return "on off"
    return f"{control.low:g} to {control.high:g} {control.unit}".strip()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
