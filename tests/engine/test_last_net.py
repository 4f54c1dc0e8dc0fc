"""What nobody caught is one line, and not again and again."""

from pathlib import Path

from tests.support.command import python

CODE = r"""
import logging, os, signal, threading, time
from engine.cli import last_net
from engine.cli.signals import raise_on_signals

net = last_net.LastNet()
net.spread()
raise_on_signals()  # as the command does; it keeps what the net does

def fail():
    raise ValueError("a\nb \x1b[2J")

for _ in range(300):  # as a thread that is started each second
    thread = threading.Thread(target=fail, name="meter")
    thread.start()
    thread.join()

class Left:
    def __del__(self):
        raise KeyError(9000 * "x")

Left()
logging.getLogger("asyncio").error("Task exception was never retrieved")
try:
    fail()
except ValueError:
    logging.getLogger("library").exception("failed")
for number in range(1000):
    thread = threading.Thread(target=lambda: {}[number], name=f"{number}")
    if number > 990:
        thread.start()
        thread.join()
assert len(net._told) <= last_net.REMEMBERED
"""


def test_what_threads_and_destructors_raise_is_one_line(tmp_path: Path) -> None:
    done = python(CODE, home=tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0].startswith(r"latent: unexpected ValueError: a\nb \x1b[2J in thread")
    assert "'meter', <string> line 11" in lines[0]
    assert "KeyError" in lines[1]
    assert len(lines) == 2 + 9, "one a thread and a failure, and no library's"
    assert max(map(len, lines)) < 500
    assert all(line.startswith("latent: unexpected ") for line in lines)


def test_a_full_or_closed_stderr_costs_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, threading, os\n"
        "from engine.cli.last_net import LastNet\n"
        "LastNet().spread()\n"
        "def fail(): raise ValueError('x')\n"
        "for close in (lambda: os.dup2(os.open('/dev/full', os.O_WRONLY), 2),\n"
        "              lambda: os.close(2)):\n"
        "    close()\n"
        "    thread = threading.Thread(target=fail)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "os._exit(7)\n"
    )
    assert python(code, home=tmp_path).returncode == 7
