"""Chords from the Fluid sound font, held and cut after their attack."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import RunError
from model.config import SAMPLE_RATE
from model.spectrum import CLIP_LENGTH

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
LICENCE = "MIT (FluidR3 GM, Frank Wen)"
# FluidSynth computes 64 samples at a time and keeps what is left of them: only whole
# blocks leave it as they found it.
_BLOCK = 64
_ATTACK = SAMPLE_RATE // _BLOCK * _BLOCK  # samples let pass before the clip
_HELD = -(-CLIP_LENGTH // _BLOCK) * _BLOCK

# Sustained programs of General MIDI, from 0: organs, strings, choirs, brass, reeds,
# pipes, pads; and some that ring long enough.
SUSTAINED = (
    *range(16, 22),
    *range(40, 45),
    *range(48, 55),
    *range(56, 64),
    *range(64, 80),
    *range(88, 96),
    99,
    101,
    102,
)
RINGING = (4, 5, 8, 9, 10, 11, 14, 46, 92, 98)
# Its synthesisers: basses, string machines, brass, leads and pads.
SYNTHESISERS = (38, 39, 50, 51, 54, 62, 63, 80, 81, 82, 85, 86, 87, *range(88, 96))


class SoundFont:
    """A synthesiser that has the sound font.

    Voices leave traces in it, of about -30 dB: what it renders depends on all that it
    rendered before. A new one takes 10 ms, since samples are loaded when first used.

    Raises:
        RunError: FluidSynth or the font is not installed.
    """

    def __init__(self, font: Path = FONT) -> None:
        if not font.is_file():
            raise RunError(
                f"{font}: not there; install it with "
                "'apt install fluidsynth fluid-soundfont-gm', "
                "or do without it: --no-soundfont"
            )
        try:
            import fluidsynth
        except ImportError as error:
            raise RunError(
                "FluidSynth is not installed; "
                "use 'apt install libfluidsynth3' and 'pip install pyfluidsynth'"
            ) from error
        self._synth = fluidsynth.Synth(gain=0.3, samplerate=float(SAMPLE_RATE))
        self._synth.setting("synth.dynamic-sample-loading", 1)
        # Its own reverb and chorus would carry over from one clip to the next.
        for setting in ("synth.reverb.active", "synth.chorus.active"):
            self._synth.setting(setting, 0)
        self._font = self._synth.sfload(str(font))
        self._write = _float_writer(fluidsynth)

    def close(self) -> None:
        """Free the synthesiser."""
        self._synth.delete()

    def render(
        self, program: int, hertz: NDArray[np.float64], velocity: int
    ) -> Samples:
        """Two seconds of a chord, shape (n_samples, 2), after its attack.

        Each note has a channel of its own, bent to its frequency; there are 15.
        """
        synth = self._synth
        synth.system_reset()
        notes = 69.0 + 12.0 * np.log2(hertz / 440.0)
        for channel, note in enumerate(np.clip(notes, 20.0, 108.0)):
            number = round(float(note))
            track = channel if channel < 9 else channel + 1  # 9 is for drums
            synth.program_select(track, self._font, 0, program)
            synth.pitch_bend(track, round(float(note - number) / 2.0 * 8192))
            synth.noteon(track, number, velocity)
        self._render(_ATTACK)
        return self._render(_HELD)[:CLIP_LENGTH]

    def _render(self, n_samples: int) -> Samples:
        left, right = np.zeros((2, n_samples), np.float32)
        self._write(self._synth.synth, n_samples, left, right)
        return np.stack([left, right], axis=1)


def _float_writer(fluidsynth: Any) -> Any:
    """FluidSynth's float output: its 16-bit one dithers, differently each time."""
    arguments = [
        (name, kind, 1)
        for name, kind in (
            ("synth", ctypes.c_void_p),
            ("len", ctypes.c_int),
            ("lout", ctypes.c_void_p),
            ("loff", ctypes.c_int),
            ("lincr", ctypes.c_int),
            ("rout", ctypes.c_void_p),
            ("roff", ctypes.c_int),
            ("rincr", ctypes.c_int),
        )
    ]
    write = fluidsynth.cfunc("fluid_synth_write_float", ctypes.c_int, *arguments)

    def write_float(synth: Any, n: int, left: Samples, right: Samples) -> None:
        write(synth, n, left.ctypes.data, 0, 1, right.ctypes.data, 0, 1)

    return write_float
