"""The registry of random streams: every purpose for which numbers are drawn.

A stream is named by its purpose and by keys such as a seed, the number of a song or an
effect's name. The purpose is the first word of what the generator is seeded with, and
every key takes two words, so no two purposes, and no two lists of keys of one purpose,
can come to the same seed. A new use of chance gets a new line here; a number that was
given once is not given again.
"""

import hashlib
from enum import IntEnum, unique

import numpy as np


@unique
class Purpose(IntEnum):
    """Purpose of a random stream; the comment names the keys that it takes."""

    SONG_LENGTH = 10  # seed, song
    SONG_CENTRE = 11  # seed, song, preset
    SONG_POOL = 12  # seed, song, preset
    SONG_PICK = 13  # seed, song, preset
    SONG_PATTERN = 14  # seed, song, preset
    SONG_STEPS = 15  # seed, song, preset
    SONG_WIGGLE = 16  # seed, song
    SONG_NOTES = 17  # seed, song
    SONG_LAYERS = 18  # seed, song
    SONG_TITLE = 19  # seed, preset
    SONG_CENTRES = 20  # seed, run of songs, preset
    BALANCE = 21
    SONG_TILT = 22  # seed, song, preset
    SONG_ARPEGGIO = 23  # seed, song, title
    SONG_NOISE = 24  # seed, song, preset

    PARTIAL_PHASES = 30  # seed
    PARTIAL_PLACES = 31  # seed: of partials between left and right
    NOISE_PHASES = 32  # seed, slab
    NOISE_TABLE = 33
    MOVEMENT = 34  # seed
    MOVEMENT_OFFSETS = 35  # seed, layer
    NOTE = 36  # seed, song, note
    CONCEALMENT = 37  # seed, sample
    SONG_VOICES = 38  # seed, song
    ARPEGGIO_NOTE = 39  # seed, song, symbol, rung

    BED_ORDER = 50  # seed, round
    BED_START = 51  # seed, voice, slot or span
    BED_SECOND = 52  # seed, slot
    BED_FIRST = 53  # seed, round
    BED_SECOND_NAME = 54  # seed, slot

    EFFECT = 70  # version, seed, name of the generator
    TEXTURE = 71  # name of the recording

    CLIPS = 90  # salt, hash of the song
    DEMO_PATCH = 91  # seed, group
    DEMO_CLIP = 92  # seed, clip
    DEMO_ROOM = 93  # room
    DEMO_INSTRUMENT = 94  # family, instrument

    TRAINING = 110  # seed
    MODEL_CHECK = 111
    MODEL_SOUNDS = 112  # seed
    MODEL_MAP = 113
    AUDITION = 114
    DISTILLING = 115  # seed, and a number of what is drawn after the points

    ALBUM_SONG = 130  # seed, song


def stream(purpose: Purpose, *keys: int | str) -> np.random.Generator:
    """A generator for a purpose and its keys, at the beginning of its stream.

    Args:
        purpose: for which numbers are drawn.
        keys: integers, of which the lowest 64 bits count, and texts.

    >>> draws = [stream(Purpose.SONG_POOL, 7, song).random() for song in (0, 1, 0)]
    >>> draws[0] == draws[2] != draws[1]
    True
    """
    words = [int(purpose), len(keys)]
    for key in keys:
        number = _number(key) if isinstance(key, str) else int(key) & (2**64 - 1)
        words += [number & 0xFFFFFFFF, number >> 32]
    return np.random.default_rng(words)


def _number(text: str) -> int:
    """A text as a number of 64 bits."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
