"""Looks at every CPE of an ACS: who is new, who has lost its settings, who is silent, who is back.

One projected question a page, by the only index there is (``_id``): sorting and skipping make the ACS look at all
devices again for every page. ``Sweep.recent`` asks for those alone that have reported since the last look.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.seen_devices import SeenDevice, seen_of
from acs.fleet.judged_page import COLUMNS, JudgedPage, SweepOutcome
from acs.fleet.judging import INTERVAL, placed_paths
from acs.fleet.repairing import RepairLimit, Tell, nobody_is_told
from acs.fleet.seen_rows import forget_bound, note_unbound
from acs.fleet.twins import forget_twins, ids_at_the_acs, note_twins
from acs.nbi.client import Found, NbiClient
from acs.nbi.errors import NbiGarbled
from acs.ports import Begin, Now
from acs.serials import canonical_serial, is_serial
from acs.tables import DEFAULT_ACS, AcsDevice
from acs.templates.rendering import ROOTS

FIELDS = ("_id", "_deviceId", "_lastInform", "_lastBoot", "_lastBootstrap")
"""Of a CPE, beside its parameters: what is judged, and who it is."""
PAGE = 1_000
LONGEST_PROJECTION = 7_000
"""Characters of the parameters that are asked for, encoded; the rest of a request is ours."""
MOST_SORTS = 200
"""Of CPEs, by template and chosen rows, whose parameters are looked at; the most frequent first."""
OVERLAP = timedelta(seconds=5)
"""A session is written down when it ends, with the time when it began."""
InHand: TypeAlias = Select[str, str]
"""The serials (canonical) of CPEs that somebody is busy with, and by whom in words; they are left to it."""


class Sweep:
    """Looks at one ACS for one tenant; keeps the time of its last look in memory, and begins with a whole sweep."""

    def __init__(
        self,
        begin: Begin,
        nbi: NbiClient,
        *,
        tenant_id: str,
        now: Now,
        limit: RepairLimit | None = None,
        inform_interval: timedelta = timedelta(minutes=5),
        tell: Tell = nobody_is_told,
        in_hand: InHand | None = None,
        acs_name: str = DEFAULT_ACS,
    ) -> None:
        """``inform_interval``: of CPEs of which neither their settings nor the ACS's record say it."""
        self._begin = begin
        self._nbi = nbi
        self._tenant_id = tenant_id
        self._now = now
        self._limit = limit or RepairLimit()
        self._inform_interval = inform_interval
        self._tell = tell
        self._in_hand = in_hand
        self._acs_name = acs_name
        self._latest: datetime | None = None
        """The latest Inform on the first page of a look that came to its end: one that broke off is made again, whole.

        By the first page, because a CPE on it may report while a later one is asked for.
        """

    async def everything(self) -> SweepOutcome:
        """All CPEs of the ACS, each once. Raises: NbiError."""
        outcome = SweepOutcome()
        plain = await self._shown_paths()
        twins: set[str] = set()
        latest: datetime | None = None  # a later one of before would be the ACS's clock, which was ahead
        async with aclosing(self._pages(plain)) as pages:
            async for documents in pages:
                outcome.pages += 1
                heard = await self._take(documents, plain, outcome, whole=True, twins=twins)
                latest = heard if latest is None else latest
        async with self._begin() as db:
            await forget_twins(db, but=twins, tenant_id=self._tenant_id, acs_name=self._acs_name, now=self._now())
        self._latest = latest
        return outcome

    async def recent(self) -> SweepOutcome:
        """Those that have reported since the last look; all of them at the first one. Raises: NbiError."""
        if self._latest is None:
            return await self.everything()
        outcome = SweepOutcome()
        plain = await self._shown_paths()
        latest: datetime | None = None
        after = (self._latest - OVERLAP).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        page: list[dict[str, Any]] = []
        outcome.pages = 1
        async for document in self._nbi.stream("devices", {"_lastInform": {"$gt": after}}, _fields(plain)):
            page.append(document)
            if len(page) == PAGE:
                heard = await self._take(page, plain, outcome, whole=False)
                latest = heard if latest is None else latest
                page = []
        heard = await self._take(page, plain, outcome, whole=False)
        self._latest = _later(self._latest, heard if latest is None else latest)
        return outcome

    async def _pages(self, plain: Sequence[str]) -> AsyncGenerator[list[dict[str, Any]], None]:
        """While one is judged the next is asked for: neither the ACS nor we stand idle meanwhile."""
        asked = self._ask_for_page("", plain)
        after = ""
        try:
            while True:
                documents = list((await asked).documents)
                ids = [str(document.get("_id")) for document in documents]
                _require_order(ids, after)
                is_last = len(documents) < PAGE
                if not is_last:
                    after = ids[-1]
                    asked = self._ask_for_page(after, plain)
                if documents:
                    yield documents
                if is_last:
                    return
        finally:
            await _call_off(asked)

    def _ask_for_page(self, after: str, plain: Sequence[str]) -> asyncio.Task[Found]:
        return asyncio.create_task(self._nbi.find("devices", {"_id": {"$gt": after}}, _fields(plain), limit=PAGE))

    async def _shown_paths(self) -> list[str]:
        """The parameters that are looked at: those of one CPE of each sort, as many as a request can name.

        A sort has one template and has chosen the same rows; a path whose row nobody has chosen is not looked at.
        """
        sort = (AcsDevice.template, cast(AcsDevice.rows, Text))
        some = (
            select(func.max(AcsDevice.id).label("id"), func.count().label("cpes"))
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.acs_name == self._acs_name,
                AcsDevice.state != "withdrawn",
            )
            .group_by(*sort)
            .order_by(func.count().desc(), func.max(AcsDevice.id))
            .limit(MOST_SORTS)
            .subquery()
        )
        query = (
            select(AcsDevice.parameters, AcsDevice.delivery, AcsDevice.rows)
            .join(some, some.c.id == AcsDevice.id)
            .order_by(some.c.cpes.desc(), AcsDevice.id)
        )
        async with self._begin() as db:
            sorts = (await db.execute(query)).all()
        paths: dict[str, None] = {}
        for parameters, delivery, rows in sorts:
            plain = [row for row in parameters if not row[3]]
            paths |= dict.fromkeys(path for path in placed_paths(plain, delivery, rows) if "{" not in path)
        shown: list[str] = []
        length = 0
        for path in paths:
            length += len(path) + 3
            if length > LONGEST_PROJECTION:
                break
            shown.append(path)
        return shown

    async def _take(
        self,
        documents: Sequence[Mapping[str, Any]],
        plain: Sequence[str],
        outcome: SweepOutcome,
        *,
        whole: bool,
        twins: set[str] | None = None,
    ) -> datetime | None:
        """Judge one page; what is found is one transaction. Returns the latest Inform of the page."""
        seen_by_serial: dict[str, list[tuple[SeenDevice, Mapping[str, Any]]]] = {}
        nameless: list[SeenDevice] = []
        latest: datetime | None = None
        for document in documents:
            seen = seen_of(document)
            if is_serial(seen["serial"]):
                seen_by_serial.setdefault(canonical_serial(seen["serial"]), []).append((seen, document))
            else:
                nameless.append(seen)
            latest = _later(latest, seen["last_inform"])
        outcome.devices += len(documents)
        if not documents:
            return None
        async with self._begin() as db:
            rows = {row.serial: row for row in await db.execute(self._rows(list(seen_by_serial)))}
            unbound = nameless + [
                seen for serial, them in seen_by_serial.items() if serial not in rows for seen, _ in them
            ]
            outcome.unbound += len(unbound)
            outcome.new_unbound += await note_unbound(db, unbound, tenant_id=self._tenant_id, now=self._now())
            await forget_bound(
                db,
                [seen["device_id"] for serial in rows for seen, _ in seen_by_serial[serial]],
                tenant_id=self._tenant_id,
            )
            holders = await self._holders(db, list(rows))
            page = JudgedPage(self._limit, self._inform_interval, self._now(), frozenset(plain), outcome)
            for serial, row in rows.items():
                if row.acs_name != self._acs_name:
                    outcome.elsewhere += 1
                    continue
                page.look(row, seen_by_serial[serial], holder=holders.get(serial), whole=whole)
            await page.write(db, self._tell)
        if page.suspects:
            found = await self._settle_twins(page.suspects, outcome, whole=whole)
            if twins is not None:
                twins |= found
        return latest

    def _rows(self, serials: Sequence[str]) -> Any:
        return select(*COLUMNS).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial.in_(serials), AcsDevice.state != "withdrawn"
        )

    async def _holders(self, db: AsyncSession, serials: Sequence[str]) -> dict[str, str]:
        """Of these CPEs those that somebody is busy with, and who."""
        if self._in_hand is None:
            return {}
        busy = self._in_hand.subquery()
        serial, holder = busy.c
        found = await db.execute(select(serial, holder).where(serial.in_(serials)))
        return {str(each): str(who) for each, who in found}

    async def _settle_twins(
        self, suspects: Mapping[str, bool], outcome: SweepOutcome, *, whole: bool
    ) -> frozenset[str]:
        """Of the serials that seem to be of several CPEs those that are; known ones are asked about in whole sweeps."""
        known = frozenset(serial for serial, was_known in suspects.items() if was_known and not whole)
        asked = sorted(set(suspects) - known)
        ids = await ids_at_the_acs(self._nbi, asked) if asked else {}
        async with self._begin() as db:
            twins = await note_twins(db, ids, tenant_id=self._tenant_id, now=self._now()) if ids else frozenset()
        outcome.ambiguous += len(known | twins)
        return twins


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _require_order(ids: Sequence[str], after: str) -> None:
    """Raises: NbiGarbled."""
    if list(ids) != sorted(ids) or (ids and ids[0] <= after):
        raise NbiGarbled("The ACS does not list its devices in the order of their ids; some would be missed.")


async def _call_off(asked: asyncio.Task[Found]) -> None:
    """Nobody waits for that page any more; what becomes of it is nobody's error."""
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


def _fields(plain: Sequence[str]) -> tuple[str, ...]:
    return (*FIELDS, *(f"{root}.{INTERVAL}" for root in ROOTS.values() if f"{root}.{INTERVAL}" not in plain), *plain)
