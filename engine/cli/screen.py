"""The view of `latent play` on a terminal, drawn from status and controls alone."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.control.controls import Snapshot
from engine.control.status import RecordingStatus, SessionStatus, SongStatus

HELP = "n next  space pause  h hold  e effect  r record  k keep 10m  +/- volume  q quit"
WIDTH = 44  # of bars and patterns, in characters
QUIETEST_LUFS = -60.0  # left end of the level's bar
LOUD_DB = -1.0  # the limiter's ceiling: at it a peak is shown in red


@dataclass(frozen=True)
class ScreenState:
    """All that one picture of the view is drawn from.

    Attributes:
        status: of the session.
        controls: in force.
        news: the last line that was said.
        plain: draw with ASCII alone.
    """

    status: SessionStatus
    controls: Snapshot
    news: str = ""
    plain: bool = False


def draw(state: ScreenState) -> RenderableType:
    """Draw the whole view."""
    status = state.status
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=9)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in _rows(state):
        table.add_row(name, value)
    head = Text("Latent", "bold")
    head.append(f"  {printable(status.preset)}", "cyan")
    head.append(f"  {_state(state)}  {clock(status.uptime_s)}")
    foot = Text(HELP, "dim", no_wrap=True, overflow="ellipsis")
    return Group(head, Text(), table, Text(), foot)


def clock(seconds: float) -> str:
    """Return seconds as 1:02 or 1:02:03."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def printable(text: str) -> str:
    """Return a text without the characters that control a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _rows(state: ScreenState) -> list[tuple[str, Text]]:
    status, song = state.status, state.status.song
    loudness = status.levels().momentary_lufs
    rows = [
        ("song", _song(song) if song else Text()),
        ("pattern", _pattern(song) if song else Text()),
        ("", _bar(song.progress if song else 0.0, state.plain, "cyan")),
        ("level", _level(status)),
        ("", _bar(1.0 - loudness / QUIETEST_LUFS, state.plain, "green")),
        ("volume", _volume(state.controls)),
        ("effects", Text(printable(", ".join(status.sounding)) or "none")),
        ("recording", _recording(status.recording)),
    ]
    if status.listeners:
        rows.append(("listeners", Text(str(status.listeners))))
    if status.sleep_min > 0.0:
        rows.append(("sleep", Text(f"silent in {clock(60.0 * status.sleep_min)}")))
    rows.append(("engine", _engine(status)))
    rows.append(("news", Text(printable(state.news))))
    return rows


def _state(state: ScreenState) -> str:
    if not state.status.is_paused and state.controls["hold"]:
        return "holding"
    return state.status.state


def _song(song: SongStatus) -> Text:
    text = Text(printable(song.title), "bold")
    text.append(f"  {clock(song.seconds)} / {clock(song.length)}", "not bold")
    return text


def _pattern(song: SongStatus) -> Text:
    """Draw the pattern around the symbol that sounds, which is marked."""
    place = song.place - 1
    start = max(0, min(place - WIDTH // 2, len(song.pattern) - WIDTH))
    text = Text()
    for number, symbol in enumerate(song.pattern[start : start + WIDTH], start):
        if number == place:
            text.append(f"[{symbol}]", "bold reverse")  # seen without colours, too
        else:
            text.append(symbol, "dim" if number < place else "")
    return text


def _level(status: SessionStatus) -> Text:
    levels = status.levels()
    short_term, momentary = levels.short_term_lufs, levels.momentary_lufs
    text = Text(f"{_db(short_term)} LUFS short-term, {_db(momentary)} momentary, peak ")
    peak = levels.true_peak_db
    text.append(f"{_db(peak)} dBTP", "red" if peak > LOUD_DB else "")
    return text


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


def _recording(recording: RecordingStatus | None) -> Text:
    if recording is None:
        return Text("off", "dim")
    return Text(f"{printable(recording.name)}  {clock(recording.seconds)}", "red")


def _engine(status: SessionStatus) -> Text:
    text = Text(f"{status.headroom_s:.1f} s ahead, ")
    underruns = status.underruns
    text.append(f"{underruns} underruns", "red" if underruns else "")
    device = printable(status.device)
    text.append(f", load {100.0 * status.load:.0f} %, device {device}")
    return text


def _db(level: float) -> str:
    return f"{level:.1f}" if level > -100.0 else "-inf"
