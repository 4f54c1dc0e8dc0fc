"""Looking a corpus over: whether what its files say of one another is true."""

from collections.abc import Iterator

import numpy as np

from effects.base.errors import InputError
from model.corpus.clip_audio import CLIPS, audio_path
from model.corpus.corpus import BATCH, Corpus


def troubles(corpus: Corpus) -> Iterator[str]:
    """Each trouble of a corpus, in a sentence; a damaged row or ledger raises.

    Raises:
        InputError: a row, a verdict or the ledger cannot be read.
    """
    ids = corpus.ids()
    yield from _of_timbres(corpus, ids)
    named: set[str] = set()
    for row in corpus.rows():
        name = row.get("file_name")
        if name is None:
            continue
        named.add(str(name))
        try:
            path = audio_path(corpus.folder, str(name))
        except InputError as error:
            yield f"clip {row['id']}: {error}"
            continue
        if not path.is_file():
            yield f"clip {row['id']}: its audio {name} is missing"
    for path in sorted((corpus.folder / CLIPS).rglob("*.flac")):
        if str(path.relative_to(corpus.folder)) not in named:
            yield f"{path.relative_to(corpus.folder)}: belongs to no clip"
    known = set(ids.tolist())
    for clip in corpus.verdicts().keys() - known:
        yield f"clip {clip}: has a verdict, but there is no such clip"
    corpus.ledger()


def _of_timbres(corpus: Corpus, ids: np.ndarray) -> Iterator[str]:
    stored = corpus.stored_timbres()
    for start in range(0, len(ids), BATCH):
        clips = ids[start : start + BATCH]
        batch = stored[clips]
        valid = ((batch >= 0.0) & (batch <= 1.0)).all(axis=1)
        for clip in clips[~valid]:
            yield f"clip {clip}: its timbre is damaged; reject it"
        for clip in clips[valid & ~batch.any(axis=1)]:
            yield f"clip {clip}: its timbre is silence; reject it"
