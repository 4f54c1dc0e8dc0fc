"""`latent`: the command and its families, each imported when it is asked for."""

import importlib
import os
import sys
from typing import Any

import click

from effects.base.errors import InputError, LatentError
from engine.version import VERSION

# Command -> module below engine.cli; the module has a click command of that name.
FAMILIES = {
    "play": "play",
    "render": "render",
    "devices": "devices",
    "controls": "controls",
    "presets": "presets",
    "effects": "effects",
    "model": "model",
    "corpus": "corpus",
    "train": "train",
    "album": "album",
    "replay": "replay",
    "keep": "keep",
    "recover": "recover",
    "osc": "osc",
    "doctor": "doctor",
}


class Families(click.Group):
    """A group whose commands live in modules of their own, imported late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all families that are there, in the order of the table."""
        here = os.path.dirname(__file__)
        return [
            name
            for name, module in FAMILIES.items()
            if os.path.exists(os.path.join(here, module + ".py"))
        ]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, or None."""
        if name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"engine.cli.{FAMILIES[name]}")
        command: click.Command = getattr(module, name)
        return command


@click.group(cls=Families, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=None, version=VERSION, prog_name="latent")
def latent() -> None:
    """Endless ambient music from a learned space of timbres.

    \b
    Examples:
      latent play                       radio without end on the default device
      latent render song.flac --seed 7  one song of four minutes into a file
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line; exits 0 done, 1 failed, 2 bad input."""
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        result: Any = latent.main(args, prog_name="latent", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        return _fail(_one_line(error.format_message()), 2)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return _fail("stopped", 1)
    except click.ClickException as error:
        return _fail(_one_line(error.format_message()), error.exit_code)
    except LatentError as error:
        return _fail(_one_line(str(error)), 2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("out of memory", 1)
    except OSError as error:
        return _fail(_one_line(f"{error.strerror}: {error.filename}"), 1)


def _fail(line: str, code: int) -> int:
    click.echo(f"latent: {line}", err=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
