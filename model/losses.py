"""What training minimises: KL and squared error as in the seed, and detail.

Squared error alone is content with a blur: where the network is unsure of a
partial's place, the mean of all places costs least, and the sound turns to wash.
So the error of the *detail* (the spectrum less its moving mean) counts again,
and the amount of detail in each region must match, wherever it lies.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.config import AXIS

DETAIL_BANDS = 41  # a third of an octave: what is narrower is a partial
AUDIBLE = 0.3  # timbre value under which detail is not counted


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts, against the squared error's one.

    Attributes:
        sigma_db: standard deviation that the decoder grants each band; the
            smaller, the more the squared error outweighs the KL.
        beta: of the KL divergence from N(0, I).
        detail: of the detail's squared error.
        contrast: of the difference in the amount of detail.
        free_nats: KL of a latent that costs nothing, so that none collapses.
    """

    sigma_db: float = 5.0
    beta: float = 1.0
    detail: float = 1.0
    contrast: float = 0.5
    free_nats: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Means over a batch; all but `total` before weighting.

    Attributes:
        total: what is minimised.
        squared: half the squared error in sigmas, summed over bands.
        kl: in nats, summed over latents.
        detail: as `squared`, of the detail.
        contrast: absolute error of the amount of detail in sigmas, summed.
    """

    total: Tensor
    squared: Tensor
    kl: Tensor
    detail: Tensor
    contrast: Tensor


def losses(
    decoded: Tensor,
    timbre: Tensor,
    mean: Tensor,
    logvar: Tensor,
    weights: LossWeights,
    beta: float,
) -> Losses:
    """Loss terms of a batch.

    Args:
        decoded: (n, n_bands), unbounded.
        timbre: (n, n_bands), what it should be.
        mean: (n, n_latents) of the posterior.
        logvar: likewise.
        weights: how the terms are weighed.
        beta: weight of the KL now; it grows over the first epochs.
    """
    per_sigma = AXIS.range_db / weights.sigma_db
    error = (decoded - timbre) * per_sigma
    squared = 0.5 * error.square().sum(dim=1).mean()
    wanted, got = detail(timbre), detail(decoded)
    detail_error = 0.5 * ((got - wanted) * per_sigma).square().sum(dim=1).mean()
    amount_error = (_amount(got) - _amount(wanted)) * per_sigma
    # Half of it would suffice to reach the amount; nothing rewards exceeding it.
    contrast = amount_error.abs().sum(dim=1).mean()
    kl_each = kl_divergence(mean, logvar).mean(dim=0)
    kl = kl_each.sum()
    kl_counted = kl_each.clamp(min=weights.free_nats).sum()
    total = (
        squared
        + beta * kl_counted
        + weights.detail * detail_error
        + weights.contrast * contrast
    )
    return Losses(total, squared, kl, detail_error, contrast)


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL of N(mean, exp(logvar)) from N(0, 1) in nats, same shape."""
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar)


def detail(timbre: Tensor) -> Tensor:
    """A timbre less its moving mean over `DETAIL_BANDS`, same shape."""
    return timbre - _moving_mean(timbre, DETAIL_BANDS)


def _amount(detail_of: Tensor) -> Tensor:
    """How much detail there is around each band, same shape."""
    return _moving_mean(detail_of.abs(), 2 * DETAIL_BANDS - 1)


def _moving_mean(x: Tensor, width: int) -> Tensor:
    half = width // 2
    padded = functional.pad(x.unsqueeze(1), (half, half), mode="replicate")
    mean: Tensor = torch.nn.functional.avg_pool1d(padded, width, stride=1)
    return mean.squeeze(1)
