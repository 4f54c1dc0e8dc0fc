"""Where a sound stands among the sounds that a model's prior gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError
from model import guard
from model.inference import TimbreModel

UNITS = {
    "loudness": "LUFS",
    "sharpness": "acum",
    "whistle": "of power",
    "weirdness": "from the origin",
}


@dataclass(frozen=True)
class Standing:
    """One feature of a sound, beside the prior's samples.

    Attributes:
        value: in the unit that `UNITS` has.
        percentile: share of the prior's samples that have less of it, 0 to 100.
        limit: beyond which the guard would draw such a sound back.
    """

    value: float
    percentile: float
    limit: float


def standing(
    model: TimbreModel, timbre: NDArray[np.float32], z: NDArray[np.float32]
) -> dict[str, Standing]:
    """Features of a sound among the statistics that are stored with the model.

    Args:
        model: with the statistics.
        timbre: of the sound itself, shape (n_bands,).
        z: its point, shape (n_latents,), of which weirdness is a feature.

    Returns:
        By name of the feature. Between the stored quantiles, percentiles are
        interpolated; what lies beyond all samples is at 0 or 100.

    Raises:
        InputError: the model came without statistics.
    """
    statistics = model.statistics
    features: dict[str, Any] = statistics.get("features", {})
    limits = statistics.get("limits", {})
    values: dict[str, NDArray[Any]] = {
        **guard.timbre_features(timbre[None], model.axis),
        "weirdness": model.weirdness(z[None]),
    }
    if not values.keys() <= features.keys() or not values.keys() <= limits.keys():
        raise InputError(f"{model.name}: its model.json holds no statistics")
    shares = 100.0 * np.asarray(statistics["quantiles_at"])
    return {
        name: Standing(
            value=float(value[0]),
            percentile=float(
                np.interp(float(value[0]), features[name]["quantiles"], shares)
            ),
            limit=float(limits[name]),
        )
        for name, value in values.items()
    }
