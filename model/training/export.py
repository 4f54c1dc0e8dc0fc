"""Export of a trained VAE to a model folder: two ONNX files, model.json and a card.

The exported networks scale the latents so that each has mean 0 and variance 1 over the
corpus. Weights are stored in half precision and multiplied in single.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from effects.base.errors import RunError
from effects.base.whole_file import write_whole
from model import guard
from model.config import AXIS, CLIP_SECONDS, SAMPLE_RATE
from model.inference import ONNX_FILES, TimbreModel
from model.model_json import FORMAT, FORMAT_VERSION
from model.prior import Latents, Prior
from model.refinement import Timbres, refine
from model.timbre_map import MAP_FILE, MAX_POINTS
from model.training.fit_prior import fit_prior
from model.training.lay_out import lay_out, write_map
from model.training.lost_detail import find_raise_db, wanted_share
from model.training.model_card import write_model_card
from model.training.onnx_files import (
    ScaledDecoder,
    ScaledEncoder,
    round_weights,
    write_networks,
)
from model.training.publish import whole_model
from model.training.standing import standing_curve
from model.training.vae import VAE

PARITY_BATCH = 5  # another than the example of the export, to find a fixed size
PARITY = 2e-4  # of 0..1, that is 0.02 dB: largest difference from torch
N_LEVELLED = 4096  # draws from the prior in which standing tones are looked for
N_RAISED = 300  # clips by which the raise is chosen
N_REFINEMENTS = 3  # steps; another lowers the error by a hundredth of a dB
MIN_DRAWS = 4096  # from posteriors, to which the prior is fitted
N_STATISTICS = 10_000  # prior samples of which statistics are taken
LIMIT_QUANTILE = 0.998  # of the corpus' features
# Added to that quantile to give the guard's limits, in the units of `guard.UNITS`.
HEADROOM = {"loudness": 2.5, "sharpness": 0.4, "whistle": 0.15, "weirdness": 0.5}
QUANTILES = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)


def export(
    network: VAE,
    train: NDArray[np.float16],
    out_dir: Path,
    rng: np.random.Generator,
    *,
    name: str,
    about: dict[str, Any],
    held_out: NDArray[np.float16] | None = None,
) -> TimbreModel:
    """Write a model folder, whole or not at all, and load it again as a check.

    Args:
        network: the trained VAE; its weights are rounded to half precision in place.
        train: timbres that it was trained on, (n, n_bands).
        out_dir: the folder; a model in it is replaced.
        rng: draws from the posteriors and the prior, and fits the prior.
        name: of the model.
        about: provenance for model.json and the card, any JSON values.
        held_out: timbres of other songs, (m, n_bands), by which is chosen how far
            what the decoder makes is raised; without any, it is not.

    Returns:
        The exported model, loaded from the folder.

    Raises:
        InputError: the bundled model, beside which `held_out` is looked at, is missing.
        RunError: the export differs from the network, or the disk is full.
    """
    network.eval()
    round_weights(network)
    mean, scale, points = _aggregate_posterior(network, train, rng)
    encoder = ScaledEncoder(network, mean, scale)
    raised_db = 0.0
    if held_out is not None:
        raised_db = _raise_db(network, encoder, held_out, train)
    plain = ScaledDecoder(network.decoder, mean, scale, raised_db=raised_db)
    prior = fit_prior(points, rng)
    lowered = _standing(plain, prior.sample(N_LEVELLED, rng), train)
    decoder = ScaledDecoder(network.decoder, mean, scale, lowered, raised_db)
    partial = out_dir.with_name(out_dir.name + ".partial")
    with whole_model(partial, out_dir):
        write_networks(decoder, encoder, partial)
        metadata = _metadata(partial, prior, name, about, raised_db)
        write_metadata(partial, metadata)
        model = TimbreModel.load(partial, unfinished=True)
        _check_parity(decoder, encoder, model, rng)
        metadata["statistics"] = _statistics(model, train, rng)
        metadata["files"][MAP_FILE] = write_map(partial, lay_out(model, len(train)))
        write_metadata(partial, metadata)
    return TimbreModel.load(out_dir)


def add_map(model_dir: Path, n_clips: int = MAX_POINTS) -> TimbreModel:
    """Lay out the map of a model that has none, or another, and store it.

    Args:
        model_dir: a model folder.
        n_clips: that it was trained on.

    Returns:
        The model with its map, loaded again.

    Raises:
        InputError: it is no model folder.
        RunError: it cannot be written.
    """
    model = TimbreModel.load(model_dir)
    stored = write_map(model_dir, lay_out(model, n_clips))
    metadata = json.loads((model_dir / "model.json").read_text())
    metadata["files"][MAP_FILE] = stored
    write_metadata(model_dir, metadata)
    return TimbreModel.load(model_dir)


def add_figures(model_dir: Path, figures: dict[str, Any]) -> TimbreModel:
    """Write measured figures into a folder's model.json and card.

    Args:
        model_dir: a model folder.
        figures: as `evaluate` returns them.

    Returns:
        The model with its figures, loaded again.

    Raises:
        RunError: they cannot be written; the model is as it was before.
    """
    metadata = json.loads((model_dir / "model.json").read_text())
    metadata["figures"] = figures
    write_metadata(model_dir, metadata)
    return TimbreModel.load(model_dir)


@torch.no_grad()
def _aggregate_posterior(
    network: VAE, train: NDArray[np.float16], rng: np.random.Generator
) -> tuple[Tensor, Tensor, Latents]:
    """Mean and scale of the latents over the corpus, and standardised draws."""
    draws = []
    # Each posterior of a small corpus is drawn from several times, so that there are
    # enough points to fit a mixture to.
    train = np.tile(train, (-(-MIN_DRAWS // len(train)), 1))
    for start in range(0, len(train), 1024):
        timbre = torch.from_numpy(train[start : start + 1024]).float()
        mean, logvar = network.encode(timbre)
        noise = rng.standard_normal(mean.shape).astype(np.float32)
        draws.append((mean + torch.exp(0.5 * logvar) * torch.from_numpy(noise)).numpy())
    points = np.concatenate(draws)
    centre, scale = points.mean(axis=0), points.std(axis=0) + 1e-6
    standardised: Latents = (points - centre) / scale
    return torch.from_numpy(centre), torch.from_numpy(scale), standardised


@torch.no_grad()
def _raise_db(
    network: VAE,
    encoder: ScaledEncoder,
    held_out: NDArray[np.float16],
    train: NDArray[np.float16],
) -> float:
    few = held_out[:: -(-len(held_out) // N_RAISED)]
    share = wanted_share(few, train)
    clips = few.astype(np.float32)
    decoder = ScaledDecoder(network.decoder, encoder.mean, encoder.scale)

    def decode(points: Latents) -> Timbres:
        timbres: Timbres = decoder(torch.from_numpy(points)).numpy()
        return timbres

    z = encoder(torch.from_numpy(clips))[0].numpy()
    decoded = decode(refine(decode, z, clips, N_REFINEMENTS))
    return find_raise_db(decoded, clips, share)


@torch.no_grad()
def _standing(plain: ScaledDecoder, z: Latents, train: NDArray[np.float16]) -> Tensor:
    """What is to be taken off all that a decoder makes, so that no tone stands out."""
    sounds = np.concatenate(
        [
            plain(torch.from_numpy(z[start : start + 1024])).numpy()
            for start in range(0, len(z), 1024)
        ]
    )
    return torch.from_numpy(standing_curve(sounds, train, plain.raised_db))


def _metadata(
    folder: Path,
    fitted: Prior,
    name: str,
    about: dict[str, Any],
    raised_db: float,
) -> dict[str, Any]:
    files = {file: file_entry(folder / file) for file in ONNX_FILES}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "n_latents": fitted.n_latents,
        "sample_rate": SAMPLE_RATE,
        "clip_seconds": CLIP_SECONDS,
        "axis": asdict(AXIS),
        "files": files,
        "refinements": N_REFINEMENTS,
        "raised_db": raised_db,
        "about": about,
        "figures": {},
        "statistics": {},
        "prior": fitted.to_json(),
    }


def file_entry(path: Path) -> dict[str, Any]:
    """What model.json says of a file."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _check_parity(
    decoder: ScaledDecoder,
    encoder: ScaledEncoder,
    model: TimbreModel,
    rng: np.random.Generator,
) -> None:
    z = model.sample(PARITY_BATCH, rng)
    with torch.no_grad():
        spectrum = decoder(torch.from_numpy(z)).numpy()
        posterior = encoder(torch.from_numpy(spectrum))
    pairs = [(model.decode(z), spectrum)]
    pairs += [
        (ours, theirs.numpy())
        for ours, theirs in zip(
            model.encode(spectrum, refined=False), posterior, strict=True
        )
    ]
    apart = max(
        float(np.max(np.abs(ours - theirs) / (1.0 + np.abs(theirs))))
        for ours, theirs in pairs
    )
    if not apart <= PARITY:
        raise RunError(f"the exported model differs from the trained one by {apart:g}")


