"""What holds for every test."""

import os
import signal

# Tests that import onnxruntime themselves report nothing to its vendor, either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A shell lets what it starts in the background ignore interrupts, and so would every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
