"""Weights that training starts from: those of a model folder, or random ones."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from model.inference import BUNDLED, ONNX_FILES, TimbreModel
from model.training.dataset import Split
from model.training.fit import Progress, TrainSettings, fit
from model.training.held_out import held_out_error_db
from model.training.vae import VAEConfig, build

HALF = ".half"  # ends the name of a weight that is stored in half precision
TRIAL = 0.1  # share of the epochs that each start gets when one is to be chosen
MIN_TRIAL = 3  # epochs
CHOICE = "start.json"  # the outcome, beside the checkpoint
MAX_BYTES = 1 << 12


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        folder: of a model; None for random weights.
        errors_db: on held-out songs, of a training from random weights and of one from
            the model, where the two were tried; else empty.
    """

    folder: Path | None = None
    errors_db: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What it is, for people."""
        if self.folder is None:
            return "random weights"
        return "the bundled model" if self.folder == BUNDLED else str(self.folder)

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """Settings of a training with this start."""
        if self.folder is None:
            return settings
        origin = TimbreModel.load(self.folder)
        return replace(settings, start=origin.hash)

    def weights(self, settings: TrainSettings) -> dict[str, Tensor] | None:
        """First weights, or None for random ones.

        Raises:
            InputError: the model's network is another than that of the settings.
        """
        if self.folder is None:
            return None
        return start_weights(self.folder, settings.vae)


class _StartChoice(TypedDict):
    bundled: bool
    errors_db: list[float]


def choose_start(
    split: Split,
    work_dir: Path,
    settings: TrainSettings,
    progress: Callable[[str], Progress | None] | None = None,
    device: str = "cpu",
) -> Start:
    """Find out whether the bundled model or random weights are the better start.

    Both are trained for a tenth of the epochs, a whole schedule each, and compared on
    the validation clips. The outcome is kept in `work_dir`, and what was trained half
    is resumed.

    Args:
        split: the divided corpus.
        work_dir: folder of the checkpoints.
        settings: of the training that is to come.
        progress: returns what is called after each epoch of the trial of that name.
        device: of torch.
    """
    kept = work_dir / CHOICE
    if kept.exists():
        content = read_bytes(kept, MAX_BYTES, "file of a training")
        choice = decode_json(content, _StartChoice, str(kept))
        folder = BUNDLED if choice["bundled"] else None
        return Start(folder, tuple(choice["errors_db"]))
    try:
        start_weights(BUNDLED, settings.vae)
    except InputError:  # another network than the bundled one
        return Start()
    errors = []
    epochs = max(MIN_TRIAL, round(TRIAL * settings.epochs))
    for name, start in (("random", Start()), ("bundled", Start(BUNDLED))):
        trial = start.settings(replace(settings, epochs=epochs))
        network, _ = fit(
            split,
            work_dir / f"trial-{name}",
            trial,
            progress(name) if progress is not None else None,
            start.weights(trial),
            device,
        )
        errors.append(held_out_error_db(network, split.validation))
    is_bundled = errors[1] <= errors[0]
    write_whole(kept, json.dumps({"bundled": is_bundled, "errors_db": errors}))
    return Start(BUNDLED if is_bundled else None, tuple(errors))


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
