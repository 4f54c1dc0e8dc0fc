"""Song cards: what a song is rendered from again, in under 1 kB of text.

A song card is JSON under a first line for people. It stands in the comment tag of a
sound file and in a `.card` file beside it. It names the model by its hash, so it gives
the same samples again or says what is missing, and never another song.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from effects.base.errors import InputError
from engine.compose import grammar as grammars
from engine.compose.grammar import Grammar
from engine.control.controls import CONTROLS, Snapshot, Value, defaults, snapshot_of
from engine.graph import Graph, Settings
from engine.sound.music import Now
from engine.version import VERSION
from model.inference import TimbreModel

FORMAT = 2  # since version 0.2.0
LEAST_S = 3.0  # of a card's song
MAX_TEXT = 1000  # bytes of a card as it is written


@dataclass(frozen=True)
class SongCard:
    """What decides every sample of a song, and some facts for people.

    Attributes:
        seed: of everything random.
        seconds: length of the file; kept exactly.
        sample_rate: Hz.
        model: sha256 of the model folder.
        model_name: what the model calls itself.
        preset: name, on which patterns depend; its values are among the controls.
        controls: those that are not at their default.
        grammar: a bundled grammar's name, the rules of another, or the digest of one
            that is too long to stand here, as `sha256:...`.
        effects: names to choose from; None for no bed; a text `sha256:...` in place
            of more names than fit.
        title: of the first song.
        pattern: of the first song.
        key: tonic and scale.
        like: point that the sounds lie near, or nothing.
        song: number, from 0, of the song of a radio that it is alone; None for a
            programme from the first song on.
        format: of the card.
        latent: version that wrote it.
    """

    seed: int
    seconds: float
    sample_rate: int
    model: str
    model_name: str = ""
    preset: str = ""
    controls: Mapping[str, Value] = field(default_factory=dict)
    grammar: str | Mapping[str, tuple[str, ...]] = "seed"
    effects: tuple[str, ...] | str | None = ()
    title: str = ""
    pattern: str = ""
    key: str = ""
    like: str = ""
    song: int | None = None
    format: int = FORMAT
    latent: str = VERSION

    def text(self) -> str:
        """The song card as it is written: under 1 kB, one field a line."""
        fields: dict[str, object] = {
            "card": self.format,
            "latent": self.latent,
            "seed": self.seed,
            "seconds": self.seconds,
            "sample_rate": self.sample_rate,
            "model": self.model,
            "model_name": self.model_name[:60],
            "preset": self.preset,
            "controls": dict(self.controls),
            "grammar": self.grammar,
            "effects": self.effects,
            "title": self.title,
            "pattern": self.pattern,
            "key": self.key,
        }
        if self.like:
            fields["like"] = self.like
        if self.song is not None:
            fields["song"] = self.song
        shorter: dict[str, object] = {"pattern": self.pattern[:64]}
        if isinstance(self.effects, tuple):
            shorter["effects"] = _digest("\n".join(self.effects))
        if not isinstance(self.grammar, str):
            shorter["grammar"] = _digest(rules_text(self.grammar))
        written = _written(self.seed, fields)
        for name, value in shorter.items():
            if len(written.encode()) > MAX_TEXT:
                fields[name] = value
                written = _written(self.seed, fields)
        return written

    def line(self) -> str:
        """The song card as one line, for links and messages."""
        return " ".join(self.text().splitlines()[1:])


def card_of_song(
    graph: Graph, settings: Settings, controls: Snapshot, now: Now
) -> SongCard:
    """The card of one song of a session, alone, from its beginning to its end.

    It is the song as these controls make it; the session may have had others earlier.

    Args:
        graph: that is played.
        settings: of the session, with the point that the song's sounds lie near.
        controls: in force.
        now: the song.
    """
    # One song, whatever length the session now asks of its songs.
    length = CONTROLS["song/minutes"].check(now.length / 60.0)
    of_song = {**controls, "song/minutes": length, "hold": False}
    is_radio = settings.duration is None or settings.song is not None
    song = now.index if is_radio else None
    return _card(graph, settings, of_song, now, max(LEAST_S, now.length), song)


def card_of(settings: Settings, graph: Graph) -> SongCard:
    """The song card of what these settings give.

    Args:
        settings: with a duration.
        graph: built from them, nothing of it rendered yet.

    Raises:
        ValueError: the settings have no end.
    """
    if settings.duration is None:
        raise ValueError("only a stream with an end has a card")
    controls = snapshot_of(settings.controls or {})
    first = graph.music.now(0)
    return _card(graph, settings, controls, first, settings.duration, settings.song)


def _card(
    graph: Graph,
    settings: Settings,
    controls: Snapshot,
    now: Now,
    seconds: float,
    song: int | None,
) -> SongCard:
    usual = defaults()
    return SongCard(
        seed=settings.seed,
        seconds=seconds,
        sample_rate=settings.sample_rate,
        model=graph.model.hash,
        model_name=graph.model.name,
        preset=settings.preset,
        controls={k: v for k, v in controls.items() if v != usual[k]},
        grammar=_grammar_of(settings),
        effects=None if graph.bed is None else graph.bed.names,
        title=now.title,
        pattern=now.pattern,
        key=f"{controls['tuning/key']} {controls['tuning/scale']}",
        like=settings.like,
        song=song,
    )


def settings_from_card(
    card: SongCard, model: Path | None = None, grammar: str | None = None
) -> Settings:
    """The settings that give a card's song again.

    Args:
        card: of the song.
        model: folder, where it is not the bundled model.
        grammar: file, where the card holds only its digest.

    Raises:
        InputError: the model or the grammar is another than the card's.
    """
    found = TimbreModel.load(model)
    if found.hash != card.model:
        called = f" ({card.model_name})" if card.model_name else ""
        raise InputError(
            f"the card needs model {card.model[:12]}{called}, but "
            f"{model or 'the bundled one'} is {found.hash[:12]}; "
            "name the folder of the right one with --model"
        )
    effects = card.effects
    if isinstance(effects, str):
        effects = _whole_shelf(effects)
    return Settings(
        seed=card.seed,
        sample_rate=card.sample_rate,
        duration=card.seconds,
        controls=snapshot_of(card.controls),
        model=model,
        grammar=_grammar(card.grammar, grammar),
        effects=effects,
        like=card.like,
        preset=card.preset,
        song=card.song,
    )


def _grammar_of(settings: Settings) -> str | dict[str, tuple[str, ...]]:
    """A bundled grammar's name, or the rules of another."""
    if settings.grammar in grammars.bundled_names():
        return settings.grammar
    return dict(grammars.load(settings.grammar).rules)


