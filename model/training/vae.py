"""The two networks: from a timbre (1,233 bands) to a posterior of 32 latents, and back.

`SeedVAE` is the project's original network, 1-D ResNet blocks over the bands. The
layers of `DenseVAE` see all bands at once and place the partials of a chord far better.
Both map shape (n, 1233) in 0..1 to the same shape; encoder and decoder are exported to
two files.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from model.config import AXIS, N_LATENTS

LOGVAR_RANGE = (-10.0, 4.0)  # beyond it, exp() makes training unstable


@dataclass(frozen=True)
class VAEConfig:
    """Architecture and sizes of a network; stored in checkpoints and model.json.

    Attributes:
        arch: "dense" or "seed".
        width: of the dense layers; number of channels of the seed's widest layers.
        hidden: width inside a dense residual block.
        encoder_blocks: residual blocks of the dense encoder.
        decoder_blocks: residual blocks of the dense decoder.
        sources: number of spectra that the dense decoder adds in power.
        n_bands: of a timbre.
        n_latents: of a point.
        decoder_width: of the dense decoder's layers, where it is another than the
            encoder's, as after `distil`; inside its blocks it is twice that.
    """

    arch: str = "dense"
    width: int = 768
    hidden: int = 768
    encoder_blocks: int = 2
    decoder_blocks: int = 3
    sources: int = 3
    n_bands: int = AXIS.n_bands
    n_latents: int = N_LATENTS
    decoder_width: int | None = None


class VAE(nn.Module):
    """A variational autoencoder: encoder, reparameterization and decoder."""

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, timbre: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log variance, each (n, n_latents)."""
        mean, logvar = self.encoder(timbre).chunk(2, dim=-1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """Timbres (n, n_bands), not clipped to 0..1, so that all have gradients."""
        decoded: Tensor = self.decoder(z)
        return decoded

    def forward(self, timbre: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, mean and log variance, for noise of shape (n, n_latents)."""
        mean, logvar = self.encode(timbre)
        z = mean + torch.exp(0.5 * logvar) * noise
        return self.decode(z), mean, logvar


class ResidualBlock(nn.Module):
    """A residual block: layer norm, linear, GELU, linear, added to the input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        nn.init.zeros_(self.narrow.weight)  # a new block begins as the identity
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width) to (n, width)."""
        inner = nn.functional.gelu(self.widen(self.norm(x)))
        out: Tensor = x + self.narrow(inner)
        return out


class DenseVAE(VAE):
    """Dense residual blocks on either side of the latents."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.encoder = nn.Sequential(
            Centre(),
            nn.Linear(config.n_bands, width),
            *[ResidualBlock(width, hidden) for _ in range(config.encoder_blocks)],
            nn.LayerNorm(width),
            nn.Linear(width, 2 * config.n_latents),
        )
        self.decoder = dense_decoder(config)


def dense_decoder(config: VAEConfig) -> nn.Sequential:
    """The decoder of a `DenseVAE`."""
    width, hidden = config.width, config.hidden
    if config.decoder_width is not None:
        width, hidden = config.decoder_width, 2 * config.decoder_width
    return nn.Sequential(
        nn.Linear(config.n_latents, width),
        *[ResidualBlock(width, hidden) for _ in range(config.decoder_blocks)],
        nn.LayerNorm(width),
        nn.Linear(width, config.sources * config.n_bands),
        PowerSum(config.sources),
        Uncentre(),
    )


class PowerSum(nn.Module):
    """Adds the spectra of several sources in power, not in decibels.

    The spectrum of a chord under a noise is then the sum of two simple ones; without
    it, the layer would have to learn which of the two masks the other in every band.
    """

    # A factor of e in power, in units of `Centre`.
    per_neper = 4.0 * 10.0 / math.log(10.0) / AXIS.range_db

    def __init__(self, sources: int) -> None:
        super().__init__()
        self.sources = sources

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, sources * n_bands) to (n, n_bands)."""
        levels = x.reshape(-1, self.sources, x.shape[-1] // self.sources)
        if self.training:
            added: Tensor = _AddedPower.apply(  # type: ignore[no-untyped-call]
                levels, self.per_neper
            )
            return added
        return torch.logsumexp(levels.float() / self.per_neper, dim=1) * self.per_neper


class _AddedPower(torch.autograd.Function):
    """The same sum as outside training, in half as many passes over memory.

    The gradient of a log-sum-exp is the softmax, which is left over from the forward
    pass; torch computes it again. It is kept in the precision of the levels.
    """

    @staticmethod
    def forward(ctx: Any, levels: Tensor, per_neper: float) -> Tensor:
        nepers = levels.float() * (1.0 / per_neper)
        highest = nepers.amax(dim=1)
        power = nepers.sub_(highest[:, None]).exp_().sum(dim=1)
        ctx.save_for_backward(nepers.div_(power[:, None]).to(levels.dtype))
        return power.log_().add_(highest).mul_(per_neper)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (shares,) = ctx.saved_tensors
        return shares * gradient[:, None].to(shares.dtype), None


class Centre(nn.Module):
    """Shifts and scales timbres of 0..1 to about unit variance around zero."""

    def forward(self, timbre: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        return (timbre - 0.4) * 4.0


class Uncentre(nn.Module):
    """The inverse of `Centre`, for the outputs of the last layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        return x * 0.25 + 0.4


