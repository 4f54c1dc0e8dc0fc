import subprocess
import sys

import numpy as np
import pytest

from tests.support.virtual_audio import VirtualAudio

PLAY = """
import sys
import numpy as np
import sounddevice
rate = int(sys.argv[1])
sound = np.random.default_rng(1).uniform(-0.5, 0.5, (rate, 2)).astype("f4")
tail = np.zeros((rate // 2, 2), "f4")
with sounddevice.OutputStream(rate, channels=2, device="pulse", latency=0.2) as out:
    out.write(sound)
    out.write(tail)
"""


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_a_program_plays_is_captured_bit_for_bit(rate: int) -> None:
    with VirtualAudio(rate) as device:
        with device.capture() as capture:
            command = [sys.executable, "-c", PLAY, str(rate)]
            subprocess.run(command, env=device.env, check=True, timeout=30)
        heard = capture.heard()
    played = np.random.default_rng(1).uniform(-0.5, 0.5, (rate, 2)).astype("f4")
    assert np.array_equal(heard, played)


def test_sinks_come_and_go_and_the_server_ends() -> None:
    with VirtualAudio(two_sinks=True) as device:
        process = device._server
        assert "latent" in device.control("get-default-sink")
        device.unload_sink("latent")
        assert "latent" not in device.control("list", "short", "sinks")
        device.load_sink("latent")
        assert "latent" in device.control("list", "short", "sinks")
        assert device.streams() == device.streams("second") == 0
        with pytest.raises(RuntimeError, match="no sink"):
            device.unload_sink("third")
    assert process is not None
    assert process.poll() is not None
    assert not device.folder.exists()
