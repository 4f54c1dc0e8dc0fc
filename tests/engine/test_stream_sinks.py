"""Outputs beside HTTP, each with the program that it is for."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples
from engine.streams.hls import LISTED, SEGMENT_S
from engine.streams.messages import Outputs
from engine.streams.pcm import PcmConverter
from tests.support.audio import align, residual_db
from tests.support.streams import (
    RATE,
    free_tcp_port,
    is_listening,
    open_folder,
    program,
    streaming,
    tones,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def assert_is_master(heard: Samples, residual: float, within_s: float = 60.0) -> None:
    """The heard samples are a stretch of the tones."""
    assert distance_db(heard, within_s) < residual


def distance_db(heard: Samples, within_s: float = 60.0) -> float:
    """How far samples are from the stretch of the tones that is nearest, in dB."""
    master = tones(0, round(within_s * RATE) + len(heard))
    at = align(master, heard, round(within_s * RATE))
    return residual_db(heard, master[at : at + len(heard)])


@contextmanager
def snapserver(folder: Path) -> Iterator[tuple[int, int]]:
    """A server with a TCP source; gives the ports of its source and its clients."""
    source, clients, control, http = (free_tcp_port() for _ in range(4))
    file = folder / "snapserver.conf"
    file.write_text(
        f"[server]\ndatadir = {folder}\n[http]\nenabled = false\nport = {http}\n"
        f"[tcp]\nenabled = true\nbind_to_address = 127.0.0.1\nport = {control}\n"
        f"[stream]\nbind_to_address = 127.0.0.1\nport = {clients}\n"
        f"source = tcp://127.0.0.1:{source}?name=latent&mode=server\n"
        "sampleformat = 48000:16:2\ncodec = pcm\nbuffer = 400\n"
    )
    with program(["snapserver", "-c", str(file)], folder / "server.log"):
        wait_until(lambda: is_listening(source), 10.0, "snapserver")
        yield source, clients


def test_snapclient_plays_what_the_session_does() -> None:
    with (
        open_folder() as folder,
        snapserver(folder) as (port, clients),
        streaming(Outputs(snapcast=(f"127.0.0.1:{port}",))) as source,
    ):
        source.wait_for("streaming")
        heard = folder / "heard.raw"
        client = [
            *("snapclient", "-h", "127.0.0.1", "-p", str(clients)),
            *("--player", f"file:filename={heard}", "--hostID", "test"),
            *("--sampleformat", "48000:16:*", "--logsink", "stderr"),
        ]
        with program(client, folder / "client.log"):
            wait_until(
                lambda: heard.exists() and heard.stat().st_size > 8 * 4 * RATE,
                40.0,
                "snapclient",
            )
        data = np.fromfile(heard, "<i2").reshape(-1, 2)[-4 * RATE :]
    samples = data.astype(np.float32) / 32_768.0
    # The client keeps in time by adding and leaving out single samples; on a busy
    # machine it leaves out more, now and then.
    starts = range(0, len(samples) - 4_800, RATE // 2)
    distances = [distance_db(samples[i : i + 4_800]) for i in starts]
    assert sum(db < -30.0 for db in distances) > len(distances) // 2, distances


def test_a_player_reads_the_hls_folder(tmp_path: Path) -> None:
    with streaming(Outputs(hls=str(tmp_path))) as source:
        playlist = tmp_path / "stream.m3u8"
        wait_until(playlist.exists, 30.0, "a playlist")
        first = min(tmp_path.glob("*.ts"))
        wait_until(lambda: len([*tmp_path.glob("*.ts")]) >= 3, 40.0, "segments")
        done = subprocess.run(
            [
                *("ffmpeg", "-v", "error", "-live_start_index", "0"),
                *("-i", str(playlist), "-t", "11"),
                *("-f", "f32le", "-ac", "2", "-"),
            ],
            capture_output=True,
            check=True,
        )
        assert first.exists()
        source.radio.stop()
    assert not done.stderr
    samples = np.frombuffer(done.stdout, np.float32).reshape(-1, 2)
    assert len(samples) > 10 * RATE
    level = np.sqrt(np.mean(samples[RATE:-RATE] ** 2, axis=0))
    np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.05)
    assert "#EXT-X-ENDLIST" not in playlist.read_text(), "a radio comes back"


@pytest.mark.slow
def test_old_segments_are_removed(tmp_path: Path) -> None:
    longest = 2 * LISTED + 3
    with streaming(Outputs(hls=str(tmp_path))):
        time.sleep((longest + 2) * SEGMENT_S)
        segments = sorted(tmp_path.glob("*.ts"))
        assert len(segments) <= longest
        assert segments[0].name != "segment-000000.ts"


@pytest.mark.parametrize("pcm", ["s16le", "f32le"])
def test_a_fifo_serves_one_reader_after_the_other(pcm: str, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    width = 4 if pcm == "s16le" else 8
    with streaming(Outputs(pipe=str(fifo), pcm=pcm)) as source:
        assert source.said == [f"{fifo}: {pcm}, 48000 Hz, 2 channels"]
        for _ in range(2):
            with fifo.open("rb") as reader:
                data = reader.read(width * 2 * RATE)
            samples = np.frombuffer(data, "<i2" if pcm == "s16le" else "<f4")
            scale = 32_768.0 if pcm == "s16le" else 1.0
            heard = samples.reshape(-1, 2).astype(np.float32) / scale
            assert_is_master(heard, -70.0 if pcm == "s16le" else -100.0)
        source.wait_for("lost (Broken pipe); again in 1 s")


def test_a_reader_that_stalls_costs_only_its_own_samples(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    both = Outputs(pipe=str(fifo), serve=True)
    with streaming(both) as source, fifo.open("rb") as reader:
        reader.read(1000)
        wait_until(lambda: source.radio.counts.lost > 0, 30.0, "a loss")
        assert source.radio.counts.dropped == 0, "the worker itself is in time"
        assert source.held_s < 0.05
        assert is_listening(source.port)


def test_a_source_that_goes_away_is_found_again() -> None:
    port = free_tcp_port()
    taken: list[int] = []

    def take(seconds: float) -> None:
        with socket.create_server(("127.0.0.1", port)) as server:
            peer, _ = server.accept()
            with peer:
                began = time.monotonic()
                while time.monotonic() - began < seconds:
                    taken.append(len(peer.recv(65_536)))

    with streaming(Outputs(snapcast=(f"127.0.0.1:{port}",))) as source:
        source.wait_for("cannot connect")
        for _ in range(2):
            thread = threading.Thread(target=take, args=(1.0,))
            thread.start()
            thread.join(20.0)
            assert not thread.is_alive()
            assert sum(taken) > 4 * RATE // 4
            taken.clear()


def test_pcm_is_rounded_clipped_and_finite() -> None:
    samples = np.array([[2.0, -2.0], [np.nan, np.inf], [0.5, -0.5]], np.float32)
    steps = np.frombuffer(PcmConverter("s16le", RATE).convert(samples), "<i2")
    assert steps.tolist() == [32_767, -32_768, 0, 0, 16_384, -16_384]
    floats = np.frombuffer(PcmConverter("f32le", RATE).convert(samples), "<f4")
    assert floats.tolist() == [2.0, -2.0, 0.0, 0.0, 0.5, -0.5]


def test_pcm_of_another_rate_is_resampled() -> None:
    converter = PcmConverter("s16le", 44_100, 48_000)
    n = sum(len(converter.convert(tones(0, 4_410))) for _ in range(20)) // 4
    assert abs(n - 96_000) < 4_800
    with pytest.raises(ValueError, match="none of"):
        PcmConverter("u8", RATE)
