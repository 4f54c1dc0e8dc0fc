"""Songs rendered for measuring, and what their audio is like.

Nothing here is read from latents or decoded spectra: the timbres are those of clips of
two seconds of the rendered music.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.loudness import WINDOW_S, integrated_lufs, short_term_lufs
from engine.album.gate import smoothed
from engine.compose import grammar as grammars
from engine.compose import preset as presets
from engine.compose.composer import ComposedSong, compose
from engine.compose.criteria import CRITERIA, Sounds, dissonance, measure
from engine.compose.distance import apart_db, coarse_spectra, mean_apart_db
from engine.compose.loudness_plan import fade_lengths
from engine.compose.path import SYMBOLS
from engine.compose.schedule import SongSchedule
from engine.compose.tuning import dissolved, shift_bands
from engine.control.controls import Snapshot, snapshot_of
from engine.graph import TARGET_LUFS, Graph, Settings, build
from engine.offline.render import render
from engine.offline.stems import render_stems
from engine.sound.decoding import decode
from model.config import AXIS, Axis
from model.inference import TimbreModel
from model.spectrum import CLIP_LENGTH, analyse

RATE = 44_100
SHORT_S = 60.0


@dataclass(frozen=True)
class Heard:
    """A rendered song.

    Attributes:
        samples: shape (n, 2).
        song: what it was composed as.
        sections: timbres of clips around the waypoints, shape (n, n_bands).
    """

    samples: Samples
    song: ComposedSong
    sections: NDArray[np.float32]


def settings(
    seed: int,
    controls: Mapping[str, object] | None = None,
    *,
    seconds: float = SHORT_S,
    effects: tuple[str, ...] | None = None,
    preset: str = "",
) -> Settings:
    """Of one song; without a bed unless effects are named.

    A preset named gives chance and the grammar; its controls are given as any others.
    """
    minutes = max(0.5, seconds / 60.0)
    values = snapshot_of({"song/minutes": minutes, **(controls or {})})
    return Settings(
        seed=seed,
        sample_rate=RATE,
        duration=seconds,
        controls=values,
        effects=effects,
        preset=preset,
        grammar=presets.load(preset).grammar if preset else "seed",
    )


def samples_of(graph: Graph) -> Samples:
    """All that a graph with an end yields, shape (n, 2)."""
    blocks: list[Samples] = []
    render(graph, lambda block: blocks.append(block.copy()))
    whole: Samples = np.concatenate(blocks)
    return whole


def song_of(graph: Graph) -> ComposedSong:
    """The first song that a graph plays."""
    schedule = graph.music._schedule
    return schedule.song(schedule.at(0.0)[-1])


def hear(chosen: Settings) -> Heard:
    """Render a song of these settings, and analyse a clip at each waypoint."""
    graph = build(chosen)
    song = song_of(graph)
    samples = samples_of(graph)
    return Heard(samples, song, _sections(samples, song))


@dataclass(frozen=True)
class Mix(Heard):
    """A song with its bed.

    Attributes:
        music: what it is without the bed, shape (n, 2).
    """

    music: Samples


def hear_mix(chosen: Settings) -> Mix:
    """Render a song with its bed, and analyse its music at each waypoint."""
    graph = build(chosen)
    song = song_of(graph)
    mixes: list[Samples] = []
    musics: list[Samples] = []
    render_stems(
        graph,
        lambda block: mixes.append(block.copy()),
        lambda block: musics.append(block.copy()),
        lambda block: None,
    )
    music = np.concatenate(musics)
    return Mix(np.concatenate(mixes), song, _sections(music, song), music)


def _sections(samples: Samples, song: ComposedSong) -> NDArray[np.float32]:
    middles = (song.path.times * RATE).astype(int)
    starts = np.clip(middles - CLIP_LENGTH // 2, 0, len(samples) - CLIP_LENGTH)
    return np.stack([analyse(samples[start : start + CLIP_LENGTH]) for start in starts])


def join_dips_db(samples: Samples, song: ComposedSong) -> NDArray[np.float64]:
    """How far the level at each join falls under the softer of both sections, dB.

    Short-term loudness (3 s) all the way from one waypoint to the next; those within
    the fades do not count.
    """
    hop = 0.25
    level = short_term_lufs(samples, RATE, hop_s=hop)
    fade_in, fade_out = fade_lengths(song.duration)
    first, last = fade_in + WINDOW_S / 2, song.duration - fade_out - WINDOW_S / 2
    times = song.path.times[(song.path.times >= first) & (song.path.times <= last)]
    index = np.round((times - WINDOW_S / 2) / hop).astype(int)
    dips = [
        min(level[a], level[b]) - level[a : b + 1].min() for a, b in pairwise(index)
    ]
    return np.array(dips, np.float64)


def nearest_db(songs: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Distance of each song's sections from the nearest other song, dB, shape (n,).

    For each section the nearest one of the other song is looked for; their distances
    are averaged both ways.
    """
    smooth = [smoothed(sections).astype(np.float64) for sections in songs]
    apart = np.full((len(songs), len(songs)), np.inf)
    for i, one in enumerate(smooth):
        for j, other in enumerate(smooth[:i]):
            table = np.abs(one[:, None] - other[None]).mean(axis=2)
            both = (table.min(axis=0).mean() + table.min(axis=1).mean()) / 2.0
            apart[i, j] = apart[j, i] = AXIS.range_db * both
    return np.asarray(apart.min(axis=1))


