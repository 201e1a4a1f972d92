"""When a pool is full if it goes on like this, in the same words on the console and on the command line."""

from __future__ import annotations

from datetime import datetime, timedelta

from ipam import PoolOutlook

LONGEST = timedelta(days=3650)
"""Beyond it what one week has brought tells nothing."""


def forecast(pool: PoolOutlook, now: datetime) -> str:
    """By what the last seven days have brought."""
    days, per_day = pool["days_to_exhaustion"], pool["units_per_day"]
    if pool["chain_free"] <= 0:
        return "full"
    others = [name for name in pool["chain"] if name != pool["pool"]]
    if pool["free"] <= 0:
        state = "being drained" if pool["draining"] else "full"
        return f"{state}, and served on by {' and '.join(others)}"
    if days is None:
        return "too soon to say" if per_day is None else "not going down"
    if timedelta(days=min(days, 36_500)) > LONGEST:
        return "lasts for more than ten years"
    date = f"{now + timedelta(days=days):%Y-%m-%d}"
    if others:
        return f"full with {' and '.join(others)} on {date}"
    return f"full on {date}, at {per_day:g} a day"
