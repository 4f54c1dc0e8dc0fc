"""The order of curation: what is likely to be bad comes early, whatever it is."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.base.errors import InputError
from model.corpus.curation.auto import propose, sample
from model.corpus.curation.order import (
    KEPT,
    OPEN,
    REJECTED,
    ClipFeatures,
    ClipOrder,
)


def features(n: int, seed: int = 0, *, per_song: int = 3) -> ClipFeatures:
    """Clips in songs; songs in regions of latent space; scores that say little."""
    rng = np.random.default_rng(seed)
    songs = np.arange(n) // per_song
    centres = rng.standard_normal((songs.max() + 1, 32))
    latents = centres[songs] + 0.5 * rng.standard_normal((n, 32))
    scores = rng.uniform(0.0, 1.0, (n, 6))
    return ClipFeatures(
        songs.astype(np.intp), scores.astype(np.float32), latents.astype(np.float32)
    )


def opened(given: ClipFeatures) -> ClipOrder:
    return ClipOrder(given, np.zeros(len(given), np.int8))


def found_after(order: ClipOrder, is_bad: np.ndarray, n: int) -> float:
    """Share of the bad clips among the first `n` that are shown."""
    for _ in range(n):
        clip = order.upcoming(1)[0]
        order.decide(clip, REJECTED if is_bad[clip] else KEPT)
    return float(np.mean(order.decisions[is_bad] == REJECTED))


def test_the_most_suspicious_clips_take_turns_with_what_is_far_from_all() -> None:
    given = features(60)
    assert given.latents is not None
    order = opened(given)
    shown: list[int] = []
    for number in range(10):
        clip = order.upcoming(1)[0]
        still = np.flatnonzero(order.decisions == OPEN)
        if number % 2 == 0:
            assert clip == still[np.argmax(given.suspicion[still])]
        elif number > 1:
            apart = np.subtract(given.latents[still, None], given.latents[shown[1::2]])
            nearest = np.linalg.norm(apart, axis=2).min(axis=1)
            assert nearest[still == clip] > np.median(nearest)
        shown.append(clip)
        order.decide(clip, KEPT)


def test_a_large_corpus_is_ordered_quickly_before_anything_was_learned() -> None:
    """In CPU time, since other processes run beside."""
    given = features(45_000)
    decisions = np.zeros(len(given), np.int8)
    decisions[:4000] = KEPT
    order = ClipOrder(given, decisions)
    spent = []
    for _ in range(5):
        began = time.process_time()
        order.note({order.upcoming(1)[0]: OPEN})  # has all be ranked anew
        spent.append(time.process_time() - began)
    assert min(spent) < 0.1, spent


def test_bad_clips_of_which_no_score_tells_are_found() -> None:
    """Good clips exceed the limits, bad ones do not and lie in regions of their own."""
    found = []
    for seed in range(4):
        given = features(448, seed)
        rng = np.random.default_rng(100 + seed)
        is_bad = np.isin(given.songs, rng.choice(given.songs.max() + 1, 16, False))
        scores = given.scores.copy()
        scores[is_bad] = 0.0
        latents = given.latents
        assert latents is not None
        latents = latents + np.where(is_bad[:, None], rng.normal(0, 0.5, 32), 0.0)
        order = opened(ClipFeatures(given.songs, scores, latents.astype(np.float32)))
        found.append(found_after(order, is_bad, 100))
    assert np.mean(found) > 0.7, found  # by chance 0.22


def test_every_clip_comes_once() -> None:
    order, seen = opened(features(150)), []
    while upcoming := order.upcoming(4):
        seen.append(upcoming[0])
        order.decide(upcoming[0], REJECTED if len(seen) % 4 == 0 else KEPT)
    assert sorted(seen) == list(range(150))


def test_what_is_read_ahead_is_what_comes() -> None:
    """Between two fits, clips that are kept bring the next ones as they were told."""
    order = opened(features(200))
    told = order.upcoming(8)
    for clip in told:
        assert order.upcoming(1) == [clip]
        order.decide(clip, KEPT)


def test_a_rejected_clip_brings_its_song_and_its_neighbours() -> None:
    given = features(90)
    assert given.latents is not None
    order = opened(given)
    order.decide(30, REJECTED)
    upcoming = order.upcoming(5)
    assert set(upcoming[:2]) == {31, 32}
    apart = np.sum((given.latents - given.latents[30]) ** 2, axis=1)
    apart[[30, 31, 32]] = np.inf
    assert upcoming[2:] == np.argsort(apart, kind="stable")[:3].tolist()


def test_undo_brings_the_clip_back_at_once() -> None:
    order = opened(features(60))
    first = order.upcoming(1)[0]
    order.decide(first, REJECTED)
    order.decide(order.upcoming(1)[0], KEPT)
    order.decide(first, OPEN)
    assert order.upcoming(1) == [first]


def test_bad_regions_that_scores_do_not_know_are_learned() -> None:
    """8 of 100 clips are bad, and only their places in latent space tell: of a song's
    clips all are."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        given = features(1200, seed)
        assert given.latents is not None
        way = rng.standard_normal(32) / np.sqrt(32.0)
        along = given.latents @ way
        is_bad = along > np.quantile(along, 0.92)
        found.append(found_after(opened(given), is_bad, 250))
    assert np.mean(found) > 0.75, found  # by chance 0.21


