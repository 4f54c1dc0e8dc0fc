"""Players that people have, each playing each format of a real worker."""

import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.base.paths import cache_dir
from engine.streams.channel import BURST_S
from engine.streams.encoder import FORMATS
from engine.streams.messages import Outputs
from tests.support.browsing import browsing
from tests.support.chromium_sound import (
    FILE,
    file_sound,
    pink_noise,
    taken_in_chromium,
    wait_for,
)
from tests.support.likeness import likeness
from tests.support.streams import (
    RATE,
    Source,
    open_folder,
    playing,
    program,
    streaming,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
PLAY_S = 10.0
TAKE_S = 20.0
HLS_JS = "1.7.4"


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with streaming() as running:
        time.sleep(BURST_S + 1.5)
        yield running


def assert_tones(file: Path, seconds: float) -> None:
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    assert rate == RATE
    assert len(samples) > seconds * RATE
    level = np.sqrt(np.mean(samples[RATE:-RATE] ** 2, axis=0))
    np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.06)


@pytest.mark.parametrize("name", FORMATS)
def test_mpv_plays_and_shows_titles(name: str, source: Source, tmp_path: Path) -> None:
    log = tmp_path / "mpv.log"
    source.radio.tell(playing(3))
    url = f"http://127.0.0.1:{source.port}/stream.{name}"
    with program(["mpv", "--no-config", "--ao=null", url], log):
        wait_until(lambda: b"Song 3 (dark)" in log.read_bytes(), 20.0, "a title")
        source.radio.tell(playing(4))
        wait_until(lambda: b"Song 4 (dark)" in log.read_bytes(), 20.0, "the next")
    said = log.read_text(errors="replace")
    assert f"({name} 2ch 48000Hz)" in said
    assert not re.search(r"(?i)error|invalid|fail", said)


