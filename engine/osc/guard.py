"""Strict checks of OSC datagrams before anything else reads them.

Common OSC parsers loop for ever on a negative element size, sleep until a far time tag,
or match address patterns by a backtracking regular expression. Here all work is linear
in the length of the datagram, and a datagram passes whole or not at all.

What passes: messages and bundles of OSC 1.0 (https://opensoundcontrol.stanford.edu/
spec-1_0.html) with arguments of the types i h f d s T F, all numbers finite, all
texts printable. Time tags are ignored: every change is made at once.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

MAX_LENGTH = 8192  # bytes of a datagram
MAX_DEPTH = 4  # bundles within bundles
MAX_MESSAGES = 128  # in a datagram
MAX_ADDRESS = 128  # bytes
MAX_ARGUMENTS = 64
MAX_TEXT = 256  # bytes of a text argument
MAX_WILDCARDS = 4  # in an address
MAX_PATTERNS = 8  # addresses with wildcards in a datagram

_BUNDLE = b"#bundle\0"
_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8, "s": 0, "T": 0, "F": 0}
_TAGS = "".join(_SIZES).encode()
_WILDCARDS = "*?[{"
_SPECIAL = _WILDCARDS + "]}"


class RefusedDatagram(Exception):  # noqa: N818 - a verdict, not a failure
    """Raised for a datagram that does not pass; its text says why in a few words."""


def messages(datagram: bytes) -> list[bytes]:
    """Return the messages of a sound datagram, in order.

    Raises:
        RefusedDatagram: it breaks a rule of OSC or a limit.
    """
    if not 4 <= len(datagram) <= MAX_LENGTH:
        raise RefusedDatagram("too short" if len(datagram) < 4 else "too long")
    if len(datagram) % 4:
        raise RefusedDatagram("length is not a multiple of 4")
    found: list[bytes] = []
    _collect(datagram, 1, found)
    n_patterns = sum(_check_message(message) for message in found)
    if n_patterns > MAX_PATTERNS:
        raise RefusedDatagram("too many patterns")
    return found


def _collect(element: bytes, depth: int, found: list[bytes]) -> None:
    if not element.startswith(_BUNDLE):
        found.append(element)
        if len(found) > MAX_MESSAGES:
            raise RefusedDatagram("too many messages")
        return
    if depth > MAX_DEPTH:
        raise RefusedDatagram("bundles too deep")
    at = 16  # behind the name and the time tag
    if len(element) < at:
        raise RefusedDatagram("bundle without a time tag")
    while at < len(element):
        (size,) = struct.unpack_from(">i", element, at)
        at += 4
        if size <= 0 or size % 4 or size > len(element) - at:
            raise RefusedDatagram("element size")
        _collect(element[at : at + size], depth + 1, found)
        at += size


def _check_message(message: bytes) -> bool:
    """Raise if a message is not sound; returns whether its address is a pattern."""
    address, at = _string(message, 0, "address")
    if not address.startswith(b"/") or len(address) > MAX_ADDRESS:
        raise RefusedDatagram("address")
    if not address.isascii() or not (text := address.decode()).isprintable():
        raise RefusedDatagram("address")
    if " " in text or "#" in text or "," in text.partition("{")[0]:
        raise RefusedDatagram("address")
    has_pattern = is_pattern(text)
    if has_pattern:
        _parts(text)
    if at == len(message):
        return has_pattern  # old senders omit the type tags then
    tags, at = _string(message, at, "type tags")
    if not tags.startswith(b",") or tags[1:].translate(None, _TAGS):
        raise RefusedDatagram("type tags")
    if len(tags) > MAX_ARGUMENTS + 1:
        raise RefusedDatagram("too many arguments")
    for tag in tags[1:].decode():
        at = _check_argument(message, at, tag)
    if at != len(message):
        raise RefusedDatagram("bytes behind the last argument")
    return has_pattern


def _check_argument(message: bytes, at: int, tag: str) -> int:
    """Check an argument that begins at `at`; returns where it ends."""
    if tag == "s":
        raw, at = _string(message, at, "text")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise RefusedDatagram("text") from None
        if len(raw) > MAX_TEXT or not text.isprintable():
            raise RefusedDatagram("text")
        return at
    end = at + _SIZES[tag]
    if end > len(message):
        raise RefusedDatagram("arguments cut short")
    if tag in "fd" and not math.isfinite(struct.unpack_from(">" + tag, message, at)[0]):
        raise RefusedDatagram("a number that is not finite")
    return end


def _string(message: bytes, at: int, what: str) -> tuple[bytes, int]:
    """Return a padded string that begins at `at`, and where it ends."""
    stop = message.find(b"\0", at)
    if stop < 0:
        raise RefusedDatagram(f"{what} without an end")
    end = stop - stop % 4 + 4
    if message[stop:end] != bytes(end - stop):
        raise RefusedDatagram(f"padding of the {what}")
    return message[at:stop], end


# Address patterns. A set of positions in the text, kept as the bits of an integer,
# advances through the pattern element by element: no branch is tried twice.


@dataclass(frozen=True)
class _Star:
    """Any run of characters, possibly empty."""


@dataclass(frozen=True)
class _Set:
    """One character of a set, or one outside it."""

    characters: frozenset[str]
    negated: bool


@dataclass(frozen=True)
class _Choice:
    """One of several literal runs."""

    runs: list[str]


_Element: TypeAlias = str | _Star | _Set | _Choice  # str: a literal run


def is_pattern(address: str) -> bool:
    """Whether an address is a pattern, which may match several addresses."""
    return any(character in address for character in _SPECIAL)


def matching(pattern: str, addresses: Iterable[str]) -> list[str]:
    """Return those of `addresses` that an OSC 1.0 pattern matches, in their order.

    `*` and `?` do not cross a slash; `[a-c]`, `[!abc]` and `{one,two}` work.
    The time is linear in the length of the pattern, for each address.

    Raises:
        RefusedDatagram: more wildcards than allowed, or brackets that do not close.
    """
    parts = _parts(pattern)
    return [address for address in addresses if _matches(parts, address.split("/"))]


def _matches(parts: list[list[_Element]], texts: list[str]) -> bool:
    return len(parts) == len(texts) and all(map(_part_matches, parts, texts))


def _part_matches(elements: list[_Element], text: str) -> bool:
    if len(elements) == 1 and isinstance(elements[0], str):
        return elements[0] == text
    at: dict[str, int] = {}  # character -> bits of its places
    for place, character in enumerate(text):
        at[character] = at.get(character, 0) | 1 << place
    everywhere = (1 << len(text)) - 1
    positions = 1
    for element in elements:
        if isinstance(element, str):
            positions = _run(element, positions, at)
        elif isinstance(element, _Star):
            lowest = positions & -positions
            positions = (everywhere << 1 | 1) & ~(lowest - 1)
        elif isinstance(element, _Set):
            there = 0
            for character in element.characters:
                there |= at.get(character, 0)
            there = everywhere & ~there if element.negated else there
            positions = (positions & there) << 1
        else:
            ends = 0
            for run in element.runs:
                ends |= _run(run, positions, at)
            positions = ends
        if not positions:
            return False
    return bool(positions >> len(text) & 1)


def _run(run: str, positions: int, at: dict[str, int]) -> int:
    for character in run:
        positions = (positions & at.get(character, 0)) << 1
    return positions


def _parts(pattern: str) -> list[list[_Element]]:
    if sum(pattern.count(wildcard) for wildcard in _WILDCARDS) > MAX_WILDCARDS:
        raise RefusedDatagram("too many wildcards")
    return [_elements(part) for part in pattern.split("/")]


def _elements(part: str) -> list[_Element]:
    found: list[_Element] = []
    at = 0
    while at < len(part):
        if part[at] in "[{":
            end = part.find("]" if part[at] == "[" else "}", at)
            inside = part[at + 1 : end]
            if end < 0 or any(character in inside for character in _SPECIAL):
                raise RefusedDatagram("brackets in the address")
            one_of = part[at] == "["
            found.append(_set(inside) if one_of else _Choice(inside.split(",")))
            at = end + 1
        elif part[at] in "*?":
            any_one = _Set(frozenset(), negated=True)
            found.append(_Star() if part[at] == "*" else any_one)
            at += 1
        elif part[at] in "]}":
            raise RefusedDatagram("brackets in the address")
        else:
            end = at
            while end < len(part) and part[end] not in _SPECIAL:
                end += 1
            found.append(part[at:end])
            at = end
    return found or [""]


def _set(inside: str) -> _Set:
    """Parse what stands between brackets; a range may be written from either end."""
    negated = inside.startswith("!")
    rest = inside[negated:]
    found: set[str] = set()
    at = 0
    while at < len(rest):
        if rest[at + 1 : at + 2] == "-" and at + 2 < len(rest):
            low, high = sorted((ord(rest[at]), ord(rest[at + 2])))
            found.update(map(chr, range(low, high + 1)))
            at += 3
        else:
            found.add(rest[at])
            at += 1
    return _Set(frozenset(found), negated)
