"""Live encoding: decoded by ffmpeg, from the start and from the middle."""

from itertools import pairwise

import numpy as np
import pytest

from engine.streams.encoder import FORMATS, PIECE_S, Encoder
from engine.streams.framing import Mp3Frames, OggPages
from tests.support.audio import residual_db
from tests.support.streams import RATE, decoded, tones

SECONDS = 6


def encode(name: str, sample_rate: int) -> tuple[bytes, list[bytes]]:
    """Header and pieces of six seconds of tones, as many samples at any rate."""
    encoder = Encoder(FORMATS[name], sample_rate, "A title")
    pieces: list[bytes] = []
    for start in range(0, SECONDS * sample_rate, 4_801):
        n = min(4_801, SECONDS * sample_rate - start)
        pieces += encoder.encode(tones(start, n))
    return encoder.header, pieces + encoder.close()


@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_is_decoded_whole_and_from_any_piece(
    name: str, sample_rate: int
) -> None:
    header, pieces = encode(name, sample_rate)
    for data in (b"".join(pieces), b"".join(pieces[len(pieces) // 2 :])):
        samples = decoded_by_name(name, header + data)
        level = np.sqrt(np.mean(samples[12_000:-12_000] ** 2, axis=0))
        np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.05)
    if sample_rate in (44_100, 48_000):
        whole = len(decoded_by_name(name, header + b"".join(pieces)))
        rate = FORMATS[name].rate_for(sample_rate)
        assert abs(whole / rate - SECONDS) < 0.1


def decoded_by_name(
    name: str, data: bytes
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """ffmpeg guesses MP3 and FLAC without a file name, and says so."""
    return decoded(data, "ogg" if name == "opus" else name)


def test_flac_keeps_24_bits() -> None:
    header, pieces = encode("flac", RATE)
    expected = tones(0, SECONDS * RATE)
    heard = decoded(header + b"".join(pieces), "flac")
    np.testing.assert_array_equal(
        np.rint(heard * 2**23), np.rint(expected[: len(heard)] * 2**23)
    )
    assert len(heard) == len(expected)


def test_opus_is_near_and_has_its_title() -> None:
    header, pieces = encode("opus", RATE)
    heard = decoded(header + b"".join(pieces), "ogg")
    n = min(len(heard), SECONDS * RATE)
    middle = slice(RATE, n - RATE)
    assert residual_db(heard[middle], tones(0, n)[middle]) < -20.0
    assert b"A title" in header


def test_opus_comes_in_short_pages() -> None:
    _, pages = encode("opus", RATE)
    ends = [int.from_bytes(page[6:14], "little") for page in pages[:-1]]
    longest = max(after - before for before, after in pairwise([0, *ends]))
    assert longest <= PIECE_S * RATE
    assert all(len(page) > 500 for page in pages[:-1]), "heads of pages cost little"


def test_mp3_comes_in_frames_and_without_a_length() -> None:
    _, pieces = encode("mp3", RATE)
    assert {len(piece) for piece in pieces} == {576}, "192 kbit/s at 48 kHz"
    assert all(piece.startswith(b"\xff\xfb") for piece in pieces)
    assert not any(tag in b"".join(pieces[:3]) for tag in (b"Info", b"Xing", b"TAG"))


@pytest.mark.parametrize("cutter", [Mp3Frames, OggPages])
def test_cutting_does_not_depend_on_how_bytes_come(
    cutter: type[Mp3Frames] | type[OggPages],
) -> None:
    header, pieces = encode("mp3" if cutter is Mp3Frames else "opus", RATE)
    data = header + b"".join(pieces)
    at_once, rng = cutter().add(data), np.random.default_rng(1)
    piecewise, slow, start = [], cutter(), 0
    while start < len(data):
        n = int(rng.integers(1, 2_000))
        piecewise += slow.add(data[start : start + n])
        start += n
    assert piecewise == at_once
    assert b"".join(at_once) == data


def test_noise_is_no_frame() -> None:
    noise = np.random.default_rng(2).integers(0, 255, 20_000, np.uint8).tobytes()
    frames = Mp3Frames().add(noise)  # a byte of 255 does not occur
    assert frames == []


def test_what_is_not_finite_is_encoded_as_silence() -> None:
    broken = np.full((RATE, 2), np.nan, np.float32)
    for name, each in FORMATS.items():
        encoder = Encoder(each, RATE)
        pieces = encoder.encode(broken) + encoder.close()
        samples = decoded_by_name(name, encoder.header + b"".join(pieces))
        assert np.max(np.abs(samples)) < 1e-4
