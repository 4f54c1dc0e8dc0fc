"""Files that nobody would write: sound ones with parts of them replaced, and readers.

Each target is a kind of file that somebody else may have written, with sound examples
of it and the function of the product that reads it.
"""

import json
import random
import re
import resource
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from onnx import TensorProto, helper

from effects.audio.sound_reader import read_sound
from effects.audio.sound_writer import write_sound
from effects.base.errors import InputError, LatentError
from effects.base.open_file import read_bytes
from effects.shelf.loop_cache import LoopCache
from effects.shelf.loops import Loop
from engine.album.review import DECISIONS, Review
from engine.album.state import STATE, read_state
from engine.cli.config_file import default_map, read_config
from engine.cli.main import latent
from engine.compose import grammar, preset
from engine.control.controls import Controls, snapshot_of
from engine.graph import Settings, build
from engine.offline.journal import Header, read_journal
from engine.offline.journal_writer import JournalWriter
from engine.offline.song_card import card_of
from engine.offline.song_card_file import read_card
from engine.surfaces import midi_bindings
from model.corpus.manifest import Manifest
from model.corpus.verdicts import read_verdicts
from model.inference import BUNDLED
from model.model_json import parse_model_json
from model.onnx_graph import check_graph
from model.timbre_map import TimbreMap
from tests.support.albums import planted_album
from tests.support.mutants import refusal, sound_packets

MAX_JSON = 16 * 2**20
LOOP_RATE = 48_000
LONGEST_S = 1.0  # of CPU time, for one file

# What stands in place of a number, a text or a whole value.
ODD = (
    *(b"-1", b"0", b"1e999", b"-1e308", b"NaN", b"Infinity", 400 * b"9", b"0.1e-400"),
    *(b"null", b"true", b"{}", b"[]", b'""', b'"x"', b'"\\ud800"', b'"\\u0000"'),
    *(b'"\xff\xfe"', b'"a\\nb"', 900 * b"[", 300 * b'{"a":', b'"' + 3000 * b"x" + b'"'),
    *(b"inf", b"nan", b"1979-05-27", b"[[a]]", b"a.b.c = 1", b"'''", b"\x1b[2J", b"\r"),
)
_VALUE = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\n]{0,80}"|true|false|null|[A-Z]+')


@dataclass(frozen=True)
class FuzzTarget:
    """A kind of file.

    Attributes:
        name: of the kind.
        file: name of a file of it.
        seeds: contents of sound ones.
        read: reads a file; raises a LatentError if it cannot be used.
        mend: sets checksums right in a mutant, or none of it would be looked at.
    """

    name: str
    file: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]
    mend: Callable[[bytes], bytes] = bytes


