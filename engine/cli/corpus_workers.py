"""Where songs are examined: in this process, in others, or on other machines."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import click

from effects.base.errors import RunError
from effects.base.workers import begin_worker
from engine.cli.packages import CLUSTER, check_packages

SONGS_A_WORKER = 8  # from which the start of another process is worth its time
CONNECT_S = 10.0
ATTEMPTS = 5  # on a cluster, of a song whose worker was ended


@contextmanager
def executor(
    jobs: int | None, scheduler: str | None, n_songs: int
) -> Iterator[Executor | None]:
    """Something that examines songs; None for this process.

    Args:
        jobs: number of processes, or None for as many as there are cores and songs to
            keep them busy.
        scheduler: address of a Dask scheduler, or None to stay on this machine.
        n_songs: how many there are.

    Raises:
        RunError: the scheduler does not answer, or its package is not installed.
        UsageError: both were asked for.
    """
    if scheduler is not None:
        if jobs is not None:
            raise click.UsageError("--jobs or --scheduler, not both")
        with _cluster(scheduler) as cluster:
            yield cluster
        return
    workers = jobs or min(os.cpu_count() or 1, n_songs // SONGS_A_WORKER)
    if workers < 2:
        yield None
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=begin_worker
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    check_packages("a cluster", "corpus add --scheduler", CLUSTER)
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{address}: no scheduler answers there; start one with 'dask scheduler'"
        ) from error
    with client, client.get_executor(pure=False, retries=ATTEMPTS) as cluster:
        yield cluster