class Upsample(nn.Module):
    """UPSAMPLE(X, Y): repeats each position X times and appends Y zeros."""

    def __init__(self, times: int, zeros: int) -> None:
        super().__init__()
        self.times = times
        self.zeros = zeros

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, length) to (n, c, times * length + zeros)."""
        longer = torch.repeat_interleave(x, self.times, dim=-1)  # (n, c, X * length)
        return nn.functional.pad(longer, (0, self.zeros))


class ConvBlock(nn.Module):
    """A 1-D ResNet block with same-size padding; the last one has no skip.

    `transposed` uses inverse convolutions, as the decoder does.
    """

    def __init__(
        self, inputs: int, outputs: int, *, transposed: bool, skip: bool
    ) -> None:
        super().__init__()
        conv = nn.ConvTranspose1d if transposed else nn.Conv1d
        self.body = nn.Sequential(
            conv(inputs, outputs, kernel_size=5, padding=2),
            nn.GroupNorm(1, outputs),
            nn.GELU(),
            conv(outputs, outputs, kernel_size=5, padding=2),
        )
        self.match = conv(inputs, outputs, kernel_size=1) if skip else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, length) to (n, outputs, length)."""
        out: Tensor = self.body(x)
        if self.match is not None:
            out = out + self.match(x)
        return out


class SeedVAE(VAE):
    """The original network: ResNet blocks between seven poolings and upsamplings.

    Bands 1233 -> 616 -> 308 -> 154 -> 77 -> 38 -> 19 -> 9 by average pooling, and
    back by UPSAMPLE(2, 0) or UPSAMPLE(2, 1) where a length is odd.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        lengths = [config.n_bands]
        while lengths[-1] > 9:
            lengths.append(lengths[-1] // 2)
        steps = len(lengths) - 1
        # Few channels where there are many bands, `width` where there are nine.
        channels = [max(4, config.width >> (steps - i)) for i in range(steps + 1)]
        encoder: list[nn.Module] = [Centre(), nn.Unflatten(1, (1, config.n_bands))]
        for i in range(steps):
            inputs = 1 if i == 0 else channels[i]
            last = i == steps - 1
            encoder += [
                ConvBlock(inputs, channels[i + 1], transposed=False, skip=not last),
                nn.AvgPool1d(2),
            ]
        flat = channels[-1] * lengths[-1]
        self.encoder = nn.Sequential(
            *encoder, nn.Flatten(), nn.Linear(flat, 2 * config.n_latents)
        )
        decoder: list[nn.Module] = [
            nn.Linear(config.n_latents, flat),
            nn.Unflatten(1, (channels[-1], lengths[-1])),
        ]
        for i in reversed(range(steps)):
            outputs = 1 if i == 0 else channels[i]
            decoder += [
                Upsample(2, lengths[i] - 2 * lengths[i + 1]),
                ConvBlock(channels[i + 1], outputs, transposed=True, skip=i > 0),
            ]
        self.decoder = nn.Sequential(*decoder, nn.Flatten(), Uncentre())


def build(config: VAEConfig) -> VAE:
    """Make the network of a configuration, with random weights.

    Raises:
        ValueError: an architecture that does not exist.
    """
    networks = {"dense": DenseVAE, "seed": SeedVAE}
    if config.arch not in networks:
        known = ", ".join(sorted(networks))
        raise ValueError(f"no architecture {config.arch!r}; there are: {known}")
    return networks[config.arch](config)
