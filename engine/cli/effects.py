"""`latent effects`: list, add and remove nature sounds."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.progress import bar


@click.group()
def effects() -> None:
    """List nature sounds, add your own, and remove them.

    \b
    Example:
      latent effects list
    """


@effects.command(name="list")
@click.option("--credits", "with_credits", is_flag=True, help="Print credits.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_effects(with_credits: bool, as_json: bool) -> None:
    """List all effects.

    \b
    Example:
      latent effects list --credits
    """
    from effects.shelf.library import Library

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
@click.argument("paths", nargs=-1, required=True, type=Path)
@click.option(
    "--mode",
    type=click.Choice(["auto", "loop", "texture"]),
    default="auto",
    show_default=True,
    help="Repeat the recording, or make an endless texture of its pieces.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="[default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def add(paths: tuple[Path, ...], mode: str, workers: int | None, as_json: bool) -> None:
    """Prepare recordings of your own, files or folders, as effects.

    Silence and fades are trimmed, the best seam is found, and the loudness is set to
    -30 LUFS. For each recording that cannot be used, the reason is printed.

    \b
    Example:
      latent effects add ~/Recordings/brook.wav
    """
    from effects.base.errors import RunError
    from effects.shelf.intake import add as prepare
    from effects.shelf.library import Library

    with bar("preparing") as progress:
        report = prepare(
            paths,
            Library(),
            mode=mode,
            workers=workers,
            progress=progress and (lambda done, total, _: progress(done, total)),
        )
    if as_json:
        rows = [{**asdict(o), "path": str(o.path)} for o in report.outcomes]
        click.echo(json.dumps(rows, indent=2))
    else:
        for outcome in report.of_kind("added"):
            made = f"{outcome.mode} of {outcome.seconds:.0f} s"
            click.echo(f"{outcome.name:16s} {made:>18s}  {outcome.path}")
    for outcome in report.of_kind("refused"):
        click.echo(f"refused {outcome.path}: {outcome.reason}", err=True)
    _measure_timbres([outcome.name for outcome in report.of_kind("added")])
    n_added = len(report.of_kind("added"))
    n_same = len(report.of_kind("unchanged"))
    click.echo(f"{n_added} added, {n_same} there already", err=True)
    if not n_added and not n_same:
        raise RunError("no recording could be used")


@effects.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove an effect that was added.

    \b
    Example:
      latent effects remove my-brook
    """
    from effects.shelf.library import Library

    Library().remove(name)
    click.echo(f"{name} removed", err=True)


def _measure_timbres(names: list[str]) -> None:
    """Measure the timbres of new effects, so that the next start has them."""
    from effects.shelf.library import Library
    from engine.sound.effect_timbres import timbres_of

    library = Library()
    with bar("analysing") as progress:
        for done, name in enumerate(names, 1):
            timbres_of(library, name)
            if progress:
                progress(done, len(names))
