"""The training set: a corpus divided by song, and augmentation of its timbres.

Bands are log-spaced, so shifting a timbre by some bands transposes it.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from effects.base.errors import InputError
from model.config import AXIS
from model.corpus.corpus import Corpus
from model.corpus.enough import check_enough

BALANCE_DB = 12.0  # by which one of two clips that are mixed is louder at most
EDGE_BANDS = 12  # whose mean continues a spectrum beyond its first and last band


@dataclass(frozen=True)
class Split:
    """Clips for training, for early stopping and for measuring, divided by group.

    A group is a song or a patch. All clips of a group are in the same part; otherwise
    the measures would reward a network for remembering.

    Attributes:
        train: timbres, float16 of shape (n, n_bands).
        validation: timbres for early stopping, of the same form.
        test: timbres for measuring, of the same form.
        test_groups: the group of each test clip, shape (n,).
        n_train_groups: number of groups of the clips for training.
    """

    train: NDArray[np.float16]
    validation: NDArray[np.float16]
    test: NDArray[np.float16]
    test_groups: NDArray[np.str_]
    n_train_groups: int


@dataclass(frozen=True)
class Augmentation:
    """How far clips are changed at random.

    Attributes:
        semitones: largest transposition. It is by whole semitones, uniformly
            distributed, so that clips in equal temperament stay on its grid.
        gain_db: standard deviation of the change of level.
        tilt_db: standard deviation of the change of slope, per octave.
        mixed: share of the clips to which another one is added.
    """

    semitones: int = 12
    gain_db: float = 1.5
    tilt_db: float = 0.3
    mixed: float = 0.5


def load(corpus_dir: Path) -> tuple[Split, dict[str, str]]:
    """Divide the kept clips of a corpus folder, and collect facts for the model card.

    Raises:
        InputError: there is no corpus, it is damaged, or it is too small.
    """
    corpus = Corpus.open(corpus_dir)
    divided = split(corpus.timbres(), corpus.groups())
    summary = corpus.summary()
    facts = {
        "clips": f"{summary['kept']:,} of {summary['groups']:,} songs or patches",
        "sources": _counted(summary["sources"]),
        "licences": _counted(summary["licences"]),
    }
    return divided, facts


def split(timbres: NDArray[np.float16], groups: NDArray[np.str_]) -> Split:
    """Divide a corpus by group: 80 % for training, 10 % validation, 10 % test.

    The part of a group depends on its name alone, so that the test clips of a corpus
    that has grown were not in any earlier training, either.

    Args:
        timbres: shape (n, n_bands), 0..1.
        groups: name of each clip's song or patch, shape (n,).

    Raises:
        InputError: too few clips, clips of too few songs, or NaN among them.
    """
    n = len(timbres)
    check_enough(groups)
    if timbres.shape[1:] != (AXIS.n_bands,):
        raise InputError(f"the corpus holds timbres of shape {timbres.shape[1:]}")
    bad = ~np.all(np.isfinite(timbres), axis=1)
    if np.any(bad):
        raise InputError(
            f"{int(bad.sum())} of {n} clips hold NaN or infinite values "
            f"(first: number {int(np.argmax(bad))}): build the corpus again"
        )
    names = np.unique(groups)
    ranked = sorted(names, key=_hash)
    fractions = {name: _hash(name) / 2**64 for name in names}
    test = {name for name in names if fractions[name] < 0.1} or {ranked[0]}
    validation = {name for name in names if 0.1 <= fractions[name] < 0.2} - test
    validation = validation or {next(name for name in ranked if name not in test)}
    in_test = np.isin(groups, sorted(test))
    in_validation = np.isin(groups, sorted(validation))
    return Split(
        train=timbres[~(in_test | in_validation)],
        validation=timbres[in_validation],
        test=timbres[in_test],
        test_groups=groups[in_test],
        n_train_groups=len(names) - len(test) - len(validation),
    )


def augment(batch: Tensor, generator: torch.Generator, how: Augmentation) -> Tensor:
    """Change pitch, level and slope of each timbre of a batch at random, and mix some.

    Two clips at once are a chord that no song has, of partials as songs have them:
    from some hundred songs a decoder learns more by that than by longer training.

    Args:
        batch: float32 of shape (n, n_bands), 0..1.
        generator: draws the changes.
        how: sizes of the changes.

    Returns:
        Shape (n, n_bands), 0..1. Bands of 0 (silence) stay at 0.
    """
    n, n_bands = batch.shape
    semitones = torch.randint(
        -how.semitones, how.semitones + 1, (n, 1), generator=generator
    )
    shift = torch.round(semitones * (AXIS.bands_per_octave / 12.0)).long()
    moved = _shift(batch, shift)
    gain_db = how.gain_db * torch.randn(n, 1, generator=generator)
    slope_db = how.tilt_db * torch.randn(n, 1, generator=generator)
    octave = torch.arange(n_bands) / AXIS.bands_per_octave
    change_db = gain_db + slope_db * (octave - octave.mean())
    changed = (moved + change_db / AXIS.range_db).clamp(0.0, 1.0)
    changed = torch.where(moved > 0.0, changed, moved)
    n_mixed = round(how.mixed * n)
    if n_mixed:
        others = changed[torch.randperm(n, generator=generator)[:n_mixed]]
        balance_db = torch.rand(n_mixed, 1, generator=generator) * 2.0 - 1.0
        mixed = _mix(changed[:n_mixed], others, BALANCE_DB * balance_db)
        changed = torch.cat([mixed, changed[n_mixed:]])
    return changed


def _counted(counts: Mapping[str, int], at_most: int = 12) -> str:
    """List sources with their numbers of clips; a clip of `a+b` counts for both."""
    single: Counter[str] = Counter()
    for names, count in counts.items():
        for name in set(names.split("+")):
            single[name] += count
    shown = [f"{name} ({count:,})" for name, count in single.most_common(at_most)]
    more = len(single) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _shift(batch: Tensor, shift: Tensor) -> Tensor:
    """Shift row i up by shift[i, 0] bands; the mean of the edge fills the gap."""
    n_bands = batch.shape[1]
    reach = int(shift.abs().max())
    low = batch[:, :EDGE_BANDS].mean(dim=1, keepdim=True).expand(-1, reach)
    high = batch[:, -EDGE_BANDS:].mean(dim=1, keepdim=True).expand(-1, reach)
    padded = torch.cat([low, batch, high], dim=1)
    index = torch.arange(n_bands)[None, :] + reach - shift
    return torch.gather(padded, 1, index)


def _mix(timbres: Tensor, others: Tensor, balance_db: Tensor) -> Tensor:
    """Mean power of two batches, the others weighed by `balance_db` (n, 1) more."""
    per_unit = AXIS.range_db * math.log(10.0) / 10.0
    weight = balance_db / AXIS.range_db
    power = torch.logaddexp(timbres * per_unit, (others + weight) * per_unit)
    both = torch.log1p(torch.exp(weight * per_unit))
    return ((power - both) / per_unit).clamp(0.0, 1.0)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")
