"""Recording of the master to FLAC, beside the music and never in its way.

Threads: the callback writes to `Recorder.tap`, which copies and counts. The
recorder's own thread drains it, encodes, and is the only one to touch a file. Any
control thread starts, stops and adds chapters. When anything fails, the recording ends
with one message and what there is of it is kept; the music goes on.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from effects.audio.replaygain import LoudnessMeter
from effects.base.errors import LatentError, RunError
from engine.live.tap import Gap, Tap
from engine.recording.chapters import Chapter, chapters_of_file, write_cue_sheet
from engine.recording.disk_reserve import DiskReserve
from engine.recording.flac import FIRST_SAMPLE
from engine.recording.naming import recording_path
from engine.recording.segment import FlacSegment, Tags, retag_file, to_24_bits

BLOCK = 4096  # samples: what libFLAC makes one frame of
POLL_S = 0.05  # between looks into the tap
SYNC_S = 5.0  # between fsyncs: what a power cut may cost
SEGMENT_S = 3600.0  # well under FLAC's 2^36 samples and 4 GB
MESSAGE_S = 10.0  # between messages of slow disks

Event = Mapping[str, object]


@dataclass(frozen=True)
class RecorderState:
    """The state of a recording."""

    active: bool
    path: Path | None  # being written, by the name it will have
    files: tuple[Path, ...]  # finished
    first_sample: int | None  # of the session, once one was recorded
    n_samples: int  # on their way to disk, gaps included
    dropped: int  # samples that a slow disk cost, now silence
    bad_samples: int  # that were not finite, now silence
    failure: str | None


class Recorder:
    """One recording, in one file or several that join without a gap.

    Args:
        target: a .flac file, or a folder for one with a dated name.
        sample_rate: Hz.
        channels: of the master.
        metadata: tags by name (title, artist, album, date, comment...).
        segment_seconds: after which a new file begins.
        on_message: takes one line for the user, in the recorder's thread.
        position: gives the session's sample after the block that is being written
            to the tap, as `mixer.position` does.
        on_event: takes rows for the journal, in the recorder's thread.
        report: has all that the callback did so far written to the journal, and
            waits for its disk, for a second at most. A block is recorded one look
            after that, so that whatever a kill leaves of the recording, the journal
            renders it.
        reserve_bytes: of the disk to leave free.
        buffer_s: seconds that a disk may stall without loss.

    Raises:
        InputError: the ending is that of another format.
    """

    def __init__(
        self,
        target: Path,
        sample_rate: int,
        channels: int = 2,
        metadata: Mapping[str, str] | None = None,
        segment_seconds: float = SEGMENT_S,
        on_message: Callable[[str], None] = lambda line: None,
        *,
        position: Callable[[], int] | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        report: Callable[[], None] = lambda: None,
        reserve_bytes: int | None = None,
        buffer_s: float = 60.0,
    ) -> None:
        self.tap = Tap(sample_rate, channels, buffer_s, position)
        self._target = recording_path(target)
        self._rate, self._channels = sample_rate, channels
        self._tags = [
            (name.upper(), text) for name, text in (metadata or {}).items() if text
        ]
        self._longest = max(1, round(segment_seconds * sample_rate))
        self._say, self._on_event = on_message, on_event
        self._report = report
        self._reserve = (
            DiskReserve.usual(sample_rate, channels)
            if reserve_bytes is None
            else DiskReserve(reserve_bytes)
        )
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._stopping = threading.Event()
        self._new_chapters: deque[Chapter] = deque()
        # From here on the recorder's thread's own, once it runs.
        self._segment: FlacSegment | None = None
        self._n_segments = 0
        self._first = 0  # sample of the session that the segment begins with
        self._chapters: list[Chapter] = []
        self._gaps: list[Gap] = []  # of the segment, at samples of the session
        self._meter = LoudnessMeter(sample_rate, channels)
        self._finished: list[tuple[Path, Tags]] = []
        self._n_samples = self._n_bad = 0
        self._failure: str | None = None
        self._synced = time.monotonic()
        self._syncing: threading.Thread | None = None
        self._said = -MESSAGE_S
        self._unsaid = 0

    def start(self, at: int = 0) -> None:
        """Open the file and wait for sound; then give `tap` to the mixer.

        Args:
            at: first sample of the session to record; earlier ones are let pass.

        Raises:
            InputError: the folder cannot be written.
            RunError: the disk is too full.
        """
        self.tap.start_at = at
        try:
            self._open()
            self._thread.start()
        except BaseException:  # a signal, before there is a thread to close the file
            segment, self._segment = self._segment, None
            if segment is not None and not self._thread.is_alive():
                segment.discard()
            raise

    def stop(self, timeout: float = 10.0) -> bool:
        """Record what the tap still holds, and close; take it from the mixer first.

        Returns:
            True when every file is finished and none of the recording failed.
        """
        self.tap.closed = True
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive() and self._failure is None

    def add_chapter(self, title: str, sample: int) -> None:
        """Note that a song begins at a sample of the session, past or to come."""
        self._new_chapters.append(Chapter(sample, title))

    def state(self) -> RecorderState:
        """The state of the recording; for any thread."""
        segment = self._segment
        return RecorderState(
            self._thread.is_alive(),
            segment.path if segment else None,
            tuple(path for path, _ in self._finished),
            self.tap.first_sample,
            self._n_samples,
            self.tap.dropped,
            self._n_bad,
            self._failure,
        )

    # The recorder's thread.

    def _run(self) -> None:
        try:
            self._record()
            self._close()
            self._tag_album()
            if self._syncing is not None:
                self._syncing.join(SYNC_S)
        except LatentError as error:
            self._fail(str(error))
        except Exception as error:  # whatever it is, the music goes on
            self._fail(f"{self._target}: {error!r}")

    def _record(self) -> None:
        block = np.zeros((BLOCK, self._channels), np.float32)
        ready = 0  # samples in the tap of which the journal knows since the last look
        while True:
            closing = self.tap.closed  # read before the tap is emptied
            if closing:
                ready = self.tap.available
                self._report()
            while (n := self.tap.read_into(block[:ready])) or self._fill_gap():
                self._take(block[:n])
                self._keep_safe()
                ready -= n
            if closing:
                if gap := self.tap.last_gap():
                    self._fill(gap)
                return
            self._keep_safe()
            ready = self.tap.available
            self._report()
            self._stopping.wait(POLL_S)

    def _take(self, samples: Samples) -> None:
        steps, n_bad = to_24_bits(samples)
        if n_bad and not self._n_bad:
            self._say("recording: samples that are not finite were left silent")
        self._n_bad += n_bad
        while len(steps):
            segment = self._ready_segment()
            room = self._longest - segment.n_samples
            part, steps = steps[:room], steps[room:]
            segment.write(part)
            self._meter.add((part >> 8).astype(np.float32) / np.float32(1 << 23))
            self._n_samples += len(part)

    def _fill_gap(self) -> bool:
        gap = self.tap.next_gap()
        if gap is not None:
            self._fill(gap)
        return gap is not None

    def _fill(self, gap: Gap) -> None:
        """Write silence in the place of what was dropped, and report it."""
        at = (self.tap.first_sample or 0) + self._n_samples
        self._ready_segment()
        self._gaps.append(Gap(at, gap.n_samples))
        silence = np.zeros((BLOCK, self._channels), np.float32)
        for start in range(0, gap.n_samples, BLOCK):
            self._take(silence[: gap.n_samples - start])
        self._on_event({"at": at, "recording": {"gap": gap.n_samples}})
        self._unsaid += gap.n_samples
        if time.monotonic() - self._said >= MESSAGE_S or self.tap.closed:
            seconds = self._unsaid / self._rate
            self._say(
                f"recording: the disk was too slow; {self._unsaid} samples "
                f"({seconds:.2f} s) are silence; the music is whole"
            )
            self._said, self._unsaid = time.monotonic(), 0

    def _ready_segment(self) -> FlacSegment:
        """The segment to write to, the next one when this one is full."""
        if self._segment is not None and self._segment.n_samples >= self._longest:
            self._close()
        if self._segment is None:
            self._open()
        assert self._segment is not None
        if self._segment.n_samples == 0:
            self._begin(self._segment)
        return self._segment

    def _open(self) -> None:
        self._n_segments += 1
        path = self._target
        if self._n_segments > 1:  # in the order of their names for more than a year
            path = path.with_stem(f"{path.stem}-{self._n_segments:04d}")
        segment = FlacSegment(path, self._rate, self._channels)
        try:
            self._reserve.check(segment.path.parent)
        except RunError:
            segment.discard()
            raise
        self._segment = segment

    def _begin(self, segment: FlacSegment) -> None:
        self._first = (self.tap.first_sample or 0) + self._n_samples
        segment.set_tags(self._all_tags(segment))
        row = {"file": str(segment.path), "state": "begin"}
        self._on_event({"at": self._first, "recording": row})

    def _close(self) -> None:
        segment = self._segment
        if segment is None:
            return
        if segment.n_samples == 0:
            segment.discard()
        else:
            tags = self._all_tags(segment)
            chapters = self._chapters_of(segment)
            self._syncing = segment.close(tags)
            self._finished.append((segment.path, tags))
            title = dict(self._tags).get("TITLE", segment.path.stem)
            if chapters or self._gaps:
                write_cue_sheet(segment.path, title, chapters, self._gaps, self._rate)
            self._tell_end(segment)
        self._segment = None
        self._meter.next_track()
        self._gaps = []

    def _tell_end(self, segment: FlacSegment) -> None:
        row = {
            "file": str(segment.path),
            "state": "end",
            "first": self._first,
            "samples": segment.n_samples,
            "gaps": [[gap.at, gap.n_samples] for gap in self._gaps],
        }
        self._on_event({"at": self._first + segment.n_samples, "recording": row})

    def _all_tags(self, segment: FlacSegment) -> list[tuple[str, str]]:
        self._collect_chapters()
        tags = [*self._tags, (FIRST_SAMPLE, str(self._first))]
        if self._longest < self._n_samples or self._n_segments > 1:
            tags.append(("TRACKNUMBER", str(self._n_segments)))
        tags += self._meter.track_tags()
        tags += [("LATENT_GAP", f"{gap.at} {gap.n_samples}") for gap in self._gaps]
        for number, chapter in enumerate(self._chapters_of(segment), 1):
            tags += chapter.tags(number, self._rate)
        return tags

    def _chapters_of(self, segment: FlacSegment) -> list[Chapter]:
        length = max(segment.n_samples, 1)
        return chapters_of_file(self._chapters, self._first, length)

    def _collect_chapters(self) -> None:
        while self._new_chapters:
            self._chapters.append(self._new_chapters.popleft())
        self._chapters.sort(key=lambda chapter: chapter.sample)
        # Only the latest song that began before this segment can still be heard in it.
        begun = [c for c in self._chapters if c.sample <= self._first]
        self._chapters = begun[-1:] + self._chapters[len(begun) :]

    def _tag_album(self) -> None:
        """Tag all files of the set with one gain, so that no level steps between."""
        if len(self._finished) > 1:
            album = self._meter.album_tags()
            for path, tags in self._finished:
                retag_file(
                    path, [*tags[: len(self._tags)], *album, *tags[len(self._tags) :]]
                )

    def _keep_safe(self) -> None:
        now = time.monotonic()
        segment = self._segment
        if now - self._synced < SYNC_S or segment is None or not segment.n_samples:
            return
        self._synced = now
        if not segment.is_in_place:
            self._say(f"{segment.path.parent}: the folder was removed; making it again")
            self._close()
            return
        segment.retag(self._all_tags(segment))
        if self._syncing is None or not self._syncing.is_alive():
            self._syncing = segment.sync()
        try:
            self._reserve.check(segment.path.parent)
        except RunError:
            self._close()
            raise

    def _fail(self, why: str) -> None:
        self.tap.closed = True
        segment, self._segment = self._segment, None
        if segment is not None and not segment.n_samples:
            segment.discard()
        elif segment is not None:
            repair = segment.abandon()
            if repair is not None and repair.status != "empty":
                self._finished.append((repair.path, ()))
        kept = f"; kept {self._finished[-1][0]}" if self._finished else ""
        self._failure = f"{why}; recording stopped{kept}"
        self._say(self._failure)
