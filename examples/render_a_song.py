"""Render one song into a file, and again from the card that the file carries.

    python examples/render_a_song.py song.flac --seed 7 --minutes 1

Run it with the project's folder on PYTHONPATH, or after `pip install -e .`.
"""

import argparse
from pathlib import Path

import numpy as np

from engine import api as latent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="ends in .flac, .wav, .ogg, .opus, .mp3")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--preset", default="shoreline")
    args = parser.parse_args()

    song = latent.compose(args.seed, args.minutes, args.preset)
    song.save(args.out)
    print(f"{args.out}: pattern {song.pattern}")

    again = latent.from_card(args.out)
    same = np.array_equal(song.render(), again.render())
    print("rendered again from its card:", "the same samples" if same else "different")


if __name__ == "__main__":
    main()
