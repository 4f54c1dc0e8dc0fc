"""The doctor on machines that can play, and on ones that lack something."""

import contextlib
import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.cli import checkup
from engine.osc.server import HOST, PORT
from tests.support.command import ROOT, environment
from tests.support.virtual_audio import VirtualAudio


def doctor(
    *args: str, env: Mapping[str, str]
) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """Its exit status, what it says in JSON, and the findings by their names."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", "doctor", "--json", *args],
        cwd=ROOT,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "", "neither a traceback nor what libraries complain of"
    said = json.loads(done.stdout)
    return done.returncode, said, {row["name"]: row for row in said["findings"]}


def test_a_machine_that_can_play(tmp_path: Path) -> None:
    with VirtualAudio(44_100) as device:
        env = {**environment(tmp_path), **device.env, "LATENT_HOME": str(tmp_path)}
        status, said, found = doctor(env=env)
    assert status == 0
    assert said["can_play"] is True
    assert [row["name"] for row in said["findings"]] == [
        *("python", "packages", "model", "files", "device", "speed", "osc", "desktop")
    ]
    assert found["device"]["text"].startswith(("'pulse'", "'default'"))
    assert "at 44100 Hz" in found["device"]["text"]
    assert float(found["speed"]["text"].split()[0]) > 1.0
    assert "hash" in found["model"]["text"]
    assert "GB free" in found["files"]["text"]
    assert found["desktop"]["verdict"] == "note"
    assert not list(tmp_path.rglob("*.jsonl")), "nothing is changed"


def test_a_bare_machine(tmp_path: Path) -> None:
    broken = tmp_path / "model"
    broken.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        with contextlib.suppress(OSError):  # another program has it: as good
            taken.bind((HOST, PORT))
        status, said, found = doctor(
            "--model", str(broken), env={"LATENT_HOME": "/proc/latent"}
        )
    assert status == 1
    assert said["can_play"] is False
    bad = [name for name, row in found.items() if row["verdict"] == "bad"]
    assert bad == ["model", "files", "device", "speed"]
    assert "model.json is missing" in found["model"]["text"]
    assert "LATENT_HOME" in found["files"]["hints"][0]
    assert "no sound device" in found["device"]["text"]
    assert any("latent render" in hint for hint in found["device"]["hints"])
    assert found["osc"]["verdict"] == "note"
    assert str(PORT) in found["osc"]["text"]


def test_people_are_told_line_by_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", "doctor"],
        cwd=ROOT,
        env={**environment(tmp_path), "PULSE_SERVER": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("ok    python")
    assert "PULSE_SERVER is /nonexistent; nobody answers" in done.stdout
    assert lines[-1] == "it cannot play: device"


def test_packages_that_are_missing_or_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def load(name: str) -> Any:
        if name == "soundfile":
            raise OSError("libsndfile.so: cannot open shared object file")
        if name == "soxr":
            raise ModuleNotFoundError("No module named 'soxr'")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", load)
    finding = checkup.check_packages()
    assert finding.verdict == "bad"
    assert "soundfile (OSError: libsndfile" in finding.text
    assert "soxr (ModuleNotFoundError" in finding.text
    assert "numpy" not in finding.text


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> checkup.Finding:
        raise RuntimeError("Could not\n determine home directory.")

    monkeypatch.setattr(checkup, "check_files", fail)
    monkeypatch.setattr(checkup, "check_osc", fail)
    monkeypatch.setattr(checkup, "check_device", fail)
    monkeypatch.setattr(checkup, "check_speed", lambda folder: fail())
    found = {finding.name: finding for finding in checkup.checkup()}
    assert found["files"].verdict == "bad"
    assert found["osc"].verdict == "note", "without OSC one can play"
    text = "RuntimeError: Could not determine home directory."
    assert found["files"].text == text
