"""Who had an address: the sessions, and whose they are by their Class, whatever name that subscriber has by now."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from provisioning.bootstrap import Appliance
from radius import SessionView


class SessionBearer(TypedDict):
    """A subscriber as it is named now."""

    subscriber_id: int
    username: str


class HolderView(SessionView):
    """A session that had an address. ``subscriber``: whose it is; None: its Class names nobody here."""

    subscriber: SessionBearer | None


async def who_had(appliance: Appliance, address: str, *, at: datetime) -> list[HolderView]:
    """As ``SessionLooks.who_had``.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit, LookRefused
    """
    found = await appliance.session_looks.who_had(address, at=at)
    labels = {each["label"] for each in found if each["label"]}
    async with appliance.database.read() as db:
        bearers = await appliance.services(db).radius_service.bearers(labels) if labels else {}
    named = {label: SessionBearer(subscriber_id=number, username=name) for label, (number, name) in bearers.items()}
    return [HolderView(**each, subscriber=named.get(each["label"] or "")) for each in found]
