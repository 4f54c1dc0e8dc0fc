"""Training from end to end: from a corpus folder to a checked model folder."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from effects.base.streams import Purpose, stream
from model.inference import TimbreModel
from model.training.dataset import load
from model.training.evaluate import evaluate
from model.training.export import add_figures, export
from model.training.fit import Progress, TrainSettings, fit
from model.training.report import REPORT, write_report
from model.training.start import start_weights

CHECKPOINTS = "checkpoints"  # folder in the model folder; not needed afterwards


def train(
    corpus_dir: Path,
    out_dir: Path,
    settings: TrainSettings,
    progress: Progress | None = None,
    *,
    about: dict[str, Any] | None = None,
    name: str | None = None,
    stage: Callable[[str], None] | None = None,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train on a corpus, export the network, measure it, and draw a report.

    A run that was killed is resumed when this is called again with the same folders and
    settings.

    Args:
        corpus_dir: as `latent corpus` makes it.
        out_dir: the model folder to write.
        settings: of training.
        progress: called after each epoch.
        about: provenance for model.json, to which facts about corpus and training
            are added.
        name: of the model; that of the folder by default.
        stage: called with the name of each step after the last epoch.
        start: model folder whose weights training starts from; it starts from random
            ones by default.

    Returns:
        `figures` as `evaluate` returns them, and `history`, a row an epoch.

    Raises:
        InputError: the corpus, a checkpoint or `start` cannot be used.
        RunError: training or writing failed.
    """
    tell = stage if stage is not None else _silent
    split, facts = load(corpus_dir)
    weights, origin = None, None
    if start is not None:
        origin = TimbreModel.load(start)
        settings = replace(settings, start=origin.hash)
        weights = start_weights(start, settings.vae)
    network, history = fit(split, out_dir / CHECKPOINTS, settings, progress, weights)
    tell("export")
    rng = stream(Purpose.TRAINING, settings.seed)
    training = {
        "network": f"{settings.vae.arch}, "
        f"{sum(p.numel() for p in network.parameters()):,} weights",
        "clips": f"{len(split.train):,} for training, {len(split.validation):,} for "
        f"early stopping, {len(split.test):,} for the figures",
        "epochs": f"{len(history)} in {sum(r['seconds'] for r in history) / 60:.0f} "
        "minutes",
        "seed": settings.seed,
    }
    if origin is not None:
        training["start"] = _provenance(origin)
    model = export(
        network,
        split.train,
        out_dir,
        rng,
        name=name or out_dir.name,
        about={
            **(about or {}),
            "corpus": facts,
            "training": training,
            "settings": asdict(settings),
        },
    )
    figures = evaluate(model, split.train, split.test, split.test_groups, rng, tell)
    model = add_figures(out_dir, figures)
    tell("report")
    write_report(model, history, split.test, out_dir / REPORT, rng)
    return {"figures": figures, "history": history}


def _provenance(origin: TimbreModel) -> str:
    """What a model's weights bring along, for the card of one that starts from them."""
    about = origin.metadata.get("about", {})
    licences = about.get("corpus", {}).get("licences", "not stated")
    return (
        f"the weights of model {origin.name}, hash {origin.hash}, trained on clips "
        f"under: {licences}"
    )


def _silent(what: str) -> None:
    del what
