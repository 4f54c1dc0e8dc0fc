import contextlib
import time
import tracemalloc
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from effects.base.errors import InputError
from effects.base.schema import decode_json, decode_toml


@dataclass(frozen=True)
class Planted:
    """What the tests read."""

    seed: Annotated[int, Meta(ge=0, le=9)]
    gain: float = 0.0
    names: Annotated[list[str], Meta(max_length=3)] = ()  # type: ignore[assignment]


def test_fields_come_typed() -> None:
    assert decode_json('{"seed": 3, "gain": 1, "more": 1}', Planted, "a") == Planted(
        3, 1.0
    )
    assert decode_toml("seed = 3\nnames = ['a']", Planted, "a").names == ["a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"seed": "3"}', "seed: expected int, got str"),
        ('{"seed": true}', "seed: expected int, got bool"),
        ('{"seed": 10}', "seed: expected int <= 9"),
        ('{"gain": 1}', "missing required field seed"),
        ("[1]", "expected object, got array"),
        ('{"seed": 1, "gain": NaN}', "not JSON"),
        ('{"seed": 1, "gain": 1e999}', "gain: number out of range"),
        ('{"seed": ' + 400 * "9" + "}", "seed: expected int"),
        ('{"seed": 1, "gain": ' + 400 * "9" + "}", "gain: number out of range"),
        ('{"seed": 1, "x": ' + 100_000 * "[", "nested too deeply"),
        ('{"seed": 1, "names": ["\\ud800"]}', "not JSON"),
        ('{"seed": 1, "names": ["a", "a", "a", "a"]}', "names: expected array"),
        ("{", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_what_does_not_fit_is_one_line(text: str, why: str) -> None:
    with pytest.raises(InputError, match=f"^file, line 7: .*{why}") as told:
        decode_json(text, Planted, "file, line 7")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seed = '3'", "seed: expected int, got str"),
        ("a = " + 8000 * "[", "nested too deeply"),
        ("seed = " + 5000 * "9", "not TOML"),
        ("seed = 1\ngain = " + 400 * "9", "gain"),
        ("seed", "not TOML"),
        ("seed = 1\ngain = nan", "nan is not a finite"),
        ("seed = 1\ngain = inf", "inf is not a finite"),
    ],
)
def test_what_does_not_fit_in_toml_is_one_line(text: str, why: str) -> None:
    with pytest.raises(InputError, match=f"^a.toml: .*{why}") as told:
        decode_toml(text, Planted, "a.toml")
    assert "\n" not in str(told.value)


def test_the_longest_dotted_key_of_8_kib_is_cheap() -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(InputError):
        decode_toml(4095 * "a." + "a=1", Planted, "a.toml")
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert time.process_time() - began < 5.0  # traced, on any machine


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_a_value_or_one_line(content: bytes) -> None:
    with contextlib.suppress(InputError):
        decode_json(content, Planted, "a")
