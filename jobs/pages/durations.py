"""Durations for people."""

from __future__ import annotations

_SECONDS_PER_MINUTE = 60
_MINUTES_PER_HOUR = 60
_HOURS_PER_DAY = 24


def in_words(seconds: float) -> str:
    """Write a duration as people do: 4.2 s, 3 min 05 s, 2 h 07 min, 3 d 04 h."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
    if minutes < _MINUTES_PER_HOUR:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / _SECONDS_PER_MINUTE), _MINUTES_PER_HOUR)
    if hours < 2 * _HOURS_PER_DAY:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / _SECONDS_PER_MINUTE / _MINUTES_PER_HOUR), _HOURS_PER_DAY)
    return f"{days} d {hours:02d} h"
