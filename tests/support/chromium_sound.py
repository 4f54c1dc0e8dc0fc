"""What Chromium's `<audio>` makes of streams, beside what it makes of a sound file.

Each element plays into Web Audio, where its samples are taken as the browser mixes
them. A file that lies there whole is played at the same time: what happens to it is of
the browser and the machine, not of a stream.
"""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from effects.audio.levels import Samples
from tests.support.browsing import browsing

RATE = 48_000
FILE = "file"  # name of the sound file among what was taken
_MORE_S = 10.0  # of the file, beyond what is taken


class Taken(Mapping[str, Samples]):
    """Sounds that were taken so far, by their names, each of shape (n, 2).

    Args:
        posted: bodies by paths.
    """

    def __init__(self, posted: Mapping[str, bytes]) -> None:
        self._posted = posted

    def __getitem__(self, name: str) -> Samples:
        return np.frombuffer(self._posted[f"/{name}"], "<f4").reshape(-1, 2)

    def __iter__(self) -> Iterator[str]:
        return (path.strip("/") for path in tuple(self._posted))

    def __len__(self) -> int:
        return len(self._posted)


def pink_noise(seed: int, seconds: float) -> Samples:
    """Noise of 16 bits, nowhere like itself, with as much power in every octave."""
    n_samples = round(seconds * RATE)
    white = np.random.default_rng(seed).standard_normal((n_samples, 2))
    hertz = np.maximum(np.fft.rfftfreq(n_samples, 1.0 / RATE), 50.0)
    shaped = np.fft.rfft(white, axis=0) / np.sqrt(hertz)[:, None]
    pink = np.fft.irfft(shaped, n_samples, axis=0)
    rounded = np.rint(2_000.0 * pink / pink.std())
    return np.asarray(rounded / 32_768.0, np.float32)


def file_sound(seconds: float) -> Samples:
    """The sound of the file that is played beside the streams."""
    return pink_noise(1, seconds + _MORE_S)


@contextmanager
def taken_in_chromium(
    url: str, names: Sequence[str], seconds: float, folder: Path
) -> Iterator[Taken]:
    """Play streams and the file in Chromium, all at once.

    Args:
        url: of the streams, without their endings.
        names: their endings.
        seconds: for which each plays.
        folder: for the browser's files.
    """
    flac = io.BytesIO()
    soundfile.write(flac, file_sound(seconds), RATE, "PCM_24", format="FLAC")
    streams = {name: f"{url}{name}" for name in names} | {FILE: "/file.flac"}
    page = PAGE.replace("STREAMS", repr(streams)).replace("SECONDS", f"{seconds}")
    documents = {
        "/take.js": ("text/javascript", TAKE.encode()),
        "/file.flac": ("audio/flac", flac.getvalue()),
    }
    with browsing(page, folder, documents=documents) as posted:
        yield Taken(posted)


def wait_for(taken: Taken, number: int, timeout: float) -> None:
    """Until so many sounds were taken, or the time is over."""
    deadline = time.monotonic() + timeout
    while len(taken) < number and time.monotonic() < deadline:
        time.sleep(0.1)


TAKE = """
registerProcessor('take', class extends AudioWorkletProcessor {
  both = new Float32Array(2 * 24000);
  filled = 0;
  process([input]) {
    if (input.length === 2) {
      for (let i = 0; i < input[0].length; i++) {
        this.both[this.filled++] = input[0][i];
        this.both[this.filled++] = input[1][i];
        if (this.filled === this.both.length) {
          this.port.postMessage(this.both);
          this.both = new Float32Array(this.both.length);
          this.filled = 0;
        }
      }
    }
    return true;
  }
});
"""
PAGE = """<script type="module">
const context = new AudioContext({sampleRate: 48000});
await context.audioWorklet.addModule('/take.js');
for (const [name, url] of Object.entries(STREAMS)) {
  const sound = new Audio();
  sound.crossOrigin = 'anonymous';
  sound.src = url;
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
