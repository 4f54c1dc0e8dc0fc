"""The titles that a session shows, from its seed and preset."""

from engine.compose import preset as presets
from engine.compose.preset import DEFAULT_PRESET
from engine.control.controls import snapshot_of
from engine.graph import Settings, build

_RATE = 22_050


def first_titles(seed: int, preset: str = DEFAULT_PRESET) -> tuple[str, str]:
    """Titles of the first two songs of a radio, the second asked for by `next`."""
    found = presets.load(preset)
    settings = Settings(
        seed=seed,
        sample_rate=_RATE,
        duration=None,
        controls=snapshot_of(found.controls),
        grammar=found.grammar,
        effects=None,
        preset=found.name,
    )
    music = build(settings).music
    first = music.now(0).title
    music.command(_RATE, "next")
    return first, music.now(8 * _RATE).title
