"""Where songs come from: files, folders, playlists, and lists of paths."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from effects.audio.sound_formats import SoundError
from effects.audio.sound_search import FoundSounds, PassedOver, find_sounds
from effects.base.one_line import one_line, shown
from effects.base.open_file import read_text
from model.corpus.clip_audio import CLIPS
from model.corpus.corpus import MANIFEST, TIMBRES

PLAYLISTS = frozenset({".m3u8", ".m3u"})
LONGEST_LIST = 64 << 20  # bytes of a playlist
MISSING = "no such file"
REMOTE = "is on the network; download it first"


def find_songs(sources: Iterable[Path | str]) -> FoundSounds:
    """Find the sound files of several sources.

    Args:
        sources: files, folders that are searched, and playlists (`.m3u8`).

    Returns:
        Each file once, in the order of the sources. Clips of corpora are left out.

    Raises:
        SoundError: one of the sources is not there, or there is no sound in any.
        InputError: a playlist cannot be read.
    """
    files: dict[Path, None] = {}
    passed: list[PassedOver] = []
    others: Counter[str] = Counter()
    sources = list(sources)
    for source in map(Path, sources):
        is_list = source.suffix.lower() in PLAYLISTS and source.is_file()
        found = _of_playlist(source) if is_list else find_sounds(source)
        files.update((p, None) for p in found.files if not _is_clip_of_a_corpus(p))
        passed += found.passed_over
        others.update(found.other_endings)
    if not files:
        names = ", ".join(shown(Path(source)) for source in sources[:3])
        told = f" (passed over: {passed[0].name}: {passed[0].reason})" if passed else ""
        raise SoundError(f"{one_line(names)}: no sound files there{told}")
    return FoundSounds(tuple(files), tuple(passed), dict(others))


def paths_of_lines(text: str) -> list[str]:
    """Paths in a text, one a line; empty lines are left out."""
    return [line for line in text.splitlines() if line.strip()]


def _of_playlist(playlist: Path) -> FoundSounds:
    files: list[Path] = []
    passed: list[PassedOver] = []
    for name in _entries(playlist):
        if name.startswith("file:"):
            name = unquote(urlsplit(name).path)
        elif "://" in name:
            passed.append(PassedOver(one_line(name), REMOTE))
            continue
        path = playlist.parent / name
        if path.is_file():
            # Named one by one, so links are meant.
            files.append(path.resolve() if path.is_symlink() else path)
        else:
            passed.append(PassedOver(shown(path), MISSING))
    return FoundSounds(tuple(files), tuple(passed), {})


def _entries(playlist: Path) -> Iterator[str]:
    for line in read_text(playlist, LONGEST_LIST, "playlist").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _is_clip_of_a_corpus(path: Path) -> bool:
    """Whether a file is a clip that was taken before: a corpus may lie among music."""
    return any(
        clips.name == CLIPS
        and all((clips.parent / name).is_file() for name in (MANIFEST, TIMBRES))
        for clips in path.absolute().parents[:2]
    )
