"""All that has happened to one subscriber, the newest first, from every record that is kept of it.

Each record is paged by its own numbers, and the cursor has the number of each: so nothing is lost or told twice,
however much is written meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import list_audit
from provisioning.amounts import entry_without_amounts
from provisioning.days import minute
from provisioning.device_desk import DeviceDesk
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import LARGEST_NUMBER
from provisioning.sight import Sight
from provisioning.subscriber_looks import SubscriberLooks, Who
from provisioning.truth.outcomes import Standing, of_change, of_operation
from radius import (
    HeldName,
    LoginLog,
    LoginsAlike,
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    SessionLooks,
    SessionView,
    SubscriberVerbs,
    SubscriberView,
)
from workflows import list_runs

Kind = Literal["run", "change", "operation", "login", "session", "audit"]
USUAL_ENTRIES = 50

_CURSOR = re.compile(r"(?:[a-z]+[0-9]*=[0-9]{1,18})(?:,[a-z]+[0-9]*=[0-9]{1,18})*")


@dataclass(frozen=True)
class Entry:
    """One thing that happened. ``target`` is a noun and its number (``run/7``); None: nothing to be looked at.
    ``standing`` is what came of what was asked for, where something was. ``times``: what was the same so often, one
    after another, is told once, at its newest; ``first_at`` is then when it began."""

    kind: Kind
    at: datetime
    sentence: str
    by: str | None
    target: str | None
    standing: Standing | None = None
    times: int = 1
    first_at: datetime | None = None


@dataclass(frozen=True)
class TimelinePage:
    """Some of it. ``after`` is the cursor of what follows; None at the end. ``unread`` says of what could not be read,
    and why."""

    subscriber: SubscriberView
    entries: list[Entry]
    after: str | None
    unread: list[str]


_Numbered = tuple[int, Entry]
_Source = Callable[[int | None, int], Awaitable[Sequence[_Numbered]]]
"""What is older than this number of its own, so many at most."""


class Timeline:
    """Reads every record of one subscriber, bound to one transaction, as far as may be seen."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        sight: Sight,
        subscribers: SubscriberLooks,
        verbs: SubscriberVerbs,
        devices: DeviceDesk,
        logins: LoginLog,
        sessions: SessionLooks,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._sight = sight
        self._subscribers = subscribers
        self._verbs = verbs
        self._devices = devices
        self._logins = logins
        self._sessions = sessions

    async def page(self, who: Who, *, after: str | None = None, limit: int = USUAL_ENTRIES) -> TimelinePage:
        """The newest ``limit`` entries behind the cursor.

        Raises:
            SubscriberUnknown, InvalidRequest
        """
        subscriber = await self._subscribers.named(who)
        held = await self._subscribers.held_names(who)
        reached = _numbers(after)
        unread: list[str] = []
        found: list[tuple[datetime, str, int, Entry]] = []
        for name, source in (await self._sources(subscriber, held)).items():
            try:
                numbered = await source(reached.get(name), limit + 1)
            except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
                unread.append(str(error))
                continue
            # within one record its numbers are the order, also where a clock has gone back
            latest = None
            for number, entry in numbered:
                latest = entry.at if latest is None else min(latest, entry.at)
                found.append((latest, name, number, entry))
        found.sort(key=lambda each: (each[0], each[1], each[2]), reverse=True)
        shown, rest = found[:limit], found[limit:]
        for _, name, number, _entry in shown:
            reached[name] = number
        return TimelinePage(
            subscriber=subscriber,
            entries=[entry for *_, entry in shown],
            after=",".join(f"{name}={number}" for name, number in sorted(reached.items())) if rest else None,
            unread=list(dict.fromkeys(unread)),
        )

    async def _sources(self, subscriber: SubscriberView, held: Sequence[HeldName]) -> Mapping[str, _Source]:
        """By name, as it stands in a cursor: one record each that the role may see."""
        number, may = subscriber["subscriber_id"], self._sight.may
        found: dict[str, _Source] = {
            "change": lambda before, limit: self._changes(number, before, limit),
            "login": lambda before, limit: self._of_logins(held, before, limit),
            "session": lambda before, limit: self._of_sessions(held, before, limit),
        }
        if may("runs.read"):
            found["run"] = lambda before, limit: self._runs(subscriber["customer_id"], before, limit)
        if may("audit.read"):
            found["audit"] = self._audit_of(f"subscriber/{number}")
        service_id = subscriber["service_id"]
        if service_id is not None and may("devices.read"):
            for device in await self._devices.of_service(service_id):
                row, serial = device["device_row_id"], device["device_serial"]
                found[f"operation{row}"] = self._operations_of(serial)
                if may("audit.read"):
                    found[f"cpe{row}"] = self._audit_of(f"device/{serial}")
        return found

    async def _runs(self, customer_id: int, before: int | None, limit: int) -> list[_Numbered]:
        found = await list_runs(
            self._db,
            tenant_id=self._tenant_id,
            customer_id=customer_id,
            among=self._sight.runs,
            before_id=before,
            limit=limit,
        )
        return [
            (
                run.id,
                Entry(
                    "run",
                    run.created_at,
                    f"Run {run.id} of its customer began: {run.journey.replace('_', ' ')}; it is {run.state} now.",
                    None,
                    f"run/{run.id}",
                ),
            )
            for run in found
        ]

    async def _changes(self, number: int, before: int | None, limit: int) -> list[_Numbered]:
        found = await self._verbs.changes(subscriber_id=number, before_id=before, limit=limit)
        outcomes = [(each["change_id"], of_change(each)) for each in found]
        return [
            (row, Entry("change", told.asked_at, f"{_sentence(told.act)} {told.sentence}", None, None, told.standing))
            for row, told in outcomes
        ]

    def _operations_of(self, serial: str) -> _Source:
        async def operations(before: int | None, limit: int) -> list[_Numbered]:
            verbs = self._devices.operations
            found = await verbs.operations(device_serial=serial, before_id=before, limit=limit)
            told = [(each, of_operation(each)) for each in found]
            return [
                (
                    each["operation_id"],
                    Entry(
                        "operation",
                        outcome.asked_at,
                        f"{_sentence(outcome.act)} {outcome.sentence}",
                        each["requested_by"],
                        f"device_operation/{each['operation_id']}",
                        outcome.standing,
                    ),
                )
                for each, outcome in told
            ]

        return operations

    async def _of_logins(self, held: Sequence[HeldName], before: int | None, limit: int) -> list[_Numbered]:
        found = await self._logins.logins_alike(*held, before_id=before, limit=limit)
        return [
            (
                each["first_id"],
                Entry(
                    "login",
                    each["newest"]["happened_at"],
                    _login(each),
                    None,
                    None,
                    times=each["times"],
                    first_at=each["first_at"],
                ),
            )
            for each in found
        ]

    async def _of_sessions(self, held: Sequence[HeldName], before: int | None, limit: int) -> list[_Numbered]:
        found = await self._sessions.of_subscriber(held, before=before, limit=limit)
        return [
            (each["number"], Entry("session", began, _session(each), None, None))
            for each in found
            if (began := each["started_at"] or each["updated_at"]) is not None
        ]

    def _audit_of(self, subject: str) -> _Source:
        async def audit(before: int | None, limit: int) -> list[_Numbered]:
            found = await list_audit(
                self._db, tenant_id=self._tenant_id, subject=subject, before_id=before, limit=limit
            )
            if not self._sight.sees_money:
                found = [entry_without_amounts(each) for each in found]
            return [
                (
                    each.audit_id,
                    Entry(
                        "audit",
                        each.at,
                        f"{_sentence(each.action)} Through the {each.door}{f': {each.reason}' if each.reason else '.'}",
                        each.actor,
                        None,
                    ),
                )
                for each in found
            ]

        return audit


