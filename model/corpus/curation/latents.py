"""Where the clips of a corpus lie in latent space."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.corpus.corpus import Corpus
from model.inference import TimbreModel

BATCH = 512  # clips that are encoded at once


def latents_of(
    corpus: Corpus, model: TimbreModel, is_wanted: Callable[[], bool]
) -> NDArray[np.float32] | None:
    """Encode all clips of a corpus, rejected or not.

    Args:
        corpus: whose clips.
        model: whose encoder.
        is_wanted: asked before each batch; when it is not, None is returned.

    Returns:
        Shape (n clips, n_latents), in the order of the rows.
    """
    ids, stored = corpus.ids(), corpus.stored_timbres()
    latents = np.empty((len(ids), model.n_latents), np.float32)
    for start in range(0, len(ids), BATCH):
        if not is_wanted():
            return None
        rows = slice(start, start + BATCH)
        timbres = stored[ids[rows]].astype(np.float32)
        latents[rows], _ = model.encode(timbres, refined=False)
    return latents
