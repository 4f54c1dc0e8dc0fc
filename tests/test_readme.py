"""What README and CONTRIBUTING tell people to type is there, and so are the files."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from engine.cli.main import latent

ROOT = Path(__file__).parents[1]
TEXTS = [(ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")]
BLOCKS = re.findall(r"```sh\n(.*?)```", "\n".join(TEXTS), re.DOTALL)
LINES = [
    shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines()
]
COMMANDS = [words for words in LINES if words]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_is_one_that_there_is(words: list[str]) -> None:
    assert os.access(ROOT / words[0], os.X_OK)
    if words[0] != "bin/latent":
        return
    command: click.Command = latent
    arguments = words[1:]
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments[0])
        assert found is not None, f"no command {arguments[0]}"
        command, arguments = found, arguments[1:]
    # Parsing raises a usage error for an option or an argument too many.
    command.make_context(command.name, arguments)


def test_the_two_commands_and_the_ci_are_the_readmes() -> None:
    assert ["bin/latent", "play"] in COMMANDS
    assert ["bin/test"] in COMMANDS
    assert "\nexec bin/test " in (ROOT / ".ci" / "run").read_text()


def test_each_file_that_contributing_names_is_there() -> None:
    named = re.findall(r"`((?:engine|model|effects|tests|bin)/[^`* ]+)`", TEXTS[1])
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
