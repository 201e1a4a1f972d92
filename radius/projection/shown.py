"""What FreeRADIUS' tables say of one subscriber, in words, and whether that is what we want; no password is shown."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.ports import Begin, ManySecrets, Now
from radius.projection.drift import drift_of
from radius.projection.freeradius_tables import radius_projection
from radius.projection.projection import Row, plan_group
from radius.projection.radius_database import actual_rows, radius_transaction
from radius.projection.wishes import Wishes
from radius.tables import Subscriber

Login = Literal["let in", "refused", "unknown"]
DriftReason = Literal["missing", "different", "extra", "foreign"]


class ShownSubscriber(TypedDict):
    """The rows of one name, as they are read.

    ``login``: *refused* by a row, *let in* with what else they say, or *unknown*: there is no row. ``plans``: whose
    groups it is a member of, the one that counts first; a group that is none of ours stands there by its whole name.
    ``differs``: why its rows, or those of a plan that serves it (``plan_differs``), are not as they shall be; None:
    they are. ``written_at``: when we wrote them last; None: we never did.
    """

    username: str
    login: Login
    plans: list[str]
    ipv4: str | None
    ipv4_pool: str | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    routes: list[str]
    lines: list[str]
    differs: DriftReason | None
    plan_differs: DriftReason | None
    awaiting_projection: bool
    written_at: datetime | None
    read_at: datetime


class SubscriberRows:
    """Reads what FreeRADIUS has of one tenant's subscribers. Both ways into the databases may be reading ones."""

    def __init__(self, read: Begin, radius_read: Begin, *, tenant_id: str, now: Now, secrets: ManySecrets) -> None:
        self._read = read
        self._radius_read = radius_read
        self._tenant_id = tenant_id
        self._now = now
        self._wishes = Wishes(tenant_id=tenant_id, secrets=secrets)

    async def wanted_since(self, db: AsyncSession, subscriber_id: int) -> datetime | None:
        """Since when it is wanted as it is, in the caller's transaction; None: there is none of that number."""
        mine = (Subscriber.tenant_id == self._tenant_id, Subscriber.id == subscriber_id)
        since: datetime | None = await db.scalar(select(Subscriber.updated_at).where(*mine))
        return since

    async def of(self, username: str, *, plan: str) -> ShownSubscriber:
        """What stands under this name; ``plan`` is the one that it is to be served by.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        group = plan_group(self._tenant_id, plan)
        own = await drift_of(self._read, self._radius_read, self._wishes, "subscriber", username)
        of_plan = await drift_of(self._read, self._radius_read, self._wishes, "plan", group)
        ledger = radius_projection.c
        mine = (ledger.kind == "subscriber", ledger.name == username, ledger.tenant_id == self._tenant_id)
        async with radius_transaction(self._radius_read) as db:
            rows = list((await actual_rows(db, "subscriber", [username]))[username].values())
            written_at = await db.scalar(select(ledger.projected_at).where(*mine))
        replies = [values for row in rows if row.table == "radreply" for values in [dict(row.columns)]]
        return ShownSubscriber(
            username=username,
            login=_login(rows),
            plans=_plans(rows, plan_group(self._tenant_id, "")),
            ipv4=_said(replies, "Framed-IP-Address"),
            ipv4_pool=_said(replies, "Framed-Pool"),
            ipv6_wan_prefix=_said(replies, "Framed-IPv6-Prefix"),
            delegated_prefix=_said(replies, "Delegated-IPv6-Prefix"),
            routes=_all_said(replies, ("framed-route", "framed-ipv6-route")),
            lines=sorted(dict(row.columns)["line"] for row in rows if row.table == "radius_line"),
            differs=own.reason if own else None,
            plan_differs=of_plan.reason if of_plan else None,
            awaiting_projection=bool((own and own.awaiting_projection) or (of_plan and of_plan.awaiting_projection)),
            written_at=written_at,
            read_at=self._now(),
        )


def _login(rows: Collection[Row]) -> Login:
    checks = [dict(row.columns) for row in rows if row.table == "radcheck"]
    if any(each["attribute"].lower() == "auth-type" and each["value"].lower() == "reject" for each in checks):
        return "refused"
    return "let in" if rows else "unknown"


def _plans(rows: Collection[Row], prefix: str) -> list[str]:
    """Without the groups that stand for a piece of a plan's addressing."""
    groups = [dict(row.columns) for row in rows if row.table == "radusergroup"]
    named = [each["groupname"] for each in sorted(groups, key=lambda each: int(each["priority"]))]
    whole = [name.removeprefix(prefix) for name in named if not (name.startswith(prefix) and ":" in name)]
    return list(dict.fromkeys(whole))


def _said(replies: Collection[dict[str, str]], attribute: str) -> str | None:
    """All of it where it stands more than once: then a NAS is told more than is wanted."""
    return ", ".join(_all_said(replies, (attribute.lower(),))) or None


def _all_said(replies: Collection[dict[str, str]], attributes: Collection[str]) -> list[str]:
    return [each["value"] for each in replies if each["attribute"].lower() in attributes]
