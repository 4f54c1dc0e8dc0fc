"""`latent model`: what a model is, whether it is sound, and what it hears."""

import json
from pathlib import Path
from typing import Any

import click

from engine.cli.progress import bar

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

    And for loudness, sharpness and so on, how many of the model's own sounds, of 100
    drawn by chance, have less of it.

    \b
    Example:
      latent model encode bell.wav
    """
    import numpy as np

    from effects.audio.sound_reader import read_sound
    from model.config import CLIP_SECONDS, SAMPLE_RATE
    from model.inference import TimbreModel
    from model.percentiles import UNITS, standing
    from model.spectrum import CLIP_LENGTH, analyse

    loaded = TimbreModel.load(folder)
    samples, _ = read_sound(sound, sample_rate=SAMPLE_RATE)
    start = max(0, (len(samples) - CLIP_LENGTH) // 2)
    timbre = analyse(samples[start : start + CLIP_LENGTH], loaded.axis)[None]
    mean, logvar = loaded.encode(timbre)
    decoded = loaded.decode(mean)
    stands = standing(loaded, timbre[0], mean[0])
    error_db = loaded.axis.range_db * float(np.sqrt(np.mean((decoded - timbre) ** 2)))
    told: dict[str, Any] = {
        "seconds": CLIP_SECONDS,
        "z": [round(float(v), 4) for v in mean[0]],
        "std": [round(float(v), 4) for v in np.exp(0.5 * logvar[0])],
        "features": {
            name: {
                "value": round(one.value, 3),
                "percentile": round(one.percentile, 1),
                "limit": round(one.limit, 3),
            }
            for name, one in stands.items()
        },
        "rmse_db": round(error_db, 2),
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(" ".join(f"{v:.3f}" for v in told["z"]))
    for name, one in stands.items():
        over = f"; over the limit of {one.limit:.2f}" if one.value > one.limit else ""
        click.echo(
            f"{name:10s}{one.value:8.2f} {UNITS[name]:16s}more than "
            f"{one.percentile:.0f} % of the model's sounds{over}",
            err=True,
        )
    click.echo(f"decodes with an error of {error_db:.1f} dB", err=True)


@model.command()
@folder_argument
@click.option("--audio", type=Path, required=True, help="Folder of music.")
@click.option("--clips", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
def bench(
    folder: Path | None, audio: Path, clips: int, seed: int, as_json: bool
) -> None:
    """Measure a model on any folder of music: what it keeps of each sound.

    \b
    Example:
      latent model bench --audio ~/Music/ambient
    """
    import numpy as np

    from effects.audio.sound_reader import list_sounds
    from effects.base.errors import InputError
    from effects.base.one_line import shown
    from model.corpus.ingest import RefusedError, take_clips
    from model.inference import TimbreModel
    from model.spectrum import analyse
    from model.training.evaluate import heard_round_trip, measure_audio

    loaded = TimbreModel.load(folder)
    rng = np.random.default_rng(seed)
    timbres = []
    with bar("analysing") as progress:
        paths = list_sounds(audio)
        for number, path in enumerate(paths, 1):
            try:
                taken, _ = take_clips(path, clips, rng)
            except RefusedError as error:
                click.echo(f"refused {shown(path)}: {error}", err=True)
                continue
            timbres += [analyse(clip.samples, loaded.axis) for clip in taken]
            if progress:
                progress(number, len(paths))
    if not timbres:
        raise InputError(f"{audio}: no clip of it could be used")
    measured: dict[str, Any] = measure_audio(loaded, np.stack(timbres))
    measured |= heard_round_trip(loaded, np.stack(timbres[:64]), rng)
    if as_json:
        click.echo(json.dumps(measured, indent=2))
        return
    for name, value in measured.items():
        click.echo(f"{name:26s} {value:.3g}")


def _told(card: dict[str, Any]) -> dict[str, Any]:
    """The card without the long tables of numbers."""
    return {key: value for key, value in card.items() if key != "prior"}
