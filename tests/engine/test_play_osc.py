"""A set played over OSC on a real device: heard, recorded, kept and rendered again."""

import time
from pathlib import Path

import numpy as np

from tests.support import audio, signals
from tests.support.command import latent
from tests.support.osc import oscsend, sweep
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
SWEEP_S, SWEEP_HZ = 8.0, 200


def test_a_set_with_200_messages_a_second(tmp_path: Path) -> None:
    file, again, part = (tmp_path / f"{name}.flac" for name in ("set", "again", "part"))
    asked = ["--seed", 4, "--record", file]
    with (
        VirtualAudio(RATE) as device,
        playing(*asked, home=tmp_path, env=device.env) as player,
    ):
        time.sleep(2.5)
        with device.capture() as capture:
            assert sweep(player.osc, SWEEP_S, SWEEP_HZ) > 0.95 * SWEEP_S * SWEEP_HZ
            oscsend(player.osc, "/latent/keep", "f", 4)
            player.wait_for("keeping the last 4 s")
            player.wait_for("^latent: kept ")
        heard = capture.samples()
        assert player.stop() == 0
    assert " 0 underruns, 0 device xruns" in player.lines[-1]
    assert audio.longest_silence_s(heard, RATE) < 0.02
    assert not len(signals.clicks(heard))

    # What was recorded, what is rendered again, and what was kept, are the same.
    (journal,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    assert latent("replay", journal, again, home=tmp_path).returncode == 0
    cut = ["--from", 5, "--to", 7.5, "--stems"]
    assert latent("replay", journal, part, *cut, home=tmp_path).returncode == 0
    recorded, rendered = audio.load(file)[0], audio.load(again)[0]
    n = min(len(recorded), len(rendered))
    assert n > (2.0 + SWEEP_S) * RATE
    assert audio.residual_db(rendered[:n], recorded[:n]) < -90.0
    some = recorded[5 * RATE : round(7.5 * RATE)]
    assert audio.residual_db(audio.load(part)[0], some) < -90.0
    stems = [audio.load(tmp_path / f"part-{s}.flac")[0] for s in ("music", "effects")]
    assert audio.residual_db(stems[0] + stems[1], some) < -90.0
    (kept,) = (tmp_path / "data" / "recordings").glob("kept-*.flac")
    samples = audio.load(kept)[0]
    assert len(samples) == 4 * RATE
    padded = np.pad(recorded, ((0, 2 * RATE), (0, 0)))
    at = audio.align(padded, samples, len(padded) - 5 * RATE)
    assert audio.residual_db(samples, recorded[at : at + 4 * RATE]) < -90.0
