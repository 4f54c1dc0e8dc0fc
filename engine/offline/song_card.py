"""Song cards: what a song is rendered from again, in under 1 kB of text.

A card is JSON under a first line for people, as it stands in a file's comment tag and
beside the file. It names the model by its hash, so that a card never gives another
song under the same name: it gives the same samples, or says what is missing.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from effects.audio.sound_formats import is_sound
from effects.base.errors import InputError, RunError
from engine.compose import grammar as grammars
from engine.compose.grammar import Grammar
from engine.control.controls import Value, defaults, snapshot_of
from engine.graph import Graph, Settings
from engine.version import VERSION
from model.inference import TimbreModel

FORMAT_VERSION = 1
SUFFIX = ".card"
MAX_TEXT = 1000  # bytes of a card as it is written
MAX_FILE = 64 * 1024  # bytes of a file that is read as one


@dataclass(frozen=True)
class Card:
    """What decides every sample of a song, and two facts for people.

    Attributes:
        seed: of everything random.
        seconds: length of the file; kept exactly.
        sample_rate: Hz.
        model: sha256 of the model folder.
        model_name: what the model calls itself.
        preset: name, for people: its values are among the controls.
        controls: those that are not at their default.
        grammar: a bundled grammar's name, the rules of another, or the digest of one
            that is too long to stand here, as `sha256:...`.
        effects: names to choose from; None for no bed; a text `sha256:...` for a
            shelf too long to stand here.
        pattern: of the first song.
        key: tonic and scale.
        like: point that the sounds lie near, or nothing.
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
    pattern: str = ""
    key: str = ""
    like: str = ""
    format: int = FORMAT_VERSION
    latent: str = VERSION

    def text(self) -> str:
        """The card as it is written: under 1 kB, one field a line."""
        fields: dict[str, object] = {
            "card": self.format,
            "latent": self.latent,
            "seed": self.seed,
            "seconds": self.seconds,
            "sample_rate": self.sample_rate,
            "model": self.model,
            "model_name": self.model_name[:60],
            "preset": self.preset[:60],
            "controls": dict(self.controls),
            "grammar": self.grammar,
            "effects": self.effects,
            "pattern": self.pattern,
            "key": self.key,
        }
        if self.like:
            fields["like"] = self.like
        shorter: dict[str, object] = {"pattern": self.pattern[:64]}
        if isinstance(self.effects, tuple):
            shorter["effects"] = _digest("\n".join(self.effects))
        if not isinstance(self.grammar, str):
            shorter["grammar"] = _digest(_rules_text(self.grammar))
        written = _written(self.seed, fields)
        for name, value in shorter.items():
            if len(written.encode()) > MAX_TEXT:
                fields[name] = value
                written = _written(self.seed, fields)
        return written


def card_of(settings: Settings, graph: Graph, preset: str = "") -> Card:
    """The card of a song that these settings give.

    Args:
        settings: with a duration.
        graph: built from them, not yet turned.
        preset: name that the controls came from.

    Raises:
        ValueError: the settings have no end.
    """
    if settings.duration is None:
        raise ValueError("only a stream with an end has a card")
    controls = snapshot_of(settings.controls or {})
    usual = defaults()
    grammar: str | dict[str, tuple[str, ...]] = settings.grammar
    if settings.grammar not in grammars.bundled_names():
        grammar = dict(grammars.load(settings.grammar).rules)
    return Card(
        seed=settings.seed,
        seconds=settings.duration,
        sample_rate=settings.sample_rate,
        model=graph.model.hash,
        model_name=graph.model.name,
        preset=Path(preset).stem,
        controls={k: v for k, v in controls.items() if v != usual[k]},
        grammar=grammar,
        effects=None if graph.bed is None else graph.bed.names,
        pattern=graph.music.now(0).pattern,
        key=f"{controls['tuning/key']} {controls['tuning/scale']}",
        like=settings.like,
    )


