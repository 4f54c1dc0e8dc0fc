"""Types of options: lengths of time, and times of day."""

import math
import re
from datetime import datetime, time, timedelta
from typing import Any

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A length of time in seconds, written `90`, `90s`, `45m` or `1.5h`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the seconds.

        Raises:
            UsageError: it is no length of time up to a week.
        """
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


class TimeOfDay(click.ParamType[time]):
    """A time of day, written `6:30`, `06:30` or `06:30:15`."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> time:
        """Return the time.

        Raises:
            UsageError: there is no such time of day.
        """
        if isinstance(value, time):
            return value
        text = str(value).strip()
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text, re.ASCII):
            hour, minute, second = [*map(int, text.split(":")), 0][:3]
            try:
                return time(hour, minute, second)
            except ValueError:
                pass
        self.fail(f"{value!r} is not a time of day like 06:30")


def next_time(clock: time, now: datetime) -> datetime:
    """Return when the clock will next show a time of day, after `now`."""
    today = datetime.combine(now.date(), clock)
    return today if today > now else today + timedelta(days=1)
