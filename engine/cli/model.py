"""`latent model`: describe, check and measure a model, and encode sounds with it."""

import json
from pathlib import Path
from typing import Any

import click

from effects.base.errors import RunError
from engine.cli.packages import TRAINING, TRANSIENTS, check_packages
from engine.cli.progress import bar

N_CHECKED = 2_000  # sounds in which a standing tone is looked for

folder_argument = click.argument("folder", type=Path, required=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def model() -> None:
    """Look at the model of timbre space: the bundled one, or your own.

    \b
    Example:
      latent model info
    """


@model.command()
@folder_argument
@json_option
def info(folder: Path | None, as_json: bool) -> None:
    """Print what a model was made from, and the measures of its quality.

    \b
    Example:
      latent model info ~/models/mine
    """
    from model.inference import TimbreModel

    loaded = TimbreModel.load(folder)
    if as_json:
        click.echo(json.dumps(_without_tables(loaded.metadata), indent=2))
        return
    click.echo(f"{loaded.name}  ({loaded.hash[:12]})")
    for key, value in _without_tables(loaded.metadata).items():
        if isinstance(value, dict):
            for inner, entry in value.items():
                if not isinstance(entry, dict | list):
                    click.echo(f"  {key}.{inner}: {entry}")
        elif not isinstance(value, list):
            click.echo(f"  {key}: {value}")


@model.command()
@folder_argument
def check(folder: Path | None) -> None:
    """Check that a model folder can be played: files, hashes, shapes and a trial run.

    A model of which a tone stands out of every sound, as after too short a training, is
    refused.

    \b
    Example:
      latent model check ~/models/mine
    """
    from effects.base.streams import Purpose, stream
    from model.guard import LOUDEST_STANDING_DB, standing_peak
    from model.inference import TimbreModel
    from model.timbre_map import load_map

    loaded = TimbreModel.load(folder)
    load_map(loaded, folder)
    click.echo(f"{loaded.name}: can be played, {loaded.n_latents} latents", err=True)
    sounds = loaded.decode(loaded.sample(N_CHECKED, stream(Purpose.MODEL_CHECK)))
    peak = standing_peak(sounds)
    if peak.model_db > LOUDEST_STANDING_DB:
        raise RunError(
            f"{loaded.name}: a tone at {peak.hz:.0f} Hz stands {peak.model_db:.1f} dB "
            f"out of every sound; in music it is {LOUDEST_STANDING_DB:.0f} dB at most. "
            "Train it for longer, or on more songs"
        )
    told = f"{peak.model_db:.1f} dB at {peak.hz:.0f} Hz"
    click.echo(f"{loaded.name}: what stands out of all its sounds: {told}", err=True)


@model.command("map")
@click.argument("folder", type=Path)
def lay_out_map(folder: Path) -> None:
    """Lay out the map of a model that was trained before there were maps.

    \b
    Example:
      latent model map ~/models/mine
    """
    check_packages("laying out a map", "model map", TRAINING)
    from model.training.export import add_map

    changed = add_map(folder)
    click.echo(f"{changed.name}: has a map; its hash is {changed.hash[:12]}", err=True)


@model.command()
@folder_argument
@click.option("--out", type=Path, required=True, help="Folder of the copy.")
@click.option("--width", type=click.IntRange(8, 1024), default=256, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=20_000, show_default=True)
@click.option(
    "--points",
    type=click.IntRange(512, 1 << 20),
    default=1 << 18,
    show_default=True,
    help="To learn from; each takes 2.5 kB of memory.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, file_okay=False),
    help="That the model was trained on: measures the copy by its held-out songs.",
)
def distil(
    folder: Path | None,
    out: Path,
    width: int,
    steps: int,
    points: int,
    seed: int,
    corpus: Path | None,
) -> None:
    """Copy a model with a narrow decoder, which costs a fraction of a wide one.

    The narrow decoder learns what the model's own makes of points, for twelve minutes
    on two cores. Points keep their places in timbre space, and nearly their sounds.
    It pays for models with wide decoders, as training from random weights on thousands
    of songs makes them, and for those of `--arch seed`.

    \b
    Example:
      latent model distil ~/models/large --out ~/models/small
    """
    check_packages("distilling", "model distil", TRAINING)
    from model.training.distil import DistilSettings
    from model.training.distil import distil as run

    settings = DistilSettings(width=width, steps=steps, n_points=points, seed=seed)
    usual = DistilSettings()
    given = {
        "--width": (width, usual.width),
        "--steps": (steps, usual.steps),
        "--points": (points, usual.n_points),
        "--seed": (seed, usual.seed),
    }
    options = [
        f" {name} {value}"
        for name, (value, default) in given.items()
        if value != default
    ]
    command = "latent model distil" + "".join(options)
    with bar("distilling") as progress:
        made = run(folder, out, settings, progress, corpus_dir=corpus, command=command)
    told = made.metadata["about"]["distilled"]
    click.echo(
        f"{out}: {told['rmse_db']:.2f} dB from the model's own sounds, "
        f"{told['detail']:.0%} of their detail",
        err=True,
    )


@model.command()
@click.argument("sound", type=Path)
@click.option("--model", "folder", type=Path, help="Model folder.")
@json_option
def encode(sound: Path, folder: Path | None, as_json: bool) -> None:
    """Print the latent point of the middle two seconds of a sound.

    For loudness, sharpness, whistle and weirdness it also prints the percentile: how
    many of 100 sounds drawn from the model have less.

    \b
    Example:
      latent model encode bell.wav
    """
    import numpy as np

    from effects.audio.sound_reader import read_sound
    from model.config import CLIP_SECONDS, SAMPLE_RATE
    from model.guard import UNITS
    from model.inference import TimbreModel
    from model.percentiles import percentiles
    from model.spectrum import CLIP_LENGTH, analyse

    loaded = TimbreModel.load(folder)
    samples, _ = read_sound(sound, sample_rate=SAMPLE_RATE)
    start = max(0, (len(samples) - CLIP_LENGTH) // 2)
    timbre = analyse(samples[start : start + CLIP_LENGTH], loaded.axis)[None]
    mean, logvar = loaded.encode(timbre)
    decoded = loaded.decode(mean)
    features = percentiles(loaded, timbre[0], mean[0])
    error_db = loaded.axis.range_db * float(np.sqrt(np.mean((decoded - timbre) ** 2)))
    result: dict[str, Any] = {
        "seconds": CLIP_SECONDS,
        "z": [round(float(v), 4) for v in mean[0]],
        "std": [round(float(v), 4) for v in np.exp(0.5 * logvar[0])],
        "features": {
            name: {
                "value": round(feature.value, 3),
                "percentile": round(feature.percentile, 1),
                "limit": round(feature.limit, 3),
            }
            for name, feature in features.items()
        },
        "rmse_db": round(error_db, 2),
    }
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(" ".join(f"{v:.3f}" for v in result["z"]))
    for name, feature in features.items():
        line = (
            f"{name:10s}{feature.value:8.2f} {UNITS[name]:16s}more than "
            f"{feature.percentile:.0f} % of the model's sounds"
        )
        if feature.value > feature.limit:
            line += f"; over the limit of {feature.limit:.2f}"
        click.echo(line, err=True)
    click.echo(f"decoded with an error of {error_db:.1f} dB", err=True)


@model.command()
@folder_argument
@click.option("--audio", type=Path, required=True, help="Folder of music.")
@click.option("--clips", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
def bench(
    folder: Path | None, audio: Path, clips: int, seed: int, as_json: bool
) -> None:
    """Measure on any folder of music how much of its sounds a model keeps.

    \b
    Example:
      latent model bench --audio ~/Music/ambient
    """
    check_packages("measuring", "model bench", {**TRAINING, **TRANSIENTS})
    import numpy as np

    from effects.audio.sound_search import list_sounds
    from effects.base.errors import InputError
    from effects.base.one_line import shown
    from effects.base.streams import Purpose, stream
    from model.corpus.clips import take_clips
    from model.corpus.faults import RefusedError
    from model.inference import TimbreModel
    from model.spectrum import analyse
    from model.training.evaluate import heard_round_trip, measure_audio

    loaded = TimbreModel.load(folder)
    rng = stream(Purpose.MODEL_SOUNDS, seed)
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


def _without_tables(metadata: dict[str, Any]) -> dict[str, Any]:
    """Leave out the long tables of numbers."""
    return {key: value for key, value in metadata.items() if key != "prior"}
