"""Go from one sound of the timbre space to another, and write what is on the way.

    python examples/walk_the_timbre_space.py walk.wav --steps 8

Each step is decoded, written as two seconds of sound with random phases, and told
with the note that its strongest partial is nearest to. This uses the model alone:
no composition, no engine.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from model.config import SAMPLE_RATE
from model.inference import TimbreModel
from model.spectrum import CLIP_LENGTH, bin_power

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    model = TimbreModel.load()
    rng = np.random.default_rng(args.seed)
    start, end = model.sample(2, rng)
    share = np.linspace(0.0, 1.0, args.steps, dtype=np.float32)[:, None]
    timbres = model.decode((1.0 - share) * start + share * end)

    sounds = []
    for timbre in timbres:
        power = model.axis.to_power(timbre)
        strongest = float(model.axis.centres[np.argmax(power)])
        note = NOTES[round(12.0 * np.log2(strongest / 440.0) + 9.0) % 12]
        print(f"{strongest:7.1f} Hz, near {note}")
        magnitudes = np.sqrt(bin_power(power, CLIP_LENGTH, SAMPLE_RATE))
        phases = rng.uniform(0.0, 2.0 * np.pi, len(magnitudes))
        sound = np.fft.irfft(magnitudes * np.exp(1j * phases), CLIP_LENGTH)
        sounds.append(sound / np.abs(sound).max() * 0.5)
    soundfile.write(args.out, np.concatenate(sounds), SAMPLE_RATE)


if __name__ == "__main__":
    main()
