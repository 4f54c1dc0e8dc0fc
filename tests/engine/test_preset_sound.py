"""The bundled presets sound different: measured on audio, against songs of one."""

import numpy as np

from engine.compose import preset
from model.inference import TimbreModel
from tests.support.songs import audio_features, hear, settings

SECONDS = 12.0
SEEDS = (11, 12, 13, 14, 15, 16)


def test_any_two_presets_are_farther_apart_than_the_songs_of_one() -> None:
    model = TimbreModel.load()
    names = [name for name in preset.names() if name in preset._bundled()]
    songs = np.array(
        [
            [
                list(
                    audio_features(
                        hear(
                            settings(
                                seed,
                                preset.load(name).controls,
                                seconds=SECONDS,
                                preset=name,
                            )
                        ),
                        model,
                    ).values()
                )
                for seed in SEEDS
            ]
            for name in names
        ]
    )  # (presets, seeds, features)
    # In spreads of each feature among songs of one preset.
    spread = np.median(songs.std(axis=1, ddof=1), axis=0)
    means = songs.mean(axis=1) / spread
    within = np.linalg.norm(songs / spread - means[:, None], axis=2).mean(axis=1)
    for i, one in enumerate(names):
        for j, other in enumerate(names[:i]):
            apart = float(np.linalg.norm(means[i] - means[j]))
            assert apart > 0.5 * (within[i] + within[j]), f"{one} and {other}"
