"""Lengths of time as people write them."""

import math
from typing import Any

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """Seconds from `90`, `90s`, `45m` or `1.5h`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The seconds; a usage error if it is no length of time."""
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        unit = _UNITS.get(text[-1:])
        try:
            seconds = float(text[:-1]) * unit if unit else float(text)
        except ValueError:
            seconds = math.nan
        if not 0.0 < seconds <= 7 * 24 * 3600.0:
            self.fail(f"{value!r} is not a length of time like 90, 45m or 1.5h")
        return seconds
