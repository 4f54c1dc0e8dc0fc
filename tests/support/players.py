"""Players that people have, each writing what it decodes of a stream into a file."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from effects.audio.levels import Samples
from tests.support.streams import decoded, program

RATE = 48_000
FORMATS = ("mp3", "opus", "flac")


@dataclass(frozen=True)
class Played:
    """What one player made of one format.

    Attributes:
        player: its name.
        format: of the stream.
        samples: shape (n, 2), as it decoded them.
        said: what it printed.
    """

    player: str
    format: str
    samples: Samples
    said: str


def play_everywhere(
    url: str, seconds: float, folder: Path, position: Callable[[], float]
) -> list[Played]:
    """Play all formats in all players at once.

    Args:
        url: of the streams, without their endings.
        seconds: of the stream, for which each plays.
        folder: for their files; every user may write into it.
        position: gives the second of the session; a busy machine plays it slower.
    """
    takers = {
        "curl": (["curl", "-s", "-N", "-o", "FILE", "URL"], ""),
        "ffmpeg": (
            [
                *("ffmpeg", "-v", "warning", "-i", "URL", "-t", f"{seconds}"),
                *("-c:a", "pcm_f32le", "-y", "FILE"),
            ],
            ".wav",
        ),
        "mpv": (
            [
                *("mpv", "--no-config", "--ao=pcm", "--ao-pcm-file=FILE"),
                *("--audio-format=float", "URL"),
            ],
            ".wav",
        ),
        # Writing a file, mpv does not wait for the time at which a title is shown.
        "mpv-titles": (["mpv", "--no-config", "--ao=null", "URL"], ""),
        "vlc": (
            [
                *("cvlc", "-I", "dummy", "-vv", "--no-video", "--aout=afile"),
                *("--audiofile-file=FILE", "--audiofile-format=float32", "URL"),
            ],
            ".wav",
        ),
    }
    with ExitStack() as stack:
        sounds = stack.enter_context(_chromium(url, seconds, folder))
        for player, (command, ending) in takers.items():
            for name in FORMATS:
                file = folder / f"{player}-{name}{ending}"
                filled = [
                    part.replace("FILE", str(file)).replace("URL", f"{url}{name}")
                    for part in command
                ]
                log = folder / f"{player}-{name}.log"
                stack.enter_context(program(filled, log, as_nobody=player == "vlc"))
        stop = position() + seconds + 4.0
        while position() < stop:
            time.sleep(0.2)
        deadline = time.monotonic() + 60.0
        while len(sounds) < len(FORMATS) and time.monotonic() < deadline:
            time.sleep(0.1)
    found = [
        Played("chromium", name, samples, "")
        for name, samples in ((n, sounds.get(n, _NOTHING)) for n in FORMATS)
    ]
    for player, (_, ending) in takers.items():
        if player == "mpv-titles":
            continue
        for name in FORMATS:
            file = folder / f"{player}-{name}{ending}"
            shows = "mpv-titles" if player == "mpv" else player
            log = folder / f"{shows}-{name}.log"
            said = log.read_text(errors="replace")
            found.append(Played(player, name, _sound(file, name), said))
    return found


_NOTHING: Samples = np.zeros((0, 2), np.float32)


def _sound(file: Path, name: str) -> Samples:
    if not file.exists():
        return _NOTHING
    if not file.suffix:  # encoded, as it came
        container = "ogg" if name == "opus" else name
        return decoded(file.read_bytes(), container, is_cut=True)
    if file.name.startswith("ffmpeg"):
        samples, _ = soundfile.read(file, dtype="float32", always_2d=True)
        return np.asarray(samples, np.float32)
    # Players that were ended leave a header without lengths.
    data = file.read_bytes()
    begin = data.index(b"data") + 8
    usable = (len(data) - begin) // 8 * 8
    return np.frombuffer(data[begin : begin + usable], "<f4").reshape(-1, 2)


@contextmanager
def _chromium(url: str, seconds: float, folder: Path) -> Iterator[dict[str, Samples]]:
    """A browser that plays all formats, and what its Web Audio gets of them."""
    found: dict[str, Samples] = {}
    page = PAGE.replace("URL", url).replace("SECONDS", f"{seconds}")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text, kind = {
                "/": (page, "text/html"),
                "/take.js": (TAKE, "text/javascript"),
            }.get(self.path, ("", "text/plain"))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            samples = np.frombuffer(data, "<f4").reshape(-1, 2)
            found[self.path.strip("/")] = samples
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--disable-audio-output", f"--user-data-dir={folder / 'profile'}"),
            "--autoplay-policy=no-user-gesture-required",
            f"http://127.0.0.1:{server.server_port}/",
        ]
        try:
            with program(command, folder / "chromium.log"):
                yield found
        finally:
            server.shutdown()


TAKE = """
registerProcessor('take', class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length === 2) {
      const both = new Float32Array(2 * input[0].length);
      input.forEach((side, c) => side.forEach((x, i) => { both[2 * i + c] = x; }));
      this.port.postMessage(both);
    }
    return true;
  }
});
"""
PAGE = """<script type="module">
const context = new AudioContext({sampleRate: 48000});
await context.audioWorklet.addModule('/take.js');
for (const name of ['mp3', 'opus', 'flac']) {
  const sound = new Audio();
  sound.crossOrigin = 'anonymous';
  sound.src = 'URL' + name;
  const node = new AudioWorkletNode(context, 'take');
  const taken = [];
  node.port.onmessage = (event) => taken.push(event.data);
  context.createMediaElementSource(sound).connect(node);
  sound.addEventListener('playing', () => setTimeout(() => {
    fetch('/' + name, {method: 'POST', body: new Blob(taken)});
  }, 1000 * SECONDS), {once: true});
  sound.play();
}
</script>"""