def _grammar(wanted: str | Mapping[str, tuple[str, ...]], given: str | None) -> str:
    if not isinstance(wanted, str):
        return rules_text(wanted)
    if not wanted.startswith("sha256:"):
        if wanted not in grammars.bundled_names():
            raise InputError(f"the card needs grammar {wanted!r:.40}, which is unknown")
        return wanted
    if given is None:
        raise InputError(
            f"the card needs a grammar of its own ({wanted[:19]}); name its file "
            "with --grammar"
        )
    found: Grammar = grammars.load(given)
    digest = _digest(rules_text(found.rules))
    if digest != wanted:
        raise InputError(
            f"{given}: the card needs grammar {wanted[:19]}, but this is {digest[:19]}"
        )
    return given


def _whole_shelf(wanted: str) -> tuple[str, ...]:
    from effects.shelf.library import Library

    names = tuple(Library().names())
    if _digest("\n".join(names)) != wanted:
        raise InputError(
            "the card chose among all effects of a shelf that is not this one; "
            "'latent effects list' shows what is here"
        )
    return names


def rules_text(rules: Mapping[str, tuple[str, ...]]) -> str:
    """Rules of a grammar in the notation of grammar files, one a line."""
    return "".join(f"{s} => {right}\n" for s in rules for right in rules[s])


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _written(seed: int, fields: Mapping[str, object]) -> str:
    lines = ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in fields.items())
    return f"latent seed {seed}\n{{{lines}}}\n"
