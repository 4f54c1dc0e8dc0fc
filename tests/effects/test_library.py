"""The shelf: effects by name, kept as they are played, whoever asks for them."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from effects.audio import third_octaves
from effects.audio.levels import Samples
from effects.base.errors import InputError
from effects.generators import GENERATORS, Generator
from effects.shelf.library import HELD_LOOPS, Library, at_rate
from effects.shelf.loops import Loop
from effects.shelf.seams import seam_report
from tests.support import audio


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A shelf whose bundled sounds are short, so that rendering them is quick."""
    short = {
        name: Generator(name, GENERATORS[name].module, "short", seconds=3.0)
        for name in ("rain", "wind", "snow", "leaves")
    }
    monkeypatch.setattr("effects.shelf.library.GENERATORS", short)
    return Library(tmp_path / "data", tmp_path / "cache")


def _loop(name: str, seconds: float = 2.0) -> Loop:
    n = int(48_000 * seconds)
    samples = np.random.default_rng(1).standard_normal((n, 2)).astype(np.float32)
    return Loop(name, 0.02 * samples, 48_000, 0, "loop", {"author": "A"})


def test_a_bundled_sound_is_rendered_once(shelf: Library) -> None:
    first = shelf.load("rain", 48_000)
    assert audio.lufs(first.samples, 48_000) == pytest.approx(-30.0, abs=0.5)
    written = {p: p.stat().st_mtime_ns for p in shelf.cache.rglob("*.*")}
    assert {p.suffix for p in written} == {".npy", ".json"}
    again = Library(shelf.folder, shelf.cache).load("rain", 48_000)
    assert np.array_equal(again.samples, first.samples)
    assert again.power is not None
    assert np.array_equal(again.power, third_octaves.loop_power(first.samples, 48_000))
    assert written == {p: p.stat().st_mtime_ns for p in shelf.cache.rglob("*.*")}
    assert shelf.entry("rain").seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("rate", [22_050, 44_100, 96_000])
def test_another_rate_keeps_the_loop_closed(shelf: Library, rate: int) -> None:
    loop = at_rate(shelf.load("wind", 48_000), rate)
    assert loop.seconds == pytest.approx(3.0, abs=0.01)
    assert seam_report(loop).step <= 1.0
    assert audio.lufs(loop.samples, rate) == pytest.approx(-30.0, abs=0.5)


def test_samples_are_mapped_and_cannot_be_changed(shelf: Library) -> None:
    loop = shelf.load("rain", 44_100)
    assert loop.memory is not None
    with pytest.raises(ValueError, match="read-only"):
        loop.samples[0] = 0.0


def _resident_kb(file: Path) -> int:
    """Memory that this process holds of a file that it has mapped."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    found = [i for i, line in enumerate(lines) if line.endswith(str(file))]
    rows = [row for i in found for row in lines[i : i + 8] if row.startswith("Rss:")]
    return sum(int(row.split()[1]) for row in rows)


def test_what_was_read_of_a_loop_is_given_back(shelf: Library) -> None:
    loop = shelf.load("rain", 48_000)
    (file,) = shelf.cache.rglob("*.npy")
    total = float(loop.samples.sum())
    assert _resident_kb(file) > 1000
    shelf.give_back()
    assert _resident_kb(file) == 0
    assert float(loop.samples.sum()) == total


def test_an_effect_that_is_made_anew_is_not_played_from_the_cache(
    shelf: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.store(_loop("my-brook"))
    before = shelf.load("my-brook", 44_100).samples
    louder = replace(_loop("my-brook"), samples=2.0 * _loop("my-brook").samples)
    shelf.store(louder)
    after = Library(shelf.folder, shelf.cache).load("my-brook", 44_100).samples
    assert np.allclose(after, 2.0 * before, atol=1e-6)
    shelf.load("rain", 44_100)
    monkeypatch.setattr("effects.shelf.library.VERSION", 99)
    shelf.load("rain", 44_100)
    assert [p.name for p in (shelf.cache / "rain").glob("*.npy")] == ["v99-44100.npy"]
    shelf.remove("my-brook")
    assert not list(shelf.cache.glob("my-brook*"))


@pytest.mark.parametrize(
    "damage",
    ["truncate", "garbage", "no sidecar", "foreign", "fields", "shape", "header"],
)
def test_a_damaged_cache_is_made_anew(shelf: Library, damage: str) -> None:
    whole = shelf.load("snow", 48_000).samples
    (file,) = shelf.cache.rglob("*.npy")
    (sidecar,) = shelf.cache.rglob("*.json")
    expected = whole.copy()
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "garbage":
        file.write_bytes(b"garbage")
    elif damage == "no sidecar":
        sidecar.unlink()
    elif damage == "header":
        file.write_bytes(file.read_bytes().replace(b"2)", b"2,", 1))
    elif damage == "shape":
        np.save(file, expected[:100])
    elif damage == "fields":
        facts = json.loads(sidecar.read_text())
        sidecar.write_text(json.dumps({**facts, "power": "loud", "credit": 7}))
    else:
        sidecar.write_text(json.dumps([1, 2]))
    again = Library(shelf.folder, shelf.cache).load("snow", 48_000).samples
    assert np.array_equal(again, expected)


def test_programs_side_by_side_do_not_spoil_the_cache(shelf: Library) -> None:
    results: list[Samples] = []

    def load() -> None:
        own = Library(shelf.folder, shelf.cache)
        results.append(own.load("leaves", 48_000).samples)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert all(np.array_equal(r, results[0]) for r in results)
    assert not list(shelf.cache.rglob(".*"))


def test_a_cache_that_cannot_be_written_only_costs_time(
    shelf: Library, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    blocked = Library(shelf.folder, tmp_path / "file" / "cache")
    assert blocked.load("rain", 48_000).samples.any()


def test_added_effects_join_and_leave(shelf: Library) -> None:
    shelf.store(_loop("my-brook"))
    assert "my-brook" in shelf.names()
    entry = shelf.entry("my-brook")
    assert (entry.kind, entry.credit) == ("added", {"author": "A"})
    loaded = shelf.load("my-brook", 48_000)
    assert np.max(np.abs(loaded.samples - _loop("x").samples)) < 1e-6
    shelf.remove("my-brook")
    assert "my-brook" not in shelf.names()
    with pytest.raises(InputError, match="no such effect"):
        shelf.load("my-brook", 48_000)
    with pytest.raises(InputError, match="bundled"):
        shelf.remove("rain")
    for name in ("../../etc/passwd", "", ".", "rain/../wind"):
        with pytest.raises(InputError, match="no such"):
            shelf.remove(name)
        with pytest.raises(InputError, match="no such"):
            shelf.load(name, 48_000)


def test_an_effect_whose_file_is_gone_says_so(shelf: Library) -> None:
    shelf.store(_loop("my-brook"))
    (shelf.folder / "my-brook.flac").unlink()
    with pytest.raises(InputError, match="add it again"):
        shelf.load("my-brook", 48_000)


def test_few_loops_stay_mapped(shelf: Library) -> None:
    for i in range(12):
        shelf.store(_loop(f"x{i}", 0.5))
        shelf.load(f"x{i}", 48_000)
    assert len(shelf._held) == HELD_LOOPS


def test_a_loaded_loop_knows_what_stands_in_its_bands(shelf: Library) -> None:
    loop = shelf.load("rain", 44_100)
    assert loop.power is not None
    total = float(np.mean(loop.samples**2))
    # Rain's energy lies within the bands; they overlap by half their distance.
    assert 0.7 < loop.power.sum() / (1.5 * total) < 1.02
