"""Where networks are trained: on the processor, or on a GPU."""

import torch

from effects.base.errors import InputError


def check_device(device: str) -> None:
    """Find out early that a network cannot be trained there.

    Raises:
        InputError: it is a GPU, and PyTorch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda: PyTorch finds no CUDA device here; train with --device cpu"
        )
