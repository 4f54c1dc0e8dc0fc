"""The error of a network on clips of songs that it is not trained on."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import AXIS
from model.training.vae import VAE


@torch.no_grad()
def held_out_error_db(network: VAE, timbres: NDArray[np.float16] | Tensor) -> float:
    """RMSE in dB of timbres (n, n_bands) that are decoded from posterior means."""
    device = next(network.parameters()).device
    timbre = torch.as_tensor(timbres).float().to(device)
    decoded = network.decode(network.encode(timbre)[0]).clamp(0.0, 1.0)
    error_db = (decoded - timbre) * AXIS.range_db
    rmse_db: float = error_db.square().mean().sqrt().item()
    return rmse_db
