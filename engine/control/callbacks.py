"""Types of the callbacks through which the parts of a session report."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]  # takes one line for the user, in any thread
Event: TypeAlias = Mapping[str, object]  # a row of the journal, with its sample `at`
OnEvent: TypeAlias = Callable[[Event], None]  # takes a row, and never waits
