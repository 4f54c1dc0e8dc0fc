"""The K-weighting of loudness, as a response in frequency."""

import numpy as np
from numpy.typing import NDArray


def k_weighting(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power response of the K-weighting filter (ITU-R BS.1770-5, annex 1).

    Args:
        frequencies: Hz, any shape.

    Returns:
        |H|^2 of both stages (shelf and high-pass), same shape.
    """
    # The standard gives both stages as biquads at 48 kHz.
    z = np.exp(-2j * np.pi * np.minimum(frequencies, 23_999.0) / 48_000.0)
    shelf = np.polyval([1.19839281085285, -2.69169618940638, 1.53512485958697], z)
    shelf /= np.polyval([0.73248077421585, -1.69065929318241, 1.0], z)
    high_pass = (1.0 - z) ** 2
    high_pass /= np.polyval([0.99007225036621, -1.99004745483398, 1.0], z)
    response: NDArray[np.float64] = np.abs(shelf * high_pass) ** 2
    return response
