"""Rules of the layout that import-linter cannot say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import locks

ROOT = Path(__file__).parents[1]
PACKAGES = ("effects", "model", "engine")
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)
# Where a heavy package may be imported at all.
TRAINING_ONLY = {"torch", "sklearn"}
CORPUS_ONLY = {"librosa"}
LEARNS = {"sklearn"}  # from what was decided about clips, while that is done
LATE_ONLY = {
    *("matplotlib", "mido", "fluidsynth", "mutagen", "zeroconf", "dbus_fast", "paho"),
}
WHOLLY_LATE = {"engine/surfaces/mpris_objects.py"}  # themselves imported in a function
LONGEST_MODULE = 400


def imports(tree: ast.AST) -> Iterator[str]:
    """Top-level names of all packages that are imported anywhere below a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def imports_at_module_level(tree: ast.Module) -> set[str]:
    late = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {id(child) for function in late for child in ast.walk(function)}
    top = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in inside
    ]
    return set(imports(ast.Module(body=list(top), type_ignores=[])))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_keeps_to_its_imports_and_its_length(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    everywhere, at_once = set(imports(tree)), imports_at_module_level(tree)
    if name(path) != "engine/live/device_process.py":
        assert "sounddevice" not in everywhere
    assert "sounddevice" not in at_once, "fails where PortAudio is missing"
    if path.parent != ROOT / "model" / "training":
        learns = path.parent == ROOT / "model" / "corpus" / "curation"
        assert not everywhere & (TRAINING_ONLY - (LEARNS if learns else set()))
        assert not at_once & TRAINING_ONLY, "import it in the function that needs it"
    if path.parent != ROOT / "model" / "corpus":
        assert not everywhere & CORPUS_ONLY
    assert not at_once & CORPUS_ONLY, "import it in the function that needs it"
    if name(path) not in WHOLLY_LATE:
        assert not at_once & LATE_ONLY, "import it in the function that needs it"
    assert ast.get_docstring(tree), "a module says what it is"
    assert text.count("\n") <= LONGEST_MODULE
    if path.parent.name != "cli":
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert "print" not in names, "only engine/cli prints"


def test_a_search_for_a_class_finds_one() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name(path))
    assert {key: at for key, at in places.items() if len(at) > 1} == {}


@pytest.mark.parametrize("command", ["play", "render", "devices", "corpus"])
def test_what_plays_loads_neither_training_nor_the_device(command: str) -> None:
    heavy = sorted(TRAINING_ONLY | CORPUS_ONLY | LATE_ONLY | {"sounddevice", "onnx"})
    code = (
        "import sys\n"
        "from engine.cli.main import latent\n"
        f"latent.main([{command!r}, '--help'], standalone_mode=False)\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    assert "Usage:" in done.stdout


def test_every_package_is_listed_for_installation() -> None:
    listed = set(locks.project_table("setuptools")["packages"])
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in MODULES
        if path.name == "__init__.py"
    }
    assert found == listed


def test_the_runtime_is_locked_without_what_only_training_needs() -> None:
    pinned = locks.pins("runtime")
    assert not {"torch", "librosa", "matplotlib", "onnx"} & pinned.keys()
    assert all(pinned.values()), "every line is name==version"


@pytest.mark.parametrize("extra", [None, *locks.EXTRAS])
def test_a_lock_has_all_that_the_project_asks_for(extra: str | None) -> None:
    pinned = locks.pins("runtime") | (locks.pins(extra) if extra else {})
    for requirement in locks.requirements(extra):
        version = pinned[locks.canonical(requirement.name)]
        assert requirement.specifier.contains(version), requirement
    found = locks.closure(locks.wanted(extra))
    # What PyTorch needs for a GPU depends on the build that pip found.
    accelerators = ("nvidia-", "cuda-", "triton")
    needed = {name for name in found if not name.startswith(accelerators)}
    assert needed <= pinned.keys()
