"""The Containerfile: its steps, in a clean folder, give a radio that serves."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ROOT
from tests.support.streams import free_tcp_port, program
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def instructions() -> Iterator[tuple[str, str]]:
    """Name and argument of each instruction, in their order."""
    text = (ROOT / "Containerfile").read_text().replace("\\\n", "")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, argument = line.partition(" ")
            yield name, argument


def test_its_steps_make_a_radio_without_a_sound_card(tmp_path: Path) -> None:
    root, data = tmp_path / "opt", tmp_path / "data"
    root.mkdir()
    steps = dict(instructions())
    for name, argument in instructions():
        if name == "COPY":
            source, target = argument.split()
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, root / target, ignore=skipped)
        elif name == "RUN":
            step = re.sub(r"(?<!\S)/data", str(data), argument)
            if os.geteuid() != 0:
                step = re.sub(r"&& chown .*", "", step)
            subprocess.run(step, shell=True, cwd=root, check=True, timeout=500)
    assert int(steps["USER"].partition(":")[0]) > 0, "not root"
    port = free_tcp_port()
    words = json.loads(steps["ENTRYPOINT"]) + json.loads(steps["CMD"])
    command = [word.replace(":8000", f":{port}") for word in words]
    log = tmp_path / "radio.log"
    shown = ["env", f"LATENT_HOME={data}", *command]
    with program(shown, log, cwd=root) as radio:
        wait_until(lambda: b"playing, seed" in log.read_bytes(), 90.0, "the radio")
        url = f"http://127.0.0.1:{port}/stream.mp3"
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert len(answer.read(60_000)) == 60_000
        radio.terminate()
        assert radio.wait(20.0) == 0
    assert b"installing" not in log.read_bytes(), "nothing is left for the first start"
    assert b"Traceback" not in log.read_bytes()


def test_what_it_copies_is_let_through() -> None:
    let_through = {
        line[1:]
        for line in (ROOT / ".containerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {text.split()[0] for name, text in instructions() if name == "COPY"}
    assert copied == let_through
