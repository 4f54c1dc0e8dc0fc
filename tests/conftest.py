"""What holds for every test."""

import os
import signal

from hypothesis import HealthCheck, settings

# Tests that import onnxruntime themselves report nothing to its vendor, either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A shell lets what it starts in the background ignore interrupts, and so would every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes as long as it takes: no example fails by the clock.
settings.register_profile(
    "latent", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("latent")
