"""Logins that stand in files of FreeRADIUS and are not carried into the log in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.logins.tables import radius_login_folder

CARRIED_WITHIN = timedelta(minutes=2)
"""Logins that FreeRADIUS writes to files are in the table by then, if anybody carries them."""


class LateLogins(TypedDict):
    """A machine and a folder from which not all logins since then are in the log. ``is_carried``: somebody is about
    it."""

    place: str
    since: datetime
    is_carried: bool


async def late_logins(db: AsyncSession, now: datetime) -> list[LateLogins]:
    """Of each folder that is late."""
    folder = radius_login_folder.c
    late = select(folder.place, folder.carried_at, folder.alive_at).where(folder.carried_at < now - CARRIED_WITHIN)
    return [
        LateLogins(place=place, since=carried_at, is_carried=alive_at >= now - CARRIED_WITHIN)
        for place, carried_at, alive_at in await db.execute(late.order_by(folder.place))
    ]
