"""Two sessions at once, what processes inherit, and addresses that go away."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import audio
from tests.support.command import ROOT, environment, latent
from tests.support.device_faults import children_of
from tests.support.playing import Player, playing

SHORT = ("--no-effects", "--minutes", 0.05)


def test_a_second_session_harms_neither_ports_nor_recordings(tmp_path: Path) -> None:
    """It is told which port is in use; what is recorded gets another name."""
    file = tmp_path / "take.flac"
    with playing("--no-effects", "--record", file, home=tmp_path) as first:
        asked = ("play", "--no-audio", *SHORT, "--record", file)
        refused = latent(*asked, "--osc", first.osc, home=tmp_path)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert f"UDP port {first.osc} on 127.0.0.1 is in use" in line
        assert file.with_name("take.flac.partial").exists()
        beside = latent(*asked, "--osc", 0, home=tmp_path)
        assert beside.returncode == 0, beside.stderr
        assert first.process.poll() is None
        assert first.stop() == 0
    names = {path.name for path in tmp_path.glob("take*.flac*")}
    assert names == {"take.flac", "take-2.flac"}
    for name in names:
        samples, rate = audio.load(tmp_path / name)
        assert len(samples) > 2.5 * rate
        assert abs(samples).max() > 1e-3
    journals = list((tmp_path / "state" / "journals").glob("*.jsonl"))
    assert len(journals) == 2 + 1, "one a session, also of that which was refused"


def test_no_process_of_a_session_has_a_socket_that_is_not_its_own(
    tmp_path: Path,
) -> None:
    """A port that a process inherits stays in use when the session has ended."""
    with playing(
        *("--no-effects", "--serve", 0, "--web", 0), home=tmp_path, ready=True
    ) as player:
        own = _listening(player.process.pid)
        served = {_port(player, "serving http"), _port(player, "page: http")}
        assert player.osc in own
        for child in children_of(player.process.pid):
            theirs = _listening(child)
            assert theirs <= served, "neither OSC's nor one of another process"
        player.process.send_signal(signal.SIGKILL)
        player.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", player.osc))


def _port(player: Player, said: str) -> int:
    line = next(line for line in player.lines if said in line)
    return int(line.partition("://")[2].partition("/")[0].rpartition(":")[2])


def _listening(pid: int) -> set[int]:
    """Ports of the Internet sockets that a process holds open for others."""
    nodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            link = os.readlink(entry)
        except FileNotFoundError:  # closed since it was listed
            continue
        if link.startswith("socket:["):
            nodes.add(link[8:-1])
    found = set()
    for kind in ("tcp", "udp", "tcp6", "udp6"):
        for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            fields = row.split()
            is_open = fields[3] == "0A" or kind.startswith("udp")
            if fields[9] in nodes and is_open:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


IN_A_NAMESPACE = """
ip link set lo up && ip addr add 10.9.9.9/32 dev lo || exit 77
"$@" & session=$!
get() { curl -s -m 2 -o /dev/null -w '%{http_code} ' http://10.9.9.9:8123/stream.mp3; }
for i in $(seq 240); do grep -q 'playing, seed' "$LINES_OF" && break; sleep 0.25; done
get
ip addr del 10.9.9.9/32 dev lo; get
ip addr add 10.9.9.9/32 dev lo; get
kill $session; wait $session; echo $?
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "curl"))),
    reason="addresses are taken away in a network namespace",
)
def test_an_address_that_goes_away_and_comes_back_is_served_again(
    tmp_path: Path,
) -> None:
    lines = tmp_path / "lines"
    command = [sys.executable, "-m", "engine.cli", "play", "--no-audio", "--no-effects"]
    command += ["--osc", "10.9.9.9:9111", "--serve", "10.9.9.9:8123"]
    with lines.open("wb") as errors:
        done = subprocess.run(
            ["unshare", "-n", "bash", "-c", IN_A_NAMESPACE, "test", *command],
            cwd=ROOT,
            env={**environment(tmp_path), "LINES_OF": str(lines)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=120,
            check=False,
        )
    if done.returncode == 77:
        pytest.skip("no network namespace here")
    assert done.stdout.split() == ["200", "000", "200", "0"], lines.read_text()
    assert "played" in lines.read_text().splitlines()[-1]
