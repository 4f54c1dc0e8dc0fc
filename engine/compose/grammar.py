"""The grammar of songs: from the symbol S to a pattern of the five sounds.

Notation: one rule a line, as `S => XYXZ`; `#` begins a comment. Upper-case letters
are symbols, of which A to E are terminal: the sounds. It is a context-free grammar,
used to make structure instead of finding it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from effects.base.errors import InputError
from effects.base.open_file import read_text

START = "S"
TERMINALS = frozenset("ABCDE")
MAX_PATTERN = 512  # symbols; a longer one is an accident
MAX_FILE = 64 * 1024  # bytes


@dataclass(frozen=True, eq=False)
class Grammar:
    """Productions of each symbol, in the order of the file; equal only to itself."""

    rules: Mapping[str, tuple[str, ...]]
    name: str = "grammar"


def load(name_or_path: str) -> Grammar:
    """A bundled grammar by name, one from a file, or the text of one itself.

    Raises:
        InputError: there is none, or a line of it is wrong.
    """
    if "=>" in name_or_path:
        return parse(name_or_path)
    # Unlike Path.is_file, this raises for no text, however long.
    if os.path.isfile(name_or_path):
        path = Path(name_or_path)
        return parse(read_text(path, MAX_FILE, "grammar"), str(path))
    if name_or_path in bundled_names():
        bundled = resources.files("engine.compose.grammars") / f"{name_or_path}.txt"
        return parse(bundled.read_text(encoding="utf-8"), name_or_path)
    names = ", ".join(bundled_names())
    raise InputError(f"{name_or_path:.200}: no such grammar file; bundled are {names}")


def bundled_names() -> list[str]:
    """Names of the bundled grammars."""
    folder = resources.files("engine.compose.grammars")
    return sorted(
        entry.name.removesuffix(".txt")
        for entry in folder.iterdir()
        if entry.name.endswith(".txt")
    )


def parse(text: str, name: str = "grammar") -> Grammar:
    """The grammar that a text holds.

    Raises:
        InputError: with the line at fault: not a rule, a symbol without a rule,
            endless recursion, a rule that is never reached, no start.
    """
    rules: dict[str, list[str]] = {}
    lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        symbol, arrow, right = (part.strip() for part in content.partition("=>"))
        production = "".join(right.split())
        where = f"{name}, line {number}"
        if not arrow or not _is_symbol(symbol) or not production:
            raise InputError(f"{where}: {content!r:.60} is not a rule like 'S => XYXZ'")
        if symbol in TERMINALS:
            raise InputError(f"{where}: {symbol} is a sound and can have no rule")
        if not all(map(_is_symbol, production)):
            raise InputError(
                f"{where}: {production!r:.60} has more than letters A to Z"
            )
        rules.setdefault(symbol, []).append(production)
        lines.setdefault((symbol, production), number)
    grammar = Grammar({s: tuple(p) for s, p in rules.items()}, name)
    _check(grammar, lines)
    return grammar


def derive(grammar: Grammar, choose: Callable[[str], int]) -> list[str]:
    """The chain of strings from S to a pattern.

    Symbols are replaced in the order in which the grammar has them, all occurrences
    at once: a section that comes back comes back the same.

    Args:
        grammar: checked.
        choose: number of the production to take for a symbol.

    Raises:
        InputError: the pattern grows too long.
    """
    chain = [START]
    while True:
        current = chain[-1]
        symbol = next((s for s in grammar.rules if s in current), None)
        if symbol is None:
            return chain
        production = grammar.rules[symbol][choose(symbol)]
        chain.append(current.replace(symbol, production))
        if len(chain[-1]) > MAX_PATTERN:
            raise InputError(
                f"{grammar.name}: a pattern grew over {MAX_PATTERN} symbols"
            )


def expand(grammar: Grammar, rng: np.random.Generator) -> str:
    """A random pattern of the grammar's language."""
    return derive(grammar, lambda s: int(rng.integers(len(grammar.rules[s]))))[-1]


def _is_symbol(text: str) -> bool:
    return len(text) == 1 and "A" <= text <= "Z"


def _check(grammar: Grammar, lines: Mapping[tuple[str, str], int]) -> None:
    if START not in grammar.rules:
        raise InputError(f"{grammar.name}: there is no rule for {START}, the song")
    for (symbol, production), number in lines.items():
        where = f"{grammar.name}, line {number}"
        for used in production:
            if used not in TERMINALS and used not in grammar.rules:
                raise InputError(
                    f"{where}: {used} has no rule and is no sound (A to E)"
                )
        if symbol in _reached(grammar, production):
            raise InputError(f"{where}: {symbol} leads back to itself, without end")
    reached = _reached(grammar, START)
    for (symbol, _), number in lines.items():
        if symbol not in reached:
            raise InputError(
                f"{grammar.name}, line {number}: {symbol} is never reached from {START}"
            )


def _reached(grammar: Grammar, symbols: str) -> set[str]:
    """All symbols that these lead to, themselves included."""
    reached: set[str] = set()
    waiting = set(symbols)
    while waiting:
        symbol = waiting.pop()
        reached.add(symbol)
        waiting |= set("".join(grammar.rules.get(symbol, ()))) - reached
    return reached
