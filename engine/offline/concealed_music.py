"""Music as the callback read it: concealed from where and to where it was too late."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, Bands
from effects.bed.masking import BandEnvelope
from engine.live.loop_crossfade import Concealing, LoopCrossfade
from engine.live.mixer import MAX_BLOCK
from engine.offline.edited_music import EditedMusic
from engine.offline.edits import Edit, Turn
from engine.sound.concealment import Concealment
from engine.sound.music import Music
from engine.sound.synthesis import N_LAYERS


class ConcealedMusic:
    """A mixer's source: music with a session's concealment, from sample `begin` on.

    Args:
        music: the stream, which makes loops from their recipes.
        source: the same with its edits.
        turns: of the crossfade to the concealment, by sample.
        begin: the first sample that will be read.
    """

    def __init__(
        self, music: Music, source: EditedMusic, turns: Sequence[Edit], begin: int
    ) -> None:
        self._music, self._source, self._position = music, source, begin
        self._crossfade = LoopCrossfade(music.sample_rate, N_LAYERS, MAX_BLOCK)
        self._turns = deque(sorted(turns, key=lambda edit: edit.at))
        self._kept: dict[int, Bands] = {}  # masking where concealment stands still
        self._turn_up_to(begin)

    @property
    def band_envelope(self) -> BandEnvelope:
        """Of the music's partials, held where it was too late."""
        envelope, held = self._source.band_envelope, self._crossfade.held
        for begin, _ in held:
            if begin < self._position and begin not in self._kept:
                # The envelope forgets it while the music goes on behind a long stall.
                envelope.read_into(bands := np.zeros(N_BANDS), begin)
                self._kept = {**self._kept, begin: bands}
        return envelope.holding(held, self._kept)

    def read_into(self, out: Samples) -> int:
        """Fill `out`, shape (n, N_LAYERS); returns how many samples are music."""
        got = self._source.read_into(out)
        done = 0
        while done < len(out):
            self._turn_up_to(self._position)
            n = len(out) - done
            if self._turns:
                n = min(n, self._turns[0].at - self._position)
            self._crossfade.apply(out[done : done + n], self._position)
            self._position += n
            done += n
        return got

    def _turn_up_to(self, position: int) -> None:
        while self._turns and self._turns[0].at <= position:
            edit = self._turns.popleft()
            assert edit.turn is not None
            deed = Concealing(edit.turn.rises, self._concealment(edit.turn))
            self._crossfade.turn(edit.at, deed)

    def _concealment(self, turn: Turn) -> Concealment | None:
        if not turn.begins:
            return None
        if turn.recipe is None:
            return Concealment(np.zeros((1, N_LAYERS), np.float32), turn.gain)
        loop = self._music.concealment_of(turn.recipe).loop
        return Concealment(loop, turn.gain, turn.recipe)
