"""The exceptions that reach a user, each as one line on stderr.

LatentError
├── InputError   what was given does not fit: exit code 2
└── RunError     what was asked failed on the way: exit code 1
"""

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
