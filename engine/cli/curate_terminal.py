"""Curation in the terminal: one key, one decision."""

import threading
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from effects.audio.sound_reader import read_sound
from effects.base.errors import LatentError
from engine.cli.keys import Keys, keys
from engine.cli.screen import clock, printable
from engine.curation.loop_player import LoopPlayer
from engine.curation.loops import Loops, as_stereo
from model.corpus.curation.curation import REASONS, Curation

HELP = "right keep  left reject  1-6 reject and say why  u undo  w whole song  q quit"
AHEAD = 3  # clips that are read before their turn
LONGEST_SONG_S = 1_200.0
NOTICE_S = 0.2  # between looks at whether the latents are there


def curate_in_terminal(folder: Path, device: str | None = None) -> None:
    """Go through the clips of a corpus, key by key, until `q` or the input's end."""
    curation = Curation(folder)
    player = _player(device)
    click.echo(HELP)
    click.echo("why: " + "  ".join(f"{k} {name}" for k, name in enumerate(REASONS, 1)))
    with keys() as hit:
        view = _TerminalCuration(curation, player)
        try:
            view.run(hit)
        finally:
            view.close()
    counts = curation.counts()
    click.echo(f"{counts.kept} kept, {counts.rejected} rejected, {counts.open} open")


def _player(device: str | None) -> LoopPlayer | None:
    try:
        return LoopPlayer(device)
    except LatentError as error:
        click.echo(f"latent: {error}; clips are shown and not heard", err=True)
        return None


class _TerminalCuration:
    """Curation under way: the clip that it has come to, and what each key does."""

    def __init__(self, curation: Curation, player: LoopPlayer | None) -> None:
        self.curation, self.player = curation, player
        self._loops = Loops(curation.audio, player.sample_rate) if player else None
        self._clip: int | None = None
        self._whole = False
        self._latents = _Latents(curation)

    def run(self, keys: Keys) -> None:
        self._show()
        while (key := keys.next(None if self._latents.is_done else NOTICE_S)) != "q":
            if (found := self._latents.take()) is not None:
                self.curation.learn_latents(found)
            if key and self._clip is None and key != "u":
                continue
            try:
                self._act(key)
            except LatentError as error:
                click.echo(f"latent: {error}", err=True)

    def close(self) -> None:
        self._latents.stop()
        if self._loops is not None:
            self._loops.close()
        if self.player is not None:
            self.player.close()

    def _act(self, key: str) -> None:
        clip = self._clip
        if key == "u":
            self._undo()
        elif clip is None:
            return
        elif key == ".":
            self.curation.keep(clip)
            self._show()
        elif key == ",":
            self.curation.reject(clip)
            self._show()
        elif key.isdecimal() and 1 <= int(key) <= len(REASONS):
            self.curation.reject(clip, REASONS[int(key) - 1])
            self._show()
        elif key == "w":
            self._play_song(clip)
        elif key == " ":
            self._pause(clip)
        elif key == "?":
            click.echo(HELP)

    def _undo(self) -> None:
        if self.curation.undo() is None:
            click.echo("nothing to undo")
        else:
            self._show()

    def _play_song(self, clip: int) -> None:
        if self.player is None:
            return
        self._whole = not self._whole
        if not self._whole:
            self._play(clip)
            return
        samples, _ = read_sound(
            self.curation.song(clip),
            sample_rate=self.player.sample_rate,
            max_seconds=LONGEST_SONG_S,
        )
        self.player.play(as_stereo(samples))

    def _pause(self, clip: int) -> None:
        if self.player is not None and self.player.is_playing:
            self.player.stop()
        else:
            self._play(clip)

    def _show(self) -> None:
        """Show the next clip and let it be heard."""
        upcoming = self.curation.upcoming(1 + AHEAD)
        self._clip, self._whole = (upcoming[0] if upcoming else None), False
        if self._clip is None:
            if self.player is not None:
                self.player.stop()
            click.echo("every clip is decided; u takes the last decision back")
            return
        if self._loops is not None:
            self._loops.prepare(upcoming)
        self._play(self._clip)
        click.echo(line_of(self.curation, self._clip))

    def _play(self, clip: int) -> None:
        if self.player is None or self._loops is None:
            return
        try:
            self.player.play(self._loops.loop(clip))
        except LatentError as error:
            self.player.stop()
            click.echo(f"latent: {error}", err=True)


class _Latents:
    """Encodes all clips in a thread, while the first ones are judged."""

    def __init__(self, curation: Curation) -> None:
        self._curation = curation
        self._found: NDArray[np.float32] | None = None
        self._taken = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._encode, name="latents", daemon=True
        )
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether nothing is to be expected any more."""
        return self._taken or not (self._thread.is_alive() or self._found is not None)

    def take(self) -> NDArray[np.float32] | None:
        """The latents, once, when they are there."""
        if self._taken or self._found is None:
            return None
        self._taken = True
        return self._found

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _encode(self) -> None:
        from model.corpus.curation.latents import latents_of
        from model.inference import TimbreModel

        self._found = latents_of(
            self._curation.corpus,
            TimbreModel.load(),
            lambda: not self._stopped.is_set(),
        )


def line_of(curation: Curation, clip: int) -> str:
    """What a terminal shows of a clip, and how far curation has come."""
    row, counts = curation.row(clip), curation.counts()
    parts = [
        f"[{counts.kept + counts.rejected + 1}/{counts.clips}]",
        printable(str(row.get("title") or row.get("song") or row.get("group", clip))),
        *([f"by {printable(str(row['artist']))}"] if row.get("artist") else []),
        *([f"at {clock(start)}"] if (start := _number(row.get("start_s"))) else []),
    ]
    if chance := curation.chance(clip):
        parts.append(f"bad: {chance:.0%}")
    parts.append(f"  {counts.rejected} rejected")
    if counts.a_minute:
        parts.append(f"{counts.a_minute:.0f} a minute")
    return "  ".join(parts)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
