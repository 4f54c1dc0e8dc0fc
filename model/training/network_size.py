"""How large a network suits a corpus, and how many steps it takes.

From some hundred songs, what counts is the number of steps: a network of a third of the
width takes more than twice as many in the same time, and they bring more than its width
would. Of many thousand clips a wide network learns what a narrow one has no room for.
"""

from dataclasses import replace

from model.training.fit import TrainSettings

FEW = 7168  # clips to train on
WIDTH = 256
MORE_STEPS = 3  # times as many, each of a third of the time


def suited(settings: TrainSettings, n_clips: int) -> TrainSettings:
    """Settings of a training from random weights.

    Args:
        settings: for a large corpus.
        n_clips: to train on; of `FEW` or less, a narrow network takes more steps.
    """
    vae = settings.vae
    if vae.arch != "dense" or vae.width <= WIDTH or n_clips > FEW:
        return settings
    narrow = replace(vae, width=WIDTH, hidden=WIDTH)
    return replace(settings, vae=narrow, min_epoch=MORE_STEPS * settings.min_epoch)
