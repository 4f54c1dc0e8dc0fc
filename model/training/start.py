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
from model.training.network_size import suited, with_steps
from model.training.vae import VAEConfig, build

HALF = ".half"  # ends the name of a weight that is stored in half precision
# Share of the epochs that each start gets when one is to be chosen. So short a trial
# favours a model's weights; where both would end alike, that costs little.
TRIAL = 0.05
MIN_TRIAL = 3  # epochs
# Times the learning rate, where weights are those of a model: 1.8e-3 for 1.2e-3. From
# the bundled one, 40 epochs on 327 songs came to 0.916, 0.907, 0.904 and 0.924 of PCA's
# error at rates of 5e-4, 1.2e-3, 2e-3 and 3.2e-3.
FASTER = 1.5
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

    def settings(self, settings: TrainSettings, n_clips: int) -> TrainSettings:
        """Settings of a training with this start; to be asked for once.

        Args:
            settings: for a large corpus and random weights.
            n_clips: to train on. On few, random weights are those of a small network,
                as `suited` says. A model's weights have its network's size, and a
                dense network with them learns at `FASTER` times the rate.

        Raises:
            InputError: the model cannot be read.
        """
        if self.folder is None:
            return suited(settings, n_clips)
        origin = TimbreModel.load(self.folder)
        vae = network_of(self.folder, settings.vae)
        settings = replace(settings, start=origin.hash, vae=vae)
        if vae.arch == "dense":
            rate = FASTER * settings.learning_rate
            settings = replace(settings, learning_rate=rate)
        return with_steps(settings, n_clips)

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

    Both are trained for a twentieth of the epochs, at least three, a whole schedule
    each, and compared on the validation clips. The outcome is kept in `work_dir`, and
    what was trained half is resumed.

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
    bundled, n_clips = Start(BUNDLED), len(split.train)
    with_bundled = bundled.settings(settings, n_clips)
    try:
        bundled.weights(with_bundled)
    except InputError:  # another kind of network than the bundled one
        return Start()
    errors = []
    epochs = trial_epochs(settings.epochs)
    for name, start in (("random", Start()), ("bundled", bundled)):
        trial = start.settings(replace(settings, epochs=epochs), n_clips)
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


def trial_epochs(epochs: int) -> int:
    """Epochs of the trial of a start, before a training of so many."""
    return max(MIN_TRIAL, round(TRIAL * epochs))


def network_of(folder: Path, config: VAEConfig) -> VAEConfig:
    """The configuration of an exported dense network, whatever its size.

    Args:
        folder: of a model that `TimbreModel.load` accepts.
        config: returned as it is if either network is of another kind.
    """
    shapes = {name: values.shape for name, values in stored_weights(folder).items()}
    blocks = {
        part: [n for n in shapes if n.startswith(part) and n.endswith("widen.weight")]
        for part in ("encoder", "decoder")
    }
    n_blocks = len(blocks["decoder"])
    last = f"decoder.{n_blocks + 2}.weight"  # after the blocks and a norm
    if config.arch != "dense" or not all(blocks.values()) or last not in shapes:
        return config
    hidden, width = shapes[blocks["encoder"][0]]
    decoder_width = shapes[last][1]
    return replace(
        config,
        width=width,
        hidden=hidden,
        encoder_blocks=len(blocks["encoder"]),
        decoder_blocks=n_blocks,
        sources=shapes[last][0] // config.n_bands,
        decoder_width=None if decoder_width == width else decoder_width,
    )


def start_weights(folder: Path, config: VAEConfig) -> dict[str, Tensor]:
    """Weights of an exported network, by their names in `build(config)`, float32.

    Args:
        folder: of a model that `TimbreModel.load` accepts.
        config: of the network that is to be trained.

    Raises:
        InputError: its network has another shape.
    """
    weights = dict(build(config).state_dict())
    stored = {
        name: torch.from_numpy(values)
        for name, values in stored_weights(folder).items()
        if name in weights
    }
    # Of weights that are alike, as zeros that never moved, an export keeps one.
    needed = {name for name, value in weights.items() if value.min() < value.max()}
    fits = all(value.shape == weights[name].shape for name, value in stored.items())
    if not fits or not needed <= set(stored):
        raise InputError(
            f"{folder}: its network is not the one to be trained "
            f"({config.arch}, width {config.width}); start without it"
        )
    return weights | stored


def stored_weights(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """What a model's two files hold, float32, by its name in the network."""
    import onnx

    stored = {}
    for file in ONNX_FILES:
        for tensor in onnx.load(str(folder / file)).graph.initializer:
            name = tensor.name.removeprefix("network.").removesuffix(HALF)
            stored[name] = onnx.numpy_helper.to_array(tensor).astype(np.float32)
    return stored
