"""A finished album is read by other programs, and loses no sample."""

import itertools
import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile as sf

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from engine.album import replacing
from engine.album.finish import finish, gap_length
from engine.album.order import PlacedBy, arranged, fifths_apart
from engine.album.review import Review
from engine.compose.titles import unused_title
from engine.control.harmony import KEYS
from tests.support import audio
from tests.support.albums import planted_album
from tests.support.command import latent

AROUND_D = [KEYS[(2 + 7 * away) % 12] for away in (-2, -1, 0, 1, 2)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Samples]]:
    """Four songs, one of them set aside, one named, two kept; then finished."""
    folder = tmp_path_factory.mktemp("albums") / "night"
    made = planted_album(folder, songs=4, seconds=2.0, aside=1)
    review = Review(folder)
    review.keep(1)
    review.name(2, 'Sea / "Glass" ü')
    review.keep(3)
    args = ("--title", "Night: one", "--artist", "Nobody", "--json")
    done = latent("album", "finish", folder, *args, home=folder.parent)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [track["number"] for track in told["tracks"]] == [1, 2, 3]
    return folder, made


def flacs(folder: Path) -> list[Path]:
    return sorted((folder / "album").glob("*.flac"))


def song_of(folder: Path, path: Path) -> int:
    """Number of the song that a finished file was copied from, by its card."""
    comment = mutagen.flac.FLAC(path)["comment"][0]
    return int(comment.split()[2])


