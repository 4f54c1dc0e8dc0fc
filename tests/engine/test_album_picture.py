"""Pictures show what sounds, where it sounds."""

from pathlib import Path

import numpy as np

from engine.album.picture import (
    COVER_PIXELS,
    FFT,
    LOW_HZ,
    draw_cover,
    draw_spectrogram,
    log_rows,
    spectrogram_db,
)

RATE = 44_100
TIME = np.arange(4 * RATE) / RATE


def test_a_tone_stands_in_its_row_and_its_half() -> None:
    tone = np.sin(2 * np.pi * 1000.0 * TIME) * (TIME > 2.0)
    level = spectrogram_db(np.stack([tone, tone], axis=1).astype(np.float32))
    rows = log_rows(level, RATE)
    late = rows[:, int(0.8 * rows.shape[1])]
    octave = np.log2(RATE / 2 / LOW_HZ)
    expected = np.log2(1000.0 / LOW_HZ) / octave * len(rows)
    assert abs(int(np.argmax(late)) - expected) < 3
    assert late.max() > -3.0
    assert rows[:, : rows.shape[1] // 3].max() < -100.0
    assert level.shape[0] == FFT // 2 + 1


def test_a_spectrogram_is_a_png_even_of_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    draw_spectrogram(np.zeros((100, 2), np.float32), RATE, path, "silence")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_covers_differ_with_the_music_and_not_otherwise() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.uniform(0.0, 1.0, (20, 103)).astype(np.float32) for _ in "ab")
    cover = draw_cover([one, other])
    assert int.from_bytes(cover[16:20], "big") == COVER_PIXELS
    assert draw_cover([one, other]) == cover
    assert draw_cover([other, one]) != cover
    assert draw_cover([one[:1]]).startswith(b"\x89PNG")
