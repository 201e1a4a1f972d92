"""Mails that no run waits for: the worker sends them, and tries again as long as that may help.

Those of a run are delivered by its own step, which is held when it can't be done. These have ``next_try_at`` instead:
the time of the next try, pushed ahead while one is under way, and empty when there is nothing more to try. What was
given up stays in the outbox as it ended, and needs a person (``failing_messages``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import DeliveryFailed, MailWithdrawn
from provisioning.commercial.tables import Mail
from provisioning.intake import Clock
from workflows.services import MailDelivery

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(hours=24),
)
"""After each try that may be repeated; then it is given up."""
AT_ONCE = 20
A_LITTLE_MORE = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class UnattendedMails:
    """One tenant's. Several processes may send: each mail is in one's hands at a time.

    ``longest``: how long one conversation with the mail server may take.
    """

    def __init__(
        self,
        begin: Begin,
        delivery: MailDelivery,
        *,
        tenant_id: str,
        now: Clock,
        longest: timedelta,
    ) -> None:
        self._begin = begin
        self._delivery = delivery
        self._tenant_id = tenant_id
        self._now = now
        self._claim_for = longest + A_LITTLE_MORE

    async def send_due(self) -> int:
        """Sends what is due; how many the server took. One that fails doesn't stop the others."""
        sent = 0
        for _ in range(AT_ONCE):
            claimed = await self._claim()
            if claimed is None:
                break
            sent += await self._send(*claimed)
        return sent

    async def _claim(self) -> tuple[int, int] | None:
        """The number of the mail that has waited longest, and of tries before; nobody else has it meanwhile."""
        now = self._now()
        due = (
            select(Mail)
            .where(Mail.tenant_id == self._tenant_id, Mail.next_try_at <= now)
            .order_by(Mail.next_try_at, Mail.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._begin() as db:
            mail = await db.scalar(due)
            if mail is None:
                return None
            mail.next_try_at = now + self._claim_for
            return mail.id, mail.attempts

    async def _send(self, email_id: int, tries: int) -> bool:
        try:
            await self._delivery.deliver(email_id)
        except MailWithdrawn:
            await self._settle(email_id, None)
            return False
        except DeliveryFailed as error:
            again = PAUSES[tries] if error.transient and tries < len(PAUSES) else None
            log.warning("mail not delivered", email_id=email_id, code=error.code, again=again is not None)
            await self._settle(email_id, again)
            return False
        await self._settle(email_id, None)
        return True

    async def _settle(self, email_id: int, again: timedelta | None) -> None:
        at: datetime | None = None if again is None else self._now() + again
        mine = update(Mail).where(Mail.tenant_id == self._tenant_id, Mail.id == email_id)
        async with self._begin() as db:
            await db.execute(mine.values(next_try_at=at))
