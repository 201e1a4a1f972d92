"""What must always hold in the radius database: read-only questions for ``firstlight check``. No finding means it
holds.

To add one: a function here that takes a transaction in the radius database and the time, and returns findings, one
line in ``RADIUS_INVARIANTS``, and in ``tests/radius/test_invariants.py`` the corruption that it must catch. Whether the
rows are what each subscriber's state asks is answered by ``RadiusProjector.drift()``, and ``drift_findings`` puts it
into words. What takes knowing the allocations to answer is in ``radius.given_twice``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, func, not_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from radius.attributes import single_valued
from radius.dialects import DIALECTS
from radius.lists import among
from radius.nas.called import called_otherwise
from radius.nas.telling import by_their_lines, is_told_of_lines
from radius.projection.drift import Drift
from radius.projection.freeradius_tables import (
    SAFE_ROW,
    SAFE_USERNAME,
    nas,
    radacct,
    radcheck,
    radgroupcheck,
    radgroupreply,
    radius_projection,
    radpostauth,
    radreply,
    radusergroup,
)
from radius.projection.labels import is_anothers
from radius.projection.projection import FramedAddresses, addresses_of, digest
from radius.projection.radius_database import GIVEN_UP
from radius.sessions import clocks
from radius.sessions.archive import is_archived
from radius.sessions.reaper import LOOKED_AWAY, guards
from radius.sessions.sessions import host
from radius.sessions.tables import radius_nas_heard, radius_session_archive
from radius.tables import Subscriber

_BY_USERNAME = (radcheck, radreply)
_BY_GROUP = (radgroupcheck, radgroupreply)
_ADMITTED = ("active", "suspended")

SESSIONS_END_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: whose, and one plain sentence. Never a password."""

    subject: str
    sentence: str


@dataclass(frozen=True)
class Invariant:
    """A question to the radius database, asked at a moment."""

    name: str
    meaning: str
    find: Callable[[AsyncSession, datetime], Awaitable[list[Finding]]]


async def mangled_values(radius_db: AsyncSession, _now: datetime) -> list[Finding]:
    """Rows that FreeRADIUS would expand, change or refuse."""
    dialect = radius_db.get_bind().dialect.name
    findings = []
    for table, owner in _attribute_tables():
        # an existing server's columns may hold NULL, of which no rule is true or false
        unsafe = select(table.c[owner], table.c.attribute).where(text(f"({SAFE_ROW[dialect]}) IS NOT TRUE"))
        findings += [
            Finding(
                str(name),
                f"{table.name}: the value of {attribute} for {name} does not reach a NAS as it is written.",
            )
            for name, attribute in await radius_db.execute(unsafe.order_by(table.c.id))
        ]
    for table in (radcheck, radreply, radusergroup):
        unsafe_names = select(table.c.username).where(text(f"({SAFE_USERNAME[dialect]}) IS NOT TRUE")).distinct()
        findings += [
            Finding(str(name), f"{table.name}: FreeRADIUS never looks up a username like {name!r}.")
            for name in await radius_db.scalars(unsafe_names)
        ]
    return findings


async def repeated_single_values(radius_db: AsyncSession, _now: datetime) -> list[Finding]:
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
                name,
                f"{table.name}: {name} has {count} rows of {attribute}, and one is right.",
            )
            for name, attribute, count in await radius_db.execute(repeated)
        ]
    return findings


async def passwords_in_login_log(radius_db: AsyncSession, _now: datetime) -> list[Finding]:
    """Passwords that a server wrote into the log of logins."""
    logged = select(radpostauth.c.username, func.count()).where(func.coalesce(radpostauth.c["pass"], "") != "")
    return [
        Finding(name, f"radpostauth holds {count} password(s) of {name} in clear.")
        for name, count in await radius_db.execute(logged.group_by(radpostauth.c.username))
    ]


async def nas_without_dialect(radius_db: AsyncSession, _now: datetime) -> list[Finding]:
    """NASes whose type is no dialect: their subscribers get no rate, and so they are not let in."""
    mute = select(nas.c.nasname, nas.c.type).where(not_(nas.c.type.in_(list(DIALECTS))))
    return [
        Finding(
            address,
            f"NAS {address} has type {kind!r}, no dialect: its subscribers get no rate and are rejected.",
        )
        for address, kind in await radius_db.execute(mute.order_by(nas.c.id))
    ]


async def sessions_of_terminated(radius_db: AsyncSession, now: datetime) -> list[Finding]:
    """Sessions that are still open a while after their subscriber's rows were taken away."""
    shown = radius_projection.c
    taken_away = (shown.digest == digest(()), shown.source_id != GIVEN_UP)
    return await _still_open(radius_db, now, "was terminated at", *taken_away)


async def sessions_of_refused(radius_db: AsyncSession, now: datetime) -> list[Finding]:
    """Sessions that are still open a while after FreeRADIUS was told to refuse every login of their subscriber."""
    refused = select(radcheck.c.username).where(radcheck.c.attribute == "Auth-Type", radcheck.c.value == "Reject")
    return await _still_open(radius_db, now, "is refused since", radacct.c.username.in_(refused))


