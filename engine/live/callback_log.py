"""What the callback did of its own accord, each with the sample at which it did it.

The journal lives from it: everything in the callback that is no function of position is
put down here. One callback calls `put`, one other thread at a time `take`; neither
waits.
"""

from dataclasses import dataclass

SIZE = 4096  # entries that wait to be taken


@dataclass(frozen=True)
class LogEntry:
    """Something that the callback did.

    Attributes:
        at: sample of the session from which it holds.
        deed: a snapshot of controls that it saw, a `FadeRequest`, or a `Concealing`.
    """

    at: int
    deed: object


class CallbackLog:
    """A ring of entries, allocated once.

    >>> log = CallbackLog(size=2)
    >>> for at in range(3):
    ...     log.put(at, "turned")
    >>> entries, lost = log.take()
    >>> [entry.at for entry in entries], lost
    ([1, 2], 1)

    Args:
        size: how many entries may wait.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._entries: list[LogEntry | None] = [None] * size
        self._put = 0  # entries so far; callback only
        self._taken = 0  # the other thread's

    def put(self, at: int, deed: object) -> None:
        """Callback: note what was done at a sample."""
        self._entries[self._put % len(self._entries)] = LogEntry(at, deed)
        self._put += 1  # last: readable from here on

    def take(self) -> tuple[list[LogEntry], int]:
        """Another thread: what is new since the last call, and how many were lost."""
        put, size = self._put, len(self._entries)
        first = max(self._taken, put - size)
        lost, found = first - self._taken, []
        for number in range(first, put):
            entry, self._entries[number % size] = self._entries[number % size], None
            if entry is not None:
                found.append(entry)
        self._taken = put
        return found, lost
