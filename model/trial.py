"""A first run of networks from elsewhere, in a process of its own and under limits.

An ONNX file of a few hundred bytes may ask for any amount of memory and time, already
while it is read, when constants are folded. So both networks of an unknown model are
read and run once in a child process that may use only so much of either; what passed
is remembered by its hash. What depends on the input only, and could therefore pass and
go wrong later, is not allowed at all: control flow, functions, operators of others.
"""

import hashlib
import os
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from typing import Any, NoReturn

from effects.base.errors import InputError, RunError
from effects.base.paths import cache_dir
from effects.base.search_path import child_environment
from effects.base.whole_file import write_whole

MEMORY = 2 * 2**30  # bytes of address space; the bundled model takes a third of it
CPU_SECONDS = 10  # for reading and running both; the bundled model takes 0.5
WALL_SECONDS = 60.0  # on a machine that does much else
ROWS = 1024  # that are run at once, as many as ever are
REFUSED = 3  # exit code of the child
TOO_LARGE = f"its networks cannot be run within {MEMORY // 2**20} MB"


def check_trial(decoder: bytes, encoder: bytes, *, n_latents: int, n_bands: int) -> str:
    """Run two networks once under limits, unless they have passed before.

    Args:
        decoder: content of an ONNX file.
        encoder: the same.
        n_latents: width of the decoder's input.
        n_bands: width of the encoder's input.

    Returns:
        A sentence on what is wrong with them; empty if nothing is.

    Raises:
        RunError: no process can be started.
    """
    passed = _passed(decoder, encoder)
    if passed.exists():
        return ""
    head = struct.pack("<4Q", n_latents, n_bands, len(decoder), len(encoder))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "model.trial"],
            input=head + decoder + encoder,
            env=child_environment(),
            capture_output=True,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"its networks take longer than {WALL_SECONDS:.0f} s for {ROWS} sounds"
    except OSError as error:
        raise RunError(f"the model's first run: {error.strerror}") from error
    wrong = _verdict(done.returncode, done.stdout)
    if not wrong:
        remember(decoder, encoder)
    return wrong


def remember(decoder: bytes, encoder: bytes) -> None:
    """Note that two networks need no trial: they passed one, or were made here."""
    passed = _passed(decoder, encoder)
    with suppress(OSError, RunError):  # a cache that cannot be written costs time only
        passed.parent.mkdir(parents=True, exist_ok=True)
        write_whole(passed, b"")


def _passed(decoder: bytes, encoder: bytes) -> Any:
    digest = hashlib.sha256(decoder)
    digest.update(encoder)
    return cache_dir() / "models" / f"{digest.hexdigest()}.passed"


def _verdict(code: int, printed: bytes) -> str:
    if code == 0:
        return ""
    if code == REFUSED:
        return printed.decode(errors="replace").strip()
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"its networks take longer than {CPU_SECONDS} s for {ROWS} sounds"
    # onnxruntime ends the process where it cannot have the memory that it wants.
    return TOO_LARGE


def run() -> None:
    """Run the networks that stand on stdin; what `python -m model.trial` does."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = sys.stdin.buffer
    n_latents, n_bands, n_decoder, n_encoder = struct.unpack("<4Q", source.read(32))
    try:
        _run_one("decoder.onnx", source.read(n_decoder), "z", n_latents)
        _run_one("encoder.onnx", source.read(n_encoder), "spectrum", n_bands)
    except InputError as error:
        _refuse(str(error))
    except MemoryError:
        _refuse(TOO_LARGE)


def _run_one(file: str, content: bytes, name: str, width: int) -> None:
    """Check the graph of one network, read it and run it.

    Raises:
        InputError: a sentence on what is wrong.
        MemoryError: it wants more than there may be.
    """
    import numpy as np

    from model.onnx_graph import check_graph
    from model.onnx_session import open_session

    try:
        check_graph(content)
        session = open_session(content)
    except InputError as error:
        if _lacked_memory(error.__cause__):
            raise MemoryError from error
        raise InputError(f"{file} {error}") from error
    zeros = np.zeros((ROWS, width), np.float32)
    try:
        session.run(None, {name: zeros})
    except Exception as error:  # the errors of onnxruntime share no base class
        if _lacked_memory(error):
            raise MemoryError from error
        raise InputError(
            f"{file} does not fit: needs {name} float32 [n, {width}]"
        ) from error


def _lacked_memory(error: BaseException | None) -> bool:
    words = ("allocate", "bad_alloc", "alloc failed", "bad allocation")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _refuse(why: str) -> NoReturn:
    sys.stdout.write(why)
    sys.stdout.flush()
    os._exit(REFUSED)


if __name__ == "__main__":
    run()