@pytest.mark.parametrize("name", FORMATS)
def test_ffmpeg_and_curl_take_it(name: str, source: Source, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{source.port}/stream.{name}"
    raw, wav = tmp_path / f"raw.{name}", tmp_path / "out.wav"
    subprocess.run(["curl", "-s", "-m", "5", "-o", str(raw), url], check=False)
    assert raw.stat().st_size > 100_000
    command = ["ffmpeg", "-v", "error", "-i", url, "-t", str(PLAY_S), str(wav)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=180)
    assert not done.stderr
    assert_tones(wav, PLAY_S - 0.5)


@pytest.mark.parametrize("name", FORMATS)
def test_vlc_plays_and_shows_titles(name: str, source: Source) -> None:
    source.radio.tell(playing(5))
    url = f"http://127.0.0.1:{source.port}/stream.{name}"
    with open_folder() as folder:
        wav, log = folder / "out.wav", folder / "vlc.log"
        options = ["-I", "dummy", "-vv", "--no-video", "--aout=afile"]
        command = ["cvlc", *options, f"--audiofile-file={wav}", url]
        with program(command, log, as_nobody=True):
            wait_until(lambda: b"Title=Latent - Song 5" in log.read_bytes(), 20.0)
            source.radio.tell(playing(6))
            wait_until(lambda: b"Title=Latent - Song 6" in log.read_bytes(), 20.0)
            wait_until(lambda: wav.stat().st_size > 6 * 4 * RATE, 20.0)
        # VLC writes the length when it ends as it likes.
        samples = np.fromfile(wav, "<i2", offset=44)
    stereo = samples[: len(samples) // 2 * 2].reshape(-1, 2) / 32_768.0
    level = np.sqrt(np.mean(stereo[RATE:-RATE] ** 2, axis=0))
    np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.06)


PAGE = """<script>
const out = {cover: 0};
let left = 3;
for (const name of ['mp3', 'opus', 'flac']) {
  const sound = new Audio('http://127.0.0.1:PORT/stream.' + name);
  sound.crossOrigin = 'anonymous';
  const log = [];
  for (const event of ['playing', 'error', 'ended'])
    sound.addEventListener(event, () => log.push(event));
  sound.play().catch(error => log.push(String(error)));
  setTimeout(() => {
    out[name] = {log, seconds: sound.currentTime};
    if (!--left) fetch('/', {method: 'POST', body: JSON.stringify(out)});
  }, 10000);
}
const cover = new Image();
cover.onload = () => { out.cover = cover.width; };
cover.src = 'http://127.0.0.1:PORT/cover.png?song=1';
</script>"""


def test_chromium_plays_all_formats_and_loads_the_cover(
    source: Source, tmp_path: Path
) -> None:
    source.radio.tell(playing(1))
    page = PAGE.replace("PORT", str(source.port))
    with browsing(page, tmp_path) as posted:
        wait_until(lambda: posted, 60.0, "chromium")
    found = json.loads(posted["/"])
    assert found["cover"] == 600
    for name in FORMATS:
        assert "playing" in found[name]["log"], found
        assert "error" not in found[name]["log"], found
        assert found[name]["seconds"] > 6.0, found


def test_chromium_hears_what_is_played(tmp_path: Path) -> None:
    sound = pink_noise(2, 60.0)

    def render(start: int, n_samples: int) -> Samples:
        return np.take(sound, range(start, start + n_samples), axis=0, mode="wrap")

    with streaming(render=render) as source:
        time.sleep(BURST_S + 1.5)
        url = f"http://127.0.0.1:{source.port}/stream."
        with taken_in_chromium(url, list(FORMATS), TAKE_S, tmp_path) as taken:
            wait_for(taken, len(FORMATS) + 1, 120.0)
            heard = dict(taken)
    file = likeness(heard.pop(FILE), file_sound(TAKE_S))
    assert set(heard) == set(FORMATS)
    for name, samples in heard.items():
        assert len(samples) > 0.9 * TAKE_S * RATE, name
        found = likeness(samples, np.concatenate([sound, sound]))
        assert found.n_blocks > 4, name
        assert found.band_db < 1.0, (name, found)
        # Where the browser lost some of the file, too, no stream is to blame; on a
        # busy machine it loses a moment of one element and not of another.
        assert found.jumps <= file.jumps + 1, (name, found, file)
        if name == "flac":
            assert found.n_equal >= found.n_blocks - found.jumps, (found, file)


HLS_PAGE = """<script src="/hls.min.js"></script><script>
const sound = new Audio(), hls = new Hls(), out = {buffered: 0, errors: []};
hls.on(Hls.Events.FRAG_BUFFERED, () => { out.buffered++; });
hls.on(Hls.Events.ERROR, (_, found) => out.errors.push(found.details));
hls.loadSource('/stream.m3u8');
hls.attachMedia(sound);
sound.play();
sound.addEventListener('timeupdate', () => {
  if (sound.currentTime - sound.played.start(0) < 8 || out.seconds) return;
  out.seconds = sound.currentTime - sound.played.start(0);
  fetch('/', {method: 'POST', body: JSON.stringify(out)});
});
</script>"""


def hls_js() -> bytes:
    """The player for HLS in browsers, from npm; kept in the tests' own cache."""
    kept = cache_dir() / "tests" / f"hls-{HLS_JS}.min.js"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with open_folder() as folder:
            asked = ["npm", "pack", f"hls.js@{HLS_JS}", "--silent"]
            try:
                subprocess.run(asked, cwd=folder, check=True, timeout=180)
            except (OSError, subprocess.SubprocessError):
                pytest.skip("hls.js cannot be had: no npm, or no network")
            with tarfile.open(next(folder.glob("*.tgz"))) as archive:
                member = archive.extractfile("package/dist/hls.min.js")
                assert member is not None
                kept.write_bytes(member.read())
    return kept.read_bytes()


def test_hls_js_plays_the_folder_in_chromium(tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    folder.mkdir()
    (folder / "hls.min.js").write_bytes(hls_js())
    with streaming(Outputs(hls=str(folder))):
        wait_until((folder / "stream.m3u8").exists, 30.0, "a playlist")
        with browsing(HLS_PAGE, tmp_path, files=folder) as posted:
            wait_until(lambda: posted, 90.0, "hls.js")
    found = json.loads(posted["/"])
    assert found["seconds"] >= 8.0
    assert found["buffered"] >= 2
    assert not found["errors"], found
