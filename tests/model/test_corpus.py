"""A corpus survives being killed at any byte, and says clearly what is broken."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from effects.audio.sound_reader import read_sound
from effects.base.errors import InputError, RunError
from model.config import AXIS, SAMPLE_RATE
from model.corpus.corpus import MANIFEST, TIMBRES, VERDICTS_FILE, Corpus
from model.corpus.song import flac_bytes
from model.corpus.verdicts import OPEN, REJECT
from tests.support.disk import disk_full_after

N_CLIPS = 6
ROW_BYTES = 2 * AXIS.n_bands


def timbres(first: int, n: int) -> NDArray[np.float32]:
    """Clip k holds values about k / 100 that differ from band to band."""
    rng = np.random.default_rng(7)
    pattern = 0.005 * rng.random(AXIS.n_bands)
    numbers = np.arange(first, first + n)[:, None]
    return (numbers / 100.0 + pattern).astype(np.float32)


def rows(first: int, n: int) -> list[dict[str, str | int]]:
    return [
        {"group": f"song-{k // 2}", "number": k, "licence": "CC0-1.0", "source": "té"}
        for k in range(first, first + n)
    ]


def filled(folder: Path, n: int = N_CLIPS) -> Corpus:
    corpus = Corpus.create(folder)
    corpus.append(timbres(0, n), rows(0, n))
    return corpus


def rejected(folder: Path) -> set[int]:
    verdicts = Corpus.open(folder).verdicts()
    return {clip for clip, given in verdicts.items() if given.verdict == REJECT}


def assert_holds_first(corpus: Corpus, n: int) -> None:
    assert len(corpus) == n
    assert [row["number"] for row in corpus.rows()] == list(range(n))
    np.testing.assert_allclose(corpus.timbres(), timbres(0, n), atol=1e-4)


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    corpus = filled(tmp_path / "new" / "corpus")
    corpus.append(timbres(N_CLIPS, 3), rows(N_CLIPS, 3))
    again = Corpus.open(tmp_path / "new" / "corpus")
    assert_holds_first(again, N_CLIPS + 3)
    assert again.groups().tolist() == [f"song-{k // 2}" for k in range(N_CLIPS + 3)]


def test_an_empty_corpus_can_be_opened(tmp_path: Path) -> None:
    Corpus.create(tmp_path)
    corpus = Corpus.open(tmp_path)
    assert corpus.timbres().shape == (0, AXIS.n_bands)
    assert corpus.groups().shape == (0,)
    assert corpus.summary()["clips"] == 0


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_killed_at_any_byte_it_goes_on(tmp_path: Path, data: st.DataObject) -> None:
    for name in (MANIFEST, TIMBRES, VERDICTS_FILE):
        (tmp_path / name).unlink(missing_ok=True)
    filled(tmp_path)
    for name in (MANIFEST, TIMBRES):
        content = (tmp_path / name).read_bytes()
        cut = data.draw(st.integers(0, len(content)), label=name)
        (tmp_path / name).write_bytes(content[:cut])
    whole_lines = (tmp_path / MANIFEST).read_bytes().count(b"\n")
    whole_timbres = (tmp_path / TIMBRES).stat().st_size // ROW_BYTES
    n = min(whole_lines, whole_timbres)
    assert_holds_first(Corpus.open(tmp_path), n)
    mended = Corpus.create(tmp_path)
    assert_holds_first(mended, n)
    mended.append(timbres(n, 2), rows(n, 2))
    assert_holds_first(Corpus.open(tmp_path), n + 2)


def test_opening_for_reading_changes_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / MANIFEST).open("ab") as file:
        file.write(b'{"group": "half a li')
    before = (tmp_path / MANIFEST).read_bytes()
    assert_holds_first(Corpus.open(tmp_path), N_CLIPS)
    assert (tmp_path / MANIFEST).read_bytes() == before


def test_a_corpus_can_be_read_while_it_grows(tmp_path: Path) -> None:
    writer = filled(tmp_path)
    reader = Corpus.open(tmp_path)
    writer.append(timbres(N_CLIPS, 2), rows(N_CLIPS, 2))
    assert_holds_first(reader, N_CLIPS)


def test_rejected_clips_are_left_out_until_kept_again(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    corpus.judge(1, REJECT)
    corpus.judge(4, REJECT)
    again = Corpus.open(tmp_path)
    assert again.kept().tolist() == [0, 2, 3, 5]
    np.testing.assert_allclose(
        again.timbres(), timbres(0, N_CLIPS)[[0, 2, 3, 5]], atol=1e-4
    )
    assert again.groups().tolist() == ["song-0", "song-1", "song-1", "song-2"]
    again.judge(4, "keep")
    assert Corpus.open(tmp_path).kept().tolist() == [0, 2, 3, 4, 5]


@pytest.mark.parametrize(("clip", "verdict"), [(6, REJECT), (-1, REJECT), (0, "hmm")])
def test_a_verdict_that_means_nothing_is_refused(
    tmp_path: Path, clip: int, verdict: str
) -> None:
    corpus = filled(tmp_path)
    with pytest.raises(InputError, match=f"clip {clip}"):
        corpus.judge(clip, verdict)
    assert not (tmp_path / VERDICTS_FILE).exists()


def test_audio_is_kept_and_can_be_heard(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    tone = 0.5 * np.sin(np.arange(2 * SAMPLE_RATE) * 0.05).astype(np.float32)
    stereo = np.stack([tone, -tone], axis=1)
    corpus.append(timbres(N_CLIPS, 1), rows(N_CLIPS, 1), audio=[flac_bytes(stereo)])
    row = Corpus.open(tmp_path).rows()[-1]
    heard, rate = read_sound(tmp_path / str(row["file_name"]))
    assert (rate, heard.shape) == (SAMPLE_RATE, stereo.shape)
    np.testing.assert_allclose(heard, stereo, atol=1e-4)


def test_summary_counts_what_there_is(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    corpus.judge(0, REJECT)
    assert corpus.summary() == {
        "clips": N_CLIPS,
        "kept": N_CLIPS - 1,
        "groups": 3,
        "sources": {"té": N_CLIPS},
        "licences": {"CC0-1.0": N_CLIPS},
    }


def test_bad_timbres_never_reach_the_disk(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    broken = timbres(6, 2)
    broken[1, 600] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        corpus.append(broken, rows(6, 2))
    with pytest.raises(ValueError, match="shape"):
        corpus.append(timbres(6, 2), rows(6, 3))
    assert_holds_first(Corpus.open(tmp_path), N_CLIPS)


def test_no_corpus_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="latent corpus demo"):
        Corpus.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot hold a corpus"):
        Corpus.create(tmp_path / "file")


@pytest.mark.parametrize("line", ["no json", "[1, 2]", '"text"', "\0\0\0", "\ufffd"])
def test_a_foreign_line_is_named_and_nothing_is_cut(tmp_path: Path, line: str) -> None:
    filled(tmp_path)
    lines = (tmp_path / MANIFEST).read_text().splitlines()
    lines[2] = line
    (tmp_path / MANIFEST).write_text("\n".join(lines) + "\n")
    size = (tmp_path / TIMBRES).stat().st_size
    for enter in (Corpus.open, Corpus.create):
        with pytest.raises(InputError, match=r"line 3: .*") as caught:
            enter(tmp_path)
        assert "\n" not in str(caught.value)
    assert (tmp_path / TIMBRES).stat().st_size == size


def test_a_full_disk_is_one_clear_error_and_costs_nothing(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    with (
        disk_full_after(N_CLIPS * ROW_BYTES + 1001),
        pytest.raises(RunError, match="safe") as caught,
    ):
        corpus.append(timbres(6, 1), rows(6, 1))
    assert "\n" not in str(caught.value)
    assert (tmp_path / TIMBRES).stat().st_size == N_CLIPS * ROW_BYTES
    assert_holds_first(Corpus.open(tmp_path), N_CLIPS)
    corpus.append(timbres(6, 2), rows(6, 2))  # once there is room again
    assert_holds_first(Corpus.open(tmp_path), N_CLIPS + 2)


def test_the_manifest_is_json_lines_that_other_programs_read(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = (tmp_path / MANIFEST).read_text("utf-8").splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(N_CLIPS))


def test_a_second_program_that_adds_is_stopped(tmp_path: Path) -> None:
    first, second = filled(tmp_path), Corpus.create(tmp_path)
    second.append(timbres(6, 1), rows(6, 1))
    with pytest.raises(RunError, match="another program"):
        first.append(timbres(6, 2), rows(6, 2))
    assert_holds_first(Corpus.open(tmp_path), N_CLIPS + 1)


@pytest.mark.parametrize("torn", ['{"clip": 1, "verd', '{"clip": 1}'])
def test_a_torn_verdict_is_forgotten_by_the_next(tmp_path: Path, torn: str) -> None:
    corpus = filled(tmp_path)
    corpus.judge(0, REJECT)
    with (tmp_path / VERDICTS_FILE).open("a") as file:
        file.write(torn)
    assert rejected(tmp_path) == {0}
    Corpus.create(tmp_path).judge(2, REJECT)
    assert rejected(tmp_path) == {0, 2}


@pytest.mark.parametrize(
    "line",
    ['{"clips": 3}', '{"clip": "a", "verdict": "reject"}', '{"clip": 1}', "[]", "\r"],
)
def test_a_line_that_is_no_verdict_is_named(tmp_path: Path, line: str) -> None:
    filled(tmp_path)
    (tmp_path / VERDICTS_FILE).write_bytes(line.encode() + b"\n")
    with pytest.raises(InputError, match="line 1"):
        Corpus.open(tmp_path).timbres()


def test_verdicts_on_lost_clips_do_not_hit_those_that_follow(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    for clip in (0, 5):
        corpus.judge(clip, REJECT)
    with (tmp_path / TIMBRES).open("r+b") as file:
        file.truncate(5 * ROW_BYTES)
    Corpus.create(tmp_path).append(timbres(5, 1), rows(5, 1))
    assert Corpus.open(tmp_path).kept().tolist() == [1, 2, 3, 4, 5]


def test_damaged_timbres_are_named_and_can_be_rejected(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    with (tmp_path / TIMBRES).open("r+b") as file:
        file.seek(3 * ROW_BYTES + 100)
        file.write(b"\xff\xff")  # NaN
    with pytest.raises(InputError, match="clip 3"):
        Corpus.open(tmp_path).timbres()
    corpus.judge(3, REJECT)
    assert len(Corpus.open(tmp_path).timbres()) == N_CLIPS - 1


def test_folders_in_place_of_files_are_one_clear_error(tmp_path: Path) -> None:
    for name in (MANIFEST, TIMBRES):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(InputError, match=r"cannot|is a folder"):
            Corpus.create(tmp_path / name)
        with pytest.raises(InputError, match="no corpus here"):
            Corpus.open(tmp_path / "none")


def test_a_verdict_can_be_taken_back(tmp_path: Path) -> None:
    corpus = filled(tmp_path)
    corpus.judge(3, REJECT, reason="drums")
    assert corpus.verdicts()[3].reason == "drums"
    corpus.judge(3, OPEN)
    assert corpus.verdicts() == {}


def test_lines_taken_out_or_moved_by_hand_keep_their_timbres(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = (tmp_path / MANIFEST).read_text().splitlines(keepends=True)
    (tmp_path / MANIFEST).write_text("".join([lines[4], lines[5], lines[0]]))
    for corpus in (Corpus.open(tmp_path), Corpus.create(tmp_path)):
        assert corpus.ids().tolist() == [4, 5, 0]
        assert [row["number"] for row in corpus.rows()] == [4, 5, 0]
        np.testing.assert_allclose(
            corpus.timbres(), timbres(0, N_CLIPS)[[4, 5, 0]], atol=1e-4
        )
    corpus.append(timbres(6, 1), rows(6, 1))
    assert Corpus.open(tmp_path).ids().tolist() == [4, 5, 0, 6]


@pytest.mark.parametrize(
    "line",
    ['{"group": "a"}', '{"id": 2}', '{"id": -1}', f'{{"id": {10**18}}}', '{"id": 1e99}']
    + [f'{{"id": {10**digits}}}' for digits in (15, 19, 30, 400)],
)
def test_a_row_without_an_id_of_its_own_is_named(tmp_path: Path, line: str) -> None:
    filled(tmp_path)
    with (tmp_path / MANIFEST).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"line 7: .*(remove|clip 2)"):
        Corpus.open(tmp_path)


def test_removed_clips_are_gone_and_the_others_keep_their_ids(tmp_path: Path) -> None:
    corpus = Corpus.create(tmp_path)
    tone = 0.5 * np.sin(np.arange(2 * SAMPLE_RATE) * 0.05).astype(np.float32)
    corpus.append(timbres(0, 4), rows(0, 4), audio=4 * [flac_bytes(tone[:, None])])
    corpus.remove([1])
    with pytest.raises(InputError, match="clip 1"):
        corpus.remove([1])
    again = Corpus.open(tmp_path)
    assert again.ids().tolist() == [0, 2, 3]
    left = {row["file_name"] for row in again.rows()}
    on_disk = (tmp_path / "clips").rglob("*.flac")
    assert {str(path.relative_to(tmp_path)) for path in on_disk} == left
    corpus.append(timbres(4, 1), rows(4, 1))
    np.testing.assert_allclose(
        Corpus.open(tmp_path).timbres(), timbres(0, 5)[[0, 2, 3, 4]], atol=1e-4
    )


def test_a_corpus_of_the_older_form_is_read_and_then_converted(tmp_path: Path) -> None:
    filled(tmp_path)
    old = [{**row, "source": "song", "song": "Fog"} for row in rows(0, N_CLIPS)]
    text = "".join(json.dumps(row) + "\n" for row in old)
    (tmp_path / MANIFEST).write_text(text)
    (tmp_path / VERDICTS_FILE).write_text('{"clip": 2, "verdict": "reject"}\n')
    read = Corpus.open(tmp_path)
    assert read.kept().tolist() == [0, 1, 3, 4, 5]
    assert (tmp_path / MANIFEST).read_text() == text
    converted = Corpus.create(tmp_path)
    assert converted.converted
    assert [row["title"] for row in converted.rows()] == N_CLIPS * ["Fog"]
    assert not Corpus.create(tmp_path).converted
    assert Corpus.open(tmp_path).kept().tolist() == [0, 1, 3, 4, 5]


def test_many_rows_open_in_little_memory(tmp_path: Path) -> None:
    n = 100_000
    row = {"group": "song", "source": "x" * 500, "title": "a title"}
    with (tmp_path / MANIFEST).open("w") as file:
        file.writelines(json.dumps({**row, "id": i}) + "\n" for i in range(n))
    with (tmp_path / TIMBRES).open("wb") as file:
        file.truncate(n * ROW_BYTES)
    tracemalloc.start()
    corpus = Corpus.open(tmp_path)
    assert corpus.rows()[n - 1]["id"] == n - 1
    assert corpus.stored_timbres().shape == (n, AXIS.n_bands)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * n, "the manifest holds 57 MB"
