"""Whether a corpus is large enough for a training; found out without PyTorch."""

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError

MIN_CLIPS = 24  # with fewer, the parts of a split are too small to measure anything
MIN_SONGS = 3  # one for each part


def check_enough(groups: NDArray[np.str_]) -> None:
    """Check that clips can be divided into parts for training and for measuring.

    Args:
        groups: song or patch of each clip, shape (n,).

    Raises:
        InputError: too few clips, or clips of too few songs.
    """
    n = len(groups)
    if n < MIN_CLIPS:
        raise InputError(
            f"the corpus has {n} clips; training needs at least {MIN_CLIPS}: "
            "add more music"
        )
    n_songs = len(np.unique(groups))
    if n_songs < MIN_SONGS:
        raise InputError(
            f"the corpus has clips of {n_songs} songs; training needs {MIN_SONGS} or "
            "more"
        )
