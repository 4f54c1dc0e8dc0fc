"""Curation of a corpus: the clip to judge, decisions, undo, progress.

The terminal and the page use this one; neither the disk nor the order is theirs.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError
from model.corpus.corpus import Corpus
from model.corpus.curation.auto import Proposal, propose, sample
from model.corpus.curation.decisions import Decisions
from model.corpus.curation.likelihood import classifier
from model.corpus.curation.order import (
    KEPT,
    OPEN,
    REJECTED,
    ClipFeatures,
    ClipOrder,
)
from model.corpus.transients import LIMITS
from model.corpus.verdicts import KEEP, REJECT, ClipVerdict

AUTO = "auto"  # begins what says that a certainty decided
RATE_OVER = 50  # decisions over which the rate is measured
REASONS = ("drums", "voice", "click", "noise", "cut or fade", "other music")
_CODES = {KEEP: KEPT, REJECT: REJECTED}


@dataclass(frozen=True)
class Counts:
    """How far curation has come.

    Attributes:
        clips: in the corpus.
        kept: by a decision.
        rejected: by a decision.
        a_minute: decisions, lately; 0 before there are some.
    """

    clips: int
    kept: int
    rejected: int
    a_minute: float

    @property
    def open(self) -> int:
        """Clips that nothing was decided about."""
        return self.clips - self.kept - self.rejected


class Curation:
    """A corpus under curation, as one window sees it.

    Args:
        folder: of the corpus.

    Raises:
        InputError: there is no corpus, or a file of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = Corpus.open(folder)
        self._rows = rows = self.corpus.rows()
        self._ids = [int(clip) for clip in self.corpus.ids()]
        self._place = {clip: place for place, clip in enumerate(self._ids)}
        self._decisions = Decisions(folder)
        self._decisions.read_on()
        decided = np.zeros(len(rows), np.int8)
        for clip, verdict in self._decisions.latest.items():
            if clip in self._place:
                decided[self._place[clip]] = _CODES[verdict.verdict]
        self._order = ClipOrder(features_of(rows), decided)
        classifier()  # imports what learns now, not between two clips
        self._moments: deque[float] = deque(maxlen=RATE_OVER)
        last = self._decisions.last
        if last is not None and last.next in self._place:
            self._order.bring_forward([self._place[last.next]])

    def upcoming(self, n: int) -> list[int]:
        """Ids of the clips that come next, at most `n`; the first is to be judged.

        What other windows have decided meanwhile is not among them.
        """
        self._notice(set(self._decisions.read_on()))
        return [self._ids[place] for place in self._order.upcoming(n)]

    def row(self, clip: int) -> dict[str, Any]:
        """The row of a clip.

        Raises:
            InputError: there is no such clip.
        """
        return dict(self._rows[self._known(clip)])

    def audio(self, clip: int) -> Path:
        """The sound file of a clip.

        Raises:
            InputError: its audio was not kept.
        """
        name = self.row(clip).get("file_name")
        if not isinstance(name, str):
            raise InputError(f"clip {clip}: its audio was not kept with the corpus")
        return self.corpus.audio_path(name)

    def song(self, clip: int) -> Path:
        """The file of the song that a clip was taken from.

        Raises:
            InputError: it is not known, or no longer there.
        """
        path = self.row(clip).get("path")
        if not isinstance(path, str) or not Path(path).is_file():
            raise InputError(f"clip {clip}: its song is no longer where it was")
        return Path(path)

    def chance(self, clip: int) -> float | None:
        """How likely the clip is to be rejected; None before enough was decided."""
        likelihood = self._order.likelihood()
        return None if likelihood is None else float(likelihood[self._known(clip)])

    def suspicion(self, clip: int) -> float:
        """The largest score of a clip over its limit."""
        return float(self._order.features.suspicion[self._known(clip)])

    def verdict(self, clip: int) -> ClipVerdict | None:
        """What was decided about a clip, if anything."""
        return self._decisions.latest.get(clip)

    def keep(self, clip: int) -> None:
        """Keep a clip; the decision is on the disk when this returns."""
        self._decide(clip, KEEP)

    def reject(self, clip: int, reason: str = "") -> None:
        """Reject a clip; the decision is on the disk when this returns.

        Args:
            clip: its id.
            reason: one of `REASONS`, or empty.

        Raises:
            InputError: there is no such clip or reason.
            RunError: the disk is full or not writable.
        """
        if reason and reason not in REASONS:
            raise InputError(
                f"no reason {reason!r:.20}; there are: {', '.join(REASONS)}"
            )
        self._decide(clip, REJECT, reason)

    def undo(self) -> int | None:
        """Take back the last decision that stands; returns its clip: it is next."""
        seen = set(self._decisions.read_on())
        clip = self._decisions.undo()
        self._notice(seen)
        if clip is not None and clip in self._place:
            self._order.decide(self._place[clip], OPEN)
            if self._moments:
                self._moments.pop()
        return clip

    def counts(self) -> Counts:
        """How far curation has come."""
        kept = int(np.count_nonzero(self._order.decisions == KEPT))
        rejected = int(np.count_nonzero(self._order.decisions == REJECTED))
        rate = 0.0
        if len(self._moments) > 1:
            taken = self._moments[-1] - self._moments[0]
            rate = 60.0 * (len(self._moments) - 1) / max(taken, 1e-3)
        return Counts(len(self._ids), kept, rejected, rate)

    def learn_latents(self, latents: NDArray[np.float32]) -> None:
        """Use places in latent space, shape (n clips, d), in the order from now on."""
        self._order.learn_latents(latents)

    def propose(self, certainty: float) -> Proposal:
        """What would be rejected with a certainty (0..1), by the user's decisions.

        Raises:
            InputError: too few decisions were made.
        """
        mine = self._order.decisions.copy()
        for clip, verdict in self._decisions.latest.items():
            if verdict.by and clip in self._place:
                mine[self._place[clip]] = OPEN
        found = propose(self._order.features, mine, certainty)
        still_open = self._order.decisions[found.clips] == OPEN
        return replace(
            found,
            clips=found.clips[still_open],
            likelihood=found.likelihood[still_open],
        )

    def sample(self, proposal: Proposal, n: int) -> list[int]:
        """Ids of up to `n` of the proposed clips, the surest first."""
        return [self._ids[place] for place in sample(proposal, n)]

    def reject_proposed(self, proposal: Proposal, certainty: float) -> int:
        """Reject all proposed clips at once; returns their number.

        Raises:
            RunError: the disk is full or not writable; all stay open then.
        """
        by = f"{AUTO} {certainty:g}"
        lines = [ClipVerdict(self._ids[c], "reject", by=by) for c in proposal.clips]
        self._notice(set(self._decisions.append(lines)))
        return len(lines)

    def take_back_auto(self) -> int:
        """Open again what was rejected by a certainty; returns the number of clips."""
        lines = [
            ClipVerdict(clip, "open", by=AUTO)
            for clip, verdict in self._decisions.latest.items()
            if verdict.by.startswith(AUTO)
        ]
        if lines:
            self._notice(set(self._decisions.append(lines)))
        return len(lines)

    def _decide(self, clip: int, verdict: str, reason: str = "") -> None:
        place = self._known(clip)
        before = self.verdict(clip)
        if before is not None and (before.verdict, before.reason) == (verdict, reason):
            return  # a key that was hit twice
        ahead = [self._ids[p] for p in self._order.upcoming(2)]
        following = next((c for c in ahead if c != clip), -1)
        line = ClipVerdict(clip, verdict, reason, next=following)  # type: ignore[arg-type]
        self._notice(set(self._decisions.append([line])) - {clip})
        self._order.decide(place, _CODES[verdict])
        self._moments.append(time.monotonic())

    def _notice(self, clips: set[int]) -> None:
        """Take note of what other windows, or a certainty, decided."""
        codes = {}
        for clip in clips & self._place.keys():
            verdict = self.verdict(clip)
            codes[self._place[clip]] = _CODES[verdict.verdict] if verdict else OPEN
        if codes:
            self._order.note(codes)

    def _known(self, clip: int) -> int:
        if clip not in self._place:
            raise InputError(f"{self.folder}: there is no clip {clip}")
        return self._place[clip]


def features_of(rows: Sequence[Any]) -> ClipFeatures:
    """What the rows of a manifest tell about their clips."""
    limits = asdict(LIMITS)
    scores = np.zeros((len(rows), len(limits)), np.float32)
    numbers: dict[str, int] = {}
    songs = np.zeros(len(rows), np.intp)
    for place, row in enumerate(rows):
        songs[place] = numbers.setdefault(str(row.get("group", place)), len(numbers))
        given = row.get("scores")
        if isinstance(given, dict):
            scores[place] = [
                float(given[name]) / limit if _is_number(given.get(name)) else 0.0
                for name, limit in limits.items()
            ]
    return ClipFeatures(songs, np.nan_to_num(scores))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
