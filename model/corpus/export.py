"""Clips of a corpus as files that other programs take: FLAC, a table, credits."""

import csv
import shutil
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from effects.base.errors import InputError, RunError
from effects.base.one_line import shown
from effects.base.whole_file import whole_file, write_whole
from model.corpus.corpus import Corpus
from model.corpus.transients import LIMITS

TABLE, CREDITS = "clips.csv", "credits.txt"
_COLUMNS = (
    *("id", "file", "title", "artist", "album", "licence", "source_url", "path"),
    *("duration_s", "start_s", "peak_db", "verdict", "reason", "group", "source"),
    *vars(LIMITS),
)


def export(corpus: Corpus, rows: Iterable[dict[str, Any]], folder: Path) -> int:
    """Write the audio of clips into a new folder, a table of them, and their credits.

    Args:
        corpus: that the clips are of.
        rows: of the clips, as `select` gives them.
        folder: is made; it may be there, but empty.

    Returns:
        The number of clips.

    Raises:
        InputError: the folder holds something, or no clip has audio.
        RunError: the disk is full or not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{shown(folder)}: is not empty; name another folder")
    except OSError as error:
        raise InputError(
            f"{shown(folder)}: cannot be made ({error.strerror})"
        ) from error
    table = StringIO()
    writer = csv.DictWriter(table, _COLUMNS, extrasaction="ignore", restval="")
    writer.writeheader()
    credited: dict[str, None] = {}
    n = 0
    for row in rows:
        if "file_name" not in row:
            continue
        source, name = corpus.audio_path(str(row["file_name"])), f"{row['id']:06d}.flac"
        try:
            with whole_file(folder / name) as temporary:
                shutil.copyfile(source, temporary)
        except FileNotFoundError:
            raise RunError(
                f"clip {row['id']}: its audio is missing; see 'corpus check'"
            ) from None
        writer.writerow({**row, **row.get("scores", {}), "file": name})
        credited[_credit(row)] = None
        n += 1
    if not n:
        raise InputError("none of these clips has audio that was kept")
    write_whole(folder / TABLE, table.getvalue())
    write_whole(folder / CREDITS, "".join(f"{line}\n" for line in credited))
    return n


def _credit(row: dict[str, Any]) -> str:
    names = [str(row.get(name) or "") for name in ("artist", "title", "album")]
    facts = [str(row.get("licence") or "licence not stated")]
    facts += [str(row["source_url"])] if row.get("source_url") else []
    return f"{' - '.join(filter(None, names))} ({', '.join(facts)})"
