"""The exceptions that reach a user, each as one line on stderr.

LatentError
├── InputError   what was given does not fit: exit code 2
└── RunError     what was asked failed on the way: exit code 1
"""

import errno

from effects.base.one_line import escaped


class LatentError(Exception):
    r"""Base of all errors; its text says what was wrong, where, and what to do.

    Names and values from outside may be part of it, so it is always one line.

    >>> str(LatentError("no such file: a\nb"))
    'no such file: a\\nb'
    """

    def __str__(self) -> str:
        """The text, with control characters escaped."""
        return escaped(super().__str__())


class InputError(LatentError, ValueError):
    """An argument, a file or a folder that cannot be used (exit code 2)."""


class RunError(LatentError, RuntimeError):
    """A failure at run time: no device, a full disk (exit code 1)."""


def what_lacks(error: BaseException) -> str | None:
    """What the machine had too little of, where an error says so.

    >>> what_lacks(MemoryError())
    'out of memory'
    """
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "out of memory, or of threads that the system allows"
    is_system = isinstance(error, OSError) and error.errno == errno.ENOMEM  # as of mmap
    return "out of memory" if is_system or isinstance(error, MemoryError) else None
