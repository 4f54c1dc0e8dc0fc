"""Checkpoints of training: written whole, read without running what they hold."""

from pathlib import Path
from typing import Any

import torch

from effects.base.errors import InputError, RunError
from effects.base.whole_file import whole_file


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all; makes its folder.

    Raises:
        RunError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:  # torch raises its own on a full disk
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}: cannot be written ({error})") from error


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
