"""Where Latent keeps its files: XDG directories, or one folder, `LATENT_HOME`."""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs


def config_dir() -> Path:
    """Folder of `config.toml` and of the user's own presets and grammars."""
    return _dir("config", platformdirs.user_config_dir)


def data_dir() -> Path:
    """Folder of the user's corpora, models, recordings and effects."""
    return _dir("data", platformdirs.user_data_dir)


def cache_dir() -> Path:
    """Folder of files that can be made again, such as loops at a sample rate."""
    return _dir("cache", platformdirs.user_cache_dir)


def state_dir() -> Path:
    """Folder of journals and other files that a session leaves for the next."""
    return _dir("state", platformdirs.user_state_dir)


def _dir(kind: str, default: Callable[..., str]) -> Path:
    home = os.environ.get("LATENT_HOME")
    if home:
        return Path(home).expanduser() / kind
    return Path(default("latent", appauthor=False))
