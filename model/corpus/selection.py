"""Choosing clips of a corpus by what their rows say."""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from effects.base.errors import InputError
from model.corpus.corpus import Corpus
from model.corpus.manifest import Row
from model.corpus.transients import LIMITS, TransientScores, transience
from model.corpus.verdicts import OPEN

TRANSIENT = "transient"  # the largest score over its limit; 1 is the limit
SCORES = (TRANSIENT, *vars(LIMITS))
NAMES = ("title", "artist", "album", "path", "group", "song", "author")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SCORE = re.compile(r"\s*([a-z]+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True)
class ScoreTest:
    """A comparison of a score of a clip with a number."""

    name: str
    comparison: str
    number: float

    def holds(self, row: Row) -> bool:
        """Whether it holds for a clip; not if the clip has no such score."""
        score = score_of(row, self.name)
        if score is None:
            return False
        return _COMPARISONS[self.comparison](score, self.number)


@dataclass(frozen=True)
class Selection:
    """Which clips are meant: those for which all of this holds.

    Attributes:
        ids: of the clips; empty for all.
        song: part of a title, artist, album or path, in any case; empty for all.
        scores: tests of their scores.
        verdict: `KEEP`, `REJECT`, `OPEN` for those without one, or empty for all.
        licence: part of the licence, in any case; empty for all.
    """

    ids: tuple[int, ...] = ()
    song: str = ""
    scores: tuple[ScoreTest, ...] = ()
    verdict: str = ""
    licence: str = ""

    @property
    def is_everything(self) -> bool:
        """Whether nothing was asked for."""
        return self == Selection()

    def holds(self, row: Row, verdict: str) -> bool:
        """Whether a clip is meant."""
        text = " ".join(str(row.get(name, "")) for name in NAMES).lower()
        return (
            (not self.ids or row["id"] in self.ids)
            and self.song.lower() in text
            and self.licence.lower() in str(row.get("licence", "")).lower()
            and self.verdict in ("", verdict)
            and all(test.holds(row) for test in self.scores)
        )


def parse_score(text: str) -> ScoreTest:
    """A test such as `transient>4`.

    >>> parse_score("onset >= 2.5")
    ScoreTest(name='onset', comparison='>=', number=2.5)

    Raises:
        InputError: it is none, or there is no such score.
    """
    found = _SCORE.fullmatch(text)
    if found is None or found[1] not in SCORES:
        raise InputError(
            f"{text!r:.80}: no test of a score like transient>0.8; the scores are "
            f"{', '.join(SCORES)}"
        )
    return ScoreTest(found[1], found[2], float(found[3]))


def score_of(row: Row, name: str) -> float | None:
    """A score of a clip, or None if it has none of this name."""
    scores = row.get("scores")
    if not isinstance(scores, dict):
        return None
    if name == TRANSIENT:
        known = {n: float(scores.get(n, 0.0)) for n in vars(LIMITS)}
        return transience(TransientScores(**known))
    score = scores.get(name)
    return float(score) if isinstance(score, int | float) else None


def select(corpus: Corpus, selection: Selection) -> Iterator[dict[str, Any]]:
    """Rows of the clips that are meant, each with its `verdict` and `reason`.

    Raises:
        InputError: an id of which there is no clip.
    """
    missing = set(selection.ids) - set(corpus.ids().tolist())
    for clip in sorted(missing):
        raise InputError(f"clip {clip}: there is none; see 'corpus list'")
    verdicts = corpus.verdicts()
    for row in corpus.rows():
        given = verdicts.get(row["id"])
        verdict = given.verdict if given else OPEN
        if selection.holds(row, verdict):
            reason = given.reason if given else ""
            yield {**row, "verdict": verdict, "reason": reason}
