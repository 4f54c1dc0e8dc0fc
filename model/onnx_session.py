"""Opening a network with onnxruntime: on one thread, quietly, telling nobody."""

import os
from typing import Any

from effects.base.errors import InputError

# A tensor names another file under this key, wherever in a network it stands, and
# onnxruntime would read that file. No network of Latent's holds the word.
ELSEWHERE = b"location"


def _onnxruntime() -> Any:
    """The package onnxruntime, with its telemetry off.

    As published (1.32 was measured), it queues usage events for its vendor and writes
    them, with an identifier of the device, to ~/.cache/Microsoft. It reads the variable
    once, when it is loaded; `disable_telemetry_events` comes too late, both files are
    there by then. A value that the user has set stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def open_session(content: bytes) -> Any:
    """Open a network on one thread.

    Args:
        content: of an ONNX file that keeps all its weights.

    Raises:
        InputError: the end of a sentence about what is wrong.
        MemoryError: this machine has too little for it.
    """
    if ELSEWHERE in content:
        raise InputError("keeps weights in another file: refused")
    onnxruntime = _onnxruntime()
    onnxruntime.set_default_logger_severity(4)  # faults are raised, not printed
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # An arena keeps the memory of the largest batch that was ever run.
    options.enable_cpu_mem_arena = False
    # Spinning worker threads would starve the audio callback.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the errors of onnxruntime share no base class
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise InputError("is no readable ONNX file") from error
    # It keeps the file's content for changing its provider, which never happens here.
    session.disable_fallback()
    session._model_bytes = None
    return session
