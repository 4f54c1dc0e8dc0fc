"""What stands out of every sound of a network more than of its clips, taken off again.

A network that was trained briefly, or on few songs, blurs the places of partials, and
where the partials of some songs meet, or of the model that training started from, a
little of a tone is left in all sounds. What all sounds have in common can be taken off
all of them: by a curve over the bands, which is stored with the decoder.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import AXIS
from model.guard import mean_detail_db

TOLERATED_DB = 1.0  # over the clips; chance alone gives some tenths
MOST_DB = 6.0  # what needs more was trained badly, and stays to be found
ROUNDS = 6  # since a band that is lowered lowers its surroundings, too


def standing_curve(
    sounds: NDArray[Any], clips: NDArray[Any], raised_db: float = 0.0
) -> NDArray[np.float32]:
    """Find by how much to lower each band so that no tone stands in all sounds.

    Args:
        sounds: timbres that a network decodes from draws of its prior, (n, n_bands).
        clips: timbres that it was trained on, (m, n_bands).
        raised_db: by which the sounds stand out farther than the network has it.

    Returns:
        In the units of timbres, 0 or more, shape (n_bands,); 0 wherever the sounds
        stand out by `TOLERATED_DB` over the clips at most.
    """
    allowed = np.maximum(mean_detail_db(clips), 0.0) + TOLERATED_DB
    curve_db = np.zeros(AXIS.n_bands)
    for _ in range(ROUNDS):
        lowered = np.clip(sounds - curve_db / AXIS.range_db, 0.0, 1.0)
        curve_db += np.maximum(mean_detail_db(lowered) - allowed, 0.0)
    curve: NDArray[np.float32] = (
        np.minimum(curve_db, MOST_DB + raised_db) / AXIS.range_db
    ).astype(np.float32)
    return curve
