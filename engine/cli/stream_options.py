"""Options of `latent play` that send the master elsewhere than to a device."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from effects.base.errors import InputError
from engine.streams.messages import PCM_FORMATS, Outputs
from engine.streams.radio import PORT, StreamSettings
from engine.streams.sockets import HOST

Command = TypeVar("Command", bound=Callable[..., Any])

PASSWORD_VARIABLE = "LATENT_ICECAST_PASSWORD"
SNAPCAST_PORT = 4953  # of a TCP source of snapserver


def stream_options(command: Command) -> Command:
    """The options that `stream_settings` reads."""
    options = [
        click.option(
            "--serve", help=f"[HOST:]PORT for listeners over HTTP, as {PORT}."
        ),
        click.option(
            "--icecast",
            multiple=True,
            metavar="URL",
            help="Feed http://source:PASSWORD@HOST:PORT/MOUNT; .opus for Opus.",
        ),
        click.option(
            "--snapcast",
            multiple=True,
            metavar="tcp://HOST:PORT",
            help="Feed a TCP source of snapserver.",
        ),
        click.option(
            "--hls", type=Path, metavar="FOLDER", help="Write HLS segments (ffmpeg)."
        ),
        click.option(
            "--pipe", type=Path, metavar="FIFO", help="Write PCM into this FIFO."
        ),
        click.option(
            "--stdout", is_flag=True, help="Write PCM to the standard output."
        ),
        click.option(
            "--pcm",
            type=click.Choice(PCM_FORMATS),
            default=PCM_FORMATS[0],
            show_default=True,
            help="Format of --pipe and --stdout.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def stream_settings(options: Mapping[str, Any]) -> StreamSettings | None:
    """The streams that the options ask for; None for none.

    Raises:
        InputError: one of them cannot be used.
    """
    if options["stdout"] and os.isatty(1):
        raise InputError("--stdout: that is a terminal; send it into a pipe or a file")
    host, port = endpoint("--serve", options["serve"] or str(PORT), HOST)
    outputs = Outputs(
        serve=options["serve"] is not None,
        icecast=tuple(_icecast(url) for url in options["icecast"]),
        hls=_folder(options["hls"]),
        snapcast=tuple(_snapcast(url) for url in options["snapcast"]),
        pipe=_fifo(options["pipe"]),
        pcm=options["pcm"],
    )
    settings = StreamSettings(outputs, host, port, options["stdout"])
    return settings if settings.has_outputs else None


def endpoint(option: str, text: str, host: str) -> tuple[str, int]:
    """Host and port from [HOST:]PORT.

    Args:
        option: that the text was given for.
        text: as HOST:PORT, [IPv6]:PORT or PORT.
        host: used when there is none.

    Raises:
        InputError: it is neither.
    """
    given, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= 65_535):
        raise InputError(f"{option} {text}: not [HOST:]PORT")
    return given.strip("[]") or host, int(port)


def _icecast(url: str) -> str:
    """The URL with a password: its own, or that of the environment."""
    from engine.streams.icecast import mount_from

    mount = mount_from(url, os.environ.get(PASSWORD_VARIABLE, ""))
    if not mount.password:
        raise InputError(
            f"--icecast {mount.shown}: no password in the URL, nor in "
            f"{PASSWORD_VARIABLE}"
        )
    return mount.url


def _snapcast(url: str) -> str:
    text = re.sub(r"^tcp://", "", url)
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/]+)(:\d{1,5})?", text):
        raise InputError(f"--snapcast {url}: not tcp://HOST:PORT")
    return text if re.search(r":\d+$", text) else f"{text}:{SNAPCAST_PORT}"


def _folder(folder: Path | None) -> str:
    if folder is None:
        return ""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--hls {folder}: not a folder")
    return str(folder.absolute())


def _fifo(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InputError(
            f"--pipe {path}: {error.strerror}; make it with mkfifo"
        ) from None
    if not stat.S_ISFIFO(mode):
        raise InputError(f"--pipe {path}: not a FIFO; make one with mkfifo")
    return str(path.absolute())
