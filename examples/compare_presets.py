"""Print how loud and how bright each preset is: ten seconds of one seed.

python examples/compare_presets.py --seconds 10
"""

import argparse

import numpy as np
import pyloudnorm

from engine import api as latent
from engine.compose import preset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    print(f"{'preset':12} {'LUFS':>6} {'centre of the spectrum':>24}")
    for name in preset.names():
        song = latent.compose(args.seed, args.seconds / 60.0, name, effects=False)
        samples = song.render().astype(np.float64)
        loudness = pyloudnorm.Meter(song.sample_rate).integrated_loudness(samples)
        power = np.abs(np.fft.rfft(samples.mean(axis=1))) ** 2
        hertz = np.fft.rfftfreq(len(samples), 1.0 / song.sample_rate)
        centre = float(hertz @ power / power.sum())
        print(f"{name:12} {loudness:6.1f} {centre:21.0f} Hz")


if __name__ == "__main__":
    main()
