"""The training loop: timbres to the weights of a VAE.

All random numbers of an epoch follow from the seed and the number of the epoch, so
training that is resumed from a checkpoint ends with the same weights as training that
was not interrupted.
"""

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from effects.base.errors import InputError, RunError
from model.training.checkpoint import read_checkpoint, write_checkpoint
from model.training.dataset import Augmentation, Split, augment
from model.training.held_out import held_out_error_db
from model.training.losses import Losses, LossWeights, losses
from model.training.vae import VAE, VAEConfig, build

LAST = "last.pt"
SAVE_SECONDS = 30.0  # between checkpoints: the most work that a kill can lose
WARM_UP = 0.03  # share of all steps over which the learning rate rises
FOLLOW_STEPS = 4  # between updates of the averaged weights
LEVEL_RISES = (0.2, 0.5)  # shares of all steps between which the level comes in
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
    weight_decay: float = 0.1
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
        rmse_db: of validation clips, as `held_out_error_db` gives it.
        is_best: whether the error is the least so far, or these weights are kept
            because the loss is not yet complete.
        left_s: seconds that the epochs to come will take.
    """

    epoch: int
    epochs: int
    seconds: float
    train: dict[str, float]
    validation: dict[str, float]
    rmse_db: float
    is_best: bool
    left_s: float = 0.0


Progress = Callable[[EpochReport], None]


def fit(
    split: Split,
    work_dir: Path,
    settings: TrainSettings,
    progress: Progress | None = None,
    weights: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
) -> tuple[VAE, list[dict[str, Any]]]:
    """Train a VAE, resuming from the checkpoint in `work_dir` if there is one.

    Args:
        split: the divided corpus.
        work_dir: folder of the checkpoint.
        settings: of training.
        progress: called after each epoch.
        weights: of the network at the start; random by default. If no epoch has a
            lower error on the validation clips, these are what is returned.
        device: of torch, on which the network is trained.

    Returns:
        The network with the averaged weights that had the lowest error on the
        validation clips, on the CPU and in evaluation mode, and the metrics of every
        epoch.

    Raises:
        InputError: the checkpoint is damaged or was made with other settings.
        RunError: the loss became NaN, or the disk is full.
    """
    torch.manual_seed(settings.seed)
    run = _Run(settings, _total_steps(split, settings), weights, device)
    history = run.resume(work_dir)
    if weights is not None and not history:
        run.keep_if_best(run.validate(torch.from_numpy(split.validation))["rmse_db"])
    train = torch.from_numpy(split.train).repeat(_repeats(split, settings), 1)
    validation = torch.from_numpy(split.validation)
    saved_at = time.monotonic()
    for epoch in range(len(history), settings.epochs):
        if _is_stuck(history, settings.patience):
            break
        started = time.monotonic()
        train_means = run.epoch(train, epoch)
        report = run.validate(validation)
        rmse_db = report.pop("rmse_db")
        is_best = run.keep_if_best(rmse_db)
        row = EpochReport(
            epoch + 1,
            settings.epochs,
            time.monotonic() - started,
            train_means,
            report,
            rmse_db,
            is_best,
            (settings.epochs - epoch - 1) * _seconds_each(history, started),
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
        device: str = "cpu",
    ) -> None:
        self.settings = settings
        self.device = torch.device(device)
        self.is_fresh = weights is None
        self.total_steps = total_steps
        self.step = 0
        self.network = build(settings.vae)
        if weights is not None:
            self.network.load_state_dict(dict(weights))
        self.network.to(self.device)
        self.average = _copy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.best_error = float("inf")
        self.best_weights = _copy(self.network)
        self.fast = settings.bfloat16 and (
            self.device.type != "cpu" or has_bfloat16_units()
        )

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
            # Drawn on the processor: one seed gives the same clips on every device.
            batch, noise = batch.to(self.device), noise.to(self.device)
            terms = self._losses(
                self.network, batch, noise, self._beta(), self._level_share()
            )
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
        timbre = validation.float().to(self.device)
        rmse_db = held_out_error_db(average, validation)
        generator = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(
            len(timbre), self.settings.vae.n_latents, generator=generator
        ).to(self.device)
        terms = self._losses(average, timbre, noise, self.settings.loss.beta, 1.0)
        return {**_floats(terms), "rmse_db": rmse_db}

    def keep_if_best(self, error: float) -> bool:
        """Keep the averaged weights if their error on held-out songs is the least.

        Weights from before the whole loss was in force are always replaced.
        """
        if self._level_share() >= 1.0 and not error < self.best_error:
            return False
        self.best_error = error if self._level_share() >= 1.0 else float("inf")
        self.best_weights = {k: v.clone() for k, v in self.average.items()}
        return True

    def best(self) -> VAE:
        """The network with the weights that were kept, in evaluation mode."""
        network = build(self.settings.vae)
        network.load_state_dict(self.best_weights)  # copied to the processor
        return network.eval()

    def save(self, work_dir: Path, history: list[dict[str, Any]]) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "settings": _identity(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "best_error": self.best_error,
            "best_weights": self.best_weights,
            "history": json.dumps(history),
        }
        write_checkpoint(work_dir / LAST, state)

    def resume(self, work_dir: Path) -> list[dict[str, Any]]:
        """Load the state of an earlier run, and return its history."""
        path = work_dir / LAST
        if not path.exists():
            return []
        state = read_checkpoint(path)
        if state.get("settings") != _identity(self.settings):
            raise InputError(
                f"{path} was made with other settings, or by another version; "
                f"give another output folder, or remove {path.parent}"
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average = self._placed(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best_error = state["best_error"]
        self.best_weights = self._placed(state["best_weights"])
        history: list[dict[str, Any]] = json.loads(state["history"])
        return history

    def _placed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.to(self.device) for name, value in weights.items()}

    def _losses(
        self,
        network: VAE,
        batch: Tensor,
        noise: Tensor,
        beta: float,
        level_share: float,
    ) -> Losses:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.fast):
            return losses(network, batch, noise, self.settings.loss, beta, level_share)

    def _beta(self) -> float:
        rise = self.step / max(1.0, KL_WARM_UP * self.total_steps)
        return self.settings.loss.beta * min(1.0, 0.05 + 0.95 * rise)

    def _level_share(self) -> float:
        """Share of the level's weight: at first spectra are too blurred to have one."""
        if not self.is_fresh:
            return 1.0
        first, last = LEVEL_RISES
        done = self.step / self.total_steps
        return min(1.0, max(0.0, (done - first) / (last - first)))

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
        network = build(self.settings.vae).to(self.device)
        network.load_state_dict(self.average)
        return network.eval()


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


def _seconds_each(history: list[dict[str, Any]], started: float) -> float:
    """Median duration of the last epochs, with the one that began at `started`."""
    recent = [float(row["seconds"]) for row in history[-8:]]
    return statistics.median([*recent, time.monotonic() - started])


def _copy(network: VAE) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _floats(terms: Losses) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in vars(terms).items()}


def has_bfloat16_units() -> bool:
    """Whether this processor multiplies in bfloat16 by units of its own."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))
