"""The networks of a VAE as ONNX files, latents scaled, weights in half precision."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.config import AXIS, N_LATENTS, SAMPLE_RATE
from model.model_json import FORMAT, FORMAT_VERSION
from model.spectrum import RAISED_FROM_DB, SURROUNDING_BANDS
from model.training.vae import VAE

OPSET = 18
EXPORT_BATCH = 2
HALF_FROM = 1024  # numbers from which a weight is stored in half precision


class ScaledDecoder(nn.Module):
    """Decoder from standardised latents to timbres within 0..1.

    What stands out of its surroundings does so farther by `raised_db`, as
    `model.spectrum.raised` has it; then `lowered` is taken off all timbres, where it is
    not zero.
    """

    mean: Tensor
    scale: Tensor
    lowered: Tensor

    def __init__(
        self,
        decoder: nn.Module,
        mean: Tensor,
        scale: Tensor,
        lowered: Tensor | None = None,
        raised_db: float = 0.0,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        lowered = torch.zeros(AXIS.n_bands) if lowered is None else lowered
        self.register_buffer("lowered", lowered)
        self.is_lowered = bool(lowered.any())
        self.raised_db = raised_db

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, n_latents) to (n, n_bands)."""
        spectrum: Tensor = self.decoder(z * self.scale + self.mean)
        if self.raised_db:
            out = spectrum - _surroundings(spectrum)
            raised = torch.tanh(out * (AXIS.range_db / RAISED_FROM_DB))
            spectrum = spectrum + self.raised_db / AXIS.range_db * raised
        if self.is_lowered:
            spectrum = spectrum - self.lowered
        return spectrum.clamp(0.0, 1.0)


class ScaledEncoder(nn.Module):
    """Encoder from timbres to the posterior over standardised latents."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: VAE, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Map (n, n_bands) to mean and log variance, each (n, n_latents)."""
        mean, logvar = self.network.encode(spectrum)
        return (mean - self.mean) / self.scale, logvar - 2.0 * self.scale.log()


def round_weights(network: nn.Module) -> None:
    """Round the weights that are stored in half precision to it, in place."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.numel() >= HALF_FROM:
                weight.copy_(weight.half().float())


def _surroundings(spectrum: Tensor) -> Tensor:
    """As `model.spectrum.surroundings`, in operators that ONNX has."""
    half = SURROUNDING_BANDS // 2
    padded = nn.functional.pad(spectrum.unsqueeze(1), (half, half), mode="replicate")
    # By its number: `squeeze` becomes an `If`, with which a model is refused elsewhere.
    return nn.functional.avg_pool1d(padded, SURROUNDING_BANDS, stride=1)[:, 0]


def write_networks(
    decoder: ScaledDecoder, encoder: ScaledEncoder, folder: Path
) -> None:
    """Write decoder.onnx and encoder.onnx into a folder; raises OSError."""
    write_decoder(decoder, folder)
    spectrum = torch.full((EXPORT_BATCH, AXIS.n_bands), 0.5)
    outputs = ["mean", "logvar"]
    _write_onnx(encoder, spectrum, ["spectrum"], outputs, folder / "encoder.onnx")


def write_decoder(decoder: ScaledDecoder, folder: Path) -> None:
    """Write decoder.onnx into a folder; raises OSError."""
    z = torch.zeros(EXPORT_BATCH, len(decoder.mean))
    _write_onnx(decoder, z, ["z"], ["spectrum"], folder / "decoder.onnx")


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
