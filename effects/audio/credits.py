"""Credits that the name of a sound file holds."""

import re
from pathlib import Path

# Downloads from freesound.org: 123456__user__light-rain.wav
_FREESOUND = re.compile(r"(?P<id>\d{1,9})__(?P<user>.+?)__(?P<title>.+)", re.DOTALL)


def credits_of_name(path: Path) -> dict[str, str]:
    """Title, artist and page of a sound by the name under which freesound.org gives it.

    >>> credits_of_name(Path("123456__user__light-rain.wav"))["artist"]
    'user'
    >>> credits_of_name(Path("rain.wav"))
    {}
    """
    found = _FREESOUND.fullmatch(path.stem)
    if found is None:
        return {}
    page = f"https://freesound.org/people/{found['user']}/sounds/{found['id']}/"
    return {"title": found["title"], "artist": found["user"], "source_url": page}
