"""Writing what a list of subscribers says, by the thousand, in the caller's transaction: all of a batch or nothing.

What is here already just as a line has it stays untouched, so the same list may come again, whole or after it was
interrupted. What is here under the same name and otherwise is a fault of its line: an import changes nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.importing.comparing import (
    EXISTING,
    LOGS_IN_BY,
    addresses_here,
    checked_by_ref,
    differing,
    line_twice,
    own,
    row_of,
    twice,
)
from radius.importing.errors import ImportRefused
from radius.importing.files import NO_ADDRESSES, SubscriberLine
from radius.importing.many import chunks, count_anew, insert_new
from radius.lists import among
from radius.nas.nases import password_storage
from radius.nas.telling import is_told_of_lines
from radius.plan_errors import NoPlans
from radius.plans.plans import random_password, while_definitions_stand
from radius.ports import ManySecrets, Now
from radius.subscribers.former_names import IS_GIVEN_UP, across_tenants
from radius.subscribers.password_storage import not_kept
from radius.subscribers.subscribers import PASSWORD_LENGTH
from radius.tables import FormerUsername, Plan, Subscriber, password_hash_ref_of, password_ref_of

_SUBSCRIBER = cast(Table, Subscriber.__table__)
_COLUMNS = _SUBSCRIBER.c

_ANOTHERS = "its username or its line belongs to another ISP of this server"


@dataclass(frozen=True)
class Settled:
    """What lines come to here: those to be made, and by name the ids of those that are here as they say."""

    new: Sequence[SubscriberLine]
    unchanged: Mapping[str, int]
    faults: Mapping[int, Sequence[str]]


@dataclass(frozen=True)
class BroughtIn:
    """By name the ids of the subscribers that were made, and of those that were here just so."""

    created: Mapping[str, int]
    unchanged: Mapping[str, int]


class SubscriberImport:
    """Subscribers of one tenant from elsewhere, in the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, secrets: ManySecrets) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def check(self, lines: Sequence[SubscriberLine]) -> Settled:
        """What a whole list comes to, with every fault of every line; nothing is written or locked."""
        faults: defaultdict[int, list[str]] = defaultdict(list)
        for line in lines:
            faults[line.number] += line.faults
        for name in ("username", "external_id"):
            for line, other in twice(lines, name):
                faults[line.number].append(f"{name} {getattr(line, name)} stands in line {other.number} already")
        for line, other, how in line_twice(lines):
            faults[line.number].append(f"{how} logs in for {other.username} in line {other.number} already")
        for number, found in (await self._given_twice(lines)).items():
            faults[number] += found
        settled = await self._settle(lines)
        for number, more in settled.faults.items():
            faults[number] += more
        return Settled(settled.new, settled.unchanged, {number: each for number, each in faults.items() if each})

    async def bring_in(self, lines: Sequence[SubscriberLine]) -> BroughtIn:
        """Make the subscribers of these lines, which were checked, each with its password sealed.

        Raises:
            ImportRefused: somebody has done something since that makes a line wrong.
        """
        await while_definitions_stand(self._db, self._tenant_id)
        settled = await self._settle(lines)
        if settled.faults:
            raise ImportRefused(settled.faults)
        created = await self._make(settled.new, self._now())
        await self._refuse_given_up_since([line for line in settled.new if line.username in created])
        late = [line for line in settled.new if line.username not in created]
        unchanged = dict(settled.unchanged)
        if late:  # somebody was quicker
            again = await self._settle(late)
            unseen = {line.number: (_ANOTHERS,) for line in again.new}
            if again.faults or unseen:
                raise ImportRefused({**again.faults, **unseen})
            unchanged |= again.unchanged
        await self._secrets.seal_many(
            self._db,
            dict(_sealed(line, created[line.username]) for line in settled.new if line.username in created),
        )
        return BroughtIn(created, unchanged)

    async def count_anew(self) -> None:
        """After many were brought in: PostgreSQL plans for as many as there are by now."""
        await count_anew(self._db, cast(Table, Subscriber.__table__))

    async def _refuse_given_up_since(self, lines: Sequence[SubscriberLine]) -> None:
        """Whoever had a name until just now may have given it up in a transaction that has ended since.

        Raises:
            ImportRefused
        """
        faults: dict[int, list[str]] = {}
        for some in chunks(lines):
            names = {line.username for line in some}
            async with across_tenants(self._db, names):
                given_up = await self._given_up(names)
            for line in some:
                if found := list(self._former(line, given_up)):
                    faults[line.number] = found
        if faults:
            raise ImportRefused(faults)

    async def _settle(self, lines: Sequence[SubscriberLine]) -> Settled:
        """Lines beside what is here; those with faults of their own are left alone."""
        plans = await self._plan_ids()
        faults = await self._unfit(lines, plans)
        new: list[SubscriberLine] = []
        unchanged: dict[str, int] = {}
        for some in chunks(lines):
            sound = [line for line in some if not line.faults]
            names = {line.username for line in sound}
            async with across_tenants(self._db, names):
                standing, given_up = await self._standing(names), await self._given_up(names)
            said = {line.username for line in sound if line.password is not None or line.password_hash is not None}
            passwords = await self._passwords(said, standing)
            numbers = await self._external_ids(sound)
            by_line = await self._lines_of_others(sound)
            for line in sound:
                name = line.username
                if line.plan not in plans:
                    continue
                here = standing.get(name)
                found = list(self._differences(line, here, plans[line.plan], passwords))
                if here is None or here.state == "terminated":
                    found += self._former(line, given_up)
                if numbers.get(line.external_id, name) != name:
                    found.append(f"external_id: {line.external_id} is {numbers[line.external_id]}'s")
                found += by_line.get(line.number, [])
                found = faults[line.number] = faults[line.number] + found
                if not found and here is not None and here.state != "terminated":
                    unchanged[name] = here.id
                elif not found:
                    new.append(line)
        return Settled(new, unchanged, {number: each for number, each in faults.items() if each})

    async def _unfit(self, lines: Sequence[SubscriberLine], plans: Collection[str]) -> defaultdict[int, list[str]]:
        """What of any line does not go with this estate."""
        no_plans, storage = NoPlans(plans), await password_storage(self._db, self._tenant_id)
        faults: defaultdict[int, list[str]] = defaultdict(list)
        for line in lines:
            if line.plan and line.plan not in plans:
                faults[line.number].append(f"plan: {no_plans.phrase(line.plan)}")
            if line.password_hash is not None and line.password_hash.kind != storage:
                faults[line.number].append(f"password: {not_kept(line.password_hash, storage)}")
        return faults

    async def _standing(self, names: Iterable[str]) -> dict[str, Row[Any]]:
        """Who has, or had last, each of the names, whichever ISP's that may be seen here."""
        mine = EXISTING.where(among(self._db, _COLUMNS.username, list(names))).order_by(_COLUMNS.id)
        found = (await self._db.execute(mine)).all()
        live = {row.username: row for row in found if row.state != "terminated"}
        return {row.username: row for row in found} | live

    async def _external_ids(self, lines: Iterable[SubscriberLine]) -> dict[str | None, str]:
        """Who has the numbers of these lines."""
        numbers = [line.external_id for line in lines if line.external_id is not None]
        mine = select(_COLUMNS.external_id, _COLUMNS.username).where(
            _COLUMNS.tenant_id == self._tenant_id,
            _COLUMNS.state != "terminated",
            among(self._db, _COLUMNS.external_id, numbers),
        )
        return {number: name for number, name in await self._db.execute(mine)} if numbers else {}

    async def _lines_of_others(self, lines: Iterable[SubscriberLine]) -> dict[int, list[str]]:
        """What is wrong with the lines that log in by themselves: by whom, at which NAS and on which plan."""
        by_line = [line for line in lines if line.login_by_line]
        if not by_line:
            return {}
        faults: defaultdict[int, list[str]] = defaultdict(list)
        is_told = await is_told_of_lines(self._db, self._tenant_id)
        ipoe = select(Plan.name).where(Plan.tenant_id == self._tenant_id, Plan.access == "ipoe")
        fit = set(await self._db.scalars(ipoe))
        whose: dict[tuple[str, str], str] = {}
        for how in LOGS_IN_BY:
            column = _COLUMNS[f"bound_{how}"]
            values = [value for line in by_line if (value := getattr(line.line, how)) is not None]
            live = (_COLUMNS.state != "terminated", _COLUMNS.login_by_line, among(self._db, column, values))
            found = await self._db.execute(select(column, _COLUMNS.username).where(*live))
            whose |= {(how, value): username for value, username in found}
        for line in by_line:
            if not is_told:
                faults[line.number].append("login_by_line: no NAS here tells of lines (`lines` of the NAS)")
            if line.plan not in fit:
                faults[line.number].append(f"login_by_line: plan {line.plan[:80]} is not for IPoE (access)")
            for how in LOGS_IN_BY:
                other = whose.get((how, getattr(line.line, how)), line.username)
                if other != line.username:
                    faults[line.number].append(f"{how}: {getattr(line.line, how)} logs in for {other} already")
        return dict(faults)

    async def _given_up(self, names: Iterable[str]) -> dict[str, list[tuple[str, int, bool]]]:
        """Who gave each of the names up for another one: the ISP, the customer, and whether the name is free by now."""
        had = (
            select(FormerUsername.username, FormerUsername.tenant_id, Subscriber.customer_id, FormerUsername.free_at)
            .outerjoin(Subscriber, Subscriber.id == FormerUsername.subscriber_id)
            .where(among(self._db, FormerUsername.username, list(names)), IS_GIVEN_UP)
        )
        given_up: defaultdict[str, list[tuple[str, int, bool]]] = defaultdict(list)
        for name, tenant_id, customer_id, free_at in await self._db.execute(had):
            given_up[name].append((tenant_id, customer_id or 0, free_at is not None))
        return given_up

    def _former(self, line: SubscriberLine, given_up: Mapping[str, list[tuple[str, int, bool]]]) -> Iterator[str]:
        owners = given_up.get(line.username, [])
        if any((tenant_id, customer_id) != (self._tenant_id, line.customer_id) for tenant_id, customer_id, _ in owners):
            yield "its username was somebody else's, who gave it up and whose sessions stay in the accounting under it"
        elif not all(is_free for _, _, is_free in owners):
            yield "its username was given up, and a session may still be open under it"

    async def _passwords(self, names: Collection[str], standing: Mapping[str, Row[Any]]) -> dict[str, str]:
        """What is sealed of the passwords of those of these names who are here."""
        refs = [
            checked_by_ref(row)
            for name, row in standing.items()
            if row.state != "terminated" and row.tenant_id == self._tenant_id and name in names
        ]
        return await self._secrets.reveal_many(self._db, refs) if refs else {}

    def _differences(
        self, line: SubscriberLine, here: Row[Any] | None, plan_id: int, passwords: Mapping[str, str]
    ) -> Iterator[str]:
        if here is None:
            return
        if here.tenant_id != self._tenant_id:
            yield _ANOTHERS
        elif here.state == "terminated":
            if here.customer_id != line.customer_id:
                yield f"its username was customer {here.customer_id}'s, whose sessions stay in the accounting under it"
        else:
            differs = list(differing(line, here, plan_id, passwords))
            if differs:
                yield f"is here already, and not with this {', '.join(differs)}"

    async def _given_twice(self, lines: Sequence[SubscriberLine]) -> dict[int, list[str]]:
        """Lines with an address or prefix that another line has, or somebody who is here."""
        faults: dict[int, list[str]] = defaultdict(list)
        if all(line.addresses == NO_ADDRESSES for line in lines):
            return faults
        whose: dict[tuple[str, str], str] = {}
        live = EXISTING.where(_COLUMNS.tenant_id == self._tenant_id, _COLUMNS.state != "terminated")
        for row in await self._db.execute(live):
            whose |= dict.fromkeys(own(addresses_here(row)), row.username)
        for line in lines:
            for kind, value in own(line.addresses):
                other = whose.setdefault((kind, value), line.username)
                if other != line.username:
                    faults[line.number].append(f"{kind}: {value} is given to {other} already")
        return faults

    async def _make(self, lines: Sequence[SubscriberLine], at: datetime) -> dict[str, int]:
        plans = await self._plan_ids()
        same = {"tenant_id": self._tenant_id, "version": 1, "created_at": at, "updated_at": at}
        rows = [row_of(line, plans[line.plan]) for line in lines]
        return await insert_new(self._db, _SUBSCRIBER, rows, same=same, key="username")

    async def _plan_ids(self) -> dict[str, int]:
        found = await self._db.execute(select(Plan.name, Plan.id).where(Plan.tenant_id == self._tenant_id))
        return {name: plan_id for name, plan_id in found}


def _sealed(line: SubscriberLine, subscriber_id: int) -> tuple[str, str]:
    """What is sealed of a new subscriber's password, and where."""
    if line.password_hash is not None:
        return password_hash_ref_of(subscriber_id), line.password_hash.sealed
    return password_ref_of(subscriber_id), line.password or random_password(PASSWORD_LENGTH)
