"""What training minimises: KL and squared error as in the seed, and detail.

Squared error alone is content with a blur: where the network is unsure of a
partial's place, the mean of all places costs least, and the sound turns to wash.
So the error of the *detail* (the spectrum less its moving mean) counts again,
and the amount of detail in each region must match, wherever it lies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from effects.audio.k_weighting import k_weighting
from model.config import AXIS
from model.training.vae import VAE

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
        level: of the squared error of the loudness, which hangs on few bands.
        between: of the same two for points halfway between clips, which have no
            clip to equal, but should sound no blurrier and no louder than both.
        free_nats: KL of a latent that costs nothing, so that none collapses.
    """

    sigma_db: float = 2.0
    beta: float = 1.0
    detail: float = 1.0
    contrast: float = 1.3
    level: float = 60.0
    between: float = 0.1
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
        level: half the squared error of the loudness in sigmas.
        between: contrast and level, weighted, of points between clips.
    """

    total: Tensor
    squared: Tensor
    kl: Tensor
    detail: Tensor
    contrast: Tensor
    level: Tensor
    between: Tensor


def losses(
    network: VAE, timbre: Tensor, noise: Tensor, weights: LossWeights, beta: float
) -> Losses:
    """Loss terms of a batch.

    Args:
        network: encodes and decodes.
        timbre: (n, n_bands).
        noise: (n, n_latents), standard normal.
        weights: how the terms are weighed.
        beta: weight of the KL now; it grows over the first epochs.
    """
    mean, logvar = network.encode(timbre)
    z = mean + torch.exp(0.5 * logvar) * noise
    decoded = network.decode(z).float()
    mean, logvar = mean.float(), logvar.float()

    per_sigma = AXIS.range_db / weights.sigma_db
    squared = 0.5 * ((decoded - timbre) * per_sigma).square().sum(dim=1).mean()
    wanted, got = detail(timbre), detail(decoded)
    detail_error = 0.5 * ((got - wanted) * per_sigma).square().sum(dim=1).mean()
    amount, loudness = _amount(wanted), _loudness_db(timbre)
    contrast = _contrast(_amount(got), amount, per_sigma)
    level = _level(_loudness_db(decoded), loudness, weights.sigma_db)
    between = torch.zeros(())
    if weights.between > 0.0:
        few = slice(0, max(2, len(z) // 4))  # enough, and it costs a quarter
        # From its own noise each row draws how far it lies from the next clip.
        share = 0.5 + 0.5 * torch.erf(noise[few, :1] / math.sqrt(2.0))
        ends, amount, loudness = z[few], amount[few], loudness[few]
        mixed = network.decode(torch.lerp(ends, ends.roll(1, dims=0), share)).float()
        amount = torch.lerp(amount, amount.roll(1, dims=0), share)
        loudness = torch.lerp(loudness, loudness.roll(1), share[:, 0])
        between = weights.contrast * _contrast(
            _amount(detail(mixed)), amount, per_sigma
        ) + weights.level * _level(_loudness_db(mixed), loudness, weights.sigma_db)

    kl_each = kl_divergence(mean, logvar).mean(dim=0)
    total = (
        squared
        + beta * kl_each.clamp(min=weights.free_nats).sum()
        + weights.detail * detail_error
        + weights.contrast * contrast
        + weights.level * level
        + weights.between * between
    )
    return Losses(total, squared, kl_each.sum(), detail_error, contrast, level, between)


def _contrast(got: Tensor, wanted: Tensor, per_sigma: float) -> Tensor:
    return ((got - wanted) * per_sigma).abs().sum(dim=1).mean()


def _level(got_db: Tensor, wanted_db: Tensor, sigma_db: float) -> Tensor:
    return 0.5 * ((got_db - wanted_db) / sigma_db).square().mean()


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL of N(mean, exp(logvar)) from N(0, 1) in nats, same shape."""
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar)


def detail(timbre: Tensor) -> Tensor:
    """A timbre less its moving mean over `DETAIL_BANDS`, same shape."""
    return timbre - _moving_mean(timbre, DETAIL_BANDS)


def _loudness_db(timbre: Tensor) -> Tensor:
    """K-weighted level in dB of timbres (n, n_bands), shape (n,)."""
    weight = torch.from_numpy(k_weighting(AXIS.centres)).float().log()
    per_db = math.log(10.0) / 10.0
    level_db = AXIS.floor_db + AXIS.range_db * timbre.clamp(-0.5, 1.5)
    return torch.logsumexp(per_db * level_db + weight, dim=1) / per_db


def _amount(detail_of: Tensor) -> Tensor:
    """How much detail there is around each band, same shape."""
    return _moving_mean(detail_of.abs(), 2 * DETAIL_BANDS - 1)


def _moving_mean(x: Tensor, width: int) -> Tensor:
    half = width // 2
    padded = functional.pad(x.unsqueeze(1), (half + 1, half), mode="replicate")
    sums = padded.squeeze(1).cumsum(dim=1)  # far quicker than pooling
    return (sums[:, width:] - sums[:, :-width]) / width
