"""HTTP Live Streaming into a folder: MP3 segments and a playlist, by ffmpeg.

Any web server or content delivery network can hand the folder out. ffmpeg copies the
encoded sound; segments that the playlist no longer names are removed.
"""

import os
import shutil
import subprocess
from pathlib import Path

from effects.audio.levels import Samples
from effects.base.errors import RunError
from engine.streams.encoder import FORMATS, Encoder
from engine.streams.messages import Playing
from engine.streams.sink import write_all

SEGMENT_S = 6
LISTED = 10  # segments in the playlist: a minute
PLAYLIST = "stream.m3u8"
END_S = 5.0  # ffmpeg has so long to finish


class HlsTarget:
    """Feeds ffmpeg; a `Target` of a sink.

    Args:
        folder: of the playlist and its segments; made if need be.
        sample_rate: Hz, of the samples given.
    """

    def __init__(self, folder: str, sample_rate: int) -> None:
        self._folder, self._rate = Path(folder), sample_rate
        self._process: subprocess.Popen[bytes] | None = None
        self._encoder: Encoder | None = None

    def open(self) -> None:
        """Start ffmpeg.

        Raises:
            RunError: there is no ffmpeg.
            OSError: the folder cannot be written.
        """
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise RunError("ffmpeg is not there: apt install ffmpeg")
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK):
            raise RunError("the folder cannot be written")
        self._encoder = Encoder(FORMATS["mp3"], self._rate)
        self._process = subprocess.Popen(
            [ffmpeg, *self._arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the session, which ends it
        )

    def write(self, samples: Samples, playing: Playing) -> None:
        """Encode and hand over a block."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._encoder is not None
        data = b"".join(self._encoder.encode(samples))
        write_all(self._process.stdin.fileno(), data)

    def close(self) -> None:
        """End ffmpeg, which closes the last segment."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _arguments(self) -> list[str]:
        options = {
            "hls_time": SEGMENT_S,
            "hls_list_size": LISTED,
            "hls_delete_threshold": LISTED,
            # Players that come back find no end; names go on after a restart.
            "hls_flags": "delete_segments+append_list+omit_endlist+temp_file",
            "hls_segment_type": "mpegts",
            "hls_segment_filename": self._folder / "segment-%06d.ts",
        }
        arguments = ["-v", "error", "-nostdin", "-fflags", "+nobuffer", "-f", "mp3"]
        arguments += ["-protocol_whitelist", "file,pipe", "-i", "pipe:0"]
        arguments += ["-c", "copy", "-f", "hls"]
        for name, value in options.items():
            arguments += [f"-{name}", str(value)]
        return [*arguments, str(self._folder / PLAYLIST)]
