"""The loss of training: KL and squared error of a VAE, and terms for tonal detail.

Squared error alone gives blurred spectra: where the network is unsure of the place of a
partial, the mean over all places has the least error. So the error of the detail (the
spectrum less its moving mean) counts again, and the amount of detail in each region is
compared, wherever in the region it lies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from effects.audio.k_weighting import k_weighting
from model.config import AXIS
from model.spectrum import SURROUNDING_BANDS
from model.training.vae import VAE

SPREAD_BANDS = 2 * SURROUNDING_BANDS - 1  # over which the level's gradient is spread
_PER_DB = math.log(10.0) / 10.0


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms; that of the squared error is 1.

    Attributes:
        sigma_db: standard deviation of the decoder's distribution of each band; the
            smaller it is, the more the squared error counts against the KL.
        beta: of the KL divergence from N(0, I).
        detail: of the squared error of the detail.
        contrast: of the difference in the amount of detail.
        level: of the squared error of the loudness, which few bands decide.
        between: of contrast and level at points between clips. There is no clip to
            compare them with, but they should be no blurrier and no louder than the
            two clips.
        free_nats: KL of a latent that costs nothing, so that none collapses.
    """

    sigma_db: float = 2.0
    beta: float = 1.0
    detail: float = 1.0
    contrast: float = 0.3
    level: float = 60.0
    between: float = 0.03
    free_nats: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Loss terms, means over a batch; all but `total` are unweighted.

    Attributes:
        total: the weighted sum, which is minimised.
        squared: half the squared error in sigmas, summed over bands.
        kl: in nats, summed over latents.
        detail: half the squared error of the detail in sigmas, summed over bands.
        contrast: absolute error of the amount of detail in sigmas, summed.
        level: half the squared error of the loudness in sigmas.
        between: weighted sum of contrast and level at points between clips.
    """

    total: Tensor
    squared: Tensor
    kl: Tensor
    detail: Tensor
    contrast: Tensor
    level: Tensor
    between: Tensor


def losses(
    network: VAE,
    timbre: Tensor,
    noise: Tensor,
    weights: LossWeights,
    beta: float,
    level_share: float = 1.0,
) -> Losses:
    """Compute the loss terms of a batch.

    Args:
        network: the VAE.
        timbre: shape (n, n_bands), 0..1.
        noise: shape (n, n_latents), standard normal.
        weights: of the terms.
        beta: present weight of the KL; it rises over the first epochs.
        level_share: present share of the weight of the level, 0..1; it comes in late.
    """
    mean, logvar = network.encode(timbre)
    z = mean + torch.exp(0.5 * logvar) * noise
    decoded = network.decode(z).float()
    mean, logvar = mean.float(), logvar.float()

    per_sigma = AXIS.range_db / weights.sigma_db
    squared = _half_squared(decoded, timbre, per_sigma)
    wanted, got = detail(timbre), detail(decoded)
    detail_error = _half_squared(got, wanted, per_sigma)
    amount, loudness = _amount(wanted), _loudness_db(timbre)
    power_share = _power_share(timbre)
    contrast = _contrast(_amount(got), amount, per_sigma)
    level = _level(_spread_db(decoded, power_share), loudness, weights.sigma_db)
    between = torch.zeros((), device=timbre.device)
    if weights.between > 0.0:
        few = slice(0, max(2, len(z) // 4))  # a quarter of the cost, and enough
        # The noise of a row decides how far its point lies on the way to the next.
        share = 0.5 + 0.5 * torch.erf(noise[few, :1] / math.sqrt(2.0))
        ends, amount, loudness = z[few], amount[few], loudness[few]
        mixed = network.decode(torch.lerp(ends, ends.roll(1, dims=0), share)).float()
        amount = torch.lerp(amount, amount.roll(1, dims=0), share)
        loudness = torch.lerp(loudness, loudness.roll(1), share[:, 0])
        power_share = torch.lerp(
            power_share[few], power_share[few].roll(1, dims=0), share
        )
        between = weights.contrast * _contrast(
            _amount(detail(mixed)), amount, per_sigma
        ) + level_share * weights.level * _level(
            _spread_db(mixed, power_share), loudness, weights.sigma_db
        )

    kl_each = kl_divergence(mean, logvar).mean(dim=0)
    total = (
        squared
        + beta * kl_each.clamp(min=weights.free_nats).sum()
        + weights.detail * detail_error
        + weights.contrast * contrast
        + level_share * weights.level * level
        + weights.between * between
    )
    return Losses(total, squared, kl_each.sum(), detail_error, contrast, level, between)


def _half_squared(got: Tensor, wanted: Tensor, per_sigma: float) -> Tensor:
    """Half the squared error in sigmas, summed over bands, mean over rows."""
    total = functional.mse_loss(got, wanted, reduction="sum")
    return 0.5 * per_sigma**2 / len(got) * total


def _contrast(got: Tensor, wanted: Tensor, per_sigma: float) -> Tensor:
    return per_sigma / len(got) * functional.l1_loss(got, wanted, reduction="sum")


def _level(got_db: Tensor, wanted_db: Tensor, sigma_db: float) -> Tensor:
    return 0.5 * ((got_db - wanted_db) / sigma_db).square().mean()


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL of N(mean, exp(logvar)) from N(0, 1) in nats, same shape."""
    return 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar)


