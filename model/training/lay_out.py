"""Laying out the map of a model, and storing it in its folder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.whole_file import write_whole
from model.inference import TimbreModel
from model.timbre_map import (
    MAP_FILE,
    MAX_POINTS,
    TimbreMap,
    made_map,
    map_sounds,
    principal_plane,
)

FEWEST_POINTS = 200  # of a corpus so small, or smaller
ITERATIONS = 750
PERPLEXITY = 40.0  # how many neighbours count; of 5,000 sounds under 1 %


def lay_out(model: TimbreModel, n_clips: int) -> TimbreMap:
    """The map of a model, with as many sounds as its corpus is worth.

    Args:
        model: whose prior is drawn from.
        n_clips: that it was trained on.
    """
    n = int(np.clip(n_clips, FEWEST_POINTS, MAX_POINTS))
    return made_map(model, map_sounds(model, n), neighbour_plane)


def neighbour_plane(spectra: NDArray[np.float32]) -> NDArray[np.float64]:
    """Places at which neighbours stay neighbours, shape (n, 2): t-SNE.

    It begins with the plane of the principal components, which keeps what is far apart
    apart, and takes one thread, so that the same spectra give the same places.

    Args:
        spectra: shape (n, d).
    """
    from sklearn.manifold import TSNE

    start = principal_plane(spectra)
    start *= 1e-4 / start[:, 0].std()  # as scikit-learn scales its own
    placed = TSNE(
        perplexity=min(PERPLEXITY, len(spectra) / 5.0),
        init=start.astype(np.float32),
        max_iter=ITERATIONS,
        random_state=0,
        n_jobs=1,
    ).fit_transform(spectra)
    return np.asarray(placed, np.float64)


def write_map(folder: Path, timbre_map: TimbreMap) -> dict[str, Any]:
    """Write map.json, and return what model.json says of it.

    Raises:
        RunError: it cannot be written.
    """
    content = (json.dumps(timbre_map.to_json()) + "\n").encode()
    write_whole(folder / MAP_FILE, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
