import os
import subprocess
import sys
from pathlib import Path

import pytest

from effects.base.search_path import ROOT, child_environment, search_path


def test_this_project_comes_first_and_once() -> None:
    root = str(ROOT)
    assert search_path("") == root
    assert search_path(os.pathsep.join(["/a", root, "", "/b"])) == os.pathsep.join(
        [root, "/a", "/b"]
    )


def test_a_child_finds_the_project_and_not_the_folder_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = [sys.executable, "-P", "-c", "import engine; print(engine.__file__)"]
    done = subprocess.run(
        command, cwd=tmp_path, env=child_environment(X="1"), capture_output=True
    )
    assert Path(done.stdout.decode().strip()).parent.parent == ROOT