def test_songs_are_copied_sample_by_sample_with_their_gap(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, made = finished
    assert len(flacs(folder)) == 3
    for path in flacs(folder):
        samples, rate = audio.load(path)
        song = made[song_of(folder, path) - 1]
        assert np.array_equal(samples[: len(song)], song)
        assert np.abs(samples[len(song) :]).max() == 0.0
        assert rate <= len(samples) - len(song) < rate + rate // 75
        assert len(samples) % (rate // 75) == 0
    assert (folder / "001.flac").is_file()


def test_metaflac_reads_order_titles_and_cover(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, _ = finished
    assert shutil.which("metaflac"), "bin/test installs flac"
    for number, path in enumerate(flacs(folder), 1):
        assert path.name.startswith(f"{number:02d} - ")
        told = subprocess.run(
            ["metaflac", "--export-tags-to=-", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        tags = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
        assert tags["album"] == "Night: one"
        assert tags["artist"] == "Nobody"
        assert tags["tracknumber"] == str(number)
        assert tags["REPLAYGAIN_TRACK_GAIN"].endswith(" dB")
        assert "REPLAYGAIN_ALBUM_PEAK" in tags
        subprocess.run(["flac", "-t", "-s", str(path)], check=True)
    assert any(
        mutagen.flac.FLAC(p)["title"] == ['Sea / "Glass" ü'] for p in flacs(folder)
    )
    picture = mutagen.flac.FLAC(flacs(folder)[0]).pictures[0]
    assert picture.type == 3
    assert picture.data == (folder / "album" / "cover.png").read_bytes()
    assert (picture.width, picture.height) == (1000, 1000)


def test_a_player_plays_the_list_from_end_to_end(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, _ = finished
    assert shutil.which("mpv"), "bin/test installs mpv"
    (playlist,) = (folder / "album").glob("*.m3u*")
    quick = ["--no-config", "--no-video", "--ao=null", "--ao-null-untimed=yes"]
    told = subprocess.run(
        ["mpv", *quick, str(playlist)], capture_output=True, text=True, check=True
    ).stdout
    for path in flacs(folder):
        assert path.name in told
    assert told.count("AO: [null] 44100Hz stereo") >= 1
    assert "Exiting... (End of file)" in told


def test_ffprobe_reads_the_lengths_and_the_picture(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, _ = finished
    assert shutil.which("ffprobe"), "bin/test installs ffmpeg"
    for path in flacs(folder):
        told = subprocess.run(
            ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        sound, picture = json.loads(told)["streams"]
        assert int(sound["duration_ts"]) == sf.info(path).frames
        assert picture["disposition"]["attached_pic"] == 1


def test_cue_sheet_and_playlist_name_every_file(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, _ = finished
    cue = (folder / "album" / "Night_ one.cue").read_text()
    playlist = (folder / "album" / "Night_ one.m3u8").read_text().splitlines()
    for number, path in enumerate(flacs(folder), 1):
        assert f'FILE "{path.name}" WAVE\n  TRACK {number:02d} AUDIO' in cue
    assert playlist[0] == "#EXTM3U"
    assert playlist[2::2] == [path.name for path in flacs(folder)]


def test_album_gain_is_that_of_all_songs_together(
    finished: tuple[Path, list[Samples]],
) -> None:
    folder, _ = finished
    both = np.concatenate([audio.load(path)[0] for path in flacs(folder)])
    tags = mutagen.flac.FLAC(flacs(folder)[0])
    gain = float(tags["REPLAYGAIN_ALBUM_GAIN"][0].split()[0])
    assert abs(-18.0 - gain - audio.lufs(both, 44_100)) < 0.3
    peak = float(tags["REPLAYGAIN_ALBUM_PEAK"][0])
    assert abs(peak - np.abs(both).max()) < 1e-4


def test_finishing_again_replaces_the_album_and_leaves_others_files_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "night"
    album = folder / "album"
    planted_album(folder, songs=3, seconds=0.6)
    assert len(finish(folder, gap_s=0.0).tracks) == 3
    # What file managers leave, what a user adds, and what only looks like ours.
    others = {
        ".DS_Store": "",
        "Thumbs.db": "1",
        "Folder.jpg": "2",
        "notes.txt": "3",
        "bonus.flac": "4",
        "favourites.cue": "5",
        "favourites.m3u8": "bonus.flac\nscans\ncover.png\n",
        "99 - Mine.flac": "6",
    }
    for name, content in others.items():
        (album / name).write_text(content)
    (album / "scans").mkdir()
    (album / "scans" / "back.png").write_text("mine")
    (album / "link").symlink_to("/nowhere")
    album.chmod(0o700)
    Review(folder).cut(2)
    for title in ("Dawn", "Two\nlines"):
        done = finish(folder, title=title, gap_s=0.0)
        listed = {track.name for track in done.tracks}
        assert len(listed) == 2
        ours = {path.name for path in flacs(folder)} - others.keys()
        assert ours == listed
        assert all((album / n).read_text() == text for n, text in others.items())
        assert (album / "scans" / "back.png").read_text() == "mine"
        assert (album / "link").is_symlink()
        assert len(list(album.glob("*.m3u8"))) == 2
        assert album.stat().st_mode & 0o777 == 0o700
    assert not list(folder.glob(".latent-*"))


def test_a_file_of_the_users_with_a_name_of_ours_gets_another(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=2, seconds=0.6)
    (track, _) = finish(folder, gap_s=0.0).tracks
    (folder / "album" / "cover.png").write_text("my own cover")
    (folder / "album" / track.name).write_text("my own take")
    finish(folder, gap_s=0.0)
    stem = Path(track.name).stem
    kept = folder / "album" / f"{stem}.1.flac"
    assert kept.read_text() == "my own take"
    covers = sorted((folder / "album").glob("cover*.png"))
    assert "my own cover" in [path.read_bytes().decode("latin-1") for path in covers]
    assert sf.info(folder / "album" / track.name).frames > 0


def test_an_album_of_before_there_was_a_list_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=3, seconds=0.6)
    finish(folder, title="Before", gap_s=0.0)
    (folder / "album" / ".made.json").unlink()
    (folder / "album" / "bonus.flac").write_text("mine")
    Review(folder).cut(2)
    finish(folder, title="After", gap_s=0.0)
    names = {path.name for path in (folder / "album").iterdir()}
    assert {"After.cue", "After.m3u8", "bonus.flac"} < names
    assert not names & {"Before.cue", "Before.m3u8"}
    assert len(flacs(folder)) == 3


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_album_whose_place_cannot_be_taken_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=2, seconds=0.6)
    before = finish(folder, gap_s=0.0)
    (folder / "album" / "notes.txt").write_text("mine")
    calls = itertools.count(1)
    replace = os.replace

    def failing(source: Path, to: Path) -> None:
        if Path(to).parent == folder and next(calls) == fails_at:
            raise OSError(28, "No space left on device")
        replace(source, to)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(RunError, match="No space left"):
        finish(folder, gap_s=0.0)
    assert (folder / "album" / "notes.txt").read_text() == "mine"
    assert {path.name for path in flacs(folder)} == {t.name for t in before.tracks}
    assert not list(folder.glob(".latent-*"))


def test_a_kill_between_old_and_new_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=2, seconds=0.6)
    finish(folder, gap_s=0.0)
    (folder / "album" / "notes.txt").write_text("mine")
    (folder / "album").rename(folder / ".latent-album-x1x1x1x1-old")
    finish(folder, gap_s=0.0)
    assert (folder / "album" / "notes.txt").read_text() == "mine"
    assert len(flacs(folder)) == 2
    assert not list(folder.glob(".latent-*"))


def test_a_link_to_the_albums_folder_stays(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "night", tmp_path / "disk" / "album"
    planted_album(folder, songs=2, seconds=0.6)
    elsewhere.mkdir(parents=True)
    (elsewhere / "notes.txt").write_text("mine")
    (folder / "album").symlink_to(elsewhere)
    for _ in range(2):
        finish(folder, gap_s=0.0)
        assert (folder / "album").is_symlink()
        assert len(flacs(folder)) == 2
        assert (elsewhere / "notes.txt").read_text() == "mine"
    assert not list(elsewhere.parent.glob(".latent-*"))


def test_what_a_kill_left_of_another_album_beside_it_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = tempfile.mkdtemp(dir=disk, prefix=replacing._prefix(disk / "dusk"))
    left = Path(f"{made}-old")
    Path(made).rename(left)
    (left / "notes.txt").write_text("mine")
    (disk / "night").mkdir()
    folder = tmp_path / "night"
    planted_album(folder, songs=1, seconds=0.6)
    (folder / "album").symlink_to(disk / "night")
    finish(folder, gap_s=0.0)
    assert (left / "notes.txt").read_text() == "mine"


def test_a_damaged_list_of_an_album_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=1, seconds=0.6)
    finish(folder, gap_s=0.0)
    (folder / "album" / ".made.json").write_text("{")
    with pytest.raises(InputError, match=r"\.made\.json"):
        finish(folder)
    assert len(flacs(folder)) == 1


def test_a_file_in_the_albums_place_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=1, seconds=0.6)
    (folder / "album").write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        finish(folder)
    assert (folder / "album").read_text() == "mine"


def test_a_broken_song_leaves_no_half_finished_album(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=2, seconds=0.6)
    (folder / "002.flac").write_bytes(b"fLaC")
    with pytest.raises(InputError, match=r"002\.flac"):
        finish(folder)
    assert not (folder / "album").exists()
    assert not list(folder.glob(".latent-*"))


def test_an_album_of_nothing_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    planted_album(folder, songs=1, seconds=0.2, aside=1)
    done = latent("album", "finish", folder, home=tmp_path)
    assert done.returncode == 2
    assert "no song" in done.stderr


def test_gaps_end_on_frames() -> None:
    assert gap_length(1000, 0.0) == 2 * 588 - 1000
    assert gap_length(588, 0.0) == 0
    assert gap_length(588, 1.0) == 44_100


@pytest.mark.parametrize("n", [1, 2, 3, 12, 50])
def test_neighbours_are_near_and_light_rises_and_falls(n: int) -> None:
    rng = random.Random(n)
    songs = [PlacedBy(rng.choice(AROUND_D), rng.uniform(2.0, 5.0)) for _ in range(n)]
    order = arranged(songs)
    assert sorted(order) == list(range(n))
    assert order == arranged(songs)
    if n < 12:
        return

    def fifths(places: list[int]) -> float:
        pairs = itertools.pairwise(songs[i].tonic for i in places)
        return sum(fifths_apart(a, b) for a, b in pairs) / (n - 1)

    drawn = [fifths(rng.sample(range(n), n)) for _ in range(200)]
    assert fifths(order) < np.quantile(drawn, 0.03)
    third = n // 3
    light = [songs[i].brightness for i in order]
    middle = np.mean(light[third : n - third])
    assert middle > np.mean(light[:third]) + 0.3
    assert middle > np.mean(light[n - third :]) + 0.3


def test_titles_are_drawn_by_seed_and_never_twice() -> None:
    taken: list[str] = []
    for seed in range(300):
        title = unused_title(taken, seed, "dark", "minor", 3.0)
        assert title not in taken
        taken.append(title)
    one = [unused_title((), 3, "dark", "minor", 3.0) for _ in range(2)]
    assert one[0] == one[1]