async def _still_open(
    radius_db: AsyncSession, now: datetime, since_when: str, *which: ColumnElement[bool]
) -> list[Finding]:
    """But those which by their Class go on under a name that somebody else has by now. Of a terminated one's service
    nothing is known here, so that what bears a service as its Class may be its."""
    shown, at = radius_projection.c, radius_projection.c.projected_at
    still_open = (
        select(radacct.c.username, radacct.c.nasipaddress, radacct.c.acctsessionid, at, radacct.c["class"])
        .add_columns(shown.source_id)
        .join(radius_projection, (shown.kind == "subscriber") & (shown.name == radacct.c.username))
        .where(*which, at <= now - SESSIONS_END_WITHIN, radacct.c.acctstoptime.is_(None))
    )
    found = list(await radius_db.execute(still_open.order_by(radacct.c.radacctid)))
    told = select(radreply.c.username, radreply.c.value).where(
        radreply.c.attribute == "Class", among(radius_db, radreply.c.username, {name for name, *_ in found})
    )
    labels = {name: label for name, label in await radius_db.execute(told)} if found else {}
    return [
        Finding(
            name,
            f"{name} {since_when} {since:%Y-%m-%d %H:%M} UTC, but its session {session} at NAS {host(address)} is"
            " still open: end it there, or close it in radacct if that NAS does not know it.",
        )
        for name, address, session, since, label, number in found
        if not is_anothers(label, number, labels.get(name))
    ]


async def subscribers_of_ended_services(
    db: AsyncSession, *, tenant_id: str, live_service_ids: Collection[int]
) -> list[Finding]:
    """A subscriber belongs to a service that lives; the caller knows which do. ``db`` is the appliance's database."""
    live = frozenset(live_service_ids)
    return [
        Finding(
            subscriber.username,
            f"{subscriber.username} is {subscriber.state}, but service {service_id} has ended.",
        )
        for subscriber, service_id in await _of_services(db, tenant_id)
        if service_id not in live
    ]


async def addresses_not_as_allocated(
    db: AsyncSession, *, tenant_id: str, allocated: Mapping[int, FramedAddresses]
) -> list[Finding]:
    """A subscriber is given what its service was allocated, by service id, and nothing else."""
    return [
        Finding(
            subscriber.username,
            f"{subscriber.username} is given {_in_words(given)}, but service {service_id} was allocated"
            f" {_in_words(allocated[service_id])}.",
        )
        for subscriber, service_id in await _of_services(db, tenant_id)
        if service_id in allocated and (given := addresses_of(subscriber)) != allocated[service_id]
    ]


async def states_not_as_billed(
    db: AsyncSession, *, tenant_id: str, billed_service_ids: Collection[int], changing_service_ids: Collection[int]
) -> list[Finding]:
    """A line carries its plan exactly while it is paid for: active (or suspended) with a running bill, else without.
    What was brought in is billed elsewhere.

    ``changing_service_ids`` are those that a run is taking back right now, bill and state in turn.
    """
    unexplained = set(billed_service_ids) - set(changing_service_ids)
    sentences: list[tuple[str, str]] = []
    for subscriber, service_id in await _of_services(db, tenant_id):
        unexplained.discard(service_id)
        if service_id in changing_service_ids:
            continue
        billed, admitted = service_id in billed_service_ids, subscriber.state in _ADMITTED
        name = subscriber.username
        if admitted and not billed and subscriber.origin == "ordered":
            sentences.append((name, f"{name} is {subscriber.state}, but nobody is billed for service {service_id}."))
        if billed and not admitted:
            sentences.append((name, f"{name} is {subscriber.state}, but service {service_id} is being billed."))
    sentences += [
        (f"service {service_id}", f"Service {service_id} is being billed, but has no subscriber.")
        for service_id in sorted(unexplained)
    ]
    return [Finding(*each) for each in sentences]


async def subscribers_nobody_wants(
    db: AsyncSession, *, tenant_id: str, wanted_service_ids: Collection[int]
) -> list[Finding]:
    """A subscriber that isn't in service yet is somebody's work; the caller knows what is being worked on. What was
    brought in is whoever brought it in's."""
    return [
        Finding(
            subscriber.username,
            f"{subscriber.username} is {subscriber.state}, but no open run will ever bring service {service_id} into"
            " service or take it back.",
        )
        for subscriber, service_id in await _of_services(db, tenant_id)
        if subscriber.state not in _ADMITTED and service_id not in wanted_service_ids and subscriber.origin == "ordered"
    ]


