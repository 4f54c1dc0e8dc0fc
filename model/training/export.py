"""Export of a trained VAE to a model folder: two ONNX files, model.json and a card.

The exported networks scale the latents so that each has mean 0 and variance 1 over the
corpus. Weights are stored in half precision and multiplied in single.
"""

import hashlib
import json
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from effects.base.errors import RunError
from effects.base.whole_file import write_whole
from model import guard
from model.config import AXIS, CLIP_SECONDS, N_LATENTS, SAMPLE_RATE
from model.inference import ONNX_FILES, TimbreModel
from model.model_json import FORMAT, FORMAT_VERSION
from model.prior import Latents, Prior
from model.timbre_map import MAP_FILE, MAX_POINTS
from model.training.fit_prior import fit_prior
from model.training.lay_out import lay_out, write_map
from model.training.model_card import write_model_card
from model.training.publish import move_into_place
from model.training.vae import VAE

OPSET = 18
EXPORT_BATCH = 2
PARITY_BATCH = 5  # another than EXPORT_BATCH, to find a size that was fixed
PARITY = 2e-4  # of 0..1, that is 0.02 dB: largest difference from torch
HALF_FROM = 1024  # numbers from which a weight is stored in half precision
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
) -> TimbreModel:
    """Write a model folder, whole or not at all, and load it again as a check.

    Args:
        network: the trained VAE; its weights are rounded to half precision in place.
        train: timbres that it was trained on, (n, n_bands).
        out_dir: the folder; a model in it is replaced.
        rng: draws from the posteriors and the prior, and fits the prior.
        name: of the model.
        about: provenance for model.json and the card, any JSON values.

    Returns:
        The exported model, loaded from the folder.

    Raises:
        RunError: the export differs from the network, or the disk is full.
    """
    network.eval()
    _round_weights(network)
    mean, scale, points = _aggregate_posterior(network, train, rng)
    partial = out_dir.with_name(out_dir.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_networks(network, mean, scale, partial)
        metadata = _metadata(partial, fit_prior(points, rng), name, about)
        _write_json(partial / "model.json", metadata)
        model = TimbreModel.load(partial, unfinished=True)
        _check_parity(network, mean, scale, model, rng)
        metadata["statistics"] = _statistics(model, train, rng)
        metadata["files"][MAP_FILE] = write_map(partial, lay_out(model, len(train)))
        _write_json(partial / "model.json", metadata)
        write_model_card(partial / "CARD.md", metadata)
        move_into_place(partial, out_dir)
    except OSError as error:
        raise RunError(f"cannot write the model to {out_dir}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
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
    _write_json(model_dir / "model.json", metadata)
    write_model_card(model_dir / "CARD.md", metadata)
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
    _write_json(model_dir / "model.json", metadata)
    write_model_card(model_dir / "CARD.md", metadata)
    return TimbreModel.load(model_dir)


class _ScaledDecoder(nn.Module):
    """Decoder from standardised latents to timbres within 0..1."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: VAE, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.decoder = network.decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, z: Tensor) -> Tensor:
        spectrum: Tensor = self.decoder(z * self.scale + self.mean)
        return spectrum.clamp(0.0, 1.0)


class _ScaledEncoder(nn.Module):
    """Encoder from timbres to the posterior over standardised latents."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: VAE, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = self.network.encode(spectrum)
        return (mean - self.mean) / self.scale, logvar - 2.0 * self.scale.log()


def _round_weights(network: VAE) -> None:
    with torch.no_grad():
        for weight in network.parameters():
            if weight.numel() >= HALF_FROM:
                weight.copy_(weight.half().float())


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


def _write_networks(network: VAE, mean: Tensor, scale: Tensor, folder: Path) -> None:
    z = torch.zeros(EXPORT_BATCH, len(mean))
    spectrum = torch.full((EXPORT_BATCH, AXIS.n_bands), 0.5)
    _write_onnx(
        _ScaledDecoder(network, mean, scale),
        z,
        ["z"],
        ["spectrum"],
        folder / "decoder.onnx",
    )
    _write_onnx(
        _ScaledEncoder(network, mean, scale),
        spectrum,
        ["spectrum"],
        ["mean", "logvar"],
        folder / "encoder.onnx",
    )


def _write_onnx(
    network: nn.Module, example: Tensor, inputs: list[str], outputs: list[str], to: Path
) -> None:
    import onnx

    with warnings.catch_warnings():
        # Torch warns that this exporter is the older one. The newer one needs
        # onnxscript, too, and gives the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(to),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={key: {0: "n"} for key in inputs + outputs},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(str(to))
    width = N_LATENTS if "mean" in outputs else AXIS.n_bands
    for value in graph.graph.output:  # torch does not infer every width
        value.type.tensor_type.shape.dim[1].dim_value = width
    _store_in_half(graph.graph)
    onnx.helper.set_model_props(
        graph,
        {
            "format": FORMAT,
            "format_version": str(FORMAT_VERSION),
            "axis": json.dumps(asdict(AXIS)),
            "sample_rate": str(SAMPLE_RATE),
        },
    )
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(to))


def _store_in_half(graph: Any) -> None:
    """Keep large weights as float16, with a cast before their use.

    onnxruntime folds the casts when it loads the file, so decoding costs nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALF_FROM:
            continue
        name = tensor.name
        tensor.CopyFrom(
            numpy_helper.from_array(values.astype(np.float16), name + ".half")
        )
        casts.append(
            helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _metadata(
    folder: Path, fitted: Prior, name: str, about: dict[str, Any]
) -> dict[str, Any]:
    files = {}
    for file in ONNX_FILES:
        content = (folder / file).read_bytes()
        files[file] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        "n_latents": fitted.n_latents,
        "sample_rate": SAMPLE_RATE,
        "clip_seconds": CLIP_SECONDS,
        "axis": asdict(AXIS),
        "files": files,
        "about": about,
        "figures": {},
        "statistics": {},
        "prior": fitted.to_json(),
    }


def _check_parity(
    network: VAE,
    mean: Tensor,
    scale: Tensor,
    model: TimbreModel,
    rng: np.random.Generator,
) -> None:
    z = model.sample(PARITY_BATCH, rng)
    with torch.no_grad():
        spectrum = _ScaledDecoder(network, mean, scale)(torch.from_numpy(z)).numpy()
        posterior = _ScaledEncoder(network, mean, scale)(torch.from_numpy(spectrum))
    pairs = [(model.decode(z), spectrum)]
    pairs += [
        (ours, theirs.numpy())
        for ours, theirs in zip(model.encode(spectrum), posterior, strict=True)
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
        "limits": limits,
        "anchor": [float(value) for value in z[anchor]],
    }


def _anchor(z: Latents, features: dict[str, NDArray[np.float64]]) -> int:
    """Number of the sample nearest to the medians: the guard moves points toward it."""
    farthest = np.zeros(len(z))
    for values in features.values():
        distance = np.abs(values - np.median(values)) / (values.std() + 1e-9)
        farthest = np.maximum(farthest, distance)
    return int(farthest.argmin())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, _json_lines(content).encode())


def _json_lines(content: dict[str, Any]) -> str:
    """JSON with a line for each part, so that a diff shows which one has changed."""
    rows = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"
