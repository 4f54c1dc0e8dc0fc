"""The README's picture: the spectrogram of a song, with its pattern over it.

Run as `bin/bench picture OUT.png [SEED]`.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from tests.benchmarks.songs import song
from tests.support.songs import RATE

WINDOW = 16_384
SECONDS = 60.0


def main() -> None:
    """Draw the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    if len(sys.argv) < 2:
        sys.exit(0)  # named without a file, as among all benchmarks
    out, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 7
    mono = song(seed, SECONDS).samples.mean(axis=1)
    transform = ShortTimeFFT(hann(WINDOW), WINDOW // 4, RATE, scale_to="magnitude")
    level_db = 20.0 * np.log10(np.abs(transform.stft(mono)) + 1e-7)
    figure, axes = plt.subplots(figsize=(10.0, 3.6), constrained_layout=True)
    axes.pcolormesh(
        transform.t(len(mono)), transform.f[4:], level_db[4:], vmin=-105, vmax=-25,
        cmap="magma", rasterized=True, shading="nearest",
    )  # fmt: skip
    axes.set(yscale="log", xlim=(0.0, SECONDS), ylim=(40.0, 16_000.0))
    axes.set(xlabel="seconds", ylabel="Hz", title=f"latent render --seed {seed}")
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
