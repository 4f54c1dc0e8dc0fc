"""A mount of a real Icecast server: fed, relayed, lost and found again."""

import subprocess
import time
import urllib.request
from functools import partial

import numpy as np
import pytest

from effects.base.errors import InputError
from engine.streams.icecast import mount_from
from engine.streams.messages import Outputs
from tests.support.icecast import PASSWORD, icecast, source_url, sources
from tests.support.streams import (
    decoded,
    free_tcp_port,
    playing,
    streaming,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def listen(port: int, mount: str, seconds: float) -> bytes:
    """Bytes of a mount that come within so long."""
    data, began = b"", time.monotonic()
    url = f"http://127.0.0.1:{port}/{mount}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        while time.monotonic() - began < seconds:
            data += answer.read1(65_536)
    return data


def test_master_and_relay_carry_sound_and_titles() -> None:
    master, relay = free_tcp_port(), free_tcp_port()
    mounts = Outputs(
        icecast=(source_url(master, "radio.mp3"), source_url(master, "radio.opus"))
    )
    with (
        icecast(master),
        icecast(relay, relay_of=master),
        streaming(mounts) as source,
    ):
        wait_until(lambda: len(sources(master)) == 2, 20.0, "both mounts")
        wait_until(lambda: "relayed.mp3" in sources(relay), 150.0, "the relay")
        source.radio.tell(playing(2))
        expected = "Latent - Song 2 (dark)"
        for port, mount in ((master, "radio.mp3"), (relay, "relayed.mp3")):
            has_title = partial(lambda p, m: sources(p).get(m) == expected, port, mount)
            wait_until(has_title, 20.0, mount)
        # Icecast 2.4 does not read the tags of Opus; players do. Its burst of 64 KiB
        # should hold the new song alone.
        time.sleep(6.0)
        opus = listen(master, "radio.opus", 4.0)
        assert f"={expected}".encode() in opus
        for data in (listen(relay, "relayed.mp3", 4.0), opus):
            samples = decoded(data, is_cut=True)
            assert len(samples) > 3 * 48_000
            level = np.sqrt(np.mean(samples[24_000:-24_000] ** 2, axis=0))
            np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.05)
        assert source.radio.counts.lost == 0
    assert not any(PASSWORD in line or "hush" in line for line in source.said)


def test_a_server_that_was_restarted_gets_the_stream_again() -> None:
    port = free_tcp_port()
    with streaming(Outputs(icecast=(source_url(port, "radio.mp3"),))) as source:
        source.wait_for("cannot connect (Connection refused); again in 1 s")
        with icecast(port):
            wait_until(lambda: "radio.mp3" in sources(port), 20.0, "the mount")
        source.wait_for("lost (")
        with icecast(port):
            wait_until(lambda: "radio.mp3" in sources(port), 30.0, "the mount again")
            wait_until(lambda: sources(port)["radio.mp3"].endswith("(dark)"), 5.0)
        assert source.radio.counts.dropped == 0
        assert source.held_s < 0.05, "the speaker did not notice"


def test_a_wrong_password_is_told_without_it() -> None:
    port = free_tcp_port()
    wrong = f"http://source:letmein@127.0.0.1:{port}/radio.mp3"
    with (
        icecast(port),
        streaming(Outputs(icecast=(wrong,))) as source,
    ):
        source.wait_for("wrong user or password")
        shown = subprocess.run(
            ["ps", "-p", str(source.worker), "-o", "args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "engine.streams.worker" in shown
        assert "letmein" not in shown
    assert not any("letmein" in line for line in source.said)


@pytest.mark.parametrize(
    "text",
    [
        "radio",
        "ftp://source:letmein@host/radio.mp3",
        "http://source:letmein@host:8000",
        "http://source:letmein@host:99999/radio.mp3",
        "http://source:letmein@/radio.mp3",
        "http://source:letmein@host/admin/x",
        "http://source:letmein@host/a\r\nX: b",
        "http://source:letmein@host/radio.flac",
        "http://source:let/mein@host/radio.mp3",
    ],
)
def test_a_url_that_is_no_mount_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InputError) as refused:
        mount_from(text)
    assert "mein" not in str(refused.value)


def test_a_mount_knows_its_parts() -> None:
    mount = mount_from("https://me:a%2Fb@radio.example:8443/night.opus")
    assert (mount.user, mount.password, mount.port) == ("me", "a/b", 8443)
    assert mount.secure
    assert mount.format.name == "opus"
    assert mount.shown == "https://radio.example:8443/night.opus"
    assert "a/b" not in repr(mount)
    assert mount_from(mount.url) == mount
