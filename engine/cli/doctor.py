"""`latent doctor`: whether Latent can play here, and if not, why not."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.checkup import checkup


@click.command()
@click.option("--model", type=Path, help="Model folder to check.")
@click.option("--device", help="Number or name of the device to check.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(model: Path | None, device: str | None, as_json: bool) -> int:
    """Check what Latent needs to play here, and say what is missing.

    Exits 0 if it can play, 1 if not. Nothing is changed.

    \b
    Example:
      latent doctor
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    findings = []
    for finding in checkup(model, device):
        findings.append(finding)
        if as_json:
            continue
        click.echo(f"{finding.verdict:<5} {finding.name:<9} {finding.text}")
        for hint in finding.hints:
            click.echo(f"{'':15} {hint}")
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if as_json:
        rows = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"can_play": not bad, "findings": rows}, indent=2))
    elif bad:
        click.echo(f"it cannot play: {', '.join(finding.name for finding in bad)}")
    else:
        click.echo("it can play")
    return 1 if bad else 0
