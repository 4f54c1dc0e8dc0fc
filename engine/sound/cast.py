"""What stays the same of a song while it plays: voices, lags, share of noise, notes."""

from dataclasses import dataclass

import numpy as np

from effects.audio.levels import db_to_power
from effects.base.streams import Purpose, stream
from engine.compose.composer import ComposedSong
from engine.sound.arpeggio import Arpeggio
from engine.sound.decoding import Decoded, Lags, decode
from engine.sound.foreground import Foreground
from engine.sound.partials import gather
from engine.sound.voices import Voices, find_voices
from model.inference import TimbreModel

# Lags between the parts of the music: a share of a song's step, within bounds.
LAG_STEPS = 0.3
LONGEST_LAG_S = 3.0
NOISE_STEPS = 0.3  # over which the noise is a mean, within bounds too
NOISE_S = 3.0
_NOISE_TAPS = 4
# Over which the bass is a mean, and over which where its notes come and go too often,
# as quick circles of the wiggle make them.
BASS_S = 0.75
HELD_BASS_S = 4.0

# Share of tones in the power of a song's sounds, on average: with less, nothing would
# be held in it, so its noise is lowered, by 8 dB at most.
LEAST_TONAL = 0.6
NOISE_GAINS_DB = np.arange(0.0, -8.5, -0.5)


@dataclass(frozen=True)
class SongCast:
    """A song's voices, lags, share of noise and notes.

    Attributes:
        voices: of its partials.
        order: in which bass, body and noise come to a sound: a permutation of 0, 1, 2.
        step: seconds of its pattern for one symbol.
        noise_gain: of the power of its noise.
        foreground: its sparse notes.
        arpeggio: its figure of short notes.
    """

    voices: Voices
    order: tuple[int, ...]
    step: float
    noise_gain: float
    foreground: Foreground
    arpeggio: Arpeggio

    def lags(self, node_s: float) -> Lags:
        """Lags of the parts, for nodes so many seconds apart."""
        reach = min(LAG_STEPS * self.step, LONGEST_LAG_S)
        bass, body, noise = (round(place * reach / node_s) for place in self.order)
        stretch = min(NOISE_STEPS * self.step, NOISE_S)
        apart = max(1, round(stretch / node_s / (_NOISE_TAPS - 1)))

        def around(seconds: float) -> tuple[int, ...]:
            """So many seconds, the bass's own lag in their middle if it can be."""
            n = max(1, round(seconds / node_s))
            first = max(0, bass - (n - 1) // 2)
            return tuple(range(first, first + n))

        return Lags(
            around(BASS_S),
            around(HELD_BASS_S),
            body,
            tuple(noise + tap * apart for tap in range(_NOISE_TAPS)),
            node_s,
        )


def cast_song(model: TimbreModel, song: ComposedSong, seed: int) -> SongCast:
    """The cast of a song.

    Args:
        model: timbre space.
        song: composed.
        seed: of the stream.
    """
    rng = stream(Purpose.SONG_LAYERS, seed, song.index)
    points = song.points.astype(np.float64)
    sounds = decode(model, song, points, np.zeros(points.shape))
    times = song.path.times
    return SongCast(
        find_voices(
            gather(sounds.tonal),
            stream(Purpose.SONG_VOICES, seed, song.index),
        ),
        tuple(rng.permutation(3).tolist()),
        float(np.median(np.diff(times))) if len(times) > 1 else 0.0,
        noise_gain(sounds),
        Foreground(sounds, song, seed),
        Arpeggio(sounds, song, seed),
    )


def noise_gain(sounds: Decoded) -> float:
    """Gain of noise, in power, that leaves sounds tones enough.

    Args:
        sounds: of a song; silent ones do not count.

    Returns:
        The first of `NOISE_GAINS_DB` with which the mean share of tones is at least
        `LEAST_TONAL`, or the last.
    """
    noise, tonal = sounds.noise.sum(axis=1), sounds.tonal.sum(axis=1)
    is_heard = noise + tonal > 0.0
    if not is_heard.any():
        return 1.0
    noise, tonal = noise[is_heard], tonal[is_heard]
    gains = db_to_power(NOISE_GAINS_DB)
    shares = tonal / (tonal + gains[:, None] * noise)
    is_enough = shares.mean(axis=1) >= LEAST_TONAL
    return float(gains[np.argmax(is_enough) if is_enough.any() else -1])
