"""Checking what a file holds against a type: JSON and TOML into dataclasses.

msgspec compares every field with its annotation: no number stands for a text or the
other way round, no number is infinite or not a number, and bounds given by
`msgspec.Meta` hold. This module turns its errors into one line that names the place.
"""

import math
import tomllib
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from effects.base.errors import InputError
from effects.base.one_line import one_line

Content = TypeVar("Content")


def decode_json(content: bytes | str, kind: type[Content], where: str) -> Content:
    """A value of a type from JSON.

    Args:
        content: the JSON text; bytes are UTF-8.
        kind: a dataclass, a TypedDict, or another type that msgspec knows.
        where: file and line, for messages.

    Raises:
        InputError: not JSON, nested too deeply, or a field that does not fit.
    """
    try:
        decoded: Content = _decoder(cast(Hashable, kind)).decode(content)
    except RecursionError:
        raise InputError(f"{where}: not JSON (nested too deeply)") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_told(error)}") from None
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({one_line(str(error))})") from None
    return decoded


def decode_toml(content: str, kind: type[Content], where: str) -> Content:
    """A value of a type from TOML.

    The memory that a dotted key takes grows with the square of its parts, so the text
    must be short: 8 KiB of one key take 30 MB.

    Args:
        content: the TOML text.
        kind: a dataclass, a TypedDict, or another type that msgspec knows.
        where: the file, for messages.

    Raises:
        InputError: not TOML, nested too deeply, or a field that does not fit.
    """
    try:
        return msgspec.convert(tomllib.loads(content, parse_float=_finite), kind)
    except RecursionError:
        raise InputError(f"{where}: not TOML (nested too deeply)") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_told(error)}") from None
    except ValueError as error:
        raise InputError(f"{where}: not TOML ({one_line(str(error))})") from None


@lru_cache(maxsize=64)
def _decoder(kind: Hashable) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(cast(Any, kind))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _told(error: msgspec.ValidationError) -> str:
    """`seed: expected int, got str` of "Expected `int`, got `str` - at `$.seed`"."""
    message, _, place = str(error).replace("`", "").rpartition(" - at ")
    if not message:
        return one_line(place[:1].lower() + place[1:])
    return one_line(f"{place.removeprefix('$.')}: {message[:1].lower()}{message[1:]}")