def test_the_order_follows_from_the_decisions_alone() -> None:
    def shown() -> list[int]:
        order, seen = opened(features(120)), []
        for number in range(90):
            seen.append(order.upcoming(1)[0])
            order.decide(seen[-1], REJECTED if number % 5 == 0 else KEPT)
        return seen

    assert shown() == shown()


def test_without_scores_and_latents_clips_come_in_their_order() -> None:
    bare = ClipFeatures(np.arange(10), np.zeros((10, 0), np.float32))
    assert opened(bare).upcoming(3) == [0, 1, 2]
    assert opened(ClipFeatures(bare.songs[:0], bare.scores[:0])).upcoming(3) == []


@given(st.lists(st.tuples(st.integers(0, 29), st.sampled_from([OPEN, KEPT, REJECTED]))))
def test_upcoming_clips_are_open_and_different(steps: list[tuple[int, int]]) -> None:
    order = opened(features(30))
    for clip, decision in steps:
        order.decide(clip, decision)
        upcoming = order.upcoming(30)
        assert sorted(upcoming) == np.flatnonzero(order.decisions == OPEN).tolist()


def judged(n: int, n_decided: int) -> tuple[ClipFeatures, np.ndarray, np.ndarray]:
    """Clips of which one score tells the bad ones, and decisions on some of them."""
    given = features(n)
    is_bad = given.scores[:, 2] > 0.8
    decisions = np.zeros(n, np.int8)
    decisions[:n_decided] = np.where(is_bad[:n_decided], REJECTED, KEPT)
    return given, decisions, is_bad


def test_auto_proposes_what_is_bad_and_says_how_sure_that_is() -> None:
    given, decisions, is_bad = judged(1500, 300)
    found = propose(given, decisions, 0.8)
    assert (decisions[found.clips] == OPEN).all()
    assert is_bad[found.clips].mean() > 0.9
    assert len(found.clips) > 50
    assert (found.likelihood >= 0.8).all()
    assert found.n_right / found.n_foretold > 0.8
    shown = sample(found, 5)
    assert shown[0] == found.clips[0]
    assert shown[-1] == found.clips[-1]


def test_auto_is_not_sure_where_decisions_are_chance() -> None:
    given, decisions, _ = judged(1500, 300)
    rng = np.random.default_rng(5)
    decisions[:300] = rng.choice([KEPT, REJECTED], 300, p=[0.7, 0.3])
    found = propose(given, decisions, 0.9)
    assert len(found.clips) < 30
    assert found.n_found < 0.2


@pytest.mark.parametrize("n_decided", [0, 40, 99])
def test_auto_needs_decisions(n_decided: int) -> None:
    given, decisions, _ = judged(300, n_decided)
    with pytest.raises(InputError, match="--auto needs 100"):
        propose(given, decisions, 0.9)


def test_clips_that_are_opened_again_elsewhere_come_again() -> None:
    order = opened(features(60))
    for clip in order.upcoming(40):
        order.decide(clip, KEPT)
    order.note({3: OPEN, 4: OPEN} | {c: KEPT for c in (5, 6)})
    assert {3, 4} <= set(order.upcoming(60))
    assert not {5, 6} & set(order.upcoming(60))
