"""`latent keep`: the last minutes of a running session, after the fact."""

from datetime import UTC, datetime
from pathlib import Path

import click

from effects.base.errors import InputError, RunError
from engine.cli.durations import Duration
from engine.cli.progress import bar, tell_of_fifo


@click.command()
@click.argument("duration", type=Duration())
@click.argument("out", type=Path, required=False)
def keep(duration: float, out: Path | None) -> None:
    """Save the last DURATION (as 90, 10m, 1h) of the session that plays now.

    It is rendered again from the session's journal, so nothing need have been
    recorded.

    \b
    Example:
      latent keep 10m
    """
    from effects.audio.sound_writer import check_output
    from effects.base.paths import data_dir
    from engine.offline.chaptered import chaptered_sound_file, chapters_between
    from engine.offline.edits import edits_of
    from engine.offline.played_session import load_session, running_journal
    from engine.offline.replay import replay

    journal = running_journal()
    if journal is None:
        raise RunError("no session plays now; 'latent replay' renders an ended one")
    if out is None:
        folder = data_dir() / "recordings"
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        out = folder / f"kept-{stamp}.flac"
    check_output(out)
    session = load_session(journal)
    check_output(out, session.sample_rate)
    start = max(0, session.end - round(duration * session.sample_rate))
    if start >= session.end:
        raise InputError("the session has only just begun")
    chapters = chapters_between(session.events, start, session.end)
    comment = f"latent, kept from {journal.name}"
    edits = edits_of(session.events)
    tell_of_fifo(out, session.sample_rate)
    with (
        bar("keeping", session.sample_rate) as progress,
        chaptered_sound_file(
            out, session.sample_rate, out.stem, comment, chapters
        ) as write,
    ):
        replay(session.graph, edits, start, session.end, write, progress)
    click.echo(f"kept {(session.end - start) / session.sample_rate:.1f} s in {out}")
