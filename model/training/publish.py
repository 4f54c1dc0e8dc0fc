"""Model folders moved to their places."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from effects.base.errors import RunError
from model.inference import ONNX_FILES
from model.timbre_map import MAP_FILE


def publish(made: Path, out_dir: Path, others: Iterable[str] = ()) -> None:
    """Move a model folder's files to where the model is to be.

    Args:
        made: a model folder on the same file system.
        out_dir: its place; a model in it is replaced.
        others: further files of `made`.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        for name in others:
            os.replace(made / name, out_dir / name)
        move_into_place(made, out_dir)
        shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise RunError(f"cannot write the model to {out_dir}: {error}") from error


@contextmanager
def whole_model(partial: Path, out_dir: Path) -> Iterator[None]:
    """Move a model folder into its place when the block has made it, or remove it.

    Args:
        partial: folder to make it in, beside `out_dir`; one that is there is removed.
        out_dir: its place; a model in it is replaced.

    Raises:
        RunError: a file cannot be written.
    """
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield
        move_into_place(partial, out_dir)
    except OSError as error:
        raise RunError(f"cannot write the model to {out_dir}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def move_into_place(partial: Path, out_dir: Path) -> None:
    """Move a model's files, each in one step; raises OSError."""
    out_dir.mkdir(parents=True, exist_ok=True)
    # model.json last: until it is replaced, its hashes do not fit the new files, and
    # the folder is refused.
    for name in (*ONNX_FILES, MAP_FILE, "CARD.md", "model.json"):
        os.replace(partial / name, out_dir / name)
