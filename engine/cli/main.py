"""`latent`: the command and its families, each imported when it is asked for."""

import errno
import importlib
import os
import signal
import sys
import traceback
import warnings
from typing import Any

import click

from effects.base.errors import InputError, LatentError, what_lacks
from effects.base.one_line import escaped
from engine.cli.config_file import config_path, default_map, read_config
from engine.cli.last_net import LastNet
from engine.cli.signals import Stopped, asked, leave, raise_on_signals
from engine.version import VERSION

DEBUG = "LATENT_DEBUG"  # set in the environment to see tracebacks
LONGEST = 2000  # characters of a message

# Command -> what the list of commands says of it: the first sentence of its help, which
# stands here too so that the list is printed without importing every command. The
# module below engine.cli has the command's name.
FAMILIES = {
    "play": "Play music on a device: without end, or for --minutes.",
    "render": "Render music into OUT: .flac .wav .aiff .ogg .opus .mp3 by its ending.",
    "devices": "List the output devices; --device takes a number or part of a name.",
    "controls": "List the controls: flags, OSC addresses, keys of presets.",
    "presets": "List the presets; --preset takes a name or a TOML file.",
    "effects": "List nature sounds, add your own, and remove them.",
    "model": "Look at the model of timbre space: the bundled one, or your own.",
    "corpus": "Gather the music that a model is trained on.",
    "train": "Train a model on a corpus; `latent corpus` makes one.",
    "album": "Albums: make many songs, review them, finish those that are kept.",
    "replay": "Render SESSION, a journal, into OUT: the samples that were heard.",
    "keep": "Save the last DURATION (as 90, 10m, 1h) of the session that plays now.",
    "recover": "Repair FLAC recordings that were cut off.",
    "osc": "Open Sound Control: layouts and addresses.",
    "service": "Play as a service: from login on, started again when it fails.",
    "tell": "Tell the session that plays what to do, or ask what it does.",
    "web": "Serve the page of the session that plays, at [HOST:]PORT.",
    "config": "Defaults for flags, kept in a file.",
    "doctor": "Check what Latent needs to play here, and say what is missing.",
}


class Families(click.Group):
    """A group whose commands live in modules of their own, imported late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all families, in the order of the table."""
        return list(FAMILIES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, or None."""
        if name not in FAMILIES:
            return None
        module = importlib.import_module(f"engine.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands, of which none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(FAMILIES.items()))


@click.group(cls=Families, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=None, version=VERSION, prog_name="latent")
@click.pass_context
def latent(ctx: click.Context) -> None:
    """Endless ambient music from a learned space of timbres.

    \b
    Examples:
      latent play                       radio without end on the default device
      latent render song.flac --seed 7  one song of four minutes into a file
    """
    name = ctx.invoked_subcommand
    tables = read_config(config_path()) if name and name != "config" else {}
    if name in tables:
        assert name is not None
        command = latent.get_command(ctx, name)
        assert command is not None
        found = default_map(command, tables[name], str(config_path()), name)
        ctx.default_map = {name: found}


def main(args: list[str] | None = None) -> None:
    """Run the command line in this process, and exit.

    It exits 0 when done, 1 when the command failed, 2 for bad input, and 128 and the
    number of the signal that ended it. Whatever went wrong is one line on stderr.

    Args:
        args: those of the process by default.
    """
    sys.exit(_run(args))


def run_process() -> None:
    """Run the command line in a process of its own, signals handled, and end it."""
    try:
        if not os.environ.get(DEBUG):
            warnings.simplefilter("ignore")  # of libraries: nothing a user can mend
            LastNet().spread()
        raise_on_signals()
        code = _run(None)
    except Stopped as stopped:  # while a line was printed
        code = stopped.exit_code
    leave(code)


def _run(args: list[str] | None) -> int:
    try:
        result: Any = latent.main(args, prog_name="latent", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone, so no line can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, Stopped, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        return _fail(*_explained(error))


def _explained(error: BaseException) -> tuple[str, int]:
    """What to print about an error, and the exit code."""
    if isinstance(error, Stopped):
        return "stopped", error.exit_code
    if (number := asked()) is not None and not isinstance(error, LatentError):
        return "stopped", 128 + number  # it came out as another error
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "stopped", 128 + signal.SIGINT
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, LatentError):
        return str(error), 2 if isinstance(error, InputError) else 1
    if (lack := what_lacks(error)) is not None:
        return lack, 1
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return where + (error.strerror or str(error)), _code_of(error)
    kind = type(error).__name__
    return f"unexpected {kind}: {error} ({DEBUG}=1 shows where; please report it)", 1


def _code_of(error: OSError) -> int:
    """2 for a name that can be none, which whoever typed it can mend; else 1."""
    return 2 if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else 1


def _fail(text: str, code: int) -> int:
    """Print a text as one line, without what would move a terminal's cursor."""
    line = " ".join(text.split())
    click.echo(f"latent: {escaped(line)[:LONGEST]}", err=True)
    return code


if __name__ == "__main__":
    run_process()
