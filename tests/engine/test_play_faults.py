"""Faults of the sound system while `latent play` plays: none of them may reach it."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from effects.base.errors import LatentError
from engine.live.device_ring import Counter
from engine.live.output import Output
from tests.support import audio
from tests.support.command import ROOT, environment
from tests.support.device_faults import (
    KINDS,
    children_of,
    is_running,
    run_faults,
)
from tests.support.exits import end_at
from tests.support.monitor import monitored
from tests.support.playing import Player, playing
from tests.support.virtual_audio import VirtualAudio
from tests.support.waiting import wait_until

RATE = 48_000
BACK_S = 2.0  # from a device that is there again to its sound
END_S = 2.0  # from a signal to the end of every process
HELD_S = 0.1  # for which the interpreter may be held unheard

# Holds the interpreter as a large collection, a page of JSON or a long sort does.
HOG = """
import gc, json, os, threading, time
from engine.graph import Settings, build
from engine.live.device_watch import DeviceChoice
from engine.live.session import Session
graph = build(Settings(seed=3, sample_rate=48_000, effects=None))
session = Session(graph, DeviceChoice(), lambda line: None)
session.start()
threading.Thread(target=session.run, daemon=True).start()
time.sleep(1.0)
containers = [[i] for i in range(800_000)]
text = json.dumps([{"a": i, "b": [i]} for i in range(60_000)])
for number in range(24):
    time.sleep(0.3)
    before = session.metrics.device_xruns
    began = time.monotonic()
    gc.collect() if number % 2 else json.loads(text)
    held = time.monotonic() - began
    time.sleep(0.3)
    print(held, session.metrics.device_xruns - before, flush=True)
os._exit(0)
"""


def limit_s(seconds: float) -> float:
    """A limit for a machine with nothing else to do, on this one as busy as it is."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_a_session_outlives_every_fault_and_its_recording_is_whole(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    run = run_faults(tmp_path, itertools.cycle(KINDS), 10, rng, "--no-effects")
    assert max(fault.back_s for fault in run.faults) < limit_s(BACK_S), run.faults
    assert (run.exit_code, run.children) == (0, ())
    assert run.end_s < limit_s(END_S)
    assert max(run.grown) <= 0, "descriptors, threads, processes"
    assert abs(run.recorded_s - run.played_s) < 0.2
    assert run.n_different == 0, "the replay is the recording"
    assert run.streamed[1] <= 1, "a listener is cut at the end only"
    # Only lines of its own: nothing of PortAudio, ALSA or PulseAudio.
    assert all(line.startswith("latent: ") for line in run.said)


@contextmanager
def recording_session(file: Path) -> Iterator[tuple[VirtualAudio, Player]]:
    """A session without a bed on a sink of its own, which records into a file."""
    asked = ("--no-effects", "--record", file)
    with (
        VirtualAudio(RATE) as device,
        playing(*asked, home=file.parent, env=device.env) as player,
    ):
        yield device, player


