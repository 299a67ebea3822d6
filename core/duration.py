"""Lengths of time in words, the same on the card, in the reasons beside a commit and in a terminal.

Does not: know moments or time zones.
"""

from __future__ import annotations

from datetime import timedelta


def duration(length: timedelta) -> str:
    """A length of time, begun units left out, in at most two: "40 s", "14 min", "3 h 20 min", "2 days"."""
    # A moment told in fractions of hours may come back a few milliseconds short of a whole minute.
    whole = int(abs(length.total_seconds()) + 0.01)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 1:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return "1 day" if days == 1 else f"{days} days"
