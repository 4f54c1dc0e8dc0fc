"""Counters of a session, each written by one thread and read by any."""

from dataclasses import dataclass


@dataclass
class Metrics:
    """What happened so far; plain numbers, so that reading needs no lock.

    The callback writes `blocks` to `peak_right`, the session the two of devices, the
    producer the rest.
    """

    blocks: int = 0  # callbacks so far: also the heartbeat that shows it is alive
    samples: int = 0  # samples asked for
    block: int = 0  # samples of the last callback
    underruns: int = 0  # blocks for which the ring had too little
    device_xruns: int = 0  # times PortAudio flagged an output underflow
    errors: int = 0  # exceptions caught in the callback
    peak_left: float = 0.0  # highest sample magnitude of the last block
    peak_right: float = 0.0
    device_losses: int = 0  # times that the device went away
    away_s: float = 0.0  # seconds without one, up to the last that came
    frames: int = 0  # frames synthesised
    replans: int = 0  # times the unheard part was rendered again
    late: int = 0  # times a splice was made again because the reader came by
    bad_frames: int = 0  # decoded timbres that were not finite
