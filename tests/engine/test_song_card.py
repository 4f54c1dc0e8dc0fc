"""A card gives the same samples again, or says what is missing."""

import dataclasses
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from effects.audio.levels import Samples
from effects.audio.sound_formats import WRITTEN
from effects.audio.sound_writer import write_sound
from effects.base.errors import InputError
from engine.control.controls import snapshot_of
from engine.graph import Graph, Settings, build
from engine.offline.render import render
from engine.offline.song_card import MAX_TEXT, card_of, settings_from_card
from engine.offline.song_card_file import parse_card, read_card, write_beside
from tests.support.command import latent

OWN_GRAMMAR = "S => XYX\nX => ABAB\nX => AAB\nY => CDE\n"


def song(**changes: object) -> tuple[Settings, Graph]:
    controls = snapshot_of({"tuning/key": "G", "wiggle/amount": 0.1 + 0.2})
    settings = Settings(seed=5, duration=4.0, controls=controls, effects=None)
    settings = dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
    return settings, build(settings)


def rendered(graph: Graph) -> Samples:
    blocks: list[Samples] = []
    render(graph, lambda block: blocks.append(block.copy()))
    return np.concatenate(blocks)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_text_and_back_is_the_same_card() -> None:
    settings, graph = song()
    card = card_of(dataclasses.replace(settings, preset="dark"), graph)
    assert card.preset == "dark"
    assert parse_card(card.text()) == card
    assert len(card.text().encode()) < 1024
    assert card.key == "G dorian"
    assert set(card.pattern) <= set("ABCDE")
    assert card.controls == {"tuning/key": "G", "wiggle/amount": 0.1 + 0.2}


def test_a_card_survives_what_tags_do_to_it() -> None:
    card = card_of(*song())
    text = card.text()
    assert parse_card("\ufeff" + text) == card
    assert parse_card(text.replace("\n", "\r\n")) == card
    assert parse_card(text.replace("\n", " ")) == card
    assert parse_card("ripped by somebody\n" + text + "\nthe end") == card


def test_the_card_gives_the_same_samples() -> None:
    settings, graph = song(duration=4.1)
    card = parse_card(card_of(settings, graph).text())
    again = settings_from_card(card)
    assert again.duration == settings.duration
    assert np.array_equal(rendered(build(again)), rendered(graph))


