"""The record of installs at one ACS: what was there before, who is at it now, how it ended.

One process at a time works at an ACS. It holds a lease, and what it writes down counts only while it does.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs.errors import NothingToRollBack, PresetInstallUnderWay
from acs.ports import Begin, Now
from acs.presets.differences import Change
from acs.presets.tables import AcsPresetInstall

LEASE = timedelta(seconds=30)
RENEWED_EVERY_SECONDS = 8.0

Ending = Literal["installed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class HeldInstall:
    """An install that this process is at; ``changes`` are all that was ever made of it, with what was there first."""

    id: int
    changes: tuple[Change, ...]
    lease: str


class InstallRecords:
    """Of one ACS and tenant, each call a transaction of its own."""

    def __init__(self, begin: Begin, *, acs_name: str, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._acs_name = acs_name
        self._tenant_id = tenant_id
        self._now = now

    async def install(self, changes: Sequence[Change], requested_by: str) -> HeldInstall | None:
        """Begin one, or go on with one that was left in the middle; None when there is nothing to do.

        Raises: PresetInstallUnderWay.
        """
        try:
            async with self._begin() as db:
                row = await self._open(db)
                if row is None and not changes:
                    return None
                if row is None:
                    row = AcsPresetInstall(
                        tenant_id=self._tenant_id, acs_name=self._acs_name, changes=[], begun_at=self._now()
                    )
                    db.add(row)
                self._require_free(row)
                row.changes = [dict(change) for change in _joined([_change(each) for each in row.changes], changes)]
                return await self._taken(db, row, "installing", requested_by)
        except IntegrityError as error:
            raise PresetInstallUnderWay(self._acs_name) from error

    async def taking_back(self, requested_by: str) -> HeldInstall:
        """The one that was left in the middle, else the newest that is installed.

        Raises: NothingToRollBack, PresetInstallUnderWay.
        """
        async with self._begin() as db:
            row = await self._open(db)
            if row is None:
                row = await db.scalar(self._mine().where(AcsPresetInstall.state == "installed").limit(1))
            if row is None:
                raise NothingToRollBack(self._acs_name)
            self._require_free(row)
            return await self._taken(db, row, "taking_back", requested_by)

    async def renew(self, held: HeldInstall) -> bool:
        """Hold it for as long again; False when somebody else has taken it up."""
        async with self._begin() as db:
            row = await self._held(db, held)
            if row is None:
                return False
            row.leased_until = self._now() + LEASE
            return True

    async def require(self, held: HeldInstall) -> None:
        """Before anything is sent. Raises: PresetInstallUnderWay when somebody else has taken it up."""
        if not await self.renew(held):
            raise PresetInstallUnderWay(self._acs_name)

    async def unfinished(self, held: HeldInstall, reason: str) -> None:
        """Leave it to whoever comes when the ACS answers again. Raises: PresetInstallUnderWay."""
        await self._let_go(held, "unfinished", reason)

    async def end(self, held: HeldInstall, state: Ending, reason: str) -> None:
        """Raises: PresetInstallUnderWay when somebody else has taken it up."""
        await self._let_go(held, state, reason)

    async def _let_go(self, held: HeldInstall, state: Ending | Literal["unfinished"], reason: str) -> None:
        async with self._begin() as db:
            row = await self._held(db, held)
            if row is None:
                raise PresetInstallUnderWay(self._acs_name)
            row.state, row.reason = state, reason
            row.ended_at = None if state == "unfinished" else self._now()
            row.leased_until = row.leased_by = None

    async def _taken(self, db: AsyncSession, row: AcsPresetInstall, state: str, requested_by: str) -> HeldInstall:
        row.state, row.reason, row.requested_by, row.ended_at = state, "Under way, or killed.", requested_by, None
        row.leased_until, row.leased_by = self._now() + LEASE, secrets.token_hex(16)
        await db.flush()  # the one-at-a-time index speaks here
        return HeldInstall(row.id, tuple(_change(each) for each in row.changes), row.leased_by)

    def _require_free(self, row: AcsPresetInstall) -> None:
        if row.leased_until is not None and row.leased_until >= self._now():
            raise PresetInstallUnderWay(self._acs_name)

    async def _open(self, db: AsyncSession) -> AcsPresetInstall | None:
        return await db.scalar(self._mine().where(AcsPresetInstall.ended_at.is_(None)))

    async def _held(self, db: AsyncSession, held: HeldInstall) -> AcsPresetInstall | None:
        return await db.scalar(
            self._mine().where(AcsPresetInstall.id == held.id, AcsPresetInstall.leased_by == held.lease)
        )

    def _mine(self) -> Select[AcsPresetInstall]:
        return (
            select(AcsPresetInstall)
            .where(AcsPresetInstall.tenant_id == self._tenant_id, AcsPresetInstall.acs_name == self._acs_name)
            .order_by(AcsPresetInstall.id.desc())
            .with_for_update()
        )


def _joined(former: Sequence[Change], now: Sequence[Change]) -> list[Change]:
    """What was there before the first of them is what would be put back."""
    all_of_it = {(change["kind"], change["name"]): change for change in former}
    for change in now:
        first = all_of_it.get((change["kind"], change["name"]), change)
        all_of_it[change["kind"], change["name"]] = Change(
            kind=change["kind"],
            name=change["name"],
            action="remove" if change["after"] is None else "add" if first["before"] is None else "change",
            before=first["before"],
            after=change["after"],
        )
    return list(all_of_it.values())


def _change(stored: dict[str, Any]) -> Change:
    return Change(
        kind=stored["kind"],
        name=stored["name"],
        action=stored["action"],
        before=stored["before"],
        after=stored["after"],
    )
