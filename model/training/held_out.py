"""The error of a network on clips of songs that it is not trained on."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import AXIS
from model.prior import Latents
from model.refinement import Timbres, refine
from model.training.vae import VAE

N_CLIPS = 64  # at most, evenly spaced: enough to tell one epoch from another
N_STEPS = 1  # of refinement, which bring most of what three do


@torch.no_grad()
def held_out_error_db(network: VAE, timbres: NDArray[np.float16] | Tensor) -> float:
    """RMSE in dB of timbres (n, n_bands) that are decoded from refined points.

    The encoder is the first to overfit, and a model refines what it says: by the
    encoder's error alone, the decoder would be taken before it has learned enough.
    """
    device = next(network.parameters()).device
    few = torch.as_tensor(timbres)[:: -(-len(timbres) // N_CLIPS)].float()

    def decode(z: Latents) -> Timbres:
        decoded = network.decode(torch.from_numpy(z).to(device)).float()
        clipped: Timbres = decoded.clamp(0.0, 1.0).cpu().numpy()
        return clipped

    z = network.encode(few.to(device))[0].float().cpu().numpy()
    wanted = few.cpu().numpy()
    error = decode(refine(decode, z, wanted, N_STEPS)) - wanted
    rmse_db: float = AXIS.range_db * float(np.sqrt(np.mean(error.astype(float) ** 2)))
    return rmse_db
