"""What a rendered song must be, measured on the file that a user gets."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from effects.audio.levels import Samples
from engine.offline.song_card_file import read_card
from tests.support import audio
from tests.support.signals import clicks, with_click

ROOT = Path(__file__).parents[2]


def latent(
    *args: str | Path, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command line, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A home of the tests' own, shared so that loops are prepared once."""
    return {"LATENT_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def song(
    tmp_path_factory: pytest.TempPathFactory, home: dict[str, str]
) -> tuple[Path, Samples]:
    """Two minutes with seed 7."""
    path = tmp_path_factory.mktemp("songs") / "out.flac"
    done = latent("render", path, "--minutes", "2", "--seed", "7", env=home)
    assert done.returncode == 0, done.stderr
    samples, rate = audio.load(path)
    assert rate == 44_100
    return path, samples


def test_a_song_has_its_length_level_and_width(song: tuple[Path, Samples]) -> None:
    path, samples = song
    assert sf.info(path).subtype == "PCM_24"
    assert samples.shape == (120 * 44_100, 2)
    assert np.all(np.isfinite(samples))
    assert abs(audio.lufs(samples, 44_100) + 18.0) <= 1.0
    assert audio.true_peak_db(samples, 44_100) <= -1.0
    assert 0.2 <= audio.correlation(samples) <= 0.95


def test_a_song_has_no_click_and_a_planted_one_is_found(
    song: tuple[Path, Samples],
) -> None:
    _, samples = song
    assert len(clicks(samples)) == 0
    planted = with_click(samples, 60 * 44_100, height=0.2)
    found = clicks(planted)
    assert len(found) > 0
    assert abs(int(found[0]) - 60 * 44_100) < 50


def test_a_song_fades_in_and_out(song: tuple[Path, Samples]) -> None:
    _, samples = song
    assert np.abs(samples[:20]).max() < 1e-3
    assert np.abs(samples[-20:]).max() < 1e-3
    level = np.sqrt(np.mean(samples.reshape(120, -1, 2) ** 2, axis=(1, 2)))
    assert level[4:110].min() > 0.25 * np.median(level)


def test_the_hop_leaves_no_trace_in_the_level(
    home: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "music.wav"
    done = latent(
        *("render", path, "--minutes", "4", "--seed", "3", "--no-effects"),
        *("--hop", "1.0"),
        env=home,
    )
    assert done.returncode == 0, done.stderr
    samples, rate = audio.load(path)
    inner = samples[10 * rate : 220 * rate].astype(np.float64)
    power = np.mean(inner**2, axis=1).reshape(210, 20, -1).mean(axis=2)
    # The level at each place in the hop, over all hops: the blend's doing, since the
    # music has no reason to prefer one.
    shared = 10.0 * np.log10(power.mean(axis=0) / power.mean())
    swing = 2.0 * 2.0 * np.abs(np.fft.rfft(shared)[1]) / len(shared)
    assert swing < 0.5, "dB from trough to crest at the hop's frequency"


def test_same_seed_same_samples_other_seed_other_song(
    song: tuple[Path, Samples], home: dict[str, str], tmp_path: Path
) -> None:
    path, samples = song
    again, other = tmp_path / "again.flac", tmp_path / "other.flac"
    assert (
        latent("render", again, "--minutes", "2", "--seed", "7", env=home).returncode
        == 0
    )
    assert (
        latent("render", other, "--minutes", "2", "--seed", "8", env=home).returncode
        == 0
    )
    digest = [
        hashlib.sha256(audio.load(p)[0].tobytes()).digest() for p in (path, again)
    ]
    assert digest[0] == digest[1]
    different, _ = audio.load(other)
    assert audio.residual_db(different, samples) > -3.0


@pytest.mark.parametrize("ending", ["wav", "aiff", "ogg", "opus", "mp3"])
def test_other_formats_hold_the_same_song(
    ending: str, home: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / f"song.{ending}"
    done = latent("render", path, "--minutes", "0.2", "--seed", "7", env=home)
    assert done.returncode == 0, done.stderr
    info = sf.info(path)
    assert abs(info.duration - 12.0) < 0.1
    assert info.samplerate == (48_000 if ending == "opus" else 44_100)


def test_tags_tell_the_seed(song: tuple[Path, Samples]) -> None:
    with sf.SoundFile(song[0]) as file:
        assert file.copy_metadata()["title"] == read_card(song[0]).title
        assert "seed 7" in file.copy_metadata()["comment"]


def test_what_renders_needs_neither_torch_nor_librosa(home: dict[str, str]) -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'librosa', 'matplotlib', 'onnx'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import tempfile
from engine.cli.main import _run
with tempfile.TemporaryDirectory() as folder:
    code = _run(['render', folder + '/x.wav', '--minutes', '0.1', '--seed', '1'])
import engine.live.session, engine.cli.play
assert not {'torch', 'librosa', 'sounddevice'} & set(sys.modules), 'too much imported'
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


BAD = {
    "option": (["render", "OUT.flac", "--nonsense"], "--nonsense"),
    "ending": (["render", "OUT.xyz"], "cannot write '.xyz'"),
    "folder": (["render", "nowhere/OUT.flac"], "no folder"),
    "a folder itself": (["render", "folder.flac"], "is a folder"),
    "minutes": (["render", "OUT.flac", "--minutes", "-3"], "--minutes -3"),
    "not a number": (["render", "OUT.flac", "--minutes", "nan"], "--minutes nan"),
    "rate": (["render", "OUT.flac", "--rate", "7"], "--rate 7"),
    "seed": (["render", "OUT.flac", "--seed", "-1"], "--seed"),
    "preset": (["render", "OUT.flac", "--preset", "drak"], "did you mean dark"),
    "grammar": (["render", "OUT.flac", "--grammar", "bad.txt"], "bad.txt, line 2"),
    "control": (["render", "OUT.flac", "--wiggle-amount", "nan"], "--wiggle-amount"),
    "choice": (["render", "OUT.flac", "--tuning-scale", "klingon"], "tuning/scale"),
    "no model": (["render", "OUT.flac", "--model", "nowhere"], "nowhere"),
    "cut model": (["render", "OUT.flac", "--model", "cut"], "cut"),
    "unknown command": (["sing"], "sing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, home: dict[str, str], tmp_path: Path
) -> None:
    args, expected = BAD[case]
    (tmp_path / "folder.flac").mkdir()
    (tmp_path / "bad.txt").write_text("S => XX\nX => Q\n")
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in (ROOT / "model" / "bundled").iterdir():
        if file.is_file():
            content = file.read_bytes()
            is_decoder = file.name == "decoder.onnx"
            (cut / file.name).write_bytes(content[: 5000 if is_decoder else None])
    before = sorted(p.name for p in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *args],
        cwd=tmp_path,
        env={**os.environ, **home, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert expected in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_an_unwritable_folder_is_told_before_anything_is_rendered(
    home: dict[str, str], tmp_path: Path
) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/out.flac")  # root may write everywhere else
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "out.flac"
    done = latent("render", target, "--minutes", "0.1", env=home)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(target) in done.stderr


def test_a_full_disk_is_one_line_and_leaves_nothing(
    home: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000));"
        "from engine.cli.main import _run;"
        f"sys.exit(_run(['render', {str(tmp_path / 'x.flac')!r}, '--minutes', '0.5',"
        "'--seed', '1', '--no-effects']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "x.flac" in done.stderr
    assert list(tmp_path.iterdir()) == []