def detail(timbre: Tensor) -> Tensor:
    """Timbres (n, n_bands) less their moving mean over `SURROUNDING_BANDS`."""
    return timbre - _moving_mean(timbre, SURROUNDING_BANDS)


def _loudness_db(timbre: Tensor) -> Tensor:
    """K-weighted level in dB of timbres (n, n_bands), shape (n,)."""
    return torch.logsumexp(_weighted_nepers(timbre), dim=1) / _PER_DB


def _spread_db(decoded: Tensor, power_share: Tensor) -> Tensor:
    """K-weighted level of decoded timbres, with a gradient that is spread over bands.

    The gradient of the level itself goes to the loudest band. While spectra are still
    blurred, and so too quiet, that band is raised in every sound, grows louder and is
    raised the more: training ended with a whistle 30 dB above the data. Here a band's
    share in the gradient is that of the power around it in the clip.

    Args:
        decoded: timbres (n, n_bands).
        power_share: of the clips to be met, as `_power_share` returns it.
    """
    moved = AXIS.range_db * (decoded - decoded.detach())
    return _loudness_db(decoded.detach()) + (power_share * moved).sum(dim=1)


def _power_share(timbre: Tensor) -> Tensor:
    """Share of the K-weighted power around each band; rows (n, n_bands) sum to 1."""
    share = _moving_mean(torch.softmax(_weighted_nepers(timbre), dim=1), SPREAD_BANDS)
    return share / share.sum(dim=1, keepdim=True)


def _weighted_nepers(timbre: Tensor) -> Tensor:
    """K-weighted power of each band, as a natural logarithm."""
    weight = torch.from_numpy(k_weighting(AXIS.centres)).float().log()
    weight = weight.to(timbre.device)
    level_db = AXIS.floor_db + AXIS.range_db * timbre.clamp(-0.5, 1.5)
    return _PER_DB * level_db + weight


def _amount(detail_of: Tensor) -> Tensor:
    """Mean amount of detail around each band, shape (n, n_bands)."""
    return _moving_mean(detail_of.abs(), 2 * SURROUNDING_BANDS - 1)


def _moving_mean(x: Tensor, width: int) -> Tensor:
    half = width // 2
    padded = functional.pad(x.unsqueeze(1), (half + 1, half), mode="replicate")
    sums = padded.squeeze(1).cumsum(dim=1)  # much faster than pooling
    return (sums[:, width:] - sums[:, :-width]) / width
