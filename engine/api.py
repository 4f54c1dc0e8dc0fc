"""Latent in notebooks: compose, render to an array, play.

>>> from engine import api as latent
>>> song = latent.compose(seed=7, minutes=1, preset="dark")
>>> x = song.render()  # (n, 2) float32, or song.play()
"""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_writer import check_output
from effects.base.errors import InputError
from engine import graph as graphs
from engine.compose import preset as presets
from engine.compose.likeness import hear
from engine.compose.preset import DEFAULT_PRESET
from engine.control.controls import snapshot_of
from engine.graph import RENDER_RATE, Settings
from engine.offline.render import render as render_graph
from engine.offline.render import render_to_file
from engine.offline.song_card import SongCard, card_of, settings_from_card
from engine.offline.song_card_file import read_card
from model.inference import TimbreModel

SHORTEST_MINUTES = 0.05


@dataclass(frozen=True)
class Song:
    """A song that can be rendered, saved and played, any number of times.

    Attributes:
        settings: that decide every sample.
    """

    settings: Settings

    @cached_property
    def card(self) -> SongCard:
        """The song card, from which the same samples can be rendered again."""
        return card_of(self.settings, graphs.build(self.settings))

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return self.settings.preset

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.settings.sample_rate

    @property
    def pattern(self) -> str:
        """Order of the five sounds, such as `ABABABECCDDE`."""
        return self.card.pattern

    def render(self) -> Samples:
        """Render the whole song, float32 of shape (n_samples, 2)."""
        graph = graphs.build(self.settings)
        total = graph.music.n_samples
        assert total is not None
        samples = np.empty((total, 2), np.float32)
        done = 0

        def keep(block: Samples) -> None:
            nonlocal done
            samples[done : done + len(block)] = block
            done += len(block)

        render_graph(graph, keep)
        return samples

    def save(self, path: str | Path) -> Path:
        """Render into a file in the format of its ending, with the card in its comment.

        Raises:
            InputError: the path cannot be written.
            RunError: writing failed on the way.
        """
        path = Path(path)
        check_output(path, self.sample_rate)
        tags = {"title": self.card.title, "comment": self.card.text()}
        render_to_file(graphs.build(self.settings), path, tags)
        return path

    def play(self, device: str | None = None, *, wait: bool = True) -> "Playback":
        """Play the song on a device, the default one unless it is named.

        Args:
            device: number or name.
            wait: return when it has ended, not at once.

        Returns:
            The playing song, which can be stopped.

        Raises:
            RunError: there is no device.
        """
        playing = Playback(self.settings, device)
        if wait:
            playing.wait()
        return playing


class Playback:
    """A song that plays in a thread of its own."""

    def __init__(self, settings: Settings, device: str | None) -> None:
        from engine.live.device_watch import DeviceChoice
        from engine.live.session import Session

        graph = graphs.build(settings)
        self._session = Session(graph, DeviceChoice(device), lambda line: None)
        self._session.start()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="song")
        self._thread.start()

    @property
    def is_playing(self) -> bool:
        """Whether it still sounds."""
        return self._thread.is_alive()

    @property
    def seconds(self) -> float:
        """Seconds played so far."""
        return self._session.seconds

    def stop(self) -> None:
        """Fade out and end."""
        self._session.stop()
        self.wait()

    def wait(self) -> None:
        """Return when the song has ended; an interrupt ends it.

        Raises:
            LatentError: it could not be played.
        """
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self._session.stop()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._session.run()
        except BaseException as error:  # raised again by `wait`
            self._error = error


def compose(
    seed: int | None = None,
    minutes: float = 4.0,
    preset: str = DEFAULT_PRESET,
    *,
    controls: Mapping[str, Any] | None = None,
    grammar: str | None = None,
    model: str | Path | None = None,
    effects: bool = True,
    sample_rate: int = RENDER_RATE,
    like: str | Path | None = None,
) -> Song:
    """Compose a song; nothing is rendered yet.

    Args:
        seed: of everything random; a new one by default.
        minutes: length.
        preset: name or TOML file.
        controls: values in place of the preset's, such as {"tuning/key": "G"}.
        grammar: name, file, or rules as text; by default that of the preset.
        model: folder, or None for the bundled one.
        effects: whether there is a bed of nature sounds.
        sample_rate: Hz.
        like: sound file that the song is to start from.

    Raises:
        InputError: a sound, a preset, control or length that cannot be used.
    """
    if not SHORTEST_MINUTES <= minutes <= 24 * 60.0:
        raise InputError(f"minutes {minutes:g}: choose from {SHORTEST_MINUTES} to 1440")
    chosen = presets.load(preset)
    folder = None if model is None else Path(model)
    settings = Settings(
        seed=secrets.randbelow(2**31) if seed is None else int(seed),
        sample_rate=sample_rate,
        duration=60.0 * minutes,
        controls=snapshot_of({**chosen.controls, **(controls or {})}),
        model=folder,
        grammar=grammar or chosen.grammar,
        effects=chosen.effects if effects else None,
        like="" if like is None else hear(TimbreModel.load(folder), Path(like)),
        preset=chosen.name,
    )
    return Song(settings)


def from_card(path: str | Path, model: str | Path | None = None) -> Song:
    """Return the song of a card, or of an audio file that holds one.

    Raises:
        InputError: no card, or one that needs another model.
    """
    card = read_card(Path(path))
    folder = None if model is None else Path(model)
    return Song(settings_from_card(card, folder))


def render(song: Song) -> Samples:
    """Render a whole song, float32 of shape (n_samples, 2)."""
    return song.render()


def play(song: Song, device: str | None = None, *, wait: bool = True) -> Playback:
    """Play a song; see `Song.play`."""
    return song.play(device, wait=wait)
