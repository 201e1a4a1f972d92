"""What must always hold in the radius database: read-only questions for ``firstlight check``. No finding means it
holds.

To add one: a function here that takes a transaction in the radius database and returns findings, one line in
``RADIUS_INVARIANTS``, and in ``tests/radius/test_invariants.py`` the corruption that it must catch. Whether the rows
are what each subscriber's state asks is answered by ``RadiusProjector.drift()``, and ``drift_findings`` puts it into
words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Table, func, not_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from radius.attributes import single_valued
from radius.dialects import DIALECTS
from radius.drift import Drift
from radius.freeradius_tables import (
    SAFE_ROW,
    SAFE_USERNAME,
    nas,
    radcheck,
    radgroupcheck,
    radgroupreply,
    radpostauth,
    radreply,
    radusergroup,
)
from radius.tables import Subscriber

_BY_USERNAME = (radcheck, radreply)
_BY_GROUP = (radgroupcheck, radgroupreply)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which invariant, whose, and one plain sentence. Never a password."""

    invariant: str
    subject: str
    sentence: str


@dataclass(frozen=True)
class Invariant:
    """A question to the radius database."""

    name: str
    meaning: str
    find: Callable[[AsyncSession], Awaitable[list[Finding]]]


async def mangled_values(radius_db: AsyncSession) -> list[Finding]:
    """Rows that FreeRADIUS would expand, change or refuse."""
    dialect = radius_db.get_bind().dialect.name
    findings = []
    for table, owner in _attribute_tables():
        unsafe = select(table.c[owner], table.c.attribute).where(text(f"NOT ({SAFE_ROW[dialect]})"))
        findings += [
            Finding(
                "radius.mangled_values",
                name,
                f"{table.name}: the value of {attribute} for {name} does not reach a NAS as it is written.",
            )
            for name, attribute in await radius_db.execute(unsafe.order_by(table.c.id))
        ]
    for table in (radcheck, radreply, radusergroup):
        unsafe_names = select(table.c.username).where(text(f"NOT ({SAFE_USERNAME[dialect]})")).distinct()
        findings += [
            Finding("radius.mangled_values", name, f"{table.name}: FreeRADIUS never looks up a username like {name!r}.")
            for name in await radius_db.scalars(unsafe_names)
        ]
    return findings


async def repeated_single_values(radius_db: AsyncSession) -> list[Finding]:
    """Several rows of one owner for an attribute that has one value: which one counts is chance."""
    findings = []
    for table, owner in _attribute_tables():
        repeated = (
            select(table.c[owner], table.c.attribute, func.count())
            .where(table.c.attribute.in_(single_valued()))
            .group_by(table.c[owner], table.c.attribute)
            .having(func.count() > 1)
        )
        findings += [
            Finding(
                "radius.repeated_single_values",
                name,
                f"{table.name}: {name} has {count} rows of {attribute}, and one is right.",
            )
            for name, attribute, count in await radius_db.execute(repeated)
        ]
    return findings


async def passwords_in_login_log(radius_db: AsyncSession) -> list[Finding]:
    """Passwords that a server wrote into the log of logins."""
    logged = select(radpostauth.c.username, func.count()).where(func.coalesce(radpostauth.c["pass"], "") != "")
    return [
        Finding("radius.passwords_in_login_log", name, f"radpostauth holds {count} password(s) of {name} in clear.")
        for name, count in await radius_db.execute(logged.group_by(radpostauth.c.username))
    ]


async def addresses_given_twice(radius_db: AsyncSession) -> list[Finding]:
    """One Framed-IP-Address for two usernames."""
    twice = (
        select(radreply.c.value, func.count(radreply.c.username.distinct()))
        .where(radreply.c.attribute == "Framed-IP-Address")
        .group_by(radreply.c.value)
        .having(func.count(radreply.c.username.distinct()) > 1)
    )
    return [
        Finding("radius.addresses_given_twice", address, f"radreply gives {address} to {count} usernames.")
        for address, count in await radius_db.execute(twice)
    ]


async def nas_without_dialect(radius_db: AsyncSession) -> list[Finding]:
    """NASes whose type is no dialect: their subscribers get no rate, and run without any limit."""
    mute = select(nas.c.nasname, nas.c.type).where(not_(nas.c.type.in_(list(DIALECTS))))
    return [
        Finding(
            "radius.nas_without_dialect",
            address,
            f"NAS {address} has type {kind!r}, no dialect: its subscribers get no rate.",
        )
        for address, kind in await radius_db.execute(mute.order_by(nas.c.id))
    ]


async def subscribers_of_ended_services(
    db: AsyncSession, *, tenant_id: str, live_service_ids: Collection[int]
) -> list[Finding]:
    """A subscriber belongs to a service that lives; the caller knows which do. ``db`` is the appliance's database."""
    live = frozenset(live_service_ids)
    kept = select(Subscriber).where(
        Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated", Subscriber.service_id.is_not(None)
    )
    return [
        Finding(
            "radius.subscribers_of_ended_services",
            subscriber.username,
            f"{subscriber.username} is {subscriber.state}, but service {subscriber.service_id} has ended.",
        )
        for subscriber in await db.scalars(kept.order_by(Subscriber.id))
        if subscriber.service_id not in live
    ]


RADIUS_INVARIANTS: tuple[Invariant, ...] = (
    Invariant("radius.mangled_values", "FreeRADIUS hands every value on as it is written", mangled_values),
    Invariant("radius.repeated_single_values", "one row for an attribute with one value", repeated_single_values),
    Invariant("radius.passwords_in_login_log", "no password in the log of logins", passwords_in_login_log),
    Invariant("radius.addresses_given_twice", "no address for two usernames", addresses_given_twice),
    Invariant("radius.nas_without_dialect", "every NAS is told a rate in its words", nas_without_dialect),
)
"""Every question, in the order they are asked."""

_WORDS = {
    "missing": "is missing in FreeRADIUS' tables",
    "different": "has other rows in FreeRADIUS' tables than it should",
    "extra": "still has rows in FreeRADIUS' tables and should have none",
    "foreign": "has rows in FreeRADIUS' tables that Firstlight did not write",
}


def drift_findings(drifts: Iterable[Drift]) -> list[Finding]:
    """Drift as findings of the invariant ``radius.rows_as_wished``."""
    return [
        Finding(
            "radius.rows_as_wished",
            drift.name,
            f"{drift.kind} {drift.name} {_WORDS[drift.reason]}"
            + (" (its last change is not projected yet)." if drift.awaiting_projection else "."),
        )
        for drift in drifts
    ]


def _attribute_tables() -> list[tuple[Table, str]]:
    return [(table, "username") for table in _BY_USERNAME] + [(table, "groupname") for table in _BY_GROUP]