def test_a_sink_that_is_suspended_and_resumed_ends_no_session(tmp_path: Path) -> None:
    file = tmp_path / "r.flac"
    with recording_session(file) as (device, player):
        device.suspend_sink(True)
        time.sleep(4.0)
        device.suspend_sink(False)
        with device.capture() as capture:
            time.sleep(limit_s(BACK_S))
        assert np.abs(capture.samples()[-RATE // 5 :]).max() > 1e-4
        asked_at = time.monotonic()
        assert player.stop() == 0
        assert time.monotonic() - asked_at < limit_s(END_S)
    done = subprocess.run(["flac", "-t", "-s", str(file)], check=False)
    assert done.returncode == 0


def test_a_devices_process_that_is_killed_or_frozen_is_replaced(
    tmp_path: Path,
) -> None:
    with (
        VirtualAudio(RATE) as device,
        playing("--no-effects", home=tmp_path, env=device.env) as player,
    ):
        for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSTOP):
            (child,) = children_of(player.process.pid)
            os.kill(child, number)
            went = time.monotonic()
            while is_running(child):
                assert time.monotonic() - went < limit_s(BACK_S), "it is killed"
                time.sleep(0.02)
            with device.capture() as capture:
                while not np.any(np.abs(capture.samples()[-4800:]) > 1e-4):
                    assert time.monotonic() - went < limit_s(BACK_S + 1.0)
                    time.sleep(0.02)
        # An interrupt of a terminal's whole group does not end the sound.
        (child,) = children_of(player.process.pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(child, number)
        time.sleep(0.5)
        assert children_of(player.process.pid) == [child]
        assert player.stop() == 0
        assert not is_running(child)


def test_the_devices_process_goes_with_a_session_that_is_killed(
    tmp_path: Path,
) -> None:
    with (
        VirtualAudio(RATE) as device,
        playing("--no-effects", home=tmp_path, env=device.env) as player,
    ):
        (child,) = children_of(player.process.pid)
        descriptors = Path(f"/proc/{child}/fd").iterdir()
        shared = [d for d in descriptors if "latent-device" in os.readlink(d)]
        assert shared, "it has no ring"
        assert all("memfd:" in os.readlink(d) for d in shared), "nothing is left behind"
        player.process.kill()
        went = time.monotonic()
        while is_running(child):
            assert time.monotonic() - went < limit_s(END_S)
            time.sleep(0.02)


def test_a_sound_server_that_hangs_is_one_line_and_not_for_ever(
    tmp_path: Path,
) -> None:
    asked = ["--rate", RATE, "--device", "default", "--no-effects"]
    with (
        VirtualAudio(RATE) as device,
        device.frozen(),
        playing(*asked, home=tmp_path, env=device.env, ready=False) as player,
    ):
        assert player.wait(120.0) == 1
    assert player.lines[-1].startswith("latent: the sound system does not answer")
    assert len(player.lines) == 1


def test_a_collection_or_a_page_of_the_session_is_not_heard(tmp_path: Path) -> None:
    with VirtualAudio(RATE) as device:
        done = subprocess.run(
            [sys.executable, "-P", "-c", HOG],
            env={**environment(tmp_path), **device.env, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    rounds = [line.split() for line in done.stdout.splitlines()]
    held = [(float(held_s), int(xruns)) for held_s, xruns in rounds]
    assert sum(held_s > 0.03 for held_s, _ in held) > 6, "the interpreter was held"
    # A machine that is busy besides holds it for longer than any buffer.
    heard = [(held_s, xruns) for held_s, xruns in held if held_s < HELD_S and xruns]
    assert not heard, held


@pytest.mark.parametrize("after_s", [0.02, 0.3, 0.6, 1.0, None])
def test_a_signal_ends_it_at_any_moment(tmp_path: Path, after_s: float | None) -> None:
    with VirtualAudio(RATE) as device:
        end = end_at(tmp_path, device, after_s, signal.SIGTERM)
    assert end.is_right, end
    assert end.seconds < limit_s(END_S)


@pytest.mark.parametrize("again_s", [0.0, 0.1, 0.4, None])
def test_a_second_signal_or_the_end_of_its_programme_leaves_whole_files(
    tmp_path: Path, again_s: float | None
) -> None:
    number = None if again_s is None else signal.SIGINT
    with VirtualAudio(RATE) as device:
        end = end_at(tmp_path, device, None, number, again_s)
    assert end.is_right, end
    assert end.seconds < limit_s(END_S)


def test_what_cannot_be_opened_is_told_by_the_process_that_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VirtualAudio(RATE) as device:
        for name, value in device.env.items():
            monkeypatch.setenv(name, value)
        output = Output("theremin", RATE, patient=False)
        with pytest.raises(LatentError, match="theremin"):
            output.wait_opened()
        output.close()
        output = Output(None, 1, patient=False)
        with pytest.raises(LatentError, match="cannot open"):
            output.wait_opened()
        output.close()


def test_a_device_starts_with_the_first_samples_and_they_are_heard_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not after the silence that it would hold if it had been started before."""
    with VirtualAudio(RATE) as device, monitored(device) as monitor:
        for name, value in device.env.items():
            monkeypatch.setenv(name, value)
        output = Output(None, RATE, patient=False, waits=True)
        held_s = output.wait_opened().latency_s
        time.sleep(3.0 * held_s)
        assert output.ring.count(Counter.BLOCKS) == 0
        assert output.is_alive, "or it would be ended before it is needed"
        silent_until = len(monitor.samples())
        began = time.monotonic()
        output.ring.write(np.full((round(held_s * RATE), 2), 0.25, np.float32))
        output.wait_started()
        wait_until(lambda: bool(np.any(monitor.samples()[silent_until:] > 0.2)))
        heard = monitor.samples()[silent_until:].max(axis=1) > 0.2
        at = silent_until + int(np.flatnonzero(heard)[0])
        output.close()
    assert monitor.time_of(at) - began < 0.75 * held_s


def test_headphones_that_turn_into_a_headset_are_played_on(tmp_path: Path) -> None:
    """Bluetooth's other profile: the device is gone, and comes as 16 kHz and mono."""
    file = tmp_path / "r.flac"
    with recording_session(file) as (device, player):
        for rate, channels in ((16_000, 1), (RATE, 2)):
            time.sleep(1.5)
            device.unload_sink()
            device.rate, device.channels = rate, channels
            device.load_sink()
            began = time.monotonic()
            with device.capture() as capture:
                while not np.any(np.abs(capture.samples()[-rate // 10 :]) > 1e-4):
                    assert time.monotonic() - began < limit_s(BACK_S)
                    time.sleep(0.02)
        assert player.stop() == 0
    samples, rate = audio.load(file)
    played_s = float(player.lines[-1].partition("played ")[2].split()[0])
    assert abs(len(samples) / rate - played_s) < 0.2
    assert player.said.count("is gone") <= 2