def audio_features(heard: Heard, model: TimbreModel) -> dict[str, float]:
    """Every ranking criterion, read from a song's audio.

    Weirdness is where the model's encoder hears the clips. Volume is the song's
    loudness with the gain taken back that brought it to its target. Motion is the mean
    distance in dB between the spectra of its sections.
    """
    inner = heard.sections[1:-1] if len(heard.sections) > 4 else heard.sections
    z, _ = model.encode(inner)
    values = {
        name: float(value.mean())
        for name, value in measure(inner, z, model.axis).items()
    }
    asked = TARGET_LUFS + heard.song.levels
    gain_db = float(np.median(asked - heard.song.loudness))
    values["volume"] = integrated_lufs(heard.samples, RATE) - gain_db
    values["motion"] = motion_db(heard.sections, model)
    assert values.keys() == CRITERIA.keys()
    return values


def radio_spectra(
    model: TimbreModel, controls: Snapshot, seed: int, n_songs: int
) -> NDArray[np.float64]:
    """Coarse spectra of the sounds of a radio's songs, as composed and tuned.

    Returns:
        Shape (n_songs, 5, 64), dB.
    """
    songs = [
        compose(
            model,
            grammars.load("seed"),
            controls,
            seed=seed,
            index=index,
            duration=300.0,
            is_endless=True,
        )
        for index in range(n_songs)
    ]
    return np.stack([coarse_spectra(tuned_sounds(model, song), AXIS) for song in songs])


def tuned_sounds(model: TimbreModel, song: ComposedSong) -> NDArray[np.float64]:
    """Band powers of A..E in key and chords, shape (5, n_bands)."""
    power = model.axis.to_power(model.decode(song.points))
    shares = np.eye(len(power))
    return np.stack(
        [
            dissolved(shift_bands(sound, float(shift)), *song.chords(share))
            for sound, shift, share in zip(
                power, song.transpositions.shifts, shares, strict=True
            )
        ]
    )


def songs_apart_db(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance of the sounds of each two songs, dB, shape (n, n).

    Args:
        spectra: coarse ones of the songs' sounds, shape (n, 5, 64).
    """
    return np.stack(
        [
            apart_db(song[:, None], spectra[:, None]).mean(axis=(1, 2))
            for song in spectra
        ]
    )


def face_db(heard: Heard) -> float:
    """Mean distance of the sounds of a song, as its sections sound, in dB.

    Sections of one symbol are averaged; those within the fades do not count.
    """
    fade_in, fade_out = fade_lengths(heard.song.duration)
    times = heard.song.path.times
    whole = (times > fade_in) & (times < heard.song.duration - fade_out)
    symbols = np.array(list(heard.song.path.pattern))
    power = AXIS.to_power(heard.sections)
    sounds = [
        power[whole & (symbols == symbol)].mean(axis=0)
        for symbol in sorted(set(symbols[whole]))
    ]
    return float(mean_apart_db(coarse_spectra(np.stack(sounds), AXIS)))


def motion_db(sections: NDArray[np.float32], model: TimbreModel) -> float:
    """Mean distance between timbres, in dB over tenths of an octave."""
    return float(np.mean(distances_db(sections, model)))


def distances_db(
    timbres: NDArray[np.float32], model: TimbreModel
) -> NDArray[np.float64]:
    """Distances of all pairs of timbres, in dB over tenths of an octave, shape (m,)."""
    smooth = smoothed(timbres).astype(np.float64)
    low, high = np.triu_indices(len(smooth), 1)
    apart = np.abs(smooth[low] - smooth[high]).mean(axis=1)
    return np.asarray(model.axis.range_db * apart)


def planned_roughness(
    model: TimbreModel, seed: int, controls: Mapping[str, object]
) -> float:
    """Roughness of a song's joins as it is composed, both sounds equally loud."""
    schedule = SongSchedule(
        model,
        grammars.load("seed"),
        snapshot_of(controls),
        seed=seed,
        duration=240.0,
    )
    song = schedule.song(schedule.at(0.0)[-1])
    line = song.points.astype(np.float64)
    sounds = decode(model, song, line, np.zeros(line.shape))
    tuned = sounds.noise + sounds.tonal
    order = [SYMBOLS.index(symbol) for symbol in song.path.pattern]
    joins = [(a, b) for a, b in pairwise(order) if a != b]
    return join_roughness(tuned, joins, model.axis)


def join_roughness(
    power: NDArray[np.float64], joins: list[tuple[int, int]], axis: Axis
) -> float:
    """Mean sensory roughness of pairs of sounds that sound together."""
    together = np.stack([power[a] + power[b] for a, b in joins])
    timbres = axis.from_power(together / together.max(axis=1, keepdims=True))
    nowhere = np.zeros((len(timbres), 1), np.float32)
    return float(dissonance(Sounds(timbres, nowhere, axis)).mean())
