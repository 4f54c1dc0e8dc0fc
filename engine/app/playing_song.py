"""The song that plays: its card, and what its listener thinks of it."""

from dataclasses import replace

from engine.control.callbacks import OnEvent
from engine.control.controls import Snapshot
from engine.graph import Graph
from engine.offline.song_card import SongCard, card_of_song
from engine.sound.music import Now


class PlayingSong:
    """Cards and verdicts of a session's songs.

    Args:
        graph: that is played.
        on_event: takes rows for the journal.
    """

    def __init__(self, graph: Graph, on_event: OnEvent) -> None:
        self._graph, self._on_event = graph, on_event
        self._verdicts: dict[int, bool] = {}
        self._made: tuple[object, ...] = ()  # what `_line` was made from
        self._line = ""

    def card(self, now: Now) -> SongCard:
        """The card of the song: with the controls in force, from its beginning."""
        settings = replace(self._graph.settings, like=now.like)
        controls: Snapshot = self._graph.controls.snapshot
        return card_of_song(self._graph, settings, controls, now)

    def card_line(self, now: Now) -> str:
        """The card as one line, made again when something of it has changed."""
        snapshot = self._graph.controls.snapshot
        made = (now.index, now.length, now.like, snapshot)
        if self._made[:3] != made[:3] or self._made[3] is not snapshot:
            self._made, self._line = made, self.card(now).line()
        return self._line

    def judge(self, now: Now, at: int, *, liked: bool) -> None:
        """Keep in the journal, with the song's card, whether it is liked.

        Args:
            now: the song.
            at: sample of the session.
            liked: or not.
        """
        self._verdicts[now.index] = liked
        verdict = {"song": now.index, "liked": liked, "card": self.card_line(now)}
        self._on_event({"at": at, "judged": verdict})

    def verdict(self, now: Now) -> int:
        """1 for a song that is liked, -1 for one that is not, 0 without a verdict."""
        liked = self._verdicts.get(now.index)
        return 0 if liked is None else 1 if liked else -1
