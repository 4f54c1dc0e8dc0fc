"""The order in which clips are judged: those that are likely to be rejected come early.

At first the most suspicious clip, by its scores, takes turns with one that lies far
from all that was judged, since what is bad may have no score that tells. Once some
clips of both kinds were judged, a classifier has learned from them: of four clips three
are those that it takes to be bad, and one is that of which it is least sure. A rejected
clip brings forward its song's others and its nearest neighbours, as far as they are not
surely good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from model.corpus.curation.likelihood import MIN_EACH, features_for, likelihood

OPEN, KEPT, REJECTED = 0, 1, -1
REFIT = 20  # decisions after which the classifier learns anew
N_MATES = 8  # clips of a rejected one's song that are brought forward
N_NEIGHBOURS = 3
LIKELY = 3  # of each LIKELY + 1 clips in turn; the other is an unsure one
SUSPICIOUS = 1  # the same before anything was learned; the other lies far from all
MOST_FAR = 2 * REFIT  # clips that are looked for far from the others, at once
MOST_TRIED = 1500  # among so many, and from so many judged ones, for the sake of time
SURELY_GOOD = 0.5  # share of the base rate under which no clip is brought forward


@dataclass(frozen=True)
class ClipFeatures:
    """What is known of all clips of a corpus, in the order of its rows.

    Attributes:
        songs: number of each clip's song, shape (n,).
        scores: of the tests for transients over their limits, shape (n, k); 0 where
            a clip has none.
        latents: places in latent space, shape (n, d); None until they are known.
    """

    songs: NDArray[np.intp]
    scores: NDArray[np.float32]
    latents: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.songs)

    @property
    def suspicion(self) -> NDArray[np.float32]:
        """The largest score of each clip over its limit, shape (n,)."""
        if not self.scores.shape[1]:
            return np.zeros(len(self), np.float32)
        worst: NDArray[np.float32] = self.scores.max(axis=1)
        return worst


class ClipOrder:
    """The clips that are not decided, the next one first.

    Clips are numbered by their rows. The order follows from the features and from the
    decisions in their order, without chance.

    Args:
        features: of all clips.
        decisions: `OPEN`, `KEPT` or `REJECTED` for each, shape (n,); it is changed.
    """

    def __init__(self, features: ClipFeatures, decisions: NDArray[np.int8]) -> None:
        self.features = features
        self.decisions = decisions
        self._forward: list[int] = []  # what comes before everything else
        self._seen: NDArray[np.float32] | None = None  # by the classifier
        self._likelihood: NDArray[np.float32] | None = None
        self._since_fit = 0
        self._turn = 0
        self._refit()

    def decide(self, clip: int, decision: int) -> None:
        """Take note of a decision; `OPEN` takes one back, and the clip comes next."""
        self.decisions[clip] = decision
        if clip in self._forward:
            self._forward.remove(clip)
        if decision == OPEN:
            self.bring_forward([clip])
            return
        self._turn += 1
        self._since_fit += 1
        if self._since_fit >= REFIT:
            self._refit()
        if decision == REJECTED:
            self.bring_forward(self._kin(clip))

    def note(self, decisions: Mapping[int, int]) -> None:
        """Take note of decisions that were made elsewhere, by clip; in no order."""
        for clip, decision in decisions.items():
            self._since_fit += int(self.decisions[clip] != decision)
            self.decisions[clip] = decision
        self._forward = [c for c in self._forward if self.decisions[c] == OPEN]
        if self._since_fit >= REFIT or OPEN in decisions.values():
            self._refit()

    def learn_latents(self, latents: NDArray[np.float32]) -> None:
        """Use places in latent space from now on."""
        self.features = replace(self.features, latents=latents)
        self._seen = None
        self._refit()

    def bring_forward(self, clips: list[int]) -> None:
        """Put open clips before all others, in this order."""
        chosen = [clip for clip in clips if self.decisions[clip] == OPEN]
        self._forward = chosen + [c for c in self._forward if c not in chosen]

    def upcoming(self, n: int) -> list[int]:
        """The next clips, at most `n`."""
        found = [clip for clip in self._forward if self.decisions[clip] == OPEN][:n]
        taken = set(found)
        turns = self._likely(), self._unsure()
        # Whatever is asked for ahead is what comes: the turn follows the decisions.
        turn = self._turn
        likely = SUSPICIOUS if self._likelihood is None else LIKELY
        while len(found) < n:
            first = turns[1 if turn % (likely + 1) == likely else 0]
            clip = next((c for c in first if c not in taken), None)
            if clip is None:
                break
            found.append(clip)
            taken.add(clip)
            turn += 1
        return found

    def likelihood(self) -> NDArray[np.float32] | None:
        """How likely each clip is to be rejected; None before enough is decided."""
        return self._likelihood

    def _likely(self) -> Iterator[int]:
        return self._open(self._by_likelihood)

    def _unsure(self) -> Iterator[int]:
        return self._open(self._by_doubt)

    def _open(self, ranked: NDArray[np.intp]) -> Iterator[int]:
        return (int(c) for c in ranked if self.decisions[c] == OPEN)

    def _refit(self) -> None:
        self._since_fit = 0
        decided = self.decisions != OPEN
        rejected = self.decisions[decided] == REJECTED
        if min(rejected.sum(), (~rejected).sum()) < MIN_EACH:
            self._likelihood = None
            self._by_likelihood = self._ranked(self.features.suspicion)
            self._by_doubt = self._far()
            return
        if self._seen is None:
            self._seen = features_for(self.features.scores, self.features.latents)
        found = likelihood(self._seen, np.flatnonzero(decided), rejected)
        self._likelihood = found
        self._by_likelihood = self._ranked(found)
        self._by_doubt = self._ranked(-np.abs(found - 0.5))

    def _ranked(self, values: NDArray[np.float32]) -> NDArray[np.intp]:
        """Clips that are open now, those with the largest values first."""
        clips = np.flatnonzero(self.decisions == OPEN)
        return clips[np.argsort(-values[clips], kind="stable")]

    def _far(self) -> NDArray[np.intp]:
        """Open clips far from all judged ones and from one another, then the others.

        Each is the farthest from those before it (Gonzalez 1985, k-center).
        """
        latents = self.features.latents
        clips = np.flatnonzero(self.decisions == OPEN)
        if latents is None or not len(clips):
            return self._by_likelihood
        clips = _thinned(clips, MOST_TRIED)
        points = latents[clips]
        judged = latents[_thinned(np.flatnonzero(self.decisions != OPEN), MOST_TRIED)]
        if not len(judged):
            judged = points.mean(axis=0, keepdims=True)
        distance = cdist(points, judged, "sqeuclidean").min(axis=1)
        found = []
        for _ in range(min(MOST_FAR, len(clips))):
            farthest = int(np.argmax(distance))
            found.append(clips[farthest])
            away = cdist(points, points[farthest, None], "sqeuclidean")[:, 0]
            np.minimum(distance, away, out=distance)
        return np.concatenate([np.array(found, np.intp), self._by_likelihood])

    def _kin(self, clip: int) -> list[int]:
        """Other clips of a clip's song, and those that lie nearest to it."""
        is_open = self.decisions == OPEN
        mates = np.flatnonzero(
            is_open & (self.features.songs == self.features.songs[clip])
        )
        kin = [int(c) for c in mates[:N_MATES]]
        latents = self.features.latents
        if latents is not None:
            distance = np.sum((latents - latents[clip]) ** 2, axis=1)
            distance[~is_open] = np.inf
            n = min(N_NEIGHBOURS + len(kin), len(distance) - 1)
            nearest = np.argpartition(distance, n)[: n + 1]
            nearest = nearest[np.argsort(distance[nearest], kind="stable")]
            others = [int(c) for c in nearest if is_open[c] and int(c) not in kin]
            kin += others[:N_NEIGHBOURS]
        if self._likelihood is None:
            return kin
        least = SURELY_GOOD * float(np.mean(self._likelihood))
        return [c for c in kin if self._likelihood[c] >= least]


def _thinned(clips: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most `most` of the clips, evenly spread over them."""
    return clips[:: max(1, -(-len(clips) // most))]
