"""How far what a decoder makes has to stand out, so that music keeps its detail.

With 32 latents for all music, a network is often unsure of the place or the level of a
partial, and what it decodes then is the mean of what may be, in which partials stand
out less. Taught to decode them at full height, it puts some in the wrong places.
Raising what stands out costs less. By a factor, high partials, which lack nothing,
would be raised most; by the same number of dB, the mean comes with the least error.
What hardly stands out is raised in proportion, or noise would become rougher.
"""

import numpy as np
from numpy.typing import NDArray

from model.config import AXIS
from model.inference import TimbreModel
from model.spectrum import raised
from model.training.evaluate import detail_db

WANTED = 0.865  # share of the detail of songs that no model was trained on
# Added to it over the root of the number of clips, mostly three of a song, by which it
# is measured: the fewer, the less certain, and too little is heard more than too much.
UNCERTAIN = 0.08
EASE = (0.8, 1.25)  # how far songs are taken to differ
MOST_DB = 4.0
CLOSE_DB = 0.02  # to the raise that is looked for
N_CLIPS = 900  # at most, evenly spaced, that stand for a whole corpus


def wanted_share(held_out: NDArray[np.float16], corpus: NDArray[np.float16]) -> float:
    """The share of the detail of some clips that a model is to keep.

    Of some songs every model keeps more than of others. How much more these clips are
    like that than the others of a corpus, the bundled model tells, which was trained on
    neither; on its own clips it knows the others better, and the share comes out lower.

    Args:
        held_out: timbres by which a model's detail will be measured, (n, n_bands).
        corpus: timbres of its other songs, (m, n_bands).

    Returns:
        A share that gives `WANTED` of the detail of the corpus.
    """
    bundled = TimbreModel.load(None)
    few = corpus[:: -(-len(corpus) // N_CLIPS)]
    ease = _kept(bundled, held_out) / _kept(bundled, few)
    share = WANTED + UNCERTAIN / float(np.sqrt(len(held_out)))
    return min(1.0, share * float(np.clip(ease, *EASE)))


def find_raise_db(
    decoded: NDArray[np.float32], clips: NDArray[np.float32], share: float
) -> float:
    """Find the raise at which decoded clips have a share of the detail of the clips.

    Args:
        decoded: the clips as they are decoded from their points, (n, n_bands).
        clips: of songs that training left out, (n, n_bands).
        share: that is wanted.

    Returns:
        0.0 to `MOST_DB`; 0.0 if they have enough as it is.
    """
    wanted = share * detail_db(clips)
    low, high = 0.0, MOST_DB
    while high - low > CLOSE_DB:
        middle = 0.5 * (low + high)
        if detail_db(np.clip(raised(decoded, middle, AXIS), 0.0, 1.0)) < wanted:
            low = middle
        else:
            high = middle
    return 0.0 if low == 0.0 else round(high, 2)


def _kept(model: TimbreModel, timbres: NDArray[np.float16]) -> float:
    """The share of the detail of timbres that a model keeps, at least a little."""
    data = timbres.astype(np.float32)
    decoded = model.decode(model.encode(data, refined=False)[0])
    return max(detail_db(decoded) / max(detail_db(data), 1e-9), 1e-3)
