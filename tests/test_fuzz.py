"""Files with anything replaced are read, or refused in one line, at once."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.file_mutants import FuzzTarget, fuzz, fuzz_targets

KINDS = (
    *("preset", "grammar", "config", "journal", "card", "album", "decisions"),
    *("bindings", "manifest", "verdicts", "model", "map", "network"),
    *("loop", "facts"),
    *("wav", "flac", "ogg", "opus", "mp3", "aiff", "osc"),
)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FuzzTarget]:
    return fuzz_targets(tmp_path_factory.mktemp("seeds"))


def test_every_kind_is_tried(targets: Mapping[str, FuzzTarget]) -> None:
    assert tuple(targets) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_read_or_refused(
    kind: str, targets: Mapping[str, FuzzTarget], tmp_path: Path
) -> None:
    target = targets[kind]
    for seed in target.seeds:
        (tmp_path / target.file).write_bytes(seed)
        target.read(tmp_path / target.file)
    outcome = fuzz(target, 150, random.Random(f"1 {kind}"), tmp_path)
    assert [why for _, why in outcome.failed] == []
    assert outcome.read + outcome.refused == 150
    assert outcome.grown_kib < 100 * 1024