def test_rules_of_ones_own_travel_with_the_card(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text(OWN_GRAMMAR)
    settings, graph = song(grammar=str(path))
    card = card_of(settings, graph)
    path.unlink()
    again = build(settings_from_card(parse_card(card.text())))
    assert again.music.now(0).pattern == card.pattern == graph.music.now(0).pattern


def test_a_card_stays_small_whatever_it_names(tmp_path: Path) -> None:
    many = tuple(f"rain on the roof number {i}" for i in range(200))
    rng = random.Random(3)
    rules = {
        "S": tuple("".join(rng.choices("ABCDE", k=30)) for _ in range(100)),
    }
    card = dataclasses.replace(
        card_of(*song()), effects=many, grammar=rules, pattern="ABCDE" * 100
    )
    assert len(card.text().encode()) <= MAX_TEXT
    small = parse_card(card.text())
    path = tmp_path / "long.txt"
    path.write_text("".join(f"S => {right}\n" for right in rules["S"]))
    with pytest.raises(InputError, match="--grammar"):
        settings_from_card(dataclasses.replace(small, effects=None))
    with_grammar = settings_from_card(
        dataclasses.replace(small, effects=None), grammar=str(path)
    )
    assert with_grammar.grammar == str(path)
    path.write_text(OWN_GRAMMAR)
    with pytest.raises(InputError, match="the card needs grammar sha256"):
        settings_from_card(dataclasses.replace(small, effects=None), grammar=str(path))


def test_another_model_is_refused_by_both_hashes() -> None:
    settings, graph = song()
    card = dataclasses.replace(card_of(settings, graph), model="ab" * 32)
    with pytest.raises(InputError) as caught:
        settings_from_card(card)
    line = str(caught.value)
    assert "abababababab" in line
    assert graph.model.hash[:12] in line
    assert "--model" in line
    assert "\n" not in line


DAMAGED = {
    "nothing": "",
    "no card": '{"seed": 3}',
    "cut": "TEXT[:100]}",
    "older": '{"card": 1}',
    "later": '{"card": 3}',
    "deep": '{"x": ' + 50_000 * "[" + "}",
    "digits": '"seed": 5|"seed": ' + 400 * "9",
    "surrogate": '"key": "G|"key": "\\ud800',
    "many": '"effects": null|"effects": ["rain"' + 4999 * ', "rain"' + "]",
    "twice": '"effects": null|"effects": ["rain", "rain"]',
    "long": '"preset": "|"preset": "' + 300 * "x",
    "seed": '"seed": 5|"seed": "five"',
    "length": '"seconds": 4.0|"seconds": 1e9',
    "nan": '"seconds": 4.0|"seconds": NaN',
    "control": "wiggle/amount|wobble/amount",
    "kind": '"tuning/key": "G"|"tuning/key": "H"',
    "controls": '"controls": {|"controls": [1], "x": {',
    "effects": '"effects": null|"effects": [7]',
    "grammar": '"grammar": "seed"|"grammar": {"S": ["S"]}',
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_card_is_one_line(case: str, tmp_path: Path) -> None:
    text = card_of(*song()).text()
    damage = DAMAGED[case]
    old, bar, new = damage.partition("|")
    broken = text[:100] + "}" if damage.startswith("TEXT") else damage
    if bar:
        assert old in text
        broken = text.replace(old, new)
    path = tmp_path / "song.card"
    path.write_text(broken)
    with pytest.raises(InputError, match=r"song\.card: ") as caught:
        read_card(path)
    assert "\n" not in str(caught.value)


def test_a_card_of_another_format_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "song.card"
    path.write_text(card_of(*song()).text().replace('"card": 2', '"card": 1'))
    with pytest.raises(InputError, match=r"format 1, .* format 2; .* an older version"):
        read_card(path)


@pytest.mark.parametrize("name", ["fifo.card", "fifo.flac"])
@pytest.mark.timeout(60)
def test_a_fifo_is_no_card(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    done = latent(
        "render", tmp_path / "x.flac", "--card", tmp_path / name, home=tmp_path
    )
    assert done.returncode == 2
    assert "not a regular file" in done.stderr or "no regular file" in done.stderr


def test_random_text_never_raises_anything_else() -> None:
    rng = random.Random(1)
    text = card_of(*song()).text()
    for _ in range(500):
        letters = list(text)
        for _ in range(rng.randrange(1, 6)):
            letters[rng.randrange(len(letters))] = rng.choice('{}[]":,0aN-\\\x00é')
        try:
            parse_card("".join(letters))
        except InputError:
            continue


def test_the_card_beside_the_file(tmp_path: Path) -> None:
    card = card_of(*song())
    path = write_beside(card, tmp_path / "a.b.flac")
    assert path.name == "a.b.card"
    assert read_card(path) == card
    assert [p.name for p in tmp_path.iterdir()] == ["a.b.card"]


@pytest.mark.parametrize("ending", WRITTEN)
def test_the_comment_of_every_format_holds_it(ending: str, tmp_path: Path) -> None:
    card = card_of(*song())
    path = tmp_path / f"song{ending}"
    silence = np.zeros((44_100, 2), np.float32)
    write_sound(path, silence, 44_100, tags={"comment": card.text()})
    assert read_card(path) == card


def test_same_card_same_samples_in_a_fresh_process(home: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.flac", tmp_path / "again.flac"
    made = latent(
        *("render", first, "--minutes", "0.1", "--seed", "7", "--preset", "dark"),
        *("--hop", "0.7", "--json"),
        home=home,
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["card"] == str(tmp_path / "first.card")
    for source in (first, tmp_path / "first.card"):
        done = latent("render", again, "--card", source, home=home)
        assert done.returncode == 0, done.stderr
        expected, _ = sf.read(first, dtype="int32")
        found, _ = sf.read(again, dtype="int32")
        assert np.array_equal(found, expected)
    assert read_card(again) == read_card(first)


def test_what_the_card_decides_cannot_be_asked_for(home: Path, tmp_path: Path) -> None:
    path = write_beside(card_of(*song()), tmp_path / "song.flac")
    for flag in (["--seed", "3"], ["--minutes", "1"], ["--no-effects"]):
        done = latent("render", tmp_path / "x.flac", "--card", path, *flag, home=home)
        assert done.returncode == 2
        assert flag[0] in done.stderr
    assert not (tmp_path / "x.flac").exists()
