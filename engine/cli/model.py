"""`latent model`: what a model is, whether it is sound, and what it hears."""

import json
from pathlib import Path
from typing import Any

import click

folder_argument = click.argument("folder", type=Path, required=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def model() -> None:
    """The model of timbre space: the bundled one, or a folder of your own.

    \b
    Example:
      latent model info
    """


@model.command()
@folder_argument
@json_option
def info(folder: Path | None, as_json: bool) -> None:
    """Say what a model was made from, and how good it measures.

    \b
    Example:
      latent model info ~/models/mine
    """
    from model.inference import TimbreModel

    loaded = TimbreModel.load(folder)
    if as_json:
        click.echo(json.dumps(_told(loaded.card), indent=2))
        return
    click.echo(f"{loaded.name}  ({loaded.hash[:12]})")
    for key, value in _told(loaded.card).items():
        if isinstance(value, dict):
            for inner, one in value.items():
                if not isinstance(one, dict | list):
                    click.echo(f"  {key}.{inner}: {one}")
        elif not isinstance(value, list):
            click.echo(f"  {key}: {value}")


@model.command()
@folder_argument
def check(folder: Path | None) -> None:
    """Check that a model folder can be played: files, hashes, shapes, a trial run.

    \b
    Example:
      latent model check ~/models/mine
    """
    from model.inference import TimbreModel

    loaded = TimbreModel.load(folder)
    click.echo(f"{loaded.name}: sound, {loaded.n_latents} latents", err=True)


@model.command()
@click.argument("sound", type=Path)
@click.option("--model", "folder", type=Path, help="Model folder.")
@json_option
def encode(sound: Path, folder: Path | None, as_json: bool) -> None:
    """Print the latent point of the middle two seconds of a sound.

    \b
    Example:
      latent model encode bell.wav
    """
    import numpy as np

    from effects.sounds import read_sound
    from model.config import CLIP_SECONDS, SAMPLE_RATE
    from model.inference import TimbreModel
    from model.spectrum import CLIP_LENGTH, analyse

    loaded = TimbreModel.load(folder)
    samples, _ = read_sound(sound, sample_rate=SAMPLE_RATE)
    start = max(0, (len(samples) - CLIP_LENGTH) // 2)
    timbre = analyse(samples[start : start + CLIP_LENGTH], loaded.axis)[None]
    mean, logvar = loaded.encode(timbre)
    decoded = loaded.decode(mean)
    weirdness = float(loaded.weirdness(mean)[0])
    rng = np.random.default_rng(0)
    usual = loaded.weirdness(loaded.sample(2000, rng))
    error_db = loaded.axis.range_db * float(np.sqrt(np.mean((decoded - timbre) ** 2)))
    told: dict[str, Any] = {
        "seconds": CLIP_SECONDS,
        "z": [round(float(v), 4) for v in mean[0]],
        "std": [round(float(v), 4) for v in np.exp(0.5 * logvar[0])],
        "weirdness": round(weirdness, 3),
        "weirder_than": round(float(np.mean(usual < weirdness)), 3),
        "rmse_db": round(error_db, 2),
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(" ".join(f"{v:.3f}" for v in told["z"]))
    click.echo(
        f"weirdness {weirdness:.2f}, more than {100 * told['weirder_than']:.0f} % of "
        f"the prior; decodes with an error of {error_db:.1f} dB",
        err=True,
    )


def _told(card: dict[str, Any]) -> dict[str, Any]:
    """The card without the long tables of numbers."""
    return {key: value for key, value in card.items() if key != "prior"}
