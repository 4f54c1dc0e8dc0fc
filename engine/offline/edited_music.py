"""Music with the changes of a session spliced in, each at its sample.

The live producer splices a change into the ring; `EditedMusic` does it to a stretch of
pending samples: the old plan is rendered as far as the crossfade reaches, the music
takes the change, and the new plan is spliced in. The samples are those that were heard.
"""

from collections.abc import Sequence

import numpy as np

from effects.audio.levels import Samples
from effects.bed.masking import BandEnvelope
from engine.control.controls import Snapshot, snapshot_of
from engine.offline.edits import Edit
from engine.sound.music import Music
from engine.sound.splice import SPLICE_S, splice
from engine.sound.synthesis import N_LAYERS


class EditedMusic:
    """A mixer's source: music with edits spliced in, from sample `begin` on.

    Args:
        music: the stream.
        controls: in force at its beginning.
        edits: changes of plan and commands to the music, in the order in which they
            were made.
        begin: the first sample that will be read; earlier edits are made at once.
    """

    def __init__(
        self, music: Music, controls: Snapshot, edits: Sequence[Edit], begin: int
    ) -> None:
        self._music, self._controls = music, controls
        self._position = begin
        self._pending = np.zeros((0, N_LAYERS), np.float32)
        self._n_splice = round(SPLICE_S * music.sample_rate)
        early = [edit for edit in edits if edit.heard < begin]
        for edit in early:
            self._make(edit)
        self._edits = list(edits[len(early) :])
        music.position = begin

    @property
    def band_envelope(self) -> BandEnvelope:
        """Of the music's partials, as far as they are rendered."""
        return self._music.band_envelope

    def read_into(self, out: Samples) -> int:
        """Fill `out`, shape (n, N_LAYERS), with the next music, then silence.

        Returns:
            How many samples are music.
        """
        filled = 0
        while filled < len(out):
            while self._edits and self._edits[0].heard <= self._position:
                self._splice_in(self._edits.pop(0))
            self._reach(1)
            if not len(self._pending):
                break
            n = min(len(self._pending), len(out) - filled)
            if self._edits:
                n = min(n, self._edits[0].heard - self._position)
            out[filled : filled + n] = self._pending[:n]
            self._pending = self._pending[n:]
            self._position += n
            filled += n
        out[filled:] = 0.0
        return filled

    def _splice_in(self, edit: Edit) -> None:
        """Make an edit, and crossfade from the old plan to the new one."""
        glide = self._n_splice if edit.glide is None else edit.glide
        self._reach(glide)
        old = self._pending[:glide]
        begun = edit.at if edit.resumed is None else edit.resumed
        early = edit.heard - begun
        room = self._music.band_envelope
        self._make(edit)
        self._pending = np.zeros((0, N_LAYERS), np.float32)
        self._reach(early + max(1, len(old)))
        self._music.band_envelope = self._music.band_envelope.joined(
            room, edit.heard, glide
        )
        self._pending = self._pending[early:]
        if glide:
            self._pending = splice(old, self._pending, self._music.sample_rate)

    def _make(self, edit: Edit) -> None:
        if edit.command is not None:
            self._music.command(edit.at, edit.command, edit.args)
        else:
            self._controls = snapshot_of({**self._controls, **edit.values})
            self._music.replan(edit.at, self._controls)
        if edit.resumed is not None:
            self._music.command(edit.resumed, "resume")

    def _reach(self, n_samples: int) -> None:
        """Render until so many samples are pending, or the music has ended."""
        pieces = [self._pending]
        while sum(map(len, pieces)) < n_samples:
            hop = self._music.next()
            if hop is None:
                break
            pieces.append(hop)
        if len(pieces) > 1:
            self._pending = np.concatenate(pieces)
