"""What `latent play` shows on a terminal, drawn from readings alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.control.commands import Status
from engine.control.controls import Snapshot

HELP = "n next  space pause  h hold  e effect  r record  k keep 10m  +/- volume  q quit"
WIDTH = 44  # of bars and patterns, in characters
QUIETEST_LUFS = -60.0  # left end of the level's bar
LOUD_DB = -1.0  # the limiter's ceiling: at it a peak is shown in red


@dataclass(frozen=True)
class ScreenState:
    """What there is to be shown.

    Attributes:
        status: readings of the desk.
        controls: in force.
        news: the last line that was said.
        plain: draw with ASCII alone.
    """

    status: Status
    controls: Snapshot
    news: str = ""
    plain: bool = False


def draw(seen: ScreenState) -> RenderableType:
    """The whole view."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=9)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in _rows(seen):
        table.add_row(name, value)
    head = Text("Latent", "bold")
    head.append(f"  {_words(seen.status, 'preset/name')}", "cyan")
    head.append(f"  {_state(seen)}  {clock(_number(seen.status, 'uptime'))}")
    foot = Text(HELP, "dim", no_wrap=True, overflow="ellipsis")
    return Group(head, Text(), table, Text(), foot)


def clock(seconds: float) -> str:
    """Seconds as 1:02 or 1:02:03."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def printable(text: str) -> str:
    """A text without characters that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _rows(seen: ScreenState) -> list[tuple[str, Text]]:
    status = seen.status
    rows = [
        ("song", _song(status)),
        ("pattern", _pattern(status)),
        ("", _bar(_number(status, "song/progress"), seen.plain, "cyan")),
        ("level", _level(status)),
        ("", _level_bar(status, seen.plain)),
        ("volume", _volume(seen.controls)),
        ("effects", Text(_words(status, "effects/now") or "none")),
        ("recording", _recording(status)),
    ]
    if (minutes := _number(status, "sleep/remaining")) > 0.0:
        rows.append(("sleep", Text(f"silent in {clock(60.0 * minutes)}")))
    rows.append(("engine", _engine(status)))
    rows.append(("news", Text(printable(seen.news))))
    return rows


def _state(seen: ScreenState) -> str:
    if not seen.status.get("playing", True):
        return "paused"
    return "holding" if seen.controls["hold"] else "playing"


def _song(status: Status) -> Text:
    text = Text(_words(status, "song/title"), "bold")
    into, length = _number(status, "song/seconds"), _number(status, "song/length")
    text.append(f"  {clock(into)} / {clock(length)}", "not bold")
    return text


def _pattern(status: Status) -> Text:
    """The pattern around the symbol that sounds, which is marked."""
    symbols = _words(status, "song/pattern")
    place = round(_number(status, "song/place")) - 1
    start = max(0, min(place - WIDTH // 2, len(symbols) - WIDTH))
    text = Text()
    for number, symbol in enumerate(symbols[start : start + WIDTH], start):
        if number == place:
            text.append(f"[{symbol}]", "bold reverse")  # seen without colours, too
        else:
            text.append(symbol, "dim" if number < place else "")
    return text


def _level(status: Status) -> Text:
    momentary, short_term = _pair(status, "meter/lufs")
    text = Text(f"{_db(short_term)} LUFS short-term, {_db(momentary)} momentary, peak ")
    peak = _number(status, "meter/true-peak", -200.0)
    text.append(f"{_db(peak)} dBFS", "red" if peak > LOUD_DB else "")
    return text


def _level_bar(status: Status, plain: bool) -> Text:
    momentary, _ = _pair(status, "meter/lufs")
    return _bar(1.0 - momentary / QUIETEST_LUFS, plain, "green")


def _bar(share: float, plain: bool, style: str) -> Text:
    n = round(WIDTH * min(max(share, 0.0), 1.0))
    full, empty = ("#", ".") if plain else ("━", "─")
    text = Text(full * n, style)
    text.append(empty * (WIDTH - n), "dim")
    return text


def _volume(controls: Snapshot) -> Text:
    if controls["master/mute"]:
        return Text("muted", "red")
    return Text(f"{float(controls['master/gain']):+.0f} dB")


def _recording(status: Status) -> Text:
    if not status.get("record/active"):
        return Text("off", "dim")
    seconds = clock(_number(status, "record/seconds"))
    return Text(f"{_words(status, 'record/name')}  {seconds}", "red")


def _engine(status: Status) -> Text:
    text = Text(f"{_number(status, 'headroom'):.1f} s ahead, ")
    underruns = round(_number(status, "underruns"))
    text.append(f"{underruns} underruns", "red" if underruns else "")
    load = 100.0 * _number(status, "load")
    text.append(f", load {load:.0f} %, device {_words(status, 'device')}")
    return text


def _db(level: float) -> str:
    return f"{level:.1f}" if level > -100.0 else "-inf"


def _words(status: Mapping[str, Any], key: str) -> str:
    value = status.get(key, "")
    return printable(value if isinstance(value, str) else ", ".join(map(str, value)))


def _number(status: Mapping[str, Any], key: str, missing: float = 0.0) -> float:
    return float(status.get(key, missing))


def _pair(status: Mapping[str, Any], key: str) -> tuple[float, float]:
    first, second = status.get(key, (-200.0, -200.0))
    return float(first), float(second)
