"""The manifest of a corpus: where its rows lie, so that they need not be in memory.

A manifest has one JSON object a line, a row for each clip. Of each row, its `id` and
its place in the file are kept, 24 bytes; the rest is read when it is asked for.
"""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

import msgspec

from effects.base.errors import InputError
from effects.base.one_line import shown
from effects.base.open_file import open_regular
from effects.base.schema import decode_json
from effects.base.whole_file import whole_file

MAX_LINE = 1 << 16  # bytes; a clip takes some 700
MAX_ID = 1 << 48  # no corpus has so many clips

Row: TypeAlias = Mapping[str, Any]
Part = TypeVar("Part")


class _Id(msgspec.Struct):
    id: int | None = None


class Manifest(Sequence[Row]):
    """The rows of a manifest file, in its order.

    Attributes:
        path: of the file.
        ids: of the rows; a row's timbre is the one of this number.
        end: where the last row ends in the file, in bytes.
        numbered: whether the rows carry ids. Those of older corpora do not: there the
            id of a row is the number of its line, from 0.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids = array("q")
        self.end = 0
        self.numbered = True
        self._starts = array("q")
        self._ends = array("q")

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Find the rows of a file.

        A last line without a newline, as a killed program leaves it, is left out.

        Raises:
            InputError: the file cannot be read, a line is not a JSON object or has no
                id where others have one, or two have the same.
        """
        manifest = cls(path)
        start = 0
        seen: set[int] = set()
        for number, line in enumerate(_lines(path), 1):
            where = f"{shown(path)}, line {number}"
            try:
                key = decode_json(line, _Id, where).id
            except InputError as error:
                raise InputError(
                    f"{where}: not a JSON object; mend or remove it"
                ) from error
            if number == 1:
                manifest.numbered = key is not None
            is_odd = key is not None and not 0 <= key < MAX_ID
            if manifest.numbered is (key is None) or is_odd:
                raise InputError(f"{where}: its id is missing or wrong; remove it")
            clip = number - 1 if key is None else key
            if clip in seen:
                raise InputError(f"{where}: clip {clip} is there twice; remove one")
            seen.add(clip)
            manifest.note(clip, start, len(line))
            start += len(line)
        return manifest

    def below(self, n_timbres: int) -> "Manifest":
        """The same without rows whose ids are not below a number of timbres."""
        if max(self.ids, default=-1) < n_timbres:
            return self
        found = Manifest(self.path)
        found.numbered = self.numbered
        for clip, start, end in zip(self.ids, self._starts, self._ends, strict=True):
            if clip < n_timbres:
                found.note(clip, start, end - start)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether nothing lies between the rows in the file."""
        return sum(self._ends) - sum(self._starts) == self.end

    def note(self, clip: int, start: int, length: int) -> None:
        """Take note of a row that is in the file: its id, and its place in bytes."""
        self.ids.append(clip)
        self._starts.append(start)
        self._ends.append(start + length)
        self.end = start + length

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        with open_regular(self.path) as file:
            file.seek(self._starts[index])
            line = file.read(self._ends[index] - self._starts[index])
        return {"id": self.ids[index], **self._decoded(line, index, dict[str, Any])}

    def __iter__(self) -> Iterator[Row]:
        for clip, row in zip(self.ids, self.each(dict[str, Any]), strict=False):
            yield {"id": clip, **row}

    def each(self, kind: type[Part]) -> Iterator[Part]:
        """Read all rows once, or the part of each that a msgspec type names.

        Raises:
            InputError: the file cannot be read, or a row does not fit.
        """
        with open_regular(self.path) as file:
            place = 0
            for index in range(len(self)):
                if place != self._starts[index]:
                    file.seek(self._starts[index])
                line = file.read(self._ends[index] - self._starts[index])
                place = self._ends[index]
                yield self._decoded(line, index, kind)

    def index_of(self, clip: int) -> int:
        """Position of the row with an id.

        Raises:
            InputError: there is none.
        """
        try:
            return self.ids.index(clip)
        except ValueError:
            raise InputError(f"clip {clip}: there is none; see 'corpus list'") from None

    def write(self, rows: Iterator[Row]) -> None:
        """Write a file of other rows in place of this one, whole or not at all."""
        with (
            whole_file(self.path, durable=True) as temporary,
            temporary.open("wb") as file,
        ):
            for row in rows:
                file.write(line_of(row))

    def _decoded(self, line: bytes, index: int, kind: type[Part]) -> Part:
        return decode_json(line, kind, f"{shown(self.path)}, row {index + 1}")


def line_of(row: Row) -> bytes:
    """The line of the manifest that holds a row."""
    return (json.dumps(dict(row), sort_keys=True) + "\n").encode()


def _lines(path: Path) -> Iterator[bytes]:
    """Lines that end in a newline.

    Raises:
        InputError: the file cannot be read, or a line is far longer than a row.
    """
    with open_regular(path) as file:
        while (line := file.readline(MAX_LINE)).endswith(b"\n"):
            yield line
        if len(line) == MAX_LINE:
            raise InputError(f"{shown(path)}: a line is over {MAX_LINE} bytes long")
