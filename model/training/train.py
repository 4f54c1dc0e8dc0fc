"""Training from end to end: from a corpus folder to a checked model folder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from effects.base.streams import Purpose, stream
from model.inference import TimbreModel
from model.training.comparison import Comparison, check_standing_peak, compare
from model.training.dataset import load
from model.training.evaluate import evaluate
from model.training.export import add_figures, export
from model.training.fit import Progress, TrainSettings, fit
from model.training.publish import publish
from model.training.report import REPORT, write_report
from model.training.start import Start, choose_start, trial_epochs

CHECKPOINTS = "checkpoints"  # folder in the model folder; not needed afterwards
MADE = "made"  # the model in it, until it is measured


@dataclass(frozen=True)
class Trained:
    """The outcome of training.

    Attributes:
        figures: as `evaluate` returns them, with `standing_peak` and `comparison`.
        history: a row an epoch.
        comparison: with PCA and with the bundled model.
        start: what training started from.
    """

    figures: dict[str, Any]
    history: list[dict[str, Any]]
    comparison: Comparison
    start: Start


def train(
    corpus_dir: Path,
    out_dir: Path,
    settings: TrainSettings,
    progress: Progress | None = None,
    *,
    about: dict[str, Any] | None = None,
    name: str | None = None,
    stage: Callable[[str], None] | None = None,
    start: Path | Literal["auto"] | None = None,
    device: str = "cpu",
) -> Trained:
    """Train on a corpus, export the network, measure it, and draw a report.

    A run that was killed is resumed when this is called again with the same folders and
    settings. A model that is in `out_dir` stays until the new one is measured.

    Args:
        corpus_dir: as `latent corpus` makes it.
        out_dir: the model folder to write.
        settings: of training from random weights on a large corpus; what the start
            and the size of the corpus change in them, `Start.settings` says.
        progress: called after each epoch.
        about: provenance for model.json, to which facts about corpus and training
            are added.
        name: of the model; that of the folder by default.
        stage: called with the name of each step before it is taken.
        start: model folder whose weights training starts from; "auto" tries the bundled
            model's and random ones. Random ones by default.
        device: of torch, on which the network is trained.

    Raises:
        InputError: the corpus, a checkpoint or `start` cannot be used.
        RunError: training or writing failed, or a tone stands out of all sounds of the
            model.
    """
    tell = stage if stage is not None else _silent
    split, facts = load(corpus_dir)
    work_dir = out_dir / CHECKPOINTS
    if start == "auto":

        def tried(what: str) -> Progress | None:
            tell(f"trial from {what} weights")
            return progress

        found = choose_start(split, work_dir, settings, tried, device)
    else:
        found = Start(start)
    tell(f"training from {found.name}")
    settings = found.settings(settings, len(split.train))
    network, history = fit(
        split, work_dir, settings, progress, found.weights(settings), device
    )
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
    if found.folder is not None:
        training["start"] = _provenance(TimbreModel.load(found.folder))
    if found.errors_db:
        random_db, bundled_db = found.errors_db
        training["start_chosen"] = (
            f"after {trial_epochs(settings.epochs)} epochs "
            f"{bundled_db:.2f} dB from the bundled model, "
            f"{random_db:.2f} dB from random weights"
        )
    made = work_dir / MADE
    model = export(
        network,
        split.train,
        made,
        rng,
        name=name or out_dir.name,
        about={
            **(about or {}),
            "corpus": facts,
            "training": training,
            "settings": asdict(settings),
        },
        held_out=split.validation,
    )
    standing = check_standing_peak(model, split.train, rng)
    figures = evaluate(model, split.train, split.test, split.test_groups, rng, tell)
    compared = compare(model, split)
    figures |= {
        "standing_peak": asdict(standing),
        "comparison": compared.to_json(),
    }
    model = add_figures(made, figures)
    tell("report")
    write_report(model, history, split.test, made / REPORT, rng)
    publish(made, out_dir, [REPORT])
    return Trained(figures, history, compared, found)


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
