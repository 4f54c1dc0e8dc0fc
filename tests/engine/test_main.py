"""The command line as a whole: its version and the families of commands."""

import tomllib
from pathlib import Path

from engine.version import VERSION
from tests.support.command import latent

ROOT = Path(__file__).parents[2]


def test_the_version_has_one_home(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    attribute = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "engine.version.VERSION"
    assert "version" not in project["project"]
    done = latent("--version", home=tmp_path)
    assert done.stdout.strip() == f"latent, version {VERSION}"
