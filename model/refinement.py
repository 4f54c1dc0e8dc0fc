"""Points that the decoder brings nearer to timbres than those that the encoder names.

An encoder that has learned from a few hundred songs places other songs roughly: what
it was not shown, it guesses. The decoder tells how well a guess fits, so the guess is
improved by a few steps of the Levenberg-Marquardt method (Marquardt 1963), whose
derivatives are differences of decoded timbres. A step that does not help is not taken.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.prior import Latents

MAX_STEPS = 8
N_AT_ONCE = 31  # timbres: with the derivatives of 32 latents, 1,023 points to decode
APART = 0.05  # of the points whose difference is a derivative; the prior's width is 1
DAMPING = 0.1  # at first, as a share of each latent's own curvature
EASED, BRAKED = 1.0 / 3.0, 4.0  # what becomes of it after a step that helped or not
# Variance of a band around what is decoded, in units of timbres: 2 dB, as in training.
# It weighs the error against the distance from the origin.
VARIANCE = 0.02**2

Timbres = NDArray[np.float32]
Decode = Callable[[Latents], Timbres]


def refine(decode: Decode, z: Latents, timbres: Timbres, n_steps: int) -> Latents:
    """Move points so that they decode to timbres with less error.

    Args:
        decode: points (n, n_latents) to timbres (n, n_bands).
        z: where the encoder places the timbres, (n, n_latents).
        timbres: to be met, (n, n_bands).
        n_steps: at most; each takes `n_latents + 1` decoded points for a timbre.

    Returns:
        Shape (n, n_latents); a row depends on its timbre and its first point alone, but
        for rounding.
    """
    refined = z.copy()
    for start in range(0, len(z), N_AT_ONCE):
        rows = slice(start, start + N_AT_ONCE)
        refined[rows] = _refine_some(decode, z[rows], timbres[rows], n_steps)
    return refined


def _refine_some(decode: Decode, z: Latents, timbres: Timbres, n_steps: int) -> Latents:
    n_latents = z.shape[1]
    decoded = decode(z)
    cost = _cost(z, decoded, timbres)
    damping = np.full(len(z), DAMPING)
    for _ in range(n_steps):
        slopes = _slopes(decode, z, decoded)  # (n, n_latents, n_bands)
        curvature = slopes @ slopes.transpose(0, 2, 1)
        own = np.diagonal(curvature, axis1=1, axis2=2)
        braked = damping[:, None] * own + VARIANCE
        matrix = curvature + braked[:, :, None] * np.eye(n_latents)
        pull = (slopes @ (timbres - decoded)[:, :, None])[:, :, 0] - VARIANCE * z
        step = np.linalg.solve(matrix, pull[:, :, None])[:, :, 0]
        moved = (z + step).astype(np.float32)
        then = decode(moved)
        cost_then = _cost(moved, then, timbres)
        helps = cost_then < cost
        z = np.where(helps[:, None], moved, z)
        decoded = np.where(helps[:, None], then, decoded)
        cost = np.where(helps, cost_then, cost)
        damping *= np.where(helps, EASED, BRAKED)
    return z


def _cost(z: Latents, decoded: Timbres, timbres: Timbres) -> NDArray[np.float64]:
    """What is minimised, for each row: squared error and distance from the origin."""
    error = np.sum((timbres - decoded) ** 2, axis=1, dtype=np.float64)
    cost: NDArray[np.float64] = error + VARIANCE * np.sum(z**2, axis=1)
    return cost


def _slopes(decode: Decode, z: Latents, decoded: Timbres) -> NDArray[np.float64]:
    n, n_latents = z.shape
    apart = APART * np.eye(n_latents, dtype=np.float32)
    beside = (z[:, None, :] + apart).reshape(n * n_latents, n_latents)
    there = decode(beside).reshape(n, n_latents, -1)
    slopes: NDArray[np.float64] = (there - decoded[:, None, :]) / np.float64(APART)
    return slopes
