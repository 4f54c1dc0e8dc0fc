"""A narrow decoder that makes the same sounds as a wide one at a fraction of its cost.

Distillation (Hinton, Vinyals and Dean 2015): the narrow decoder learns what the model's
own one makes of points, of which there are as many as one likes. No corpus is needed,
and encoder and prior stay what they are. A song decodes some 1,700 points in four
minutes; with a decoder of width 768 that is a fifth of its whole cost.
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from effects.base.errors import InputError, RunError
from effects.base.streams import Purpose, stream
from model import guard
from model.config import AXIS
from model.inference import BUNDLED, ONNX_FILES, TimbreModel
from model.prior import Latents
from model.spectrum import surroundings
from model.timbre_map import MAP_FILE, load_map
from model.training.comparison import check_standing_peak
from model.training.dataset import Split, load
from model.training.evaluate import evaluate
from model.training.export import (
    N_STATISTICS,
    add_figures,
    distributions,
    file_entry,
    write_metadata,
)
from model.training.fit import has_bfloat16_units
from model.training.lay_out import lay_out, write_map
from model.training.onnx_files import ScaledDecoder, round_weights, write_decoder
from model.training.publish import whole_model
from model.training.start import network_of, start_weights, stored_weights
from model.training.vae import VAEConfig, build, dense_decoder

BATCH = 512
WARM_UP = 200  # steps
BETAS = (0.9, 0.99)
STEEPEST = 1.0  # norm of a step's gradient, in dB; what is steeper is shortened
BETWEEN = 0.7  # share of points that lie between two draws of the prior
STRAYING = 0.85  # share that lies beside that, as wiggled paths do
FARTHEST = 1.0  # standard deviation of a latent at most, by which it does
N_BEGUN = 8192  # points by which the last layer is begun
N_COMPARED = 2048  # points by which the decoders are compared
MOST_APART_DB = 3.0  # a copy that is farther from its model is not written
TOLD = 50  # steps between two words of progress


@dataclass(frozen=True)
class DistilSettings:
    """How a decoder is distilled.

    Attributes:
        width: of the narrow decoder's layers.
        steps: of training, of 512 points each.
        n_points: that are drawn, and used again and again.
        learning_rate: highest one of AdamW; it falls to 0 as a cosine.
        seed: of everything random.
    """

    width: int = 256
    steps: int = 20_000
    n_points: int = 1 << 18
    learning_rate: float = 2e-3
    seed: int = 0


def distil(
    folder: Path | None,
    out_dir: Path,
    settings: DistilSettings,
    progress: Callable[[int, int], None] | None = None,
    *,
    corpus_dir: Path | None = None,
    command: str = "latent model distil",
) -> TimbreModel:
    """Write a copy of a model whose decoder is a narrow one, whole or not at all.

    Args:
        folder: of the model; None for the bundled one.
        out_dir: of the copy; a model in it is replaced.
        settings: of the training.
        progress: called with the steps that are done, and with all.
        corpus_dir: that the model was trained on; the copy is measured by its held-out
            songs. Without it the copy has no figures: those of the model are not its.
        command: added to what the card says of how the model was made.

    Returns:
        The copy, loaded. Its card says how far its sounds are from the model's own.

    Raises:
        InputError: the model or the corpus cannot be used, its decoder is narrow
            already, or `out_dir` is its own folder.
        RunError: the copy is too far from the model, the training failed, or the folder
            cannot be written.
    """
    folder, out_dir = (BUNDLED if folder is None else folder), out_dir.resolve()
    origin = TimbreModel.load(folder)
    partial = out_dir.with_name(f".{out_dir.name}.distil")
    if folder.resolve() in (out_dir, partial):
        raise InputError(f"{out_dir}: holds the model itself; give another folder")
    split = None if corpus_dir is None else _corpus_of(origin, corpus_dir)
    config, wide = _wide_decoder(folder, settings.width)
    with whole_model(partial, out_dir):
        shutil.copyfile(folder / "encoder.onnx", partial / "encoder.onnx")
        decoder = _distilled(origin, folder, config, wide, settings, progress)
        write_decoder(decoder, partial)
        metadata = _metadata(origin, out_dir.name, settings, command)
        _write_with_files(partial, metadata)
        made = TimbreModel.load(partial, unfinished=True)
        _take_measures(origin, made, metadata, settings.seed)
        n_points = len(load_map(origin, folder).z)
        metadata["files"][MAP_FILE] = write_map(partial, lay_out(made, n_points))
        _write_with_files(partial, metadata)
        if split is not None:
            rng = stream(Purpose.DISTILLING, settings.seed, 3)
            made = TimbreModel.load(partial)
            found = evaluate(made, split.train, split.test, split.test_groups, rng)
            add_figures(partial, found)
    return TimbreModel.load(out_dir)


def draw_points(model: TimbreModel, n: int, rng: np.random.Generator) -> Latents:
    """Points where songs are: between draws of the prior, and beside that.

    Args:
        model: timbre space.
        n: how many.
        rng: draws them.

    Returns:
        Shape (n, n_latents), float32.
    """
    first, second = model.sample(n, rng), model.sample(n, rng)
    way, strays, length = rng.random((3, n, 1))
    way *= rng.random((n, 1)) < BETWEEN
    length *= FARTHEST * (strays < STRAYING)
    beside = length * rng.standard_normal(first.shape)
    found: Latents = (first + way * (second - first) + beside).astype(np.float32)
    return found


def compare(model: TimbreModel, other: TimbreModel, seed: int) -> dict[str, float]:
    """How far the sounds of two decoders are from each other, at the same points.

    Returns:
        `rmse_db`; and `detail`, how far bands stand out of their surroundings in the
        sounds of the second over those of the first.
    """
    z = draw_points(model, N_COMPARED, stream(Purpose.DISTILLING, seed, 2))
    ours, theirs = (m.decode(z).astype(np.float64) for m in (model, other))
    rmse_db = AXIS.range_db * float(np.sqrt(np.mean((theirs - ours) ** 2)))
    details = [np.sqrt(np.mean((t - surroundings(t)) ** 2)) for t in (ours, theirs)]
    detail = float(details[1] / details[0])
    return {"rmse_db": round(rmse_db, 3), "detail": round(detail, 3)}


def _wide_decoder(folder: Path, width: int) -> tuple[VAEConfig, nn.Sequential | None]:
    """The decoder of a model, and the configuration that a narrow one is to have.

    The decoder is None if it is of another kind than the narrow one.

    Raises:
        InputError: it is not wider than `width`.
    """
    usual = VAEConfig()
    config = network_of(folder, usual)
    if config is usual:
        return config, None
    own = config.decoder_width or config.width
    if own <= width:
        raise InputError(
            f"{folder}: its decoder is of width {own}, no wider than {width}"
        )
    network = build(config)
    network.load_state_dict(start_weights(folder, config))
    return config, cast(nn.Sequential, network.eval().decoder)


def _corpus_of(model: TimbreModel, corpus_dir: Path) -> Split:
    """The corpus that a model was trained on, divided as it was then.

    Raises:
        InputError: it cannot be used, or is another one.
    """
    split, facts = load(corpus_dir)
    theirs = model.metadata.get("about", {}).get("corpus")
    if facts != theirs:
        raise InputError(
            f"{corpus_dir}: is not the corpus that {model.name} was trained on, or has "
            "changed since; its songs would not be held out"
        )
    return split


def _distilled(
    origin: TimbreModel,
    folder: Path,
    config: VAEConfig,
    wide: nn.Sequential | None,
    settings: DistilSettings,
    progress: Callable[[int, int], None] | None,
) -> ScaledDecoder:
    """Train the narrow decoder of a model."""
    rng = stream(Purpose.DISTILLING, settings.seed)
    z = draw_points(origin, settings.n_points, rng)
    stored = stored_weights(folder)  # of a model made elsewhere: standardised latents
    mean = torch.from_numpy(stored.get("mean", np.zeros(z.shape[1], np.float32)))
    scale = torch.from_numpy(stored.get("scale", np.ones(z.shape[1], np.float32)))
    latents = torch.from_numpy(z) * scale + mean
    torch.manual_seed(settings.seed)
    network = dense_decoder(replace(config, decoder_width=settings.width))
    if wide is not None:
        _begin_as(wide, network, latents[:N_BEGUN])
    timbres = torch.from_numpy(_in_half(origin, z))
    _learn(network, latents, timbres, settings, progress)
    decoder = ScaledDecoder(network.eval(), mean, scale)
    round_weights(decoder)
    return decoder


def _take_measures(
    origin: TimbreModel, made: TimbreModel, metadata: dict[str, Any], seed: int
) -> None:
    """Compare a copy with its model, and write the outcome into its metadata.

    Raises:
        RunError: it is too far from it, or a tone stands out of all its sounds.
    """
    found = compare(origin, made, seed)
    if found["rmse_db"] > MOST_APART_DB:
        raise RunError(
            f"the copy is {found['rmse_db']:.1f} dB from the model, over "
            f"{MOST_APART_DB:.0f}: nothing was written; take more steps, or more width"
        )
    metadata["about"]["distilled"] |= found
    rng = stream(Purpose.DISTILLING, seed, 1)
    z = made.sample(N_STATISTICS, rng)
    check_standing_peak(made, origin.decode(z[:N_COMPARED]), rng)
    statistics = metadata["statistics"]
    statistics |= distributions(guard.point_features(made, z))
    # The guard draws points back to the anchor, which has to be within the limits.
    anchor = np.asarray(statistics["anchor"], np.float32)[None]
    for name, values in guard.point_features(made, anchor).items():
        limits = statistics["limits"]
        if name in limits:
            limits[name] = max(limits[name], float(values[0]) + 1e-3)


@torch.no_grad()
def _begin_as(wide: nn.Sequential, network: nn.Sequential, latents: Tensor) -> None:
    """Let the last layer of a network begin as the wide decoder's.

    It then maps principal components of what the wide one's last layer is given, so
    the layers before it have components to learn, not thousands of bands: after 4,000
    steps the error was 1.44 dB with it and 1.59 without it.
    """
    given = wide[:-3](latents)
    mean = given.mean(dim=0)
    _, sizes, components = torch.linalg.svd(given - mean, full_matrices=False)
    last, ours = cast(nn.Linear, wide[-3]), cast(nn.Linear, network[-3])
    n = ours.in_features
    deviation = sizes[:n] / math.sqrt(len(latents))
    begun = components[:n].T * deviation  # of few points there are fewer components
    ours.weight[:, : begun.shape[1]] = last.weight @ begun
    ours.bias.copy_(last.bias + last.weight @ mean)


def _learn(
    network: nn.Module,
    latents: Tensor,
    timbres: Tensor,
    settings: DistilSettings,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Train a network to map latents to timbres."""
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        betas=BETAS,
        weight_decay=0.0,
        fused=True,
    )
    generator = torch.Generator().manual_seed(settings.seed)
    size = min(BATCH, len(latents))
    order = torch.randperm(len(latents), generator=generator)
    first, fast = 0, has_bfloat16_units()
    for step in range(settings.steps):
        if first + size > len(order):
            order, first = torch.randperm(len(latents), generator=generator), 0
        chosen = order[first : first + size]
        first += size
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            decoded = network(latents[chosen])
        error_db = AXIS.range_db * (decoded.float() - timbres[chosen].float())
        loss = error_db.abs().mean()
        if not torch.isfinite(loss):
            raise RunError("distilling failed: the loss is NaN")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), STEEPEST)
        share = min(1.0, (step + 1) / WARM_UP)
        share *= 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
        for group in optimiser.param_groups:
            group["lr"] = share * settings.learning_rate
        optimiser.step()
        done = step + 1
        if progress is not None and (done % TOLD == 0 or done == settings.steps):
            progress(done, settings.steps)


def _in_half(model: TimbreModel, z: Latents) -> NDArray[np.float16]:
    """What a model decodes, in half the memory."""
    timbres = np.empty((len(z), AXIS.n_bands), np.float16)
    for start in range(0, len(z), 4096):
        timbres[start : start + 4096] = model.decode(z[start : start + 4096])
    return timbres


def _metadata(
    origin: TimbreModel, name: str, settings: DistilSettings, command: str
) -> dict[str, Any]:
    """What model.json says of a copy before it is measured."""
    metadata: dict[str, Any] = json.loads(json.dumps(origin.metadata))
    metadata |= {"name": name, "figures": {}, "files": {}}
    about = metadata.setdefault("about", {})
    about["command"] = f"{about.get('command', 'latent train')} && {command}"
    about["distilled"] = {
        "from": f"the decoder of model {origin.name}, hash {origin.hash}",
        "width": settings.width,
        "steps": settings.steps,
        "points": settings.n_points,
        "seed": settings.seed,
    }
    return metadata


def _write_with_files(folder: Path, metadata: dict[str, Any]) -> None:
    """Write model.json and the card, with the networks as they are."""
    for file in ONNX_FILES:
        metadata["files"][file] = file_entry(folder / file)
    write_metadata(folder, metadata)
