"""Counters of a session, each written by one thread and read by any."""

from dataclasses import dataclass


@dataclass
class Metrics:
    """Counts of what happened so far: plain numbers, so that reading needs no lock.

    The callback writes `blocks` to `peak_right`, the device watch `device_losses` and
    `away_s`, the producer the rest.
    """

    blocks: int = 0  # callbacks so far; a device that counts none is gone
    block: int = 0  # samples of the last callback
    underruns: int = 0  # times the music broke off, since the ring had run dry
    concealments: int = 0  # times it went over to the concealment, wholly or in part
    device_xruns: int = 0  # times PortAudio flagged an output underflow
    errors: int = 0  # exceptions caught in the callback
    peak_left: float = 0.0  # highest sample magnitude of the last block
    peak_right: float = 0.0
    device_losses: int = 0  # times that the device went away
    away_s: float = 0.0  # seconds without a device, until it came back last
    frames: int = 0  # frames synthesised
    replans: int = 0  # times the unheard part was rendered again
    bad_frames: int = 0  # decoded timbres that were not finite
    silences: int = 0  # times that the music was silent for seconds, and left its song
