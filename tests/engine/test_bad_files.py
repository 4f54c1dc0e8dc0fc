"""Files that somebody else wrote: each kind is refused in one line, at once."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import model as model_package
from effects.base.errors import InputError
from engine.compose import grammar, preset
from engine.offline.journal import Header, read_journal
from engine.offline.journal_writer import JournalWriter
from engine.offline.song_card_file import parse_card
from engine.surfaces import midi_bindings
from model.inference import TimbreModel
from tests.support.command import ROOT, environment

BUNDLED = Path(model_package.__file__).parent / "bundled"


def run(command: str, folder: Path, limit_mb: int = 2000) -> str:
    """Run a command in a folder, its memory limited; returns its one line."""
    done = subprocess.run(
        [
            *("prlimit", f"--as={limit_mb << 20}"),
            *(sys.executable, "-m", "engine.cli", *command.split()),
        ],
        cwd=folder,
        env={**environment(folder / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("latent: ")
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a FIFO and a link to a device of every name that is tried."""
    for ending in ("toml", "txt", "card", "flac", "jsonl", "wav"):
        os.mkfifo(tmp_path / f"fifo.{ending}")
        (tmp_path / f"zero.{ending}").symlink_to("/dev/zero")
    for kind in ("fifo", "zero"):
        shutil.copytree(BUNDLED, tmp_path / f"model-{kind}")
        (tmp_path / f"model-{kind}" / "model.json").unlink()
        (tmp_path / f"corpus-{kind}").mkdir()
    os.mkfifo(tmp_path / "model-fifo" / "model.json")
    (tmp_path / "model-zero" / "model.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "corpus-fifo" / "manifest.jsonl")
    (tmp_path / "corpus-zero" / "manifest.jsonl").symlink_to("/dev/zero")
    return tmp_path


@pytest.mark.parametrize("kind", ["fifo", "zero"])
@pytest.mark.parametrize(
    "command",
    [
        "render x.flac --preset KIND.toml",
        "render x.flac --grammar KIND.txt",
        "render x.flac --card KIND.card",
        "render x.flac --card KIND.flac",
        "render x.flac --like KIND.wav",
        "render x.flac --model model-KIND",
        "model check model-KIND",
        "replay KIND.jsonl x.flac",
        "corpus info corpus-KIND",
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    folder: Path, command: str, kind: str
) -> None:
    run(command.replace("KIND", kind), folder)
    assert not (folder / "x.flac").exists()


PRESETS = {
    "deep": "a = " + 8000 * "[",
    "deep tables": "a = " + 1300 * "{b=",
    "dotted": "hop." * 1500 + "x = 1",
    "dotted, long": 30_000 * "a." + "a = 1",
    "digits": "hop = " + 400 * "9",
    "more digits": "hop = " + 5000 * "9",
    "infinite": "hop = inf",
    "no number": "hop = nan",
    "a text": "hop = 'x'",
    "a table": "[hop]\nx = 1",
    "escape": '"\\u001b[2J" = 1',
    "surrogate": 'description = "\\ud800"',
    "twice": 'effects.only = ["rain", "rain"]',
    "many": "effects.only = [" + 1000 * '"rain", ' + "]",
    "no list": "effects.only = 3",
    "description": "description = 3",
    "grammar": "grammar = 3",
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("case", PRESETS)
def test_a_preset_that_does_not_fit_is_one_line(tmp_path: Path, case: str) -> None:
    (tmp_path / "odd.toml").write_bytes(
        PRESETS[case].encode("utf-8", "surrogateescape")
    )
    before = time.process_time()
    with pytest.raises(InputError, match=r"odd\.toml: ") as told:
        preset.load(str(tmp_path / "odd.toml"))
    assert "\n" not in str(told.value)
    assert time.process_time() - before < 5.0


def test_a_preset_takes_little_memory(tmp_path: Path) -> None:
    for case in ("dotted", "dotted, long", "deep", "many"):
        (tmp_path / "odd.toml").write_text(PRESETS[case])
        assert "odd.toml" in run("render x.flac --preset odd.toml", tmp_path, 1500)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"statistics": {}}, "statistics"),
        ({"statistics": {"anchor": "x"}}, "anchor"),
        ({"prior": {"kind": "gaussian-mixture", "weights": "x"}}, "weights"),
        ({"prior": {"kind": "gaussian-mixture", "weights": []}}, "weights"),
        ({"axis": {"n_bands": "x"}}, "axis"),
        ({"files": {"decoder.onnx": {"sha256": 5}}}, "sha256"),
        ({"name": 7}, "name"),
        ({"n_latents": "32"}, "latents"),
    ],
)
def test_check_refuses_the_models_that_render_cannot_use(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(BUNDLED, folder)
    metadata = json.loads((folder / "model.json").read_text()) | change
    (folder / "model.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match=f"model.json.*{said}"):
        TimbreModel.load(folder)
    assert said in run(f"model check {folder}", tmp_path)


@pytest.mark.parametrize("part", ["anchor", "limits", "features", "quantiles_at"])
@pytest.mark.parametrize("value", [None, [], {}, "x", [1e300], {"x": "y"}])
def test_statistics_that_do_not_fit_are_one_line(
    tmp_path: Path, part: str, value: object
) -> None:
    shutil.copytree(BUNDLED, tmp_path / "odd")
    path = tmp_path / "odd" / "model.json"
    metadata = json.loads(path.read_text())
    metadata["statistics"][part] = value
    path.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match=r"model\.json: .*"):
        TimbreModel.load(tmp_path / "odd")


ROWS = [
    {"message": "note_on", "channel": 0, "number": "7", "to": "hold"},
    {"message": "note_on", "channel": 99, "number": 7, "to": "hold"},
    {"message": "odd", "channel": 0, "number": 7, "to": "hold"},
    {"message": "note_on", "channel": 0, "number": 7, "to": "odd"},
    {},
    3,
]


@pytest.mark.parametrize("row", ROWS)
def test_midi_bindings_that_do_not_fit_are_one_line(
    tmp_path: Path, row: object
) -> None:
    (tmp_path / "midi.json").write_text(json.dumps([row]))
    with pytest.raises(InputError, match="not a list of MIDI bindings"):
        midi_bindings.load(tmp_path / "midi.json")


@given(st.text(max_size=300) | st.text(alphabet='{}[]":,.\n=a1\\', max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for parse in (
        lambda: preset.parse(text, "a.toml", "a"),
        lambda: grammar.parse(text, "a.txt"),
        lambda: parse_card(text, "a.card"),
    ):
        try:
            parse()
        except InputError as error:
            line = str(error)
        else:
            line = ""
        assert "\n" not in line


@given(st.data())
def test_a_journal_with_any_bytes_changed_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    writer = JournalWriter(path, Header(seed=1, sample_rate=44_100, controls={}))
    writer.event({"at": 3, "set": {"hop": 0.5}})
    assert writer.close()
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_journal(path)
    except InputError as error:
        line = str(error)
    else:
        line = ""
    assert "\n" not in line
