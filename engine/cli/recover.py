"""`latent recover`: recordings that a crash or a full disk left unfinished."""

import json
import sys
from pathlib import Path

import click

from effects.base.errors import InputError, LatentError


@click.command()
@click.argument("where", metavar="FILE|FOLDER", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def recover(where: Path, as_json: bool) -> int:
    """Repair FLAC recordings that were cut off.

    Every whole frame of sound is kept; a torn one at the end goes. A folder is
    searched for unfinished recordings, not below. What is whole is left as it is.

    \b
    Examples:
      latent recover set.flac.partial
      latent recover ~/recordings
    """
    from engine.recording.recovery import find_unfinished, repair_flac

    if not where.exists():
        raise InputError(f"{where}: no such file or folder")
    is_folder = where.is_dir()
    paths = find_unfinished(where, foreign=True) if is_folder else [where]
    rows: list[dict[str, object]] = []
    code = 0
    for path in paths:
        try:
            repair = repair_flac(path)
        except LatentError as error:
            if not is_folder:
                raise
            code = 1
            rows.append({"file": str(path), "status": "failed", "error": str(error)})
            click.echo(f"latent: {error}", err=True)
            continue
        rows.append(
            {
                "file": str(repair.path),
                "status": repair.status,
                "seconds": round(repair.n_samples / max(1, repair.sample_rate), 3),
                "samples": repair.n_samples,
                "cut_bytes": repair.cut_bytes,
                "note": repair.note,
            }
        )
        if repair.status == "empty":
            code = 1
        if not as_json:
            click.echo(repair.line)
    if as_json:
        json.dump(rows, sys.stdout, indent=2)
        click.echo()
    elif not paths:
        click.echo(f"{where}: no unfinished recordings")
    return code
