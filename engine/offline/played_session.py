"""A session that was played, or still plays, as its journal tells it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from effects.base.errors import InputError
from engine.control.controls import snapshot_of
from engine.graph import Graph, Settings, build
from engine.offline.journal import Header, JournalEvent, read_header, read_journal
from engine.offline.journal_writer import journals_dir
from engine.version import VERSION


@dataclass(frozen=True)
class PlayedSession:
    """A session, ready to be rendered again.

    Attributes:
        graph: built anew.
        events: of the journal.
        sample_rate: at which it was played, Hz; events count samples of it.
        end: the sample at which it ended, or that it has reached by now.
        latent: version that played it.
    """

    graph: Graph
    events: Sequence[JournalEvent]
    sample_rate: int
    end: int
    latent: str


def load_session(
    path: Path, *, sample_rate: int | None = None, model: Path | None = None
) -> PlayedSession:
    """Load the session of a journal.

    Args:
        path: of the journal.
        sample_rate: to render at, Hz; that of the session by default.
        model: folder, where it is no longer where it was.

    Raises:
        InputError: not a journal, or its model is not the one it was played with.
    """
    journal = read_journal(path)
    header = journal.header
    graph = build(_settings(header, sample_rate, model))
    if header.model and graph.model.hash != header.model:
        raise InputError(
            f"{path}: was played with model {header.model[:12]}, but this one is "
            f"{graph.model.hash[:12]}; name its folder with --model"
        )
    end = session_end(journal.events)
    return PlayedSession(graph, journal.events, header.sample_rate, end, header.latent)


def session_end(events: Sequence[JournalEvent]) -> int:
    """The sample at which a session ended.

    Without a row that says so, as after a kill, it is the last one that it is known to
    have reached. Changes are noted ahead of the samples at which they hold, so they
    count only where there is nothing else.
    """
    ends = [event["at"] for event in events if event.get("command") == "end"]
    reached = ends or [event["at"] for event in events if _is_past(event)]
    return max(reached or [event["at"] for event in events], default=0)


def differences(
    events: Sequence[JournalEvent], sample_rate: int, latent: str = VERSION
) -> list[str]:
    """Where a replay may not be what was heard or recorded, and why, a line each.

    Args:
        events: of the journal.
        sample_rate: of the session, Hz.
        latent: version that played it.
    """
    lines = []
    if latent != VERSION:
        lines.append(f"perhaps anywhere, as {latent} played it, not {VERSION}")
    for event in events:
        moment = f"{event['at'] / sample_rate:.1f} s"
        if "lost" in event:
            lines.append(f"from {moment} on, as {event['lost']} changes were not noted")
        gap = event.get("recording", {}).get("gap")
        if gap:
            lines.append(f"the recording lacks {gap} samples at {moment}")
    return lines


def _is_past(event: JournalEvent) -> bool:
    """Whether a row was written when its sample had been played."""
    past = "underrun" in event or "recording" in event or "device" in event
    return past or event.get("command") == "tick"


def running_journal() -> Path | None:
    """The journal of the session that plays now, the latest if there are several."""
    for path in sorted(journals_dir().glob("*.jsonl"), reverse=True):
        try:
            pid = read_header(path).pid
            if pid == 0:
                continue
            os.kill(pid, 0)  # raises if there is no such process
            events = read_journal(path).events
        except (InputError, OSError):
            continue
        if not any(event.get("command") == "end" for event in events):
            return path
    return None


def _settings(header: Header, sample_rate: int | None, model: Path | None) -> Settings:
    folder = Path(header.model_dir) if header.model_dir else None
    return Settings(
        seed=header.seed,
        sample_rate=sample_rate or header.sample_rate,
        duration=header.duration,
        controls=snapshot_of(header.controls),
        model=model or folder,
        grammar=header.grammar,
        effects=header.effects,
        like=header.like,
        preset=header.preset,
    )
