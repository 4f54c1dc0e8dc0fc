import numpy as np
import pytest
import torch

from model.config import AXIS, N_LATENTS
from model.training.vae import PowerSum, SeedVAE, Upsample, VAEConfig, build


@pytest.mark.parametrize("arch", ["dense", "seed"])
@pytest.mark.parametrize("n", [1, 5])
def test_shapes_go_round(arch: str, n: int) -> None:
    network = build(VAEConfig(arch=arch, width=32, hidden=48))
    timbre = torch.rand(n, AXIS.n_bands)
    decoded, mean, logvar = network(timbre, torch.randn(n, N_LATENTS))
    assert decoded.shape == timbre.shape
    assert mean.shape == logvar.shape == (n, N_LATENTS)


def test_seed_network_doubles_to_the_band_count() -> None:
    network = build(VAEConfig(arch="seed", width=32))
    assert isinstance(network, SeedVAE)
    lengths = []
    for module in network.decoder.children():
        if isinstance(module, Upsample):
            module.register_forward_hook(
                lambda _, inputs, output: lengths.append(output.shape[-1])
            )
    network.decode(torch.zeros(1, N_LATENTS))
    assert lengths == [19, 38, 77, 154, 308, 616, 1233]


def test_upsample_repeats_then_pads_with_zeros() -> None:
    x = torch.tensor([[[1.0, 2.0]]])
    assert Upsample(2, 1)(x).tolist() == [[[1.0, 1.0, 2.0, 2.0, 0.0]]]


def test_last_seed_blocks_have_no_skip() -> None:
    network = build(VAEConfig(arch="seed", width=32))
    for half in (network.encoder, network.decoder):
        blocks = [m for m in half.children() if hasattr(m, "match")]
        assert [block.match is None for block in blocks] == [False] * 6 + [True]


def test_every_weight_of_the_dense_network_learns() -> None:
    network = build(VAEConfig(width=32, hidden=32))
    timbre = torch.rand(4, AXIS.n_bands)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):  # blocks begin as identities: the second step reaches all
        optimiser.zero_grad()
        decoded, mean, logvar = network(timbre, torch.randn(4, N_LATENTS))
        ((decoded - timbre).square().mean() + logvar.mean() + mean.mean()).backward()
        optimiser.step()
    still = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0.0
    ]
    assert still == []


def test_unknown_architecture_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="dense, seed"):
        build(VAEConfig(arch="transformer"))


def test_sources_add_in_power() -> None:
    # Two equal sources are 3 dB above one; a source 40 dB below adds next to nothing.
    per_db = 4.0 / AXIS.range_db  # in the unit of the network's inside
    add = PowerSum(2)
    even = torch.full((1, 2 * 5), 0.3)
    np.testing.assert_allclose(add(even).numpy(), 0.3 + 3.0103 * per_db, atol=1e-4)
    uneven = torch.cat([torch.full((1, 5), 0.3), torch.full((1, 5), 0.3 - 40 * per_db)])
    np.testing.assert_allclose(add(uneven.reshape(1, -1)).numpy(), 0.3, atol=1e-4)


def test_powers_add_up_alike_in_training_and_in_use() -> None:
    """In training the sum is written out for speed, its gradient with it."""
    levels = 3.0 * torch.randn(4, 3 * 7, generator=torch.Generator().manual_seed(1))
    found = []
    for training in (True, False):
        x = levels.clone().requires_grad_()
        added = PowerSum(3).train(training)(x)
        added.square().sum().backward()
        assert x.grad is not None
        found.append((added.detach(), x.grad))
        assert ("AddedPower" in str(added.grad_fn)) is training
    (in_training, its_gradient), (in_use, wanted_gradient) = found
    assert torch.allclose(in_training, in_use, atol=1e-6)
    assert torch.allclose(its_gradient, wanted_gradient, atol=1e-5)
    loud = torch.full((1, 3), 400.0)  # exp() of which is beyond float32
    assert torch.isfinite(PowerSum(3).train()(loud)).all()
    half = levels.bfloat16().requires_grad_()
    PowerSum(3).train()(half).square().sum().backward()
    assert half.grad is not None
    assert torch.allclose(half.grad.float(), wanted_gradient, rtol=0.05, atol=0.05)