def _sentence(act: str) -> str:
    return f"{act[:1].upper()}{act[1:]}."


def _login(logins: LoginsAlike) -> str:
    login, times = logins["newest"], logins["times"]
    where = login["nas_identifier"] or login["nas_address"]
    if login["accepted"]:
        return f"Let in at {where} by {login['method']}."
    often = f", {times} times since {minute(logins['first_at'])}" if times > 1 else ""
    return f"Refused at {where}: {login['words']}{often}."


def _session(session: SessionView) -> str:
    where = session["nas"] or session["nas_address"]
    address = f" with {session['ipv4']}" if session["ipv4"] else ""
    if session["stopped_at"] is None:
        return f"A session began at {where}{address}; it is {session['state']}."
    cause = f" ({session['terminate_cause']})" if session["terminate_cause"] else ""
    return f"A session began at {where}{address}, and ended at {session['stopped_at']:%Y-%m-%d %H:%M} UTC{cause}."


def _numbers(cursor: str | None) -> dict[str, int]:
    """Raises: InvalidRequest."""
    if cursor is None:
        return {}
    if len(cursor) > 1000 or not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("The timeline", [Fault("after", "is no cursor that it has given")])
    pairs = (each.partition("=") for each in cursor.split(","))
    return {name: min(int(number), _largest(name)) for name, _, number in pairs}


def _largest(name: str) -> int:
    """Runs and operations are counted in 32 bits: PostgreSQL fails at comparing them with more."""
    return 2**31 - 1 if name.startswith(("run", "operation")) else LARGEST_NUMBER
