"""The sweep over terms that are over: what nobody renewed ends, as the mail has said.

What has a live line is told to end through the same event as any other wish for that, so that session, CPE, line and
addresses go with the bill; what is hosted ends here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import Deed, keep_deed
from provisioning.commercial import PublishEvent
from provisioning.commercial.bills.term_ends import OverdueEnd, end_without_line, overdue_end, overdue_subscriptions
from provisioning.commercial.mails.delivery import Begin
from provisioning.days import UTC_DAYS, day_of
from provisioning.intake import Clock
from provisioning.terminations import TERMINATION_REQUESTED, TerminationDesk
from radius import live_username_of_service
from workflows import EventConflict

BY = "clock"

log = structlog.get_logger(__name__)


class EndedTerms:
    """Ends them, each in a transaction of its own. Safe to repeat, and to run beside itself."""

    def __init__(
        self,
        begin: Begin,
        *,
        desk: Callable[[AsyncSession], TerminationDesk],
        publish: PublishEvent,
        tenant_id: str,
        now: Clock,
        zone: ZoneInfo = UTC_DAYS,
    ) -> None:
        self._begin = begin
        self._desk = desk
        self._publish = publish
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def sweep(self) -> int:
        """Returns how many were ended, or told to. One that fails is tried again at the next sweep, and stops no other.

        Raises: ExceptionGroup of what went wrong, when all have been tried.
        """
        today = day_of(self._now(), self._zone)
        async with self._begin() as db:
            numbers = await overdue_subscriptions(db, self._tenant_id, today=today)
        ended, errors = 0, list[Exception]()
        for number in numbers:
            [outcome] = await asyncio.gather(self._end(number, today), return_exceptions=True)
            if isinstance(outcome, Exception):
                errors.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                ended += outcome
        if errors:
            raise ExceptionGroup("terms that could not be ended", errors)
        return ended

    async def _end(self, subscription_id: int, today: date) -> bool:
        async with self._begin() as db:
            end = await overdue_end(db, self._tenant_id, subscription_id, today=today)
            if end is None:
                return False
            if end.row.service_id is not None:
                username = await live_username_of_service(db, tenant_id=self._tenant_id, service_id=end.row.service_id)
                if username is not None:
                    return await self._tell(db, end, end.row.service_id, username)
            await end_without_line(db, end, zone=self._zone)
            await self._keep(db, end, "subscriptions end")
            return True

    async def _tell(self, db: AsyncSession, end: OverdueEnd, service_id: int, username: str) -> bool:
        row = end.row
        desk = self._desk(db)
        if await desk.is_to_end(service_id):
            return False
        await desk.require_team()  # or the event would be refused, and nobody tells it again
        wish: dict[str, Any] = {"username": username, "at_once": True, "reason": end.reason}
        key = f"subscription/{row.id}/ends/{row.ends_on}/over"
        try:
            await self._publish(db, TERMINATION_REQUESTED, f"service/{service_id}", wish, key, BY)
        except EventConflict as conflict:  # somebody else has used that key: a person has to look
            log.warning("the end of a term was told with other words", subscription_id=row.id, reason=str(conflict))
        row.end_told_for = row.ends_on
        await self._keep(db, end, "subscriptions request-end")
        return True

    async def _keep(self, db: AsyncSession, end: OverdueEnd, action: str) -> None:
        """The change in its history, as if it had come through a door."""
        row = end.row
        deed = Deed(
            action=action,
            actor=BY,
            door=BY,
            subject=f"subscription/{row.id}",
            customer_id=row.customer_id,
            reason=end.reason,
            after={"state": row.state, "first_day_without": end.first_day_without.isoformat()},
        )
        await keep_deed(db, deed, tenant_id=self._tenant_id, at=self._now())
