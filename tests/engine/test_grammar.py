from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.base.errors import InputError
from engine.compose.grammar import Grammar, bundled_names, derive, expand, load, parse

SEED = load("seed")

# The language of the seed's grammar when a section that comes back comes back the
# same, written down apart from the program: song, then X, Y and Z.
SONGS = ["XYXZ", "XYZZ", "XZYZ", "YXYZ", "YXZY", "YZXZ", "YZYZ", "ZXYZ", "ZXZY", "ZYXZ"]
LANGUAGE = {
    song.replace("X", x).replace("Y", y).replace("Z", z)
    for song in SONGS
    for x in ("AABBAABB", "ABABAB")
    for y in ("CDCD", "CCDD")
    for z in ("E", "EE")
}


def test_the_seeds_example_comes_out() -> None:
    wanted = {"S": "XZYZ", "X": "ABABAB", "Y": "CCDD", "Z": "E"}
    chain = derive(SEED, lambda s: SEED.rules[s].index(wanted[s]))
    assert chain == ["S", "XZYZ", "ABABABZYZ", "ABABABZCCDDZ", "ABABABECCDDE"]


@given(st.integers(0, 2**32))
def test_only_the_language_is_produced(seed: int) -> None:
    assert expand(SEED, np.random.default_rng(seed)) in LANGUAGE


def test_every_rule_is_reached_and_all_of_the_language_produced() -> None:
    taken: set[tuple[str, int]] = set()
    produced = set()
    rng = np.random.default_rng(0)

    def choose(symbol: str) -> int:
        choice = int(rng.integers(len(SEED.rules[symbol])))
        taken.add((symbol, choice))
        return choice

    for _ in range(3000):
        produced.add(derive(SEED, choose)[-1])
    assert len(taken) == 16
    assert produced == LANGUAGE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("S => XX\nX -> A", "line 2: 'X -> A' is not a rule"),
        ("S => XQ\nX => A", "line 1: Q has no rule"),
        ("S => XA\nX => Y\nY => BX", "line 2: X leads back to itself"),
        ("S => SA", "line 1: S leads back to itself"),
        ("# S => A\n\nX => A", "no rule for S"),
        ("S => A\nX => B", "line 2: X is never reached"),
        ("S => A\nA => B", "line 2: A is a sound"),
        ("S => aB", "line 1: 'aB' has more than letters"),
        ("S => ", "line 1: 'S =>' is not a rule"),
        ("ST => A", "is not a rule"),
        ("", "no rule for S"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=r"^mine\.txt") as caught:
        parse(text, "mine.txt")
    assert fault in str(caught.value)


def test_a_grammar_that_explodes_is_stopped() -> None:
    rules = "\n".join(f"{a} => {b * 8}" for a, b in zip("STUVW", "TUVWA", strict=True))
    grammar = parse(rules, "big")
    with pytest.raises(InputError, match="grew over"):
        expand(grammar, np.random.default_rng(0))


def test_files_and_names(tmp_path: Path) -> None:
    assert "seed" in bundled_names()
    file = tmp_path / "mine.txt"
    file.write_bytes("\ufeffS => A B  # a comment\r\nS => EE\r\n".encode())
    assert load(str(file)).rules == {"S": ("AB", "EE")}
    with pytest.raises(InputError, match="bundled are"):
        load("nonesuch")
    with pytest.raises(InputError, match="bundled are"):
        load("../grammars/seed")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load(str(tmp_path / "binary"))
    (tmp_path / "huge").write_bytes(b"#" * 100_000)
    with pytest.raises(InputError, match="over"):
        load(str(tmp_path / "huge"))


def test_grammars_are_compared_by_identity() -> None:
    assert Grammar({"S": ("A",)}) != Grammar({"S": ("A",)})
