"""`latent presets`: list the presets."""

import json

import click

from engine.compose import preset


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def presets(as_json: bool) -> None:
    """List the presets; --preset takes a name or a TOML file.

    \b
    Example:
      latent presets
    """
    loaded = [preset.load(name) for name in preset.names()]
    if as_json:
        rows = [
            {"name": p.name, "text": p.description, "controls": dict(p.controls)}
            for p in loaded
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for p in loaded:
        click.echo(f"{p.name:14s} {p.description}")
