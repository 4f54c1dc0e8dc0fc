"""The default output changes while it plays: the music goes along, on real sinks."""

import json
import time
from pathlib import Path

import numpy as np

from tests.support import audio
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
LOUD = 1e-4


def test_it_follows_the_default_output_and_the_recording_goes_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "evening.flac"
    asked = ["--seed", 7, "--no-effects", "--record", file]
    with (
        VirtualAudio(RATE, two_sinks=True) as device,
        playing(*asked, home=tmp_path, env=device.env) as player,
    ):
        # With a name of its own it is not moved with other programs' streams.
        assert 'application.name = "Latent"' in device.control("list", "sink-inputs")
        time.sleep(1.0)
        with device.capture("second") as capture:
            for there, gone in (("second", "latent"), ("latent", "second")):
                changed = time.monotonic()
                device.control("set-default-sink", there)
                while not device.streams(there):
                    assert time.monotonic() - changed < 2.0
                    time.sleep(0.02)
                assert device.streams(gone) == 0
                time.sleep(1.5)
        heard = capture.samples()
        # Unplugged, the default gives way to what is left.
        device.unload_sink("latent")
        time.sleep(1.0)
        assert device.streams("second") == 1
        assert player.stop() == 0
    loud = np.flatnonzero(np.any(np.abs(heard) > LOUD, axis=1))
    assert (loud[-1] - loud[0]) / RATE > 1.0
    assert " 0 underruns" in player.lines[-1]
    assert "is gone" not in player.said
    (path,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()][1:]
    (end,) = [e["recording"] for e in events if "first" in e.get("recording", {})]
    assert (end["first"], end["gaps"]) == (0, [])
    recorded, _ = audio.load(file)
    assert len(recorded) / RATE > 4.5
    # A second there is the recording's, as if nothing had been.
    part = heard[loud[0] + RATE // 4 : loud[0] + RATE]
    delay = audio.align(
        np.pad(recorded, ((0, RATE), (0, 0))), part, len(recorded) - len(part)
    )
    assert audio.residual_db(recorded[delay : delay + len(part)], part) < -60.0
