"""Review in the terminal: one key, one decision."""

from pathlib import Path

import click

from effects.base.errors import LatentError
from engine.album.listen import Auditioner
from engine.album.review import Review
from engine.cli.keys import Keys, keys

HELP = "p play  k keep  c cut  n name  u undo  arrows (or , .) move  q quit"


def review_in_terminal(folder: Path, device: str | None = None) -> None:
    """Go through the songs of an album, key by key, until `q` or the input's end."""
    review = _TerminalReview(Review(folder), Auditioner(device))
    click.echo(HELP)
    with keys() as hit:
        try:
            review.run(hit)
        finally:
            review.listener.close()
    kept, cut, open_ = review.review.counts()
    click.echo(f"{kept} kept, {cut} cut, {open_} not decided")


class _TerminalReview:
    """A review under way: the song that it has come to, and what each key does."""

    def __init__(self, review: Review, listener: Auditioner) -> None:
        self.review, self.listener = review, listener
        undecided = [review.verdict(s.number).kept is None for s in review.songs]
        self._place = undecided.index(True) if any(undecided) else 0

    def run(self, keys: Keys) -> None:
        if not self.review.songs:
            return
        self._show()
        while (key := keys.next()) != "q":
            try:
                self._act(key, keys)
            except LatentError as error:
                click.echo(f"latent: {error}", err=True)

    def _act(self, key: str, keys: Keys) -> None:
        number = self.review.songs[self._place].number
        if key == "p":
            self._play()
        elif key in ("k", "c"):
            (self.review.keep if key == "k" else self.review.cut)(number)
            click.echo(f"{number:03d} {'kept' if key == 'k' else 'cut'}")
            self._move(1)
        elif key == "n":
            click.echo("name: ", nl=False)
            if name := keys.line():
                self.review.name(number, name)
            self._show()
        elif key == "u":
            self._undo()
        elif key in (",", "."):
            self._move(1 if key == "." else -1)
        elif key == "?":
            click.echo(HELP)

    def _undo(self) -> None:
        undone = self.review.undo()
        if undone is None:
            click.echo("nothing to undo")
            return
        numbers = [song.number for song in self.review.songs]
        was_playing = self.listener.is_playing
        self._place = numbers.index(undone)
        click.echo(f"{undone:03d} undone")
        self._show()
        if was_playing:
            self.listener.play(self._path)

    def _move(self, by: int) -> None:
        place = min(max(self._place + by, 0), len(self.review.songs) - 1)
        was_playing, moved = self.listener.is_playing, place != self._place
        self._place = place
        self._show()
        if moved and was_playing:  # playback follows the selection
            self.listener.play(self._path)

    def _play(self) -> None:
        if self.listener.is_playing:
            self.listener.stop()
        else:
            self.listener.play(self._path)

    @property
    def _path(self) -> Path:
        return self.review.folder / self.review.songs[self._place].file

    def _show(self) -> None:
        song = self.review.songs[self._place]
        verdict = self.review.verdict(song.number)
        state = {True: "kept", False: "cut", None: "-"}[verdict.kept]
        if song.is_aside:
            state += f" (set aside: {'; '.join(song.reasons)})"
        named = f"  {verdict.name!r}" if verdict.name else ""
        click.echo(
            f"[{self._place + 1}/{len(self.review.songs)}] {song.number:03d}  "
            f"{song.preset}  {song.key}  {song.pattern}  "
            f"{song.measures.lufs:.1f} LUFS  {state}{named}"
        )
