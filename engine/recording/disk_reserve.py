"""The room on a disk that a recording leaves free."""

import os
from dataclasses import dataclass
from pathlib import Path

from effects.base.errors import RunError

MIN_BYTES = 200_000_000
MIN_S = 300.0  # of sound in 24 bits


@dataclass(frozen=True)
class DiskReserve:
    """Bytes to leave free on the disk of a folder."""

    n_bytes: int

    @classmethod
    def usual(cls, sample_rate: int, channels: int) -> "DiskReserve":
        """200 MB or five minutes of sound, whichever is more.

        Args:
            sample_rate: Hz.
            channels: of the recording.
        """
        return cls(max(MIN_BYTES, round(MIN_S * sample_rate * channels * 3)))

    def check(self, folder: Path) -> None:
        """Do nothing while there is room enough, or where that cannot be known.

        Raises:
            RunError: the disk of the folder has less than this left.
        """
        try:
            disk = os.statvfs(folder)
        except (OSError, AttributeError):
            return
        if disk.f_bavail * disk.f_frsize < self.n_bytes:
            megabytes = self.n_bytes // 1_000_000
            raise RunError(f"disk full: {folder} has under {megabytes} MB left")
