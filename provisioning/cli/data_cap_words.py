"""A data cap in one sentence, for who looks at a subscriber or at what it used."""

from __future__ import annotations

from provisioning.bootstrap import Appliance
from provisioning.days import day_of
from radius import DataCapView, RadiusDatabaseUnavailable, RadiusDatabaseUnfit


async def cap_of(appliance: Appliance, subscriber_id: int) -> tuple[DataCapView | None, str | None]:
    """How it stands with its data cap (None: it has none), and the same in words; where nobody can say what was used,
    only why."""
    try:
        found = await appliance.data_caps.of(subscriber_id)
    except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
        return None, f"data cap: what was used is not known: {error}"
    return found, None if found is None else _sentence(appliance, found)


def _sentence(appliance: Appliance, cap: DataCapView) -> str:
    allowance = "any number" if cap["allowance_octets"] is None else f"{cap['allowance_octets']:,}"
    what = "octets down" if cap["counts"] == "download" else "octets in both directions"
    until = day_of(cap["until"], appliance.zone)
    words = f"data cap: {cap['used_octets']:,} of {allowance} {what} until {until}"
    if cap["allowance_octets"] is None:
        words += f", lifted ({cap['cap_octets']:,} by its plan)"
    if cap["level"] != "none":
        words += ", reached" if cap["level"] == "reached" else ", most of it used"
    if cap["served_by"] is not None:
        words += f", served by {cap['served_by']}"
    month = "the calendar's month" if cap["billing_day"] is None else f"billed from day {cap['billing_day']} of a month"
    return f"{words} ({month})"
