"""`latent play` by the clock: a sleep timer that holds, and presets in turn."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import audio, signals
from tests.support.command import latent
from tests.support.playing import playing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_the_level_is_held_and_fades_at_the_end(home: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "sleep.flac", tmp_path / "again.flac"
    asked = ["--seed", 3, "--sleep", "12s", "--fade", "4s", "--record", file]
    with playing(*asked, home=home) as player:
        assert player.wait() == 0, player.said
    samples, rate = audio.load(file)
    assert abs(len(samples) / rate - 12.3) < 0.4
    level = np.sqrt(np.mean(samples[: 12 * rate].reshape(12, -1, 2) ** 2, axis=(1, 2)))
    assert level[4:8].min() > 0.5 * level[4:8].max(), "held"
    assert np.all(np.diff(level[8:12]) < 0.0), "then it falls"
    assert np.abs(samples[-rate // 10 :]).max() < 1e-3
    journal = max((home / "state" / "journals").glob("*.jsonl"))
    assert latent("replay", journal, again, home=home).returncode == 0
    rendered = audio.load(again)[0]
    n = min(len(samples), len(rendered))
    np.testing.assert_array_equal(rendered[:n], samples[:n])


def test_presets_follow_one_another_without_a_click(home: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "moods.flac", tmp_path / "again.flac"
    asked = ["--seed", 3, "--every", "5s", "--presets", "dark,glass"]
    asked += ["--minutes", "0.4", "--record", file]
    with playing(*asked, home=home) as player:
        assert player.wait() == 0, player.said
    samples, rate = audio.load(file)
    assert not len(signals.clicks(samples))
    assert audio.longest_silence_s(samples[rate:-rate], rate) < 0.05
    journal = max((home / "state" / "journals").glob("*.jsonl"))
    text = journal.read_text()
    assert text.count('"next"') >= 3
    assert latent("replay", journal, again, home=home).returncode == 0
    rendered = audio.load(again)[0]
    n = min(len(samples), len(rendered))
    np.testing.assert_array_equal(rendered[:n], samples[:n])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (["--every", "5m"], "--every and --presets belong together"),
        (["--presets", "dark"], "--every and --presets belong together"),
        (["--every", "5m", "--presets", "dark,nope"], "--presets: 'nope' is none of"),
        (["--every", "5m", "--presets", "dark", "--preset", "glass"], "choose one"),
        (["--every", "never", "--presets", "dark"], "not a length of time"),
        (["--master-gain", "7"], "7: choose from -60 to 6 dB"),
    ],
)
def test_what_does_not_fit_is_told(asked: list[str], why: str, home: Path) -> None:
    done = latent("play", "--no-audio", "--no-osc", *asked, home=home)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
