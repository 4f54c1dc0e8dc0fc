"""Players that people have, each writing what it decodes of a stream into a file."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from effects.audio.levels import Samples
from tests.support.chromium_sound import FILE, taken_in_chromium, wait_for
from tests.support.streams import decoded, program

RATE = 48_000
FORMATS = ("mp3", "opus", "flac")


@dataclass(frozen=True)
class Played:
    """What one player made of one format.

    Attributes:
        player: its name.
        format: of the stream, or `FILE` for the sound file that Chromium played.
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
        sounds = stack.enter_context(taken_in_chromium(url, FORMATS, seconds, folder))
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
        wait_for(sounds, len(FORMATS) + 1, 60.0)
    found = [
        Played("chromium", name, samples, "")
        for name, samples in ((n, sounds.get(n, _NOTHING)) for n in (*FORMATS, FILE))
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