def settings_from_card(
    card: Card, model: Path | None = None, grammar: str | None = None
) -> Settings:
    """The settings that give the card's song again.

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
    )


def read(path: Path) -> Card:
    """The card in a .card file, or in the comment of an audio file.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if is_sound(path):
        return parse(_comment(path), str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE:
        raise InputError(f"{path}: over {MAX_FILE} bytes; is it a card?")
    return parse(content.decode("utf-8-sig", "replace"), str(path))


def write_beside(card: Card, audio: Path) -> Path:
    """Write the card beside its audio file, and return where.

    Raises:
        RunError: it could not be written.
    """
    path = audio.with_suffix(SUFFIX)
    part = path.with_name(f".latent-{os.getpid()}-{path.name}")
    try:
        part.write_text(card.text(), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def parse(text: str, where: str = "card") -> Card:
    """The card that a text holds, whatever stands around it.

    Raises:
        InputError: no card, one of a later format, or a field that does not fit.
    """
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        raise InputError(f"{where}: holds no song card")
    try:
        fields = json.loads(text[begin : end + 1], strict=False)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: the song card is damaged") from None
    if not isinstance(fields, dict) or "card" not in fields:
        raise InputError(f"{where}: holds no song card")
    if fields["card"] != FORMAT_VERSION:
        raise InputError(
            f"{where}: a card of format {fields['card']!r:.20}; this version of "
            f"latent reads {FORMAT_VERSION}"
        )
    return _card(fields, where)


def _card(fields: Mapping[str, Any], where: str) -> Card:
    try:
        controls = snapshot_of(fields.get("controls", {}))
        named = {name: controls[name] for name in fields.get("controls", {})}
        card = Card(
            seed=_whole(fields["seed"], 0, 2**31 - 1),
            seconds=float(fields["seconds"]),
            sample_rate=_whole(fields["sample_rate"], 22_050, 192_000),
            model=str(fields["model"]),
            model_name=str(fields.get("model_name", "")),
            preset=str(fields.get("preset", "")),
            controls=named,
            grammar=_rules(fields.get("grammar", "seed")),
            effects=_names(fields.get("effects", [])),
            pattern=str(fields.get("pattern", "")),
            key=str(fields.get("key", "")),
            like=str(fields.get("like", "")),
            latent=str(fields.get("latent", "")),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except KeyError as error:
        raise InputError(f"{where}: the card lacks {error.args[0]}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{where}: the card is damaged ({error})") from None
    if not 3.0 <= card.seconds <= 86_400.0:
        raise InputError(f"{where}: a song of {card.seconds:g} s is not rendered")
    return card


def _whole(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r:.20} is not a whole number")
    if not low <= value <= high:
        raise ValueError(f"{value} is not in {low}..{high}")
    return value


def _names(value: object) -> tuple[str, ...] | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError("effects are not a list of names")


def _rules(value: object) -> str | dict[str, tuple[str, ...]]:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise ValueError("the grammar is neither a name nor rules")
    rules = {symbol: tuple(map(str, right)) for symbol, right in value.items()}
    grammars.parse(_rules_text(rules), "grammar of the card")
    return rules


def _grammar(wanted: str | Mapping[str, tuple[str, ...]], given: str | None) -> str:
    if not isinstance(wanted, str):
        return _rules_text(wanted)
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
    digest = _digest(_rules_text(found.rules))
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


def _rules_text(rules: Mapping[str, tuple[str, ...]]) -> str:
    """Rules in the notation of grammar files."""
    return "".join(f"{s} => {right}\n" for s in rules for right in rules[s])


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _written(seed: int, fields: Mapping[str, object]) -> str:
    lines = ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in fields.items())
    return f"latent seed {seed}\n{{{lines}}}\n"


def _comment(path: Path) -> str:
    import soundfile as sf

    try:
        with sf.SoundFile(path) as file:
            return str(file.copy_metadata().get("comment", ""))
    except (sf.LibsndfileError, OSError) as error:
        raise InputError(f"{path}: cannot be read as audio") from error
