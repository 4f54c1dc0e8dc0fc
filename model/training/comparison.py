"""A model beside what one would use without it: is it better on one's own music?"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import RunError
from model.config import N_LATENTS
from model.guard import MOST_STANDING_DB, StandingPeak, standing_peak
from model.inference import TimbreModel
from model.training.dataset import Split
from model.training.evaluate import fit_pca, measure_audio, reconstruct, rmse_db

MIN_CLIPS = 40  # held out, or the error says little
MIN_SONGS = 10
BETTER = 0.99  # of the other's error, from which a model counts as better
N_SOUNDS = 4_000  # draws of the prior in which standing peaks are looked for
FRACTIONS = (0.25, 0.5, 1.0)  # of the songs, to which PCA is fitted for the slope
MOST_SONGS = 20_000  # beyond, no number is named


@dataclass(frozen=True)
class Comparison:
    """Errors on clips of songs that training left out, in dB, and what they are worth.

    Attributes:
        rmse_db: of the model.
        rmse_pca_db: of 32 principal components of the clips that it was trained on.
        rmse_bundled_db: of the bundled model.
        detail: share of the tonal detail that the model keeps.
        n_clips: on which this was measured.
        n_songs: of which they are.
        songs_needed: about how many songs would make the model better than both others,
            where it is not; 0 if that cannot be told.
    """

    rmse_db: float
    rmse_pca_db: float
    rmse_bundled_db: float
    detail: float
    n_clips: int
    n_songs: int
    songs_needed: int = 0

    @property
    def is_better(self) -> bool:
        """Whether the model is better than the bundled one."""
        return self.rmse_db <= BETTER * self.rmse_bundled_db

    def line(self) -> str:
        """The outcome in a sentence."""
        others = (
            f"{self.rmse_db:.2f} dB, bundled model {self.rmse_bundled_db:.2f}, "
            f"PCA of {N_LATENTS} components {self.rmse_pca_db:.2f}"
        )
        where = f"on {self.n_clips} clips of {self.n_songs} songs left out"
        if self.n_clips < MIN_CLIPS or self.n_songs < MIN_SONGS:
            where += ", too few to rely on"
        if self.is_better:
            text = f"better than the bundled model: {others} ({where})"
        else:
            text = f"no better than the bundled model: {others} ({where})"
        if self.is_better and self.rmse_db <= BETTER * self.rmse_pca_db:
            return text
        if self.is_better:
            text += "; no better than PCA"
        if self.songs_needed:
            return f"{text}; more songs are needed: about {self.songs_needed:,}"
        return f"{text}; more songs are needed"

    def to_json(self) -> dict[str, Any]:
        """The numbers, for model.json."""
        return {**asdict(self), "is_better": self.is_better, "line": self.line()}


def compare(model: TimbreModel, split: Split) -> Comparison:
    """Compare a model with PCA and with the bundled model on clips left out.

    Args:
        model: that was trained on `split`.
        split: the divided corpus.
    """
    test = split.test.astype(np.float32)
    own = measure_audio(model, test)
    bundled = measure_audio(TimbreModel.load(None), test)
    curve = _pca_errors(split, test)
    found = Comparison(
        rmse_db=own["rmse_db"],
        rmse_pca_db=curve[-1],
        rmse_bundled_db=bundled["rmse_db"],
        detail=own["detail_reconstruction"],
        n_clips=len(test),
        n_songs=len(np.unique(split.test_groups)),
    )
    wanted = BETTER * min(found.rmse_bundled_db, found.rmse_pca_db)
    if found.rmse_db <= wanted:
        return found
    needed = _songs_for(wanted / found.rmse_db, curve, split.n_train_groups)
    return Comparison(**{**asdict(found), "songs_needed": needed})


def check_standing_peak(
    model: TimbreModel, clips: NDArray[Any], rng: np.random.Generator
) -> StandingPeak:
    """Measure the standing peak of a model, and refuse it when it would be heard.

    Args:
        model: to be checked.
        clips: timbres that it was trained on, (n, n_bands).
        rng: draws sounds.

    Raises:
        RunError: a tone stands out of every sound of the model.
    """
    sounds = model.decode(model.sample(N_SOUNDS, rng))
    found = standing_peak(sounds, clips)
    if found.excess_db > MOST_STANDING_DB:
        raise RunError(
            f"training ended with a tone at {found.hz:.0f} Hz that stands "
            f"{found.model_db:.1f} dB out of every sound ({found.data_db:.1f} dB in "
            "the music): nothing was written; train longer, or on more songs"
        )
    return found


def _pca_errors(split: Split, test: NDArray[np.float32]) -> list[float]:
    """Errors of PCA that is fitted to growing parts of the training clips."""
    errors = []
    for fraction in FRACTIONS:
        # Clips lie in the order of their songs, so a part holds whole songs.
        part = split.train[: max(N_LATENTS + 1, round(fraction * len(split.train)))]
        errors.append(
            rmse_db(reconstruct(fit_pca(part, N_LATENTS), test, N_LATENTS), test)
        )
    return errors


def _songs_for(ratio: float, curve: list[float], n_songs: int) -> int:
    """About how many songs bring the error to a share of what it is.

    The error falls with a power of the number of songs; PCA's tells the power for this
    music.

    Args:
        ratio: of the wanted error to the present one, under 1.
        curve: errors at `FRACTIONS` of the songs.
        n_songs: now.

    Returns:
        Two digits, or 0 if the error does not fall or the number is beyond reason.
    """
    slope = float(np.polyfit(np.log(FRACTIONS), np.log(curve), 1)[0])
    if slope > -0.01:
        return 0
    needed = n_songs * ratio ** (1.0 / slope)
    if not needed <= MOST_SONGS:
        return 0
    digits: int = 10 ** max(0, len(str(int(needed))) - 2)
    return int(np.ceil(needed / digits)) * digits
