"""The processes that render the end of a session again, for `keep`."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from engine.control.callbacks import Say


class KeepJobs:
    """Saves the last seconds of the running session, each time in its own process.

    Args:
        journal: of the session.
        folder: that the files go to.
        say: takes one line for the user.
    """

    def __init__(self, journal: Path, folder: Path, say: Say) -> None:
        self._journal, self._folder, self._say = journal, folder, say
        self._running: list[tuple[subprocess.Popen[str], Path]] = []

    def start(self, seconds: float) -> None:
        """Begin to render the last so many seconds; returns at once."""
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        out = self._folder / f"kept-{stamp}.flac"
        self._say(f"keeping the last {seconds:g} s in {out}")
        command = [sys.executable, "-m", "engine.cli.main", "replay"]
        command += [str(self._journal), str(out), "--last", str(seconds)]
        process = subprocess.Popen(
            ["nice", "-n", "10", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # a line at most: the screen may be the view's
            text=True,
        )
        self._running.append((process, out))

    def report(self, *, wait: bool = False) -> None:
        """Report the jobs that have ended by now, or wait for all of them."""
        for process, out in tuple(self._running):
            if not wait and process.poll() is None:
                continue
            _, problem = process.communicate()
            self._running.remove((process, out))
            lines = problem.strip().removeprefix("latent: ").splitlines()
            self._say(
                f"not kept: {' '.join(lines[-1:])}"
                if process.returncode
                else f"kept {out}"
            )
