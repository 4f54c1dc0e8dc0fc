"""Files of JSON objects, one a line, that are only ever appended to."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from effects.base.errors import InputError

Row: TypeAlias = Mapping[str, Any]


def read_lines(path: Path) -> tuple[list[Row], list[int]]:
    """JSON objects of a file, one a line, and the place in the file after each.

    The places begin with 0, so `ends[n]` is where the first n lines end. A torn last
    line is left out.

    Raises:
        InputError: a line that is whole but not a JSON object, or no readable file.
    """
    try:
        *lines, _torn = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    rows: list[Row] = []
    ends = [0]
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, line {number}: not a JSON object; mend or remove it"
            )
        rows.append(row)
        ends.append(ends[-1] + len(line) + 1)
    return rows, ends


def append_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Add to the end of a file; with `sync`, it is on the disk on return."""
    with path.open("ab") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
