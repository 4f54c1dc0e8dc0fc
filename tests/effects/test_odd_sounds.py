"""Odd sound files that users have: with other endings, wrong headers, other codecs."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.audio.mp3_frames import mended_mp3, walk
from effects.audio.sound_formats import SoundError, UnsupportedError
from effects.audio.sound_reader import opened, read_sound, read_tags
from effects.audio.sound_search import LINK, SPECIAL, find_sounds
from tests.support.audio import residual_db

RATE = 44_100
SECONDS = 20.0
needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg makes the files of this test"
)


@pytest.fixture(scope="module")
def music() -> Samples:
    """A quiet tone, then a loud noisy chord: no bit rate suits both."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    rng = np.random.default_rng(2)
    loud = np.sin(2 * np.pi * 330 * time) + 0.5 * rng.standard_normal(len(time))
    mono = 0.01 * np.sin(2 * np.pi * 220 * time) + 0.1 * loud * (time > SECONDS / 3)
    return np.stack([mono, 0.7 * mono], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def wav(music: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("music") / "music.wav"
    soundfile.write(path, music, RATE, subtype="PCM_16")
    return path


def ffmpeg(wav: Path, to: Path, *options: str) -> Path:
    command = ["ffmpeg", "-v", "error", "-i", str(wav), *options, f"file:{to}"]
    subprocess.run(command, check=True)
    return to


def seconds_of(path: Path) -> float:
    samples, rate = read_sound(path)
    with opened(path) as file:
        assert abs(file.frames - len(samples)) <= 0.01 * len(samples)
    return len(samples) / rate


def ends_loud(path: Path) -> bool:
    samples, rate = read_sound(path)
    return bool(np.std(samples[-rate:]) > 0.05)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4a", ["-c:a", "aac", "-b:a", "192k"]),
        ("b.m4b", ["-c:a", "aac"]),
        ("c.mp4", ["-c:a", "alac"]),
        ("d.mka", ["-c:a", "flac"]),
        ("e.webm", ["-c:a", "libopus"]),
        ("f.aac", ["-c:a", "aac"]),
        ("g.wma", ["-c:a", "wmav2"]),
        ("h.wv", ["-c:a", "wavpack"]),
        ("i.caf", ["-c:a", "pcm_s16le"]),
        ("j.au", ["-c:a", "pcm_s16be"]),
        ("k.oga", ["-c:a", "flac"]),
        ("l.mp2", ["-c:a", "mp2", "-b:a", "256k"]),
        ("m.aifc", ["-c:a", "pcm_f32be", "-f", "aiff"]),
        ("n.w64", ["-c:a", "pcm_s24le"]),
        ("o.mp3", ["-c:a", "aac", "-f", "ipod"]),  # an M4A that is called MP3
    ],
)
def test_other_codecs_are_read_whole(
    wav: Path, music: Samples, tmp_path: Path, name: str, options: list[str]
) -> None:
    path = ffmpeg(wav, tmp_path / name, *options)
    assert find_sounds(tmp_path).files == (path,)
    samples, rate = read_sound(path)
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.1)
    level = np.std(samples, axis=0) / np.std(music, axis=0)
    np.testing.assert_allclose(level, 1.0, atol=0.12)
    assert ends_loud(path)


@needs_ffmpeg
def test_ffmpeg_keeps_the_tags_and_the_samples(
    wav: Path, music: Samples, tmp_path: Path
) -> None:
    tags = ["-metadata", "title=Fog", "-metadata", "artist=雨"]
    path = ffmpeg(wav, tmp_path / "a.m4a", "-c:a", "alac", *tags)
    found = read_tags(path)
    assert (found["title"], found["artist"]) == ("Fog", "雨")
    assert residual_db(read_sound(path)[0], music) < -60.0


@needs_ffmpeg
def test_only_as_much_is_decoded_as_is_asked_for(wav: Path, tmp_path: Path) -> None:
    path = ffmpeg(wav, tmp_path / "a.m4a", "-c:a", "aac")
    assert len(read_sound(path, max_seconds=3.0)[0]) == 3 * RATE


def test_without_ffmpeg_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="apt install ffmpeg") as caught:
        read_sound(tmp_path / "a.m4a")
    assert "\n" not in str(caught.value)


@needs_ffmpeg
def test_a_broken_foreign_file_is_one_line_and_opens_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
    with pytest.raises(SoundError, match="broken MP4") as caught:
        read_sound(tmp_path / "a.m4a")
    assert "\n" not in str(caught.value)
    playlist = "#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n"
    (tmp_path / "b.m4a").write_text(playlist)
    with pytest.raises(SoundError, match="not a sound"):
        read_sound(tmp_path / "b.m4a")


