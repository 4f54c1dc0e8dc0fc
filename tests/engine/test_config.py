"""The configuration file: defaults for flags, and where each comes from."""

import json
from pathlib import Path

import click
import pytest

from engine.cli.main import main

FILE = """
[play]
preset = "dark"
serve = "0.0.0.0:8000"
no-audio = true
wiggle-amount = 0.8
media-keys = false
sleep = "45m"
icecast = ["http://source:hush@radio.example/a.mp3"]

[album.make]
songs = 3
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    file = tmp_path / "config" / "config.toml"
    file.parent.mkdir()
    return file


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(args))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    """Flag -> value and source, of one command."""
    assert run("config", "show", *args, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    return {row["flag"]: (row["value"], row["source"]) for row in rows}


def test_the_path_is_in_the_config_folder(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("config", "path") == 0
    assert capsys.readouterr().out == f"{path}\n"


def test_show_names_value_and_source_of_each_flag(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(FILE)
    play = shown(capsys, "play")
    assert play["--preset"] == ("dark", str(path))
    assert play["--no-audio"] == (True, str(path))
    assert play["--wiggle-amount"] == (0.8, str(path))
    assert play["--pcm"] == ("s16le", "built in")
    assert play["--record"] == (None, "built in")
    assert play["--icecast"] == (["http://***@radio.example/a.mp3"], str(path))
    assert shown(capsys, "album make")["--songs"] == (3, str(path))
    assert run("config", "show") == 0
    out = capsys.readouterr().out
    assert "hush" not in out
    assert len(out.splitlines()) > 100


def test_a_default_holds_until_the_flag_is_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("[render]\nminutes = 0.7\nwiggle-amount = 0.9\nseed = 5\n")
    seen: list[dict[str, object]] = []
    from engine.cli.render import render

    def note(**values: object) -> None:
        context = click.get_current_context()
        seen.append({**values, "from": context.get_parameter_source("minutes")})

    monkeypatch.setattr(render, "callback", note)
    assert run("render", "x.flac", "--seed", "6") == 0
    assert seen[0]["minutes"] == 0.7
    assert seen[0]["wiggle_amount"] == 0.9
    assert seen[0]["seed"] == 6, "what is typed comes first"
    path.unlink()
    assert run("render", "x.flac") == 0
    assert seen[1]["wiggle_amount"] is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[devices", "not TOML"),
        ("[render]\nprest = 1\n", "render has no prest; did you mean preset?"),
        ("[render]\nminutes = 'long'\n", "render.minutes: 'long' is not a valid float"),
        ("[render]\nminutes = [1, 2]\n", "render.minutes"),
        ("[render]\nwiggle-amount = 99\n", "render.wiggle-amount: 99: choose from"),
        (f"[render]\nhop = {'9' * 400}\n", "choose from 0.1 to 2 s"),
        (f"[render]\nminutes = {'9' * 400}\n", "a number of that size is none"),
        ('[render]\nhop = "a\\nb"\n', r"render.hop: a\nb: choose from"),
        ("render = 3\n", "render is no table"),
        ("[render.out]\nx = 1\n", "render has no out"),
        ("\xff", ""),
    ],
)
def test_what_does_not_fit_is_told_with_file_and_key(
    text: str, why: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(text.encode("latin-1"))
    assert run("render", "x.flac") == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert why in said
    assert said.count("\n") == 1


def test_another_commands_table_does_no_harm(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("[play]\nnonsense = 1\n")
    assert run("presets") == 0
    capsys.readouterr()
    assert run("config", "show") == 2
    assert "play has no nonsense" in capsys.readouterr().err


def test_an_unknown_command_is_told(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("config", "show", "polka") == 2
    assert "polka: no such command" in capsys.readouterr().err
