"""`latent service`: play as a service of the user's systemd."""

import shutil
import subprocess

import click

from effects.base.errors import InputError, RunError
from effects.base.whole_file import write_whole
from engine.app.service_unit import UNIT, folders, unit, unit_path


@click.group()
def service() -> None:
    """Play as a service: from login on, started again when it fails.

    It is a unit of your own systemd and needs no root. `loginctl enable-linger` lets it
    play from boot on.

    \b
    Example:
      latent service install -- --preset dark --serve 0.0.0.0:8000
    """


@service.command(context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Print the unit, no more.")
@click.argument("play_options", nargs=-1, type=click.UNPROCESSED)
def install(only_print: bool, play_options: tuple[str, ...]) -> None:
    """Write the unit, start it, and let it start at login.

    What follows -- are options of `latent play`. A service that is there already is
    started anew with the new options.

    \b
    Examples:
      latent service install
      latent service install -- --preset night --sleep 8h
    """
    _check_options(play_options)
    text = unit(play_options)
    if only_print:
        click.echo(text, nl=False)
        return
    _systemctl("--version")
    path = unit_path()
    try:
        for folder in (path.parent, *folders()):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{error.filename}: {error.strerror}") from error
    write_whole(path, text)
    _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", UNIT)
    _systemctl("restart", UNIT)
    click.echo(f"latent: plays; {path}", err=True)
    click.echo(f"its lines: journalctl --user -u {UNIT}", err=True)


@service.command()
def status() -> None:
    """Print whether it plays, since when, and its last lines.

    Exit code 0 if it plays, 1 if it does not.
    """
    if not unit_path().exists():
        raise RunError("no service is installed; 'latent service install' does it")
    done = _run("status", "--no-pager", "--lines=5", UNIT)
    click.echo(done.stdout, nl=False)
    if done.returncode not in (0, 3):  # plays, or has ended
        raise RunError(done.stderr.strip() or f"systemctl: exit {done.returncode}")
    raise SystemExit(0 if done.returncode == 0 else 1)


@service.command()
def remove() -> None:
    """Stop it, and remove the unit. Music and settings stay."""
    path = unit_path()
    if not path.exists():
        raise RunError("no service is installed")
    _run("disable", "--quiet", "--now", UNIT)
    path.unlink()
    _run("daemon-reload")
    _run("reset-failed", UNIT)
    click.echo("latent: the service is removed", err=True)


def _check_options(options: tuple[str, ...]) -> None:
    """Find out now what `play` would refuse, as far as its options tell."""
    from engine.cli.play import play

    try:
        with play.make_context("play", list(options)) as context:
            given = context.params
    except click.exceptions.Exit as error:  # --help
        raise InputError("give options that play") from error
    if given.get("at") is not None:
        raise InputError("--at waits for a time of day once; a service plays at login")


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemctl") is None:
        raise RunError("there is no systemd here: let what starts programs start it")
    return subprocess.run(
        ["systemctl", "--user", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def _systemctl(*arguments: str) -> None:
    done = _run(*arguments)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["failed"]
        raise RunError(f"systemctl --user {arguments[0]}: {said[0]}")
