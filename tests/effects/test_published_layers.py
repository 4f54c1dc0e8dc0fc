"""Layers change hands between a control thread and the callback without a lock."""

import threading
import time

import numpy as np
import pytest

from effects.bed.loop_layer import LoopLayer
from effects.bed.published_layers import PublishedLayers


def _layer(start: int) -> LoopLayer:
    return LoopLayer(np.ones((500, 2), np.float32), start)


@pytest.mark.parametrize("late", [False, True])
def test_an_offer_is_taken_only_if_it_is_in_time(late: bool) -> None:
    published = PublishedLayers()
    first, second = _layer(0), _layer(2048)
    published.replace([first])
    answers: list[bool] = []
    thread = threading.Thread(
        target=lambda: answers.append(published.offer([second], 2048, lambda: True))
    )
    thread.start()
    while published._answered is published._offer:
        time.sleep(0.001)
    in_force = published.answer(2049 if late else 2048)
    thread.join(5.0)
    assert answers == [not late]
    assert in_force == published.layers == ((first,) if late else (second,))


def test_an_offer_that_is_never_answered_can_be_given_up() -> None:
    assert not PublishedLayers().offer([], 0, lambda: False)
