"""Compose with a criterion of one's own: songs of sounds that are rich in fifths.

    python examples/own_criterion.py fifths.flac --minutes 0.5

`engine.compose.criteria.CRITERIA` ranks the sounds that a song is picked from. Here
the prior is asked for many points, each is scored, and the song starts from the best:
its likeness is given to the composer, which draws all sounds near it.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.compose.likeness import text_of
from engine.control.controls import defaults
from engine.graph import Settings, build
from engine.offline.render import render_to_file
from model.inference import TimbreModel

FIFTH = np.log2(3.0 / 2.0)


def fifths(model: TimbreModel, timbres: NDArray[np.float32]) -> NDArray[np.float64]:
    """How much of each spectrum stands again a fifth higher, shape (n,)."""
    shift = round(FIFTH * model.axis.bands_per_octave)
    detail = timbres - timbres.mean(axis=1, keepdims=True)
    score: NDArray[np.float64] = np.mean(
        detail[:, :-shift] * detail[:, shift:], axis=1, dtype=np.float64
    )
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    model = TimbreModel.load()
    points = model.sample(512, np.random.default_rng(args.seed))
    scores = fifths(model, model.decode(points))
    best = points[np.argmax(scores)]
    print(f"best of {len(points)}: {scores.max():.4f}, mean {scores.mean():.4f}")
    settings = Settings(
        seed=args.seed,
        duration=60.0 * args.minutes,
        controls=defaults(),
        effects=None,
        like=text_of(best),
    )
    render_to_file(build(settings), args.out)


if __name__ == "__main__":
    main()
