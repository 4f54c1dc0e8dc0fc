"""Rejecting what is left by what was decided: which clips, and how sure that is.

How well the classifier foretells decisions is measured on decisions that it was not
fitted to, of songs that it was not fitted to. Those that were decided are worse than
the rest on the whole, since suspicious clips come first, so a sample of what would be
rejected has to be looked at, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError
from model.corpus.curation.likelihood import classifier, features_for, likelihood
from model.corpus.curation.order import OPEN, REJECTED, ClipFeatures

MIN_DECISIONS = 100
MIN_OF_EACH = 10  # kept, and rejected
FOLDS = 5


@dataclass(frozen=True)
class Proposal:
    """What would be rejected.

    Attributes:
        clips: numbers of the open clips, the surest first, shape (n,).
        likelihood: of their rejection, shape (n,).
        n_decided: decisions that this was learned from.
        n_foretold: of these, those whose rejection was foretold with the certainty
            when they were left out of the learning.
        n_right: of the foretold ones, those that had been rejected.
        n_found: share of the rejected clips that were foretold, 0..1.
    """

    clips: NDArray[np.intp]
    likelihood: NDArray[np.float32]
    n_decided: int
    n_foretold: int
    n_right: int
    n_found: float


def propose(
    features: ClipFeatures, decisions: NDArray[np.int8], certainty: float
) -> Proposal:
    """Find the open clips that are bad with a certainty.

    Args:
        features: of all clips.
        decisions: as of `ClipOrder`, those of the user alone, shape (n,).
        certainty: least likelihood of a rejection, 0..1.

    Raises:
        InputError: too few decisions were made.
    """
    decided = np.flatnonzero(decisions != OPEN)
    rejected = decisions[decided] == REJECTED
    least = min(int(rejected.sum()), int((~rejected).sum()))
    if len(decided) < MIN_DECISIONS or least < MIN_OF_EACH:
        raise InputError(
            f"{len(decided)} clips are decided, {int(rejected.sum())} of them "
            f"rejected; --auto needs {MIN_DECISIONS}, with {MIN_OF_EACH} kept and "
            f"{MIN_OF_EACH} rejected"
        )
    seen = features_for(features.scores, features.latents)
    likely = likelihood(seen, decided, rejected)
    clips = np.flatnonzero((decisions == OPEN) & (likely >= certainty))
    clips = clips[np.argsort(-likely[clips], kind="stable")]
    held_out = _held_out(seen[decided], features.songs[decided], rejected)
    foretold = held_out >= certainty
    return Proposal(
        clips,
        likely[clips],
        len(decided),
        int(foretold.sum()),
        int((foretold & rejected).sum()),
        float((foretold & rejected).sum() / rejected.sum()),
    )


def sample(proposal: Proposal, n: int) -> list[int]:
    """Up to `n` of the proposed clips, from the surest to the least sure."""
    if not len(proposal.clips):
        return []
    places = np.linspace(0, len(proposal.clips) - 1, min(n, len(proposal.clips)))
    return [int(proposal.clips[round(place)]) for place in places]


def _held_out(
    seen: NDArray[np.float32], songs: NDArray[np.intp], rejected: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Likelihood of each decided clip, learned from clips of other songs alone."""
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    n_folds = min(
        FOLDS, len(np.unique(songs[rejected])), len(np.unique(songs[~rejected]))
    )
    if n_folds < 2:
        return np.zeros(len(songs))
    found: NDArray[np.float64] = cross_val_predict(
        classifier(),
        seen,
        rejected,
        groups=songs,
        cv=StratifiedGroupKFold(n_folds),
        method="predict_proba",
    )[:, 1]
    return found
