"""Who had an address: the sessions, and whose they are, whatever name that subscriber has by now."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from provisioning.bootstrap import Appliance
from radius import SessionMark, SessionView


class SessionBearer(TypedDict):
    """A subscriber as it is named now."""

    subscriber_id: int
    username: str


class HolderView(SessionView):
    """A session that had an address. ``subscriber``: whose it is; None: neither its Class nor its name
    tells of anybody here."""

    subscriber: SessionBearer | None


async def who_had(appliance: Appliance, address: str, *, at: datetime) -> list[HolderView]:
    """As ``SessionLooks.who_had``.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit, LookRefused
    """
    found = await appliance.session_looks.who_had(address, at=at)
    marks = [SessionMark(each["username"], each["label"], each["started_at"]) for each in found]
    async with appliance.database.read() as db:
        owners = await appliance.services(db).radius_service.owners(marks) if marks else []
    return [HolderView(**each, subscriber=_bearer(owner)) for each, owner in zip(found, owners, strict=True)]


def _bearer(owner: tuple[int, str] | None) -> SessionBearer | None:
    return None if owner is None else SessionBearer(subscriber_id=owner[0], username=owner[1])