async def lines_that_no_nas_tells_of(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A line that logs in by itself does so at a NAS that tells of lines. ``db`` is the appliance's database."""
    count, first = await by_their_lines(db, tenant_id)
    if not count or await is_told_of_lines(db, tenant_id):
        return []
    who = f"{count} subscribers log" if count != 1 else "1 subscriber logs"
    named = ", ".join([*first, "..."] if count > len(first) else first)
    sentence = (
        f"{who} in by line ({named}), and no NAS tells of lines: none is let in. Let one tell of them:"
        " `firstlight nas change NAS --lines --reason ...`."
    )
    return [Finding("lines", sentence)]


async def _of_services(db: AsyncSession, tenant_id: str) -> list[tuple[Subscriber, int]]:
    live = select(Subscriber).where(
        Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated", Subscriber.service_id.is_not(None)
    )
    found = await db.scalars(live.order_by(Subscriber.id))
    return [(subscriber, subscriber.service_id) for subscriber in found if subscriber.service_id is not None]


def _in_words(addresses: FramedAddresses) -> str:
    pool = f"pool {addresses.ipv4_pool}" if addresses.ipv4_pool else None
    named = (
        *(addresses.ipv4, pool, addresses.ipv6_wan_prefix, addresses.delegated_prefix),
        *(addresses.routes + addresses.ipv6_routes),
    )
    return ", ".join(each for each in named if each) or "nothing"


async def silent_nases(radius_db: AsyncSession, now: datetime) -> list[Finding]:
    """NASes with open sessions from which no accounting comes any more, or no interims; and that nobody looks."""
    found = [
        Finding(one["nas_address"], one["sentence"])
        for one in await guards(radius_db, now=now)
        if one["silent_since"] is not None or not one["sends_interims"]
    ]
    looked_at = await radius_db.scalar(select(func.max(radius_nas_heard.c.looked_at)))
    oldest = select(radacct.c.acctstarttime).where(radacct.c.acctstoptime.is_(None)).order_by(radacct.c.radacctid)
    open_since = await radius_db.scalar(oldest.limit(1))
    # where nobody has looked yet there was no worker so far, whose absence shows in all that waits for one
    if open_since is not None and looked_at is not None and max(open_since, looked_at) < now - LOOKED_AWAY:
        since = f"{looked_at:%Y-%m-%d %H:%M} UTC"
        sentence = (
            f"No worker has looked since {since} whether accounting comes, so silent sessions stay open: start it."
        )
        found.append(Finding("worker", sentence))
    return found


async def wrong_clocks(radius_db: AsyncSession, now: datetime) -> list[Finding]:
    """NASes whose clock differs from ours by more than five minutes."""
    return [Finding(one.nas_address, one.sentence) for one in await clocks.wrong_clocks(radius_db, now=now)]


async def nases_called_otherwise(radius_db: AsyncSession, now: datetime) -> list[Finding]:
    """NASes that call themselves by an address by which they are not known."""
    return [Finding(one.address, one.sentence) for one in await called_otherwise(radius_db, now=now)]


async def sessions_twice(radius_db: AsyncSession, _now: datetime) -> list[Finding]:
    """Sessions that are in radacct and in the archive as well: what they used counts twice."""
    archived = radius_session_archive.c
    newest = select(func.max(archived.acctstarttime)).scalar_subquery()
    both = (
        select(radacct.c.username, radacct.c.acctuniqueid)
        .join(radius_session_archive, is_archived())
        .where(radacct.c.acctstarttime <= newest)
    )
    return [
        Finding(
            str(name), f"Session {unique} of {name} is in radacct and in radius_session_archive: delete it in radacct."
        )
        for name, unique in await radius_db.execute(both.order_by(radacct.c.radacctid))
    ]


RADIUS_INVARIANTS: tuple[Invariant, ...] = (
    Invariant("radius.mangled_values", "FreeRADIUS hands every value on as it is written", mangled_values),
    Invariant("radius.repeated_single_values", "one row for an attribute with one value", repeated_single_values),
    Invariant("radius.passwords_in_login_log", "no password in the log of logins", passwords_in_login_log),
    Invariant("radius.nas_without_dialect", "every NAS is told a rate in its words", nas_without_dialect),
    Invariant(
        "radius.sessions_of_terminated",
        "a terminated subscriber's sessions end within a quarter of an hour",
        sessions_of_terminated,
    ),
    Invariant(
        "radius.sessions_of_refused",
        "a refused subscriber's sessions end within a quarter of an hour",
        sessions_of_refused,
    ),
    Invariant("radius.sessions_twice", "a session is in radacct or in the archive", sessions_twice),
    Invariant("radius.nas_clocks", "a NAS' clock is right", wrong_clocks),
    Invariant("radius.nas_called", "a NAS is known by what it calls itself", nases_called_otherwise),
    Invariant("radius.nas_heard", "accounting comes from every NAS that has open sessions", silent_nases),
)
"""Every question, in the order they are asked."""

_WORDS = {
    "missing": "is missing in FreeRADIUS' tables",
    "different": "has other rows in FreeRADIUS' tables than it should",
    "extra": "still has rows in FreeRADIUS' tables and should have none",
    "foreign": "has rows in FreeRADIUS' tables that Firstlight did not write",
}


def drift_findings(drifts: Iterable[Drift]) -> list[Finding]:
    """Drift in words."""
    return [
        Finding(
            drift.name,
            f"{drift.kind} {drift.name} {_WORDS[drift.reason]}"
            + (" (its last change is not projected yet)." if drift.awaiting_projection else "."),
        )
        for drift in drifts
    ]


def _attribute_tables() -> list[tuple[Table, str]]:
    return [(table, "username") for table in _BY_USERNAME] + [(table, "groupname") for table in _BY_GROUP]
