"""The same card on another machine: other kernels and another FFT, nearly same samples.

What differs between platforms is the rounding of the networks and of the FFT. Here
both are exchanged on one machine: the networks run as they are written, without fused
kernels and on two threads, and the transforms in double precision.
"""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.graph import build
from engine.sound import synthesis
from tests.support import audio
from tests.support.songs import samples_of, settings, song_of

TOLERANCE_DB = -45.0  # as DESIGN.md says


def rendered(seed: int) -> tuple[Samples, NDArray[np.float32]]:
    """Samples of a short song, and its five points."""
    graph = build(settings(seed, {"rank/brightness": 0.4}, seconds=12.0))
    return samples_of(graph), song_of(graph).points


@pytest.mark.parametrize("seed", [7, 8])
def test_other_kernels_and_another_fft_give_the_same_song(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, points = rendered(seed)
    whole = onnxruntime.InferenceSession

    def plain(content: bytes, options: Any, **more: Any) -> Any:
        options.graph_optimization_level = (
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        )
        options.intra_op_num_threads = 2
        return whole(content, options, **more)

    def exact(
        spectra: NDArray[np.complex64], length: int, axis: int, out: Samples
    ) -> None:
        out[:] = double(spectra.astype(np.complex128), length, axis=axis)

    double = np.fft.irfft
    monkeypatch.setattr(onnxruntime, "InferenceSession", plain)
    monkeypatch.setattr(synthesis, "irfft", exact)
    there, other_points = rendered(seed)
    assert not np.array_equal(there, here), "nothing was exchanged"
    assert np.abs(other_points - points).max() < 1e-4, "other sounds were picked"
    assert audio.residual_db(there, here) < TOLERANCE_DB
