"""The processes that render the end of a session again, for `keep`.

Threads: any thread asks for a job, the session's thread reports what became of it.
"""

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from effects.base.errors import InputError, RunError
from effects.base.search_path import child_environment
from engine.recording.naming import numbered

MAX_WAITING = 4  # jobs behind the one that is rendered
END_S = 2.0  # that a cancelled job has to remove its file


@dataclass(frozen=True)
class _KeepJob:
    """Samples [start, stop) of the session, to be rendered into `out`."""

    out: Path
    start: int
    stop: int


class KeepJobs:
    """Saves stretches of the running session, one at a time, in processes of their own.

    Args:
        journal: of the session; None when there is none.
        folder: that the files go to.
        sample_rate: of the session, Hz.
        say: takes one line for the user.
    """

    def __init__(
        self,
        journal: Path | None,
        folder: Path,
        sample_rate: int,
        say: Callable[[str], None],
    ) -> None:
        self._journal, self._folder, self._say = journal, folder, say
        self._rate = sample_rate
        self._lock = threading.Lock()
        self._waiting: deque[_KeepJob] = deque()
        self._running: tuple[subprocess.Popen[str], _KeepJob] | None = None

    def start(self, seconds: float, position: int) -> None:
        """Have a stretch of the session rendered; returns at once.

        Args:
            seconds: length of the stretch.
            position: sample of the session at which it ends.

        Raises:
            InputError: nothing has been played yet.
            RunError: there is no journal, or too many jobs wait.
        """
        if self._journal is None:
            raise RunError("nothing can be kept: this session has no journal")
        start = max(0, position - round(seconds * self._rate))
        if start >= position:
            raise InputError("nothing can be kept: the session has only just begun")
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                raise RunError(f"{MAX_WAITING} stretches wait to be kept; try later")
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunError(f"{self._folder}: {error.strerror}") from None
            job = _KeepJob(self._unused_name(), start, position)
            self._waiting.append(job)
            after = "" if self._running is None else " when the one before is done"
            self._say(f"keeping the last {seconds:g} s in {job.out}{after}")
            self._begin_next()

    def report(self) -> None:
        """The session's thread: report a job that has ended, and begin the next."""
        with self._lock:
            if self._running is None:
                return
            process, job = self._running
            if process.poll() is None:
                return
            self._running = None
            _, printed = process.communicate()
            lines = printed.strip().removeprefix("latent: ").splitlines()
            self._say(
                f"not kept: {' '.join(lines[-1:])}"
                if process.returncode
                else f"kept {job.out}"
            )
            self._begin_next()

    def cancel(self) -> None:
        """The session's thread, at its end: end all jobs, and say how to go on."""
        with self._lock:
            jobs = list(self._waiting)
            self._waiting.clear()
            if self._running is not None:
                process, job = self._running
                self._running = None
                if process.poll() is None:
                    jobs.insert(0, job)
                    _end(process)
                elif process.returncode == 0:
                    self._say(f"kept {job.out}")
                process.communicate()
        for job in jobs:
            span = f"--from {job.start / self._rate:g} --to {job.stop / self._rate:g}"
            self._say(
                "not kept, as the session ended; render it by "
                f"'latent replay {self._journal} {job.out} {span}'"
            )

    def _begin_next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        job = self._waiting.popleft()
        command = [sys.executable, "-P", "-m", "engine.cli", "replay"]
        command += [str(self._journal), str(job.out)]
        # As text and back a double comes to the same sample.
        command += ["--from", repr(job.start / self._rate)]
        command += ["--to", repr(job.stop / self._rate)]
        try:
            process = subprocess.Popen(
                ["nice", "-n", "10", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # a line at most: the screen may be the view's
                env=child_environment(),
                text=True,
            )
        except OSError as error:  # no memory, no descriptors
            self._say(f"not kept: no process can be started ({error.strerror})")
            return
        self._running = process, job

    def _unused_name(self) -> Path:
        taken = {job.out for job in self._waiting}
        if self._running is not None:
            taken.add(self._running[1].out)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        names = numbered(self._folder / f"kept-{stamp}.flac")
        return next(name for name in names if name not in taken and not name.exists())


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
