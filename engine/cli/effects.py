"""`latent effects`: the shelf of nature sounds."""

import json
from dataclasses import asdict

import click


@click.group()
def effects() -> None:
    """Nature sounds: list them, add your own, take them away.

    \b
    Example:
      latent effects list
    """


@effects.command(name="list")
@click.option("--credits", "with_credits", is_flag=True, help="Say whose they are.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_effects(with_credits: bool, as_json: bool) -> None:
    """List the effects there are.

    \b
    Example:
      latent effects list --credits
    """
    from effects.library import Library

    entries = Library().entries()
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        length = f"{entry.seconds:.0f} s" if entry.seconds else "made when first used"
        line = f"{entry.name:16s} {entry.kind:8s} {length:>20s}  {entry.text}"
        if with_credits:
            line += "  " + ", ".join(f"{k}: {v}" for k, v in entry.credit.items())
        click.echo(line.rstrip())


@effects.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take an added effect off the shelf.

    \b
    Example:
      latent effects remove my-brook
    """
    from effects.library import Library

    Library().remove(name)
    click.echo(f"{name} removed", err=True)
