"""The training loop: timbres to the weights of a VAE.

All random numbers of an epoch follow from the seed and the number of the epoch, so
training that is resumed from a checkpoint ends with the same weights as training that
was not interrupted.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from effects.base.errors import InputError, RunError
from effects.base.whole_file import whole_file
from model.config import AXIS
from model.training.dataset import Augmentation, Split, augment
from model.training.losses import Losses, LossWeights, losses
from model.training.vae import VAE, VAEConfig, build

LAST = "last.pt"
SAVE_SECONDS = 30.0  # between checkpoints: the most work that a kill can lose
WARM_UP = 0.03  # share of all steps over which the learning rate rises
FOLLOW_STEPS = 4  # between updates of the averaged weights
KL_WARM_UP = 0.15  # share of all steps over which the weight of the KL rises


@dataclass(frozen=True)
class TrainSettings:
    """Settings that, with the corpus, decide the outcome of training.

    Attributes:
        vae: architecture and sizes of the network.
        epochs: number of passes over the corpus; the schedules depend on it.
        min_epoch: least number of clips in an epoch; a smaller corpus is repeated,
            with other random changes each time.
        batch_size: clips a step.
        learning_rate: highest one of AdamW; it falls to 0 as a cosine.
        weight_decay: of AdamW.
        ema: decay of the averaged weights in a step; these weights are kept.
        patience: epochs without a better validation loss until training ends.
        seed: of all random numbers.
        start: hash of the model that the first weights are taken from; empty for
            random ones.
        loss: weights of the loss terms.
        augmentation: how clips are changed at random.
        bfloat16: multiply in bfloat16 on processors with units for it, which is
            about three times as fast.
    """

    vae: VAEConfig = field(default_factory=VAEConfig)
    epochs: int = 100
    min_epoch: int = 0
    batch_size: int = 256
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.01
    ema: float = 0.999
    patience: int = 20
    seed: int = 0
    start: str = ""
    loss: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)
    bfloat16: bool = True


@dataclass(frozen=True)
class EpochReport:
    """Progress of training after an epoch.

    Attributes:
        epoch: number of epochs done.
        epochs: number planned.
        seconds: that the epoch took.
        train: mean losses of the epoch, named as in `Losses`.
        validation: losses of the averaged weights on the validation clips.
        rmse_db: error of the validation clips decoded from posterior means.
        is_best: whether the validation loss is the least so far.
    """

    epoch: int
    epochs: int
    seconds: float
    train: dict[str, float]
    validation: dict[str, float]
    rmse_db: float
    is_best: bool


Progress = Callable[[EpochReport], None]


def fit(
    split: Split,
    work_dir: Path,
    settings: TrainSettings,
    progress: Progress | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> tuple[VAE, list[dict[str, Any]]]:
    """Train a VAE, resuming from the checkpoint in `work_dir` if there is one.

    Args:
        split: the divided corpus.
        work_dir: folder of the checkpoint.
        settings: of training.
        progress: called after each epoch.
        weights: of the network at the start; random by default.

    Returns:
        The network with the best averaged weights, on the CPU and in evaluation
        mode, and the metrics of every epoch.

    Raises:
        InputError: the checkpoint is damaged or was made with other settings.
        RunError: the loss became NaN, or the disk is full.
    """
    torch.manual_seed(settings.seed)
    run = _Run(settings, _total_steps(split, settings), weights)
    history = run.resume(work_dir)
    train = torch.from_numpy(split.train).repeat(_repeats(split, settings), 1)
    validation = torch.from_numpy(split.validation)
    saved_at = time.monotonic()
    for epoch in range(len(history), settings.epochs):
        if _is_stuck(history, settings.patience):
            break
        started = time.monotonic()
        train_means = run.epoch(train, epoch)
        report = run.validate(validation)
        is_best = run.keep_if_best(report["total"])
        rmse_db = report.pop("rmse_db")
        row = EpochReport(
            epoch + 1,
            settings.epochs,
            time.monotonic() - started,
            train_means,
            report,
            rmse_db,
            is_best,
        )
        history.append(asdict(row))
        is_last = epoch + 1 == settings.epochs or _is_stuck(history, settings.patience)
        if is_last or time.monotonic() - saved_at > SAVE_SECONDS:
            run.save(work_dir, history)
            saved_at = time.monotonic()
        if progress is not None:
            progress(row)
    return run.best(), history


class _Run:
    """The state of training that a checkpoint holds."""

    def __init__(
        self,
        settings: TrainSettings,
        total_steps: int,
        weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.settings = settings
        self.total_steps = total_steps
        self.step = 0
        self.network = build(settings.vae)
        if weights is not None:
            self.network.load_state_dict(dict(weights))
        self.average = _copy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.best_total = float("inf")
        self.best_weights = _copy(self.network)
        self.fast = settings.bfloat16 and _has_bfloat16_units()

    def epoch(self, train: Tensor, epoch: int) -> dict[str, float]:
        """Train for one pass over the corpus, and return the mean of each loss."""
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
        order = torch.randperm(len(train), generator=generator)
        size = min(settings.batch_size, len(train))
        sums: dict[str, float] = {}
        starts = range(0, len(train) - size + 1, size)
        self.network.train()
        for start in starts:
            batch = train[order[start : start + size]].float()
            batch = augment(batch, generator, settings.augmentation)
            noise = torch.randn(size, settings.vae.n_latents, generator=generator)
            terms = self._losses(self.network, batch, noise, self._beta())
            if not torch.isfinite(terms.total):
                raise RunError(
                    f"training failed in epoch {epoch + 1}: the loss is NaN; "
                    "lower the learning rate"
                )
            self.optimiser.zero_grad(set_to_none=True)
            terms.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 50.0)
            self._set_learning_rate()
            self.optimiser.step()
            self.step += 1
            self._follow()
            for name, value in _floats(terms).items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: total / len(starts) for name, total in sums.items()}

    @torch.no_grad()
    def validate(self, validation: Tensor) -> dict[str, float]:
        """Losses and RMSE in dB of the averaged weights on unchanged clips."""
        average = self._averaged_network()
        timbre = validation.float()
        generator = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(
            len(timbre), self.settings.vae.n_latents, generator=generator
        )
        terms = self._losses(average, timbre, noise, self.settings.loss.beta)
        decoded = average.decode(average.encode(timbre)[0]).clamp(0.0, 1.0)
        error_db = (decoded - timbre) * AXIS.range_db
        rmse_db = float(error_db.square().mean().sqrt())
        return {**_floats(terms), "rmse_db": rmse_db}

    def keep_if_best(self, total: float) -> bool:
        """Keep the averaged weights if their loss is the least so far."""
        if not total < self.best_total:
            return False
        self.best_total = total
        self.best_weights = {k: v.clone() for k, v in self.average.items()}
        return True

    def best(self) -> VAE:
        """The network with the weights that were kept, in evaluation mode."""
        network = build(self.settings.vae)
        network.load_state_dict(self.best_weights)
        return network.eval()

    def save(self, work_dir: Path, history: list[dict[str, Any]]) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "settings": _identity(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "best_total": self.best_total,
            "best_weights": self.best_weights,
            "history": json.dumps(history),
        }
        path = work_dir / LAST
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # torch raises its own on a full disk
            if isinstance(error, RunError):
                raise
            raise RunError(f"{path}: cannot be written ({error})") from error

    def resume(self, work_dir: Path) -> list[dict[str, Any]]:
        """Load the state of an earlier run, and return its history."""
        path = work_dir / LAST
        if not path.exists():
            return []
        state = read_checkpoint(path)
        if state.get("settings") != _identity(self.settings):
            raise InputError(
                f"{path} was made with other settings; "
                "give another output folder, or remove it"
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.best_total = state["best_total"]
        self.best_weights = state["best_weights"]
        history: list[dict[str, Any]] = json.loads(state["history"])
        return history

    def _losses(
        self, network: VAE, batch: Tensor, noise: Tensor, beta: float
    ) -> Losses:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.fast):
            return losses(network, batch, noise, self.settings.loss, beta)

    def _beta(self) -> float:
        rise = self.step / max(1.0, KL_WARM_UP * self.total_steps)
        return self.settings.loss.beta * min(1.0, 0.05 + 0.95 * rise)

    def _set_learning_rate(self) -> None:
        done = self.step / self.total_steps
        rise = min(1.0, (self.step + 1) / max(1.0, WARM_UP * self.total_steps))
        fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * rise * fall

    @torch.no_grad()
    def _follow(self) -> None:
        if self.step % FOLLOW_STEPS:
            return
        # With a constant decay, the first, random weights would count for long.
        decay = min(self.settings.ema, (1.0 + self.step) / (10.0 + self.step))
        weight = 1.0 - decay**FOLLOW_STEPS
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, weight)

    def _averaged_network(self) -> VAE:
        network = build(self.settings.vae)
        network.load_state_dict(self.average)
        return network.eval()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code that the file may hold.

    Raises:
        InputError: the file is damaged, or is no checkpoint of Latent's.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many types
        raise InputError(
            f"{path} is no readable checkpoint; remove it to train anew"
        ) from error
    if not isinstance(state, dict) or "best_weights" not in state:
        raise InputError(
            f"{path} is no checkpoint of Latent's; remove it to train anew"
        )
    return state


def planned_epochs(work_dir: Path) -> int | None:
    """Number of epochs planned for the training that a checkpoint is of.

    Args:
        work_dir: folder of the checkpoint.

    Returns:
        None if there is no checkpoint.

    Raises:
        InputError: the checkpoint is damaged, or is none of Latent's.
    """
    path = work_dir / LAST
    if not path.exists():
        return None
    try:
        return int(json.loads(read_checkpoint(path)["settings"])["epochs"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no checkpoint of Latent's; remove it") from error


def _identity(settings: TrainSettings) -> str:
    return json.dumps(asdict(settings), sort_keys=True)


def _total_steps(split: Split, settings: TrainSettings) -> int:
    n_clips = len(split.train) * _repeats(split, settings)
    size = min(settings.batch_size, n_clips)
    return settings.epochs * (n_clips // size)


def _repeats(split: Split, settings: TrainSettings) -> int:
    return max(1, -(-settings.min_epoch // len(split.train)))


def _is_stuck(history: list[dict[str, Any]], patience: int) -> bool:
    best = max((i for i, row in enumerate(history) if row["is_best"]), default=0)
    return len(history) - 1 - best >= patience


def _copy(network: VAE) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _floats(terms: Losses) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in vars(terms).items()}


def _has_bfloat16_units() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
