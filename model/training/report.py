"""The report on a trained model: one page of plots as a PNG."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.whole_file import write_whole
from model.config import AXIS
from model.inference import TimbreModel
from model.training.evaluate import fit_pca

REPORT = "report.png"
N_SHOWN = 4  # reconstructions, and samples of the prior
N_MAPPED = 1500


def write_report(
    model: TimbreModel,
    history: list[dict[str, Any]],
    test: NDArray[Any],
    path: Path,
    rng: np.random.Generator,
) -> None:
    """Draw losses, use of latents, decoded clips, samples and a map of timbre space.

    Args:
        model: the exported model, with figures in its model.json.
        history: metrics of each epoch, as `fit` returns them.
        test: held-out timbres (n, n_bands).
        path: the file to write.
        rng: picks clips and samples.

    Raises:
        RunError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.7, 8.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 3)
    figure.suptitle(f"{model.name}: {_headline(model.metadata.get('figures', {}))}")
    data = test[rng.permutation(len(test))[:N_MAPPED]].astype(np.float32)
    samples = model.decode(model.sample(N_MAPPED, rng))
    _draw_losses(figure.add_subplot(grid[0, 0]), history)
    _draw_error(figure.add_subplot(grid[0, 1]), history)
    _draw_latents(figure.add_subplot(grid[0, 2]), model)
    decoded = model.decode(model.encode(data[:N_SHOWN])[0])
    _draw_timbres(figure.add_subplot(grid[1, :]), data[:N_SHOWN], decoded)
    _draw_timbres(figure.add_subplot(grid[2, :2]), None, samples[:N_SHOWN])
    _draw_map(figure.add_subplot(grid[2, 2]), data, samples)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_whole(path, picture.getvalue())


def _headline(figures: dict[str, Any]) -> str:
    shown = (
        ("rmse_db", "RMSE {:.2f} dB"),
        ("rmse_ratio", "{:.2f} of PCA-32"),
        ("detail_reconstruction", "detail kept {:.0%}"),
        ("detail_prior", "of prior samples {:.0%}"),
        ("prior_gap_ratio", "prior gap {:.2f}"),
    )
    known = [form.format(figures[key]) for key, form in shown if key in figures]
    return ", ".join(known) or "not measured"


def _draw_losses(axes: Any, history: list[dict[str, Any]]) -> None:
    epochs = [row["epoch"] for row in history]
    for name in ("squared", "detail", "contrast", "kl"):
        (line,) = axes.plot(epochs, [row["train"][name] for row in history], label=name)
        validation = [row["validation"][name] for row in history]
        axes.plot(epochs, validation, "--", color=line.get_color())
    axes.set(yscale="log", xlabel="epoch", title="losses (dashed: validation)")
    axes.legend(fontsize="small")


def _draw_error(axes: Any, history: list[dict[str, Any]]) -> None:
    axes.plot([row["epoch"] for row in history], [row["rmse_db"] for row in history])
    axes.set(xlabel="epoch", ylabel="dB", title="RMSE on validation clips")


def _draw_latents(axes: Any, model: TimbreModel) -> None:
    kl = model.metadata.get("figures", {}).get("latents", {}).get("kl_nats", [])
    axes.bar(np.arange(1, len(kl) + 1), kl)
    axes.set(xlabel="latent, most used first", ylabel="nats", title="use of latents")


def _draw_timbres(
    axes: Any, data: NDArray[np.float32] | None, decoded: NDArray[np.float32]
) -> None:
    for i, timbre in enumerate(decoded):
        below = -i * AXIS.range_db  # one under the other
        if data is not None:
            level_db = AXIS.floor_db + AXIS.range_db * data[i]
            axes.plot(AXIS.centres, level_db + below, color="0.6", linewidth=1.2)
        level_db = AXIS.floor_db + AXIS.range_db * timbre
        axes.plot(AXIS.centres, level_db + below, linewidth=0.7)
    title = "samples of the prior" if data is None else "held-out clips (grey), decoded"
    axes.set(xscale="log", xlabel="Hz", ylabel="dB, stacked", title=title)


def _draw_map(
    axes: Any, data: NDArray[np.float32], samples: NDArray[np.float32]
) -> None:
    pca = fit_pca(data, 2)
    axes.scatter(*pca.transform(data).T, s=3, label="held-out clips")
    axes.scatter(*pca.transform(samples).T, s=3, label="prior")
    axes.set(title="first two components", xticks=[], yticks=[])
    axes.legend(fontsize="small")
