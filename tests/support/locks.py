"""Locked requirements: what is installed here, written down extra by extra.

Run as a module (`bin/lock` does), it writes requirements/*.lock anew from the
packages that are installed beside the interpreter.
"""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
EXTRAS = (
    "corpus",
    "cluster",
    "train",
    "album",
    "live",
    "desktop",
    "midi",
    "home",
    "web",
    "dev",
)


def wanted(extra: str | None = None) -> list[str]:
    """Requirements of the project itself, or of one extra, as in pyproject."""
    project = _pyproject()["project"]
    if extra is None:
        return list(project["dependencies"])
    return list(project["optional-dependencies"][extra])


def requirements(extra: str | None = None) -> list[Requirement]:
    """What `wanted` says for this system, taken apart."""
    return [each for each in map(Requirement, wanted(extra)) if _applies(each)]


def project_table(tool: str) -> dict[str, Any]:
    """The table of a tool in pyproject."""
    table: dict[str, Any] = _pyproject()["tool"][tool]
    return table


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Name -> version of what is installed of these, and of all that they need."""
    found: dict[str, str] = {}
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonical(requirement.name)
        if name in found or not _applies(requirement):
            continue
        distribution = importlib.metadata.distribution(name)
        found[name] = distribution.version.partition("+")[0]
        waiting += distribution.requires or []
    return found


def pins(name: str) -> dict[str, str]:
    """Name -> version as a lock file says."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return {canonical(n): v for n, _, v in (line.partition("==") for line in lines)}


def canonical(name: str) -> str:
    """A package name in its one normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write_locks(folder: Path) -> None:
    """Write one lock file for the runtime and one for each extra."""
    runtime = closure(wanted())
    folder.mkdir(exist_ok=True)
    _write(folder / "runtime.lock", runtime)
    for extra in EXTRAS:
        more = closure(wanted(extra))
        _write(
            folder / f"{extra}.lock",
            {name: more[name] for name in more if name not in runtime},
        )


def _pyproject() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def _applies(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": ""})


def _write(path: Path, versions: dict[str, str]) -> None:
    lines = [f"{name}=={versions[name]}\n" for name in sorted(versions)]
    path.write_text("# Made by bin/lock.\n" + "".join(lines))


if __name__ == "__main__":
    write_locks(ROOT / "requirements")
