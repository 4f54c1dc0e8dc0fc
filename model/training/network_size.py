"""How large a network suits a corpus, and how many steps it takes.

From some hundred songs, what counts is the number of steps: a network of a third of the
width takes three times as many in little more than the same time, and they bring more
than its width would. Of many thousand clips a wide network learns what a narrow one has
no room for.
"""

from dataclasses import replace

from model.training.fit import TrainSettings

# Clips to train on, some 2,400 songs. Measured was at 780 clips; the bundled model
# learned from 13,560. With more than this, no epoch of the command has a clip twice.
FEW = 7168
WIDTH = 256
MORE_STEPS = 3  # times as many


def suited(settings: TrainSettings, n_clips: int) -> TrainSettings:
    """Settings of a training from random weights.

    Args:
        settings: for a large corpus.
        n_clips: to train on; of `FEW` or less, the network is a narrow one.
    """
    vae = settings.vae
    if vae.arch != "dense" or vae.width <= WIDTH or n_clips > FEW:
        return settings
    narrow = replace(vae, width=WIDTH, hidden=WIDTH)
    return with_steps(replace(settings, vae=narrow), n_clips)


def with_steps(settings: TrainSettings, n_clips: int) -> TrainSettings:
    """Settings with a larger `min_epoch`, if network and corpus are small."""
    if settings.vae.arch != "dense" or settings.vae.width > WIDTH or n_clips > FEW:
        return settings
    return replace(settings, min_epoch=MORE_STEPS * settings.min_epoch)
