"""`latent devices`: the sound devices of this machine."""

import json
from dataclasses import asdict

import click

from engine.live.devices import native_rate
from engine.live.output import list_devices


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def devices(as_json: bool) -> None:
    """List the output devices; --device takes a number or part of a name.

    \b
    Example:
      latent devices
    """
    found = list_devices()
    if as_json:
        rows = [{**asdict(d), "native_rate": native_rate(d)} for d in found]
        click.echo(json.dumps(rows, indent=2))
        return
    if not found:
        click.echo("no output device found")
    for device in found:
        mark = "*" if device.is_default else " "
        rate = native_rate(device)
        click.echo(
            f"{mark}{device.index:3d}  {device.name}  ({device.channels} ch, {rate} Hz)"
        )
