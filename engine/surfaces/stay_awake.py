"""Keeping a machine awake while music plays, by `systemd-inhibit`.

The tool holds an inhibitor of logind for as long as a program of its own runs. That is
`cat`, which reads from a pipe of ours: it ends when this process does, however it ends.
"""

import shutil
import subprocess
import threading

from effects.base.errors import RunError
from engine.control.callbacks import Say

TOOL = "systemd-inhibit"
LEAVE_S = 1.0  # for the tool to end
MOST_SAID = 200  # characters of what the tool says


class StayAwake:
    """An inhibitor of sleep, from `start` to `stop`.

    Args:
        say: takes one line for the user, should the inhibitor be lost.
    """

    def __init__(self, say: Say = lambda line: None) -> None:
        self._say = say
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="awake", daemon=True)

    def start(self) -> None:
        """Ask logind, in a process that lives as long as this one.

        Raises:
            RunError: the tool is not there, or cannot be started.
        """
        tool = shutil.which(TOOL)
        if tool is None:
            raise RunError(f"--stay-awake needs {TOOL}, which is part of systemd")
        what = ["--what=idle:sleep", "--who=Latent", "--why=music plays"]
        try:
            self._process = subprocess.Popen(
                [tool, *what, "cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the session alone
            )
        except OSError as error:
            raise RunError(f"--stay-awake: {TOOL}: {error.strerror}") from error
        self._thread.start()

    def stop(self) -> None:
        """Let the machine sleep again; harmless when not started."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        self._thread.join(LEAVE_S)

    def _watch(self) -> None:
        """Wait for the tool's end, which is told unless it was asked for."""
        process = self._process
        assert process is not None
        assert process.stderr is not None
        with process.stderr as stream:
            said = stream.read().decode(errors="replace")
        process.wait()
        if not self._stopping.is_set():
            why = " ".join(said.split())[:MOST_SAID] or f"{TOOL} ended"
            self._say(f"the machine may sleep while music plays: {why}")
