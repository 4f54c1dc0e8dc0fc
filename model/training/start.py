"""Weights of a model folder, for a training that starts from them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from effects.base.errors import InputError
from model.inference import ONNX_FILES
from model.training.vae import VAEConfig, build

HALF = ".half"  # ends the name of a weight that is stored in half precision


def start_weights(folder: Path, config: VAEConfig) -> dict[str, Tensor]:
    """Weights of an exported network, by their names in `build(config)`, float32.

    Args:
        folder: of a model that `TimbreModel.load` accepts.
        config: of the network that is to be trained.

    Raises:
        InputError: its network has another shape.
    """
    weights = dict(build(config).state_dict())
    stored = {}
    for file in ONNX_FILES:
        for name, values in _initialisers(folder / file):
            name = name.removeprefix("network.").removesuffix(HALF)
            if name in weights:
                stored[name] = torch.from_numpy(values)
    # Of weights that are alike, as zeros that never moved, an export keeps one.
    needed = {name for name, value in weights.items() if value.min() < value.max()}
    fits = all(value.shape == weights[name].shape for name, value in stored.items())
    if not fits or not needed <= set(stored):
        raise InputError(
            f"{folder}: its network is not the one to be trained "
            f"({config.arch}, width {config.width}); start without it"
        )
    return weights | stored


def _initialisers(path: Path) -> list[tuple[str, np.ndarray[Any, Any]]]:
    import onnx

    graph = onnx.load(str(path)).graph
    return [
        (tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float32))
        for tensor in graph.initializer
    ]
