"""How a sound compares with the sounds that a model's prior gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError
from model import guard
from model.inference import TimbreModel


@dataclass(frozen=True)
class FeaturePercentile:
    """One feature of a sound, compared with the prior's samples.

    Attributes:
        value: in the unit that `guard.UNITS` gives.
        percentile: share of the prior's samples that have less of it, 0 to 100.
        limit: value above which the guard would draw such a sound back.
    """

    value: float
    percentile: float
    limit: float


def percentiles(
    model: TimbreModel, timbre: NDArray[np.float32], z: NDArray[np.float32]
) -> dict[str, FeaturePercentile]:
    """Compare the features of a sound with the statistics stored in the model.

    Args:
        model: the loaded model.
        timbre: of the sound itself, shape (n_bands,).
        z: its latent point, shape (n_latents,), for the weirdness.

    Returns:
        By name of the feature. Percentiles are interpolated between the stored
        quantiles; a value beyond all samples is at 0 or 100.

    Raises:
        InputError: the model holds no statistics.
    """
    statistics = model.statistics
    stored: dict[str, Any] = statistics.get("features", {})
    limits = statistics.get("limits", {})
    values: dict[str, NDArray[Any]] = {
        **guard.timbre_features(timbre[None], model.axis),
        "weirdness": model.weirdness(z[None]),
    }
    if not values.keys() <= stored.keys() or not values.keys() <= limits.keys():
        raise InputError(f"{model.name}: its model.json holds no statistics")
    shares = 100.0 * np.asarray(statistics["quantiles_at"])
    return {
        name: FeaturePercentile(
            value=float(value[0]),
            percentile=float(
                np.interp(float(value[0]), stored[name]["quantiles"], shares)
            ),
            limit=float(limits[name]),
        )
        for name, value in values.items()
    }
