"""A picture of a song for players: its sounds around a circle, as a PNG.

Once around is once through the song, from low within to high without. numpy and zlib
draw it, since the worker has no plotting library.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PIXELS = 600
N_BANDS = 96  # of a cover
_INNER, _OUTER = 0.12, 0.96  # radii of the lowest and the highest band
_STEPS = 24  # between two symbols of the pattern
# From black by violet and orange to yellow, evenly lighter.
_PALETTE = np.array(
    [
        *((0, 0, 4), (18, 13, 51), (51, 16, 104), (87, 21, 126), (124, 35, 130)),
        *((161, 48, 126), (199, 62, 115), (232, 83, 98), (248, 119, 92)),
        *((254, 160, 110), (254, 201, 141), (252, 253, 191)),
    ],
    np.float64,
)


def draw_song_cover(
    spectra: Sequence[Sequence[int]], pattern: str, pixels: int = PIXELS
) -> bytes:
    """A square PNG of a song.

    Args:
        spectra: levels 0..255 of each sound's bands, A first, all of one length.
        pattern: symbols of the song, A to E, as many as there are spectra.
        pixels: its width and height.
    """
    sounds = np.asarray(spectra, np.float64)
    order = [min(ord(symbol) - ord("A"), len(sounds) - 1) for symbol in pattern] or [0]
    waypoints = sounds[order]
    waypoints -= np.percentile(waypoints, 5.0)
    waypoints = waypoints / max(float(np.percentile(waypoints, 99.5)), 1.0)
    place = (np.arange(pixels) + 0.5) / pixels * 2.0 - 1.0
    x, y = np.meshgrid(place, place)
    radius = np.hypot(x, y)
    turn = np.arctan2(x, -y) / (2.0 * np.pi) % 1.0
    level = _around(waypoints, turn, (radius - _INNER) / (_OUTER - _INNER))
    edge = np.clip((0.97 - radius) / 0.03, 0.0, 1.0)
    edge *= np.clip((radius - _INNER + 0.02) / 0.05, 0.0, 1.0)
    return png(_coloured(0.05 + 0.9 * level * edge))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture of shape (height, width, 3) as a PNG (RFC 2083)."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each after its filter, 0
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + _crc(kind + data)
        for kind, data in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows.tobytes(), 6)),
            (b"IEND", b""),
        )
    )


def cover_spectra(timbres: NDArray[np.float32]) -> tuple[tuple[int, ...], ...]:
    """Timbres of shape (n, n_bands), 0..1, as fewer levels 0..255 for a cover."""
    parts = np.array_split(timbres, N_BANDS, axis=1)
    levels = np.stack([part.mean(axis=1) for part in parts], axis=1)
    steps = np.clip(np.rint(255.0 * levels), 0, 255).astype(int)
    return tuple(tuple(row) for row in steps.tolist())


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _around(
    waypoints: NDArray[np.float64],
    turn: NDArray[np.float64],
    height: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Levels at places 0..1 around and from the lowest band to the highest.

    Between two waypoints, the last and the first as well, one fades into the other.
    """
    n, n_bands = waypoints.shape
    steps = np.arange(n * _STEPS) / _STEPS
    index = steps.astype(np.intp)
    share = (steps - index)[:, None]
    table = waypoints[index] * (1.0 - share) + waypoints[(index + 1) % n] * share
    column = np.minimum((turn * len(table)).astype(np.intp), len(table) - 1)
    band = np.clip(height * (n_bands - 1), 0.0, n_bands - 1.001)
    low = band.astype(np.intp)
    between = band - low
    return np.asarray(
        table[column, low] * (1.0 - between) + table[column, low + 1] * between
    )


def _coloured(level: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours of levels 0..1, shape (..., 3)."""
    at = np.linspace(0.0, 1.0, len(_PALETTE))
    clipped = np.clip(level, 0.0, 1.0)
    channels = [np.interp(clipped, at, _PALETTE[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