@needs_ffmpeg
@pytest.mark.parametrize("quality", ["0", "2", "6"])
def test_a_vbr_mp3_without_a_length_is_read_to_its_end(
    wav: Path, tmp_path: Path, quality: str
) -> None:
    path = ffmpeg(wav, tmp_path / "a.mp3", "-q:a", quality, "-write_xing", "0")
    with soundfile.SoundFile(path) as plain:
        guessed = plain.frames / RATE
    assert abs(guessed - SECONDS) > 0.5, "the case is one no more"
    assert seconds_of(path) == pytest.approx(SECONDS, abs=0.1)
    assert ends_loud(path)
    with opened(path) as file:
        file.seek(int(0.8 * SECONDS * RATE))
        assert np.std(file.read(RATE)) > 0.05


@needs_ffmpeg
@pytest.mark.parametrize("rate", ["44100", "22050", "11025"])
@pytest.mark.parametrize("channels", ["1", "2"])
def test_joined_mp3s_are_read_to_the_end_of_the_last(
    wav: Path, tmp_path: Path, rate: str, channels: str
) -> None:
    form = ["-ar", rate, "-ac", channels, "-metadata", "title=One"]
    one = ffmpeg(wav, tmp_path / "one.mp3", "-q:a", "4", *form).read_bytes()
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(one + one + one)
    assert seconds_of(joined) == pytest.approx(3 * SECONDS, abs=0.5)
    assert read_tags(joined)["title"] == "One"


@needs_ffmpeg
@pytest.mark.parametrize("before", [4_096, 100_000])
def test_zeros_and_junk_before_the_first_frame_are_passed_over(
    wav: Path, tmp_path: Path, before: int
) -> None:
    mp3 = ffmpeg(wav, tmp_path / "plain.mp3", "-b:a", "192k").read_bytes()
    rng = np.random.default_rng(5)
    for name, junk in (("zeros", bytes(before)), ("junk", rng.bytes(before))):
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(junk + mp3)
        assert seconds_of(path) == pytest.approx(SECONDS, abs=0.2)


@needs_ffmpeg
def test_an_mp3_in_good_order_is_left_as_it_is(wav: Path, tmp_path: Path) -> None:
    for options in (["-b:a", "128k"], ["-q:a", "3"]):
        path = ffmpeg(wav, tmp_path / f"{options[1]}.mp3", *options)
        found = walk(path.read_bytes())
        assert found is not None
        assert found.stated == pytest.approx(found.count, abs=1)
        with path.open("rb") as file:
            assert mended_mp3(file.fileno()) is None


def test_what_is_no_mp3_has_no_frames() -> None:
    rng = np.random.default_rng(1)
    assert walk(b"") is None
    assert walk(bytes(100_000)) is None
    assert walk(b"\xff" * 100_000) is None
    assert walk(rng.bytes(300_000)) is None


@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF"])
def test_sizes_that_were_never_written_are_found(
    music: Samples, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / ("a.aiff" if kind == "AIFF" else "a.wav")
    soundfile.write(path, music, RATE, format=kind, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = bytes(4)
    at = content.index(b"SSND" if kind == "AIFF" else b"data")
    content[at + 4 : at + 8] = b"\xff" * 4 if kind == "RF64" else bytes(4)
    if kind == "RF64":
        at = content.index(b"ds64")
        content[at + 8 : at + 32] = bytes(24)
    if kind == "AIFF":
        at = content.index(b"COMM")
        content[at + 10 : at + 14] = bytes(4)
    path.write_bytes(content)
    samples, _ = read_sound(path)
    assert samples.shape == music.shape
    assert residual_db(samples, music) < -60.0


def test_a_wav_that_is_empty_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    form = struct.pack("<HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + bytes(4) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(SoundError, match="no audio"):
        read_sound(path)


def test_endings_of_wav_and_aiff_are_found(music: Samples, tmp_path: Path) -> None:
    names = ("a.wave", "b.bwf", "c.rf64", "d.WAV")
    for name in names:
        container = "RF64" if name == "c.rf64" else "WAV"
        soundfile.write(tmp_path / name, music[:RATE], RATE, format=container)
    assert [path.name for path in find_sounds(tmp_path).files] == list(names)
    for path in find_sounds(tmp_path).files:
        assert len(read_sound(path)[0]) == RATE


def test_what_is_passed_over_is_named_with_the_reason(tmp_path: Path) -> None:
    music, other = tmp_path / "music", tmp_path / "other"
    for folder in (music, other, music / "closed"):
        folder.mkdir()
    for path in (music / "a.flac", other / "b.flac", music / "c.txt", music / "D.TXT"):
        path.touch()
    (music / "linked").symlink_to(other)
    (music / "linked.flac").symlink_to(other / "b.flac")
    (music / "gone.ogg").symlink_to(other / "none")
    os.mkfifo(music / "pipe.wav")
    (music / "closed").chmod(0)
    found = find_sounds(music)
    (music / "closed").chmod(0o700)
    assert [path.name for path in found.files] == ["a.flac"]
    reasons = {Path(p.name).name: p.reason for p in found.passed_over}
    if os.geteuid():
        assert "Permission denied" in reasons.pop("closed")
    assert reasons == {
        "linked": LINK,
        "linked.flac": LINK,
        "gone.ogg": LINK,
        "pipe.wav": SPECIAL,
    }
    assert found.other_endings == {".txt": 2}
