"""Verdicts of curation: which clips are kept and which are rejected.

They are appended to a file, one JSON object a line, and the last one on a clip counts.
"""

import json
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from effects.base.errors import InputError
from effects.base.open_file import open_regular
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from model.corpus.json_lines import append_line

KEEP, REJECT, OPEN = "keep", "reject", "open"
VERDICTS = (KEEP, REJECT, OPEN)  # `OPEN` takes an earlier verdict back
_TAIL = 1 << 12  # bytes; a line is shorter


class ClipVerdict(msgspec.Struct, omit_defaults=True):
    """A line of the file.

    Attributes:
        clip: its id.
        verdict: `KEEP`, `REJECT` or `OPEN`.
        reason: for a rejection, in a word.
        by: who or what decided, if it was not the user one clip at a time.
        next: id of the clip that was to be judged then, with which curation goes on;
            -1 if there was none.
    """

    clip: int
    verdict: Literal["keep", "reject", "open"]
    reason: str = ""
    by: str = ""
    next: int = -1


def read_verdicts(path: Path) -> dict[int, ClipVerdict]:
    """The latest verdict on each clip that has one, by the clip's id.

    A last line without a newline, as a killed program leaves it, does not count.

    Raises:
        InputError: a line is no verdict.
    """
    found: dict[int, ClipVerdict] = {}
    if not path.exists():
        return found
    with open_regular(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_TAIL), b""), 1):
            if not line.endswith(b"\n") and len(line) < _TAIL:
                break
            where = f"{path}, line {number}"
            try:
                verdict = decode_json(line, ClipVerdict, where)
            except InputError as error:
                raise InputError(f"{where}: no verdict; remove it") from error
            if verdict.verdict == OPEN:
                found.pop(verdict.clip, None)
            else:
                found[verdict.clip] = verdict
    return found


def append_verdicts(path: Path, verdicts: Iterable[ClipVerdict]) -> None:
    """Append to the file; they are on the disk when this returns."""
    content = b"".join(_line(verdict) for verdict in verdicts)
    append_line(path, content, sync=True)


def forget_verdicts(path: Path, known: Container[int]) -> None:
    """Drop verdicts on clips that are gone: other clips may get their ids."""
    verdicts = read_verdicts(path)
    if all(clip in known for clip in verdicts):
        return
    left = [_line(v) for clip, v in verdicts.items() if clip in known]
    write_whole(path, b"".join(left), durable=True)


def _line(verdict: ClipVerdict) -> bytes:
    return (json.dumps(msgspec.to_builtins(verdict)) + "\n").encode()
