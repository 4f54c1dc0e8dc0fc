"""A session for hours or days: memory, loudness, clicks, underruns, position.

Run as `bin/soak`:

    bin/soak --simulated DAYS [--full S]   in simulated time, as fast as it goes; music
                                           is made in full for S seconds (60) of each
                                           quarter of an hour, of which all but the
                                           first 15 are measured
    bin/soak --hours H                     in real time on a null sink of PulseAudio,
                                           recorded, and the recording beside its replay
"""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click

from effects.base.memory import give_memory_back
from engine.graph import TARGET_LUFS
from engine.live import session
from tests.support.playing_for_hours import play_for
from tests.support.soaking import Hour, Soak, slope_kb


@click.command()
@click.option("--simulated", type=float, help="Days of simulated time.")
@click.option(
    "--full", type=float, default=60.0, help="Seconds of each quarter of an hour."
)
@click.option("--hours", type=float, help="Hours of real time.")
def main(simulated: float | None, full: float, hours: float | None) -> None:
    """Soak a session, and print what was measured."""
    with tempfile.TemporaryDirectory(prefix="latent-soak-") as folder:
        if hours is not None:
            click.echo(play_for(hours, Path(folder)))
        else:
            _simulate(simulated or 0.01, full, Path(folder))


def _simulate(days: float, full_s: float, folder: Path) -> None:
    os.environ.setdefault("LATENT_HOME", str(folder))
    give_memory_back()  # as `latent play` does first
    session.POLL_S = 0.25  # a view that nobody looks at needs no more
    soak = Soak(24.0 * days, full_s, folder, _print_hour)
    click.echo("hour  MB     threads  files  LUFS    dBTP   clicks  bad  songs")
    soak.run()
    metrics, rows = soak.session.metrics, soak.rows
    steady = rows[len(rows) // 4 :]  # at first, pools and caches fill
    loud = [row.lufs for row in rows if row.lufs is not None]
    farthest = max((abs(lufs - TARGET_LUFS) for lufs in loud), default=0.0)
    click.echo(
        f"{soak.session.session.seconds / 3600.0:.1f} h: "
        f"{metrics.underruns} underruns, "
        f"{metrics.concealments} concealments, {metrics.errors} errors; position off "
        f"by {soak.position_error} samples; memory {slope_kb(steady):+.0f} kB an hour "
        f"from hour {steady[0].number if steady else 0} on; hours are at most "
        f"{farthest:.1f} LU from {TARGET_LUFS:g} LUFS and "
        f"{max(loud, default=0.0) - min(loud, default=0.0):.1f} LU apart; "
        f"{soak.radio.dropped} samples not streamed"
    )


def _print_hour(row: Hour) -> None:
    lufs = "" if row.lufs is None else f"{row.lufs:.1f}"
    click.echo(
        f"{row.number:4}  {row.own_mb:5.1f}  {row.threads:7}  {row.descriptors:5}  "
        f"{lufs:>6}  {row.true_peak_db:5.1f}  {row.clicks:6}  {row.bad:3}  {row.songs}"
    )


if __name__ == "__main__":
    main()
