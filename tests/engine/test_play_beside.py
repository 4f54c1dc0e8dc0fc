"""Two sessions at once, and what the processes of one inherit."""

import os
import signal
import socket
from pathlib import Path

from tests.support import audio
from tests.support.command import latent
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
        link = os.readlink(entry)
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