def mutated(rng: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """A file with some values, bytes or parts of it replaced."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(8):
            case 0 | 1:
                _replace_value(rng, content)
            case 2:
                content[at : at + 1] = rng.randbytes(1)
            case 3:
                content[at:at] = rng.choice(ODD)
            case 4:
                del content[at : at + rng.choice((1, 4, 100, 5000))]
            case 5:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other) + 1)
                content[at:at] = other[begin : begin + rng.choice((4, 50, 3000))]
            case 6:
                size = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**16))
                content[at : at + 4] = size.to_bytes(4, rng.choice(("big", "little")))
            case _:
                content[at:at] = bytes(rng.choice((1, 2, 64)))
    return bytes(content)


def _replace_value(rng: random.Random, content: bytearray) -> None:
    begin = rng.randrange(len(content) + 1)
    found = _VALUE.search(content, begin) or _VALUE.search(content)
    if found is not None:
        content[found.start() : found.end()] = rng.choice(ODD)


@dataclass
class Outcome:
    """What became of many mutants of one kind of file.

    Attributes:
        read: how many were read.
        refused: how many were refused in one line.
        failed: mutants that raised anything else, or took too long, with what it was.
        slowest_s: CPU time of the slowest.
        grown_kib: by how much the process's peak memory grew.
    """

    read: int = 0
    refused: int = 0
    failed: list[tuple[bytes, str]] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_kib: int = 0


def fuzz(target: FuzzTarget, n: int, rng: random.Random, folder: Path) -> Outcome:
    """Let a reader of the product read mutants.

    Args:
        target: kind of file, and its reader.
        n: number of mutants.
        rng: draws them.
        folder: where each is written; an empty one.
    """
    outcome = Outcome()
    path = folder / target.file
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(n):
        content = target.mend(mutated(rng, target.seeds))
        path.write_bytes(content)
        began = time.process_time()
        try:
            target.read(path)
            outcome.read += 1
        except LatentError as error:
            outcome.refused += 1
            if "\n" in str(error):
                outcome.failed.append((content, f"two lines: {error}"))
        except Exception as error:
            outcome.failed.append((content, repr(error)))
        took = time.process_time() - began
        if took > LONGEST_S:
            outcome.failed.append((content, f"took {took:.1f} s"))
        outcome.slowest_s = max(outcome.slowest_s, took)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome.grown_kib = peak - before
    return outcome


def fuzz_targets(folder: Path) -> Mapping[str, FuzzTarget]:
    """All kinds, by name.

    Args:
        folder: where sound examples are made.
    """
    found = [*_texts(), *_rows(folder), *_models(), *_loops(folder)]
    found += [*_sounds(folder), _packets()]
    return {target.name: target for target in found}


def _texts() -> list[FuzzTarget]:
    return [
        FuzzTarget("preset", "odd.toml", _resources("presets", "toml"), _read_preset),
        FuzzTarget("grammar", "odd.txt", _resources("grammars", "txt"), _read_grammar),
        FuzzTarget(
            "config",
            "config.toml",
            (
                b'[play]\npreset = "dark"\nhop = 0.5\nosc = "9000"\n',
                b"[album.make]\nsongs = 12\nminutes = 4.5\n[render]\nseed = 7\n",
            ),
            _read_config,
        ),
    ]


def _resources(name: str, ending: str) -> tuple[bytes, ...]:
    here = Path(preset.__file__).parent / name
    return tuple(path.read_bytes() for path in sorted(here.glob(f"*.{ending}")))


def _read_preset(path: Path) -> object:
    return preset.load(str(path))


def _read_grammar(path: Path) -> object:
    return grammar.load(str(path))


def _read_config(path: Path) -> None:
    context = click.Context(latent)
    for name, table in read_config(path).items():
        command = latent.get_command(context, name)
        if command is not None:
            default_map(command, table, str(path), name)


def _rows(folder: Path) -> list[FuzzTarget]:
    album = folder / "album"
    planted_album(album, seconds=0.1)
    review = Review(album)
    review.name(1, "first")
    review.keep(1)
    review.cut(2)
    bindings = [{"message": "note_on", "channel": 0, "number": 7, "to": "hold"}]
    clip = {"id": 0, "group": "a", "source": "own", "path": "a.flac", "place": 1.5}
    verdict = {"clip": 0, "verdict": "reject", "reason": "voice", "next": 1}
    return [
        FuzzTarget("journal", "odd.jsonl", (_journal(folder),), read_journal),
        FuzzTarget("card", "odd.card", (_card(),), read_card),
        FuzzTarget("album", STATE, ((album / STATE).read_bytes(),), _read_album),
        FuzzTarget(
            "decisions",
            DECISIONS,
            ((album / DECISIONS).read_bytes(),),
            lambda path: Review(_beside(album, path)),
        ),
        FuzzTarget("bindings", "midi.json", (_lines([bindings]),), midi_bindings.load),
        FuzzTarget(
            "manifest",
            "manifest.jsonl",
            (_lines([clip | {"id": number} for number in range(4)]),),
            _read_manifest,
        ),
        FuzzTarget(
            "verdicts",
            "verdicts.jsonl",
            (_lines([verdict | {"clip": number} for number in range(4)]),),
            read_verdicts,
        ),
    ]


def _lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _journal(folder: Path) -> bytes:
    path = folder / "sound.jsonl"
    header = Header(seed=1, sample_rate=48_000, controls=dict(Controls().snapshot))
    writer = JournalWriter(path, header)
    writer.event({"at": 3, "set": {"hop": 0.5}})
    writer.event({"at": 48_000, "command": "next", "args": []})
    assert writer.close()
    return path.read_bytes()


def _card() -> bytes:
    settings = Settings(seed=5, duration=4.0, controls=snapshot_of({}), effects=None)
    return card_of(settings, build(settings)).text().encode()


def _beside(album: Path, path: Path) -> Path:
    """The folder of a file, with what else an album needs."""
    for each in (STATE, "001.flac"):
        if not (path.parent / each).exists():
            shutil.copyfile(album / each, path.parent / each)
    return path.parent


def _read_album(path: Path) -> object:
    return read_state(path.parent)


def _read_manifest(path: Path) -> None:
    manifest = Manifest.read(path)
    for row in manifest:
        assert isinstance(row, Mapping)


def _models() -> list[FuzzTarget]:
    n_latents = json.loads((BUNDLED / "model.json").read_bytes())["n_latents"]

    def read_json(path: Path) -> None:
        parse_model_json(read_bytes(path, MAX_JSON, "model"), str(path))

    def read_map(path: Path) -> None:
        TimbreMap.from_json(read_bytes(path, MAX_JSON, "map"), n_latents, str(path))

    def read_graph(path: Path) -> None:
        check_graph(read_bytes(path, MAX_JSON, "network"))

    return [
        FuzzTarget(
            "model", "model.json", ((BUNDLED / "model.json").read_bytes(),), read_json
        ),
        FuzzTarget("map", "map.json", ((BUNDLED / "map.json").read_bytes(),), read_map),
        FuzzTarget("network", "decoder.onnx", (_small_network(),), read_graph),
    ]


def _bundled(name: str) -> bytes:
    return (BUNDLED / name).read_bytes()


def _small_network() -> bytes:
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["z", "w"], ["a"], alpha=0.5),
            helper.make_node("Sigmoid", ["a"], ["spectrum"]),
        ],
        "graph",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])],
    )
    return bytes(helper.make_model(graph).SerializeToString())


def _sounds(folder: Path) -> list[FuzzTarget]:
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal((2000, 2))).astype(np.float32)
    found = []
    for ending in ("wav", "flac", "ogg", "opus", "mp3", "aiff"):
        path = folder / f"sound.{ending}"
        write_sound(path, samples, 48_000)
        mend = _with_ogg_checksums if ending in ("ogg", "opus") else bytes
        content = path.read_bytes()
        assert mend(content) == content
        name = f"odd.{ending}"
        found.append(FuzzTarget(ending, name, (content,), read_sound, mend))
    return found


def _loops(folder: Path) -> list[FuzzTarget]:
    """The two files of a kept loop; a damaged one is as good as none."""
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((500, 2)).astype(np.float32)
    cache = LoopCache(folder / "loops")
    kept = cache.keep(Loop("rain", samples, LOOP_RATE), "v1")
    assert kept.memory is not None
    files = [
        folder / "loops/rain" / f"v1-{LOOP_RATE}{kind}" for kind in (".npy", ".json")
    ]
    contents = [file.read_bytes() for file in files]

    def read(path: Path) -> None:
        for file, content in zip(files, contents, strict=True):
            if file.name != path.name:
                (path.parent / file.name).write_bytes(content)
        loop = LoopCache(path.parents[1]).read(path.parent.name, "v1", LOOP_RATE)
        if loop is None:
            raise InputError("no loop")
        loop.samples.tobytes()

    return [
        FuzzTarget(name, file.name, (content,), read)
        for name, file, content in zip(("loop", "facts"), files, contents, strict=True)
    ]


def _with_ogg_checksums(content: bytes) -> bytes:
    """Ogg pages with the checksums of what they hold now."""
    whole = bytearray(content)
    begin = whole.find(b"OggS")
    while 0 <= begin < len(whole) - 27:
        sizes = whole[begin + 27 : begin + 27 + whole[begin + 26]]
        end = begin + 27 + len(sizes) + sum(sizes)
        whole[begin + 22 : begin + 26] = bytes(4)
        checksum = 0
        for byte in whole[begin:end]:
            checksum = (checksum << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[checksum >> 24 ^ byte]
        whole[begin + 22 : begin + 26] = checksum.to_bytes(4, "little")
        begin = whole.find(b"OggS", end)
    return bytes(whole)


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if value >> 31 else 0)
        table.append(value)
    return table


_OGG_TABLE = _ogg_table()


def _packets() -> FuzzTarget:
    def read(path: Path) -> None:
        refusal(path.read_bytes())

    return FuzzTarget("osc", "packet", tuple(sound_packets()), read)
