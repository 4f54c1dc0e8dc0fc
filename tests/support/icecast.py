"""A real Icecast server for tests."""

import base64
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from tests.support.streams import is_listening, open_folder, program
from tests.support.waiting import wait_until

PASSWORD = "hush'%@ä"


def _configuration(
    port: int, folder: Path, relay_of: int | None, look_every_s: int
) -> str:
    relay = ""
    if relay_of is not None:
        relay = (
            "<relay><server>127.0.0.1</server>"
            f"<port>{relay_of}</port><mount>/radio.mp3</mount>"
            "<local-mount>/relayed.mp3</local-mount><on-demand>0</on-demand>"
            "<relay-shoutcast-metadata>1</relay-shoutcast-metadata></relay>"
        )
    return f"""<icecast><location>test</location><admin>a@localhost</admin>
<limits><clients>50</clients><sources>5</sources><burst-size>65535</burst-size>
<queue-size>16777216</queue-size></limits>
<authentication><source-password>{PASSWORD}</source-password>
<admin-user>admin</admin-user><admin-password>secret</admin-password></authentication>
<hostname>localhost</hostname>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
{relay}
<master-update-interval>{look_every_s}</master-update-interval>
<paths><basedir>{folder}</basedir><logdir>{folder}</logdir>
<webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog>
<loglevel>4</loglevel></logging></icecast>"""


@contextmanager
def icecast(
    port: int, relay_of: int | None = None, look_every_s: int = 120
) -> Iterator[int]:
    """An Icecast server while the block runs; gives its process number.

    Args:
        port: that it listens on.
        relay_of: port of the master whose `/radio.mp3` is its `/relayed.mp3`.
        look_every_s: how often a relay looks for a master that it has lost.
    """
    with open_folder() as folder:
        file = folder / "icecast.xml"
        file.write_text(_configuration(port, folder, relay_of, look_every_s), "utf-8")
        command = ["icecast2", "-c", str(file)]
        with program(command, folder / "out.log", as_nobody=True) as process:
            wait_until(lambda: is_listening(port), 10.0, "icecast")
            yield process.pid


def sources(port: int) -> dict[str, str]:
    """Titles of the mounts that a server has."""
    stats = urllib.request.Request(f"http://127.0.0.1:{port}/admin/stats")
    secret = base64.b64encode(b"admin:secret").decode()
    stats.add_header("Authorization", f"Basic {secret}")
    with urllib.request.urlopen(stats, timeout=5) as answer:
        tree = ElementTree.fromstring(answer.read())
    return {
        each.attrib["mount"].strip("/"): each.findtext("title") or ""
        for each in tree.iter("source")
    }


def source_url(port: int, mount: str) -> str:
    """The URL with which a source connects."""
    return f"http://source:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{mount}"
