"""Channels are folded and doubled without a change of level."""

import numpy as np
import pytest

from effects.audio.conversion import to_stereo


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_any_number_of_channels_becomes_two(channels: int) -> None:
    samples = np.ones((10, channels), np.float32)
    assert np.array_equal(to_stereo(samples), np.ones((10, 2), np.float32))
