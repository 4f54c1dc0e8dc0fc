"""Append-only files of JSON objects, one a line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json

MAX_BYTES = 1 << 30  # a clip takes some 300

Row: TypeAlias = Mapping[str, Any]


def read_lines(path: Path) -> tuple[list[Row], list[int]]:
    """Read the JSON objects of a file, and where their lines end.

    A last line without a newline, as a killed program leaves it, is left out.

    Returns:
        The objects, and byte offsets: `ends[n]` is where the first n lines end, so
        `ends[0]` is 0.

    Raises:
        InputError: the file cannot be read, or a line is not a JSON object.
    """
    *lines, _torn = read_bytes(path, MAX_BYTES, "list of clips").split(b"\n")
    rows: list[Row] = []
    ends = [0]
    for number, line in enumerate(lines, 1):
        try:
            rows.append(decode_json(line, dict[str, Any], "line"))
        except InputError as error:
            raise InputError(
                f"{path}, line {number}: not a JSON object; mend or remove it"
            ) from error
        ends.append(ends[-1] + len(line) + 1)
    return rows, ends


def append_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Append to a file; with `sync`, wait until it is on the disk."""
    with path.open("ab") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
