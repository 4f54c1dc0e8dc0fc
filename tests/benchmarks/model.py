"""How good timbre space is: the figures on the bundled model's card, and those beyond.

Run as `bin/bench model [CORPUS] [--model FOLDER] [--audio FOLDER]`. With a corpus (the
demo one, made by `latent corpus demo`), all measures are taken on its held-out patches;
without one, the card's stand. Composed paths and the cost of decoding are always
measured, and what is kept of the music in a folder if one is named.
"""

import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from engine.compose import grammar as grammars
from engine.compose.composer import compose
from engine.compose.pool import guarded_sounds
from engine.control.controls import CONTROLS, defaults
from model.inference import TimbreModel

SONGS, SECONDS, PLACES = 40, 240.0, 96  # of the composed paths
LATENTS = 64  # decoded at once for the timing


def of_card(model: TimbreModel) -> dict[str, object]:
    """Figures as they were when the model was made."""
    return dict(model.metadata.get("figures", {}))


def of_corpus(model: TimbreModel, corpus: Path) -> dict[str, object]:
    """Every measure on the clips of a corpus that training leaves out."""
    from model.corpus.corpus import Corpus
    from model.training.dataset import split
    from model.training.evaluate import evaluate, heard_round_trip

    opened = Corpus.open(corpus)
    parts = split(opened.timbres(), opened.groups())
    rng = np.random.default_rng(0)
    figures = evaluate(model, parts.train, parts.test, parts.test_groups, rng)
    return figures | heard_round_trip(model, parts.test[:64].astype(np.float32), rng)


def of_paths(model: TimbreModel, detail_data_db: float | None) -> dict[str, object]:
    """Tonal detail along composed songs: their points, joins and wiggle."""
    from model.training.evaluate import detail_db

    rules = grammars.load("seed")
    seconds = np.linspace(0.0, SECONDS, PLACES)
    timbres = []
    for seed in range(SONGS):
        song = compose(model, rules, defaults(), seed=seed, index=0, duration=SECONDS)
        rate, amount, spread = (
            float(CONTROLS[f"wiggle/{n}"].default) for n in ("rate", "amount", "spread")
        )
        wiggle = song.wiggler.offset(rate * seconds, amount, spread)
        z = song.path.weights(seconds) @ song.points + wiggle
        timbres.append(guarded_sounds(model, z.astype(np.float32))[1])
    found = detail_db(np.concatenate(timbres))
    figures: dict[str, object] = {"detail_composed_db": found}
    if detail_data_db:
        figures["detail_composed"] = found / detail_data_db
    return figures


def of_decoding(model: TimbreModel) -> dict[str, object]:
    """Time to decode some latents, as a share of the audio time that they fill."""
    z = model.sample(LATENTS, np.random.default_rng(0))
    model.decode(z)
    started = time.perf_counter()
    for _ in range(20):
        model.decode(z)
    taken = (time.perf_counter() - started) / 20
    hop = float(CONTROLS["hop"].default)
    return {"decoding_share_of_audio_time": taken / (LATENTS * hop)}


def of_audio(model: TimbreModel, folder: Path, clips: int) -> dict[str, object]:
    """What is kept of the music in a folder."""
    from effects.audio.sound_search import list_sounds
    from model.corpus.clips import take_clips
    from model.corpus.faults import RefusedError
    from model.spectrum import analyse
    from model.training.evaluate import heard_round_trip, measure_audio

    rng = np.random.default_rng(0)
    timbres = []
    for path in list_sounds(folder):
        try:
            taken, _ = take_clips(path, clips, rng)
        except RefusedError:
            continue
        timbres += [analyse(clip.samples, model.axis) for clip in taken]
    if not timbres:
        raise click.UsageError(f"{folder}: no music in it that could be used")
    found = measure_audio(model, np.stack(timbres))
    found |= heard_round_trip(model, np.stack(timbres[:64]), rng)
    return {f"{folder.name}: {name}": value for name, value in found.items()}


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--model", "folder", type=Path, help="Model folder.")
@click.option("--audio", type=click.Path(path_type=Path, exists=True))
@click.option("--clips", type=click.IntRange(1, 50), default=5, show_default=True)
def main(
    corpus: Path | None, folder: Path | None, audio: Path | None, clips: int
) -> None:
    """Measure the model and print the table."""
    model = TimbreModel.load(folder)
    figures = of_corpus(model, corpus) if corpus else of_card(model)
    wanted = figures.get("detail_data_db")
    figures |= of_paths(model, float(wanted) if isinstance(wanted, float) else None)
    figures |= of_decoding(model)
    if audio:
        figures |= of_audio(model, audio, clips)
    source = f"measured on {corpus.name}" if corpus else "as its card has it"
    table = Table("model", "value", title=f"{model.name} ({model.hash[:12]}), {source}")
    for name, value in _rows(figures):
        table.add_row(name, f"{value:.3g}")
    Console().print(table)


def _rows(figures: dict[str, object]) -> list[tuple[str, float]]:
    """Single numbers, also those one level down."""
    rows: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, int | float):
            rows.append((name, value))
        elif isinstance(value, dict):
            rows += [(f"{name}: {inner}", one) for inner, one in _rows(value)]
    return rows


if __name__ == "__main__":
    main()
