"""Notes: how loud they are over their whole length, and what the music leaves them."""

import numpy as np
import pytest

from effects.audio.k_weighting import k_weighting
from effects.audio.loudness import integrated_lufs
from effects.base.streams import Purpose, stream
from engine.sound.foreground import MANNER
from engine.sound.partials import place_hz
from engine.sound.tones import (
    Manner,
    Tone,
    breath_envelope,
    envelope,
    full_power_s,
    make_tone,
)
from model.config import AXIS
from tests.support.music import RATE, music, taken
from tests.support.slabs import stereo

HEIGHT = 10.0**0.0691 / 2.0  # K-weighted mean square of a channel at 0 LUFS


def made(root_hz: float, manner: Manner = MANNER) -> Tone:
    """A note in the colour of a falling spectrum."""
    power = 1e-3 / AXIS.centres
    root = int(np.searchsorted(place_hz(), root_hz))
    return make_tone(power, power, root, manner, stream(Purpose.NOTE, 1))


@pytest.mark.parametrize("space", [0.0, 0.5, 1.0])
def test_a_note_is_as_loud_as_its_height_for_so_long(
    space: float,
) -> None:
    tone = made(330.0)
    seconds = np.arange(0.0, MANNER.life_s, 0.002)
    since = np.tile(seconds, (len(tone.places), 1))
    shape = envelope(since, tone.attack, tone.decay)
    amplitude = tone.amplitude * np.where(tone.is_space, space, 1.0)
    weight = k_weighting(place_hz()[tone.places])
    power = (0.5 * (amplitude[:, None] * shape) ** 2 * weight[:, None]).sum(axis=0)
    assert tone.breath is not None
    breath = float(np.sum(tone.breath * k_weighting(AXIS.centres)))
    power += breath * breath_envelope(seconds[None])[0]
    lasts = 0.002 * float(power.sum()) / HEIGHT
    assert full_power_s(tone, space) == pytest.approx(lasts, rel=0.01)


def test_a_breath_has_the_colour_of_its_sound() -> None:
    breath = made(330.0).breath
    assert breath is not None
    sound = 1.0 / AXIS.centres
    for hertz in (300.0, 1000.0, 3000.0):
        above = slice(int(np.searchsorted(AXIS.centres, hertz)), None)
        share = sound[above].sum() / sound.sum()
        assert breath[above].sum() / breath.sum() == pytest.approx(share, rel=0.1)


def test_notes_with_longer_tails_last_longer() -> None:
    dry, wet = (full_power_s(made(330.0), space) for space in (0.0, 1.0))
    assert 0.3 < dry < 0.75 * wet


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"rank/brightness": 0.6},
        {"foreground/density": 32.0, "foreground/level": 3.5},
        # A step of a long song has no room for as many notes as are asked for.
        {"song/minutes": 20.0, "foreground/density": 60.0, "foreground/level": 4.0},
        {"arpeggio/rate": 2.0, "arpeggio/level": 2.0},
    ],
)
def test_loud_notes_leave_the_music_as_loud_as_it_is(more: dict[str, float]) -> None:
    still = {"motion/depth": 0.0, "foreground/density": 40.0, "foreground/level": 0.0}
    with_notes = {**still, **more}
    without = {**with_notes, "foreground/density": 0.0, "arpeggio/rate": 0.0}
    loudness = [
        integrated_lufs(stereo(taken(music(5, controls), 90.0)), RATE)
        for controls in (without, with_notes)
    ]
    assert abs(loudness[1] - loudness[0]) < 0.5