def _statistics(
    model: TimbreModel, train: NDArray[np.float16], rng: np.random.Generator
) -> dict[str, Any]:
    """Statistics of prior samples, and the limits above which the guard acts."""
    z = model.sample(N_STATISTICS, rng)
    of_prior = guard.point_features(model, z)
    chosen = rng.choice(len(train), size=min(len(train), N_STATISTICS), replace=False)
    of_data = guard.timbre_features(train[np.sort(chosen)].astype(np.float32))
    anchor = _anchor(z, of_prior)
    limits = {}
    for name, headroom in HEADROOM.items():
        values = of_data.get(name, of_prior[name])
        limit = float(np.quantile(values, LIMIT_QUANTILE)) + headroom
        limits[name] = max(limit, float(of_prior[name][anchor]) + 1e-3)
    return {
        **distributions(of_prior),
        "limits": limits,
        "anchor": [float(value) for value in z[anchor]],
    }


def distributions(of_prior: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """How features of a prior's samples are distributed, as model.json has it.

    Args:
        of_prior: values of each feature, shape (N_STATISTICS,).
    """
    return {
        "n": N_STATISTICS,
        "quantiles_at": list(QUANTILES),
        "features": {
            name: {
                "mean": float(values.mean()),
                "std": float(values.std()),
                "quantiles": [float(q) for q in np.quantile(values, QUANTILES)],
            }
            for name, values in of_prior.items()
        },
    }


def _anchor(z: Latents, features: dict[str, NDArray[np.float64]]) -> int:
    """Number of the sample nearest to the medians: the guard moves points toward it."""
    farthest = np.zeros(len(z))
    for values in features.values():
        distance = np.abs(values - np.median(values)) / (values.std() + 1e-9)
        farthest = np.maximum(farthest, distance)
    return int(farthest.argmin())


def write_metadata(folder: Path, metadata: dict[str, Any]) -> None:
    """Write model.json and the card of a model."""
    write_model_json(folder / "model.json", metadata)
    write_model_card(folder / "CARD.md", metadata)


def write_model_json(path: Path, content: dict[str, Any]) -> None:
    """Write model.json, whole or not at all, a line for each part."""
    write_whole(path, _json_lines(content).encode())


def _json_lines(content: dict[str, Any]) -> str:
    """JSON with a line for each part, so that a diff shows which one has changed."""
    rows = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"
