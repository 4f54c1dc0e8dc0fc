"""How a process of the command line ends: by a signal, and beside native threads."""

import subprocess
import sys

from tests.support.command import ROOT

BROKEN_IMPORT = """
import os, signal, time
from engine.cli import main

def importing(*args, **kwargs):
    try:
        os.kill(os.getpid(), signal.{signal})
        time.sleep(5.0)
    except BaseException:
        raise ImportError("initialization failed") from None

main.latent.main = importing
main.run_process()
"""

NATIVE_THREADS = """
import atexit
from engine.cli.signals import leave

atexit.register(print, "taken down")
if {native}:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 3
    path = "model/bundled/decoder.onnx"
    session = onnxruntime.InferenceSession(path, options)
leave(4)
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )


def test_a_signal_that_breaks_an_import_is_a_signal() -> None:
    for name, number in (("SIGTERM", 15), ("SIGINT", 2)):
        done = run(BROKEN_IMPORT.format(signal=name))
        assert done.returncode == 128 + number
        assert done.stderr == "latent: stopped\n"


def test_the_interpreter_is_not_taken_down_beside_native_threads() -> None:
    """One that is inside a library would crash the process."""
    for native, said in ((True, ""), (False, "taken down\n")):
        done = run(NATIVE_THREADS.format(native=native))
        assert (done.returncode, done.stdout) == (4, said), done.stderr


CUT_OFF = """
import atexit, os
from engine.cli import main

atexit.register(os.abort)  # as a library might that was not imported to its end
main.latent.main = lambda *args, **kwargs: os.kill(os.getpid(), {number})
main.run_process()
"""


def test_the_interpreter_is_not_taken_down_after_a_signal() -> None:
    for number in (2, 15):
        done = run(CUT_OFF.format(number=number))
        assert (done.returncode, done.stderr) == (128 + number, "latent: stopped\n")
