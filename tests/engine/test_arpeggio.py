"""The arpeggio: even time, tones of the chord, coming and going with the pattern."""

import numpy as np
import pytest

from effects.audio.loudness import integrated_lufs
from engine.control.controls import snapshot_of
from engine.sound.arpeggio import LADDER, LOWEST_HZ, Arpeggio
from engine.sound.music import Music
from engine.sound.partials import PLACES_PER_BAND, gather, place_hz
from engine.sound.tones import Notes, mean_power
from model.config import AXIS
from tests.support.music import RATE, music, taken
from tests.support.slabs import stereo

OCTAVE = PLACES_PER_BAND * AXIS.bands_per_octave


def figured(rate: float, seed: int = 3, **more: object) -> Music:
    """Music without a foreground, of which every song has an arpeggio."""
    controls = {"arpeggio/rate": rate, "foreground/density": 0.0, **more}
    return music(seed, controls, 180.0)


def arpeggio_of(stream: Music) -> Arpeggio:
    return stream._nodes.cast(stream._schedule.at(0.0)[-1]).arpeggio


def notes(stream: Music, **controls: float) -> Notes:
    named = {f"arpeggio/{name}": value for name, value in controls.items()}
    return arpeggio_of(stream).notes(snapshot_of(named))


def test_notes_lie_in_even_time_and_rest_at_the_same_steps_of_the_figure() -> None:
    stream = figured(2.0)
    played = notes(stream, rate=2.0)
    number = played.seconds * 2.0
    np.testing.assert_allclose(number, np.round(number))
    figure = len(arpeggio_of(stream)._figure)
    silent = set(range(figure)) - set((number.astype(int) % figure).tolist())
    assert silent == set(np.flatnonzero(arpeggio_of(stream)._rests).tolist())
    assert notes(stream, rate=0.0).keys == []


@pytest.mark.parametrize("seed", range(4))
def test_every_note_stands_on_a_partial_of_its_sound_or_an_octave_of_one(
    seed: int,
) -> None:
    stream = figured(2.0, seed)
    arpeggio, hertz = arpeggio_of(stream), place_hz()
    for symbol in range(5):
        power = gather(arpeggio._sounds.tonal[symbol], nearest_hz=0.0)
        heard = np.flatnonzero(power > 1e-5 * power.max())
        turns = (heard / OCTAVE) % 1.0
        roots = [
            int(arpeggio._tone(symbol, step).places[0])
            for step in range(len(arpeggio._figure))
        ]
        for root in roots:
            apart = abs((root / OCTAVE - turns + 0.5) % 1.0 - 0.5).min()
            assert apart < 0.1 / 12.0  # a tenth of a semitone
            assert hertz[root] >= 0.999 * LOWEST_HZ
        assert len(set(roots)) > 1
        assert max(roots) <= min(roots) + OCTAVE * LADDER


def test_it_comes_and_goes_with_the_pattern_and_its_level_is_a_control() -> None:
    stream = figured(2.0)
    loud, soft = notes(stream, rate=2.0, level=0.0), notes(stream, rate=2.0, level=-9.0)
    np.testing.assert_allclose(loud.level_db - soft.level_db, 9.0)
    by_symbol = [
        np.median([db for db, key in zip(loud.level_db, loud.keys, strict=True)
                   if key[0] == symbol])
        for symbol in {key[0] for key in loud.keys}
    ]  # fmt: skip
    assert max(by_symbol) - min(by_symbol) > 1.0


def test_it_is_heard_in_its_time_and_the_music_keeps_its_loudness() -> None:
    """The level of the middle range swells at the rate that was asked for."""
    still = {"motion/depth": 0.0, "wiggle/amount": 0.0, "arpeggio/level": 3.0}
    swells, loudness = {}, {}
    for rate in (0.0, 2.0):
        samples = stereo(taken(figured(rate, 3, **still), 60.0))
        loudness[rate] = integrated_lufs(samples, RATE)
        hop = RATE // 50
        frames = samples.mean(axis=1)[: len(samples) // hop * hop].reshape(-1, hop)
        power = np.abs(np.fft.rfft(frames * np.hanning(hop))) ** 2
        hertz = np.fft.rfftfreq(hop, 1.0 / RATE)
        level = 10.0 * np.log10(power[:, (hertz > 200) & (hertz < 2000)].sum(1) + 1e-9)
        level -= level.mean()
        swell = np.abs(np.fft.rfft(level * np.hanning(len(level)))) ** 2
        swell_hz = np.fft.rfftfreq(len(level), 1.0 / 50.0)
        at = np.abs(swell_hz - 2.0) < 0.05
        swells[rate] = (
            swell[at].sum() / swell[(swell_hz > 1.0) & (swell_hz < 8.0)].sum()
        )
    assert swells[2.0] > 3.0 * swells[0.0]
    assert abs(loudness[2.0] - loudness[0.0]) < 0.7


def test_some_songs_have_one_and_others_keep_their_loudness() -> None:
    everywhere = snapshot_of({"arpeggio/rate": 2.0, "arpeggio/level": 6.0})
    nowhere = snapshot_of({**everywhere, "arpeggio/share": 0.0})
    some = snapshot_of({**everywhere, "arpeggio/share": 0.5})
    there = 0
    for seed in range(12):
        arpeggio = arpeggio_of(figured(2.0, seed))
        assert len(arpeggio.notes(everywhere).keys) > 200
        assert not arpeggio.notes(nowhere).keys
        is_there = bool(arpeggio.notes(some).keys)
        power = mean_power(arpeggio.notes(some), 180.0, 0.5)
        assert (power > 0.0) == is_there
        there += is_there
    assert 2 <= there <= 10


def test_the_same_seed_gives_the_same_samples_from_any_place() -> None:
    whole = taken(figured(2.0), 12.0)
    again = figured(2.0)
    again.replan(5 * RATE + 77, again._nodes._controls)
    pieces = taken(again, 3.0)
    np.testing.assert_array_equal(pieces, whole[5 * RATE + 77 :][: 3 * RATE])
