"""Delivery of notices: a tick of the clock starts what is due, each team's channel for itself, at least once.

A notice is claimed in a transaction of its own, told while none is open, and closed in a third. A process that dies in
between leaves a claim that runs out; then another takes it. What fails comes again, later each time, and after the last
attempt is *failed*: visible, and an operator's to retry. No order waits for any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.smtp import SmtpSettings
from provisioning.commercial.notices.channels import EMAIL, Message, message_id_of_notice, tell_by_apprise, tell_by_mail
from provisioning.commercial.notices.notice_tables import Notice, Team, TeamChannel
from provisioning.intake import Clock
from provisioning.lanes import Lanes, claim_for, each_to_its_end
from provisioning.vault import SecretVault, VaultError

log = structlog.get_logger(__name__)

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Channel = tuple[str, str]
"""A team's name, and that of one of its channels."""

MOST_ATTEMPTS = 10
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
TIMEOUT_SECONDS = 20.0
AT_ONCE = 10


def delay_after(attempts: int) -> timedelta:
    """Half a minute, doubled with every attempt, an hour at most: three hours in all."""
    doublings: int = 2 ** (attempts - 1)
    return min(FIRST_DELAY * doublings, LONGEST_DELAY)


@dataclass(frozen=True)
class _Claimed:
    """A notice in the hands of this process. Of ``recipient``, ``address`` and ``unreachable`` it has one."""

    notice_id: int
    attempt: int
    message: Message
    recipient: str | None = None
    address: str | None = None
    unreachable: str = ""

    def __repr__(self) -> str:
        return f"_Claimed(notice_id={self.notice_id}, attempt={self.attempt})"  # the address is a secret


class NoticeDelivery:
    """Tells teams what is due. ``allowed``: the kinds of channels that may be used."""

    def __init__(
        self,
        begin: Begin,
        *,
        tenant_id: str,
        now: Clock,
        vault: SecretVault,
        smtp: SmtpSettings,
        allowed: Collection[str],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._vault = vault
        self._smtp = smtp
        self._allowed = allowed
        self._timeout_seconds = timeout_seconds
        self._lanes: Lanes[Channel] = Lanes(self._serve, what="channels")

    def claim_of(self, channel: str) -> timedelta:
        """How long a notice that goes this way is in one process' hands: our mail server may think for minutes."""
        return claim_for(self._smtp.longest_seconds if channel == EMAIL else self._timeout_seconds)

    async def start_due(self) -> None:
        """Begins with each channel that something is due for, and waits for none of them.

        Raises: ExceptionGroup of what went wrong with those that have ended since.
        """
        self._lanes.start(await self._channels_due())

    async def deliver_due(self) -> int:
        """Tell what is due now to its end; how many it were.

        Raises: ExceptionGroup of what went wrong.
        """
        return self._lanes.start(await self._channels_due()) + await self._lanes.drain()

    async def stop(self) -> None:
        """Gives up what is under way; its claims run out."""
        await self._lanes.stop()

    def _is_due(self, now: datetime) -> ColumnElement[bool]:
        return and_(
            Notice.tenant_id == self._tenant_id,
            Notice.state == "queued",
            Notice.next_try_at <= now,
            or_(Notice.claimed_until.is_(None), Notice.claimed_until <= now),
        )

    async def _channels_due(self) -> list[Channel]:
        async with self._begin() as db:
            found = await db.execute(select(Notice.team, Notice.channel).where(self._is_due(self._now())).distinct())
            return [(team, channel) for team, channel in found]

    async def _serve(self, channel: Channel) -> int:
        told = 0
        while claimed := await self._claim(channel):
            told += await each_to_its_end(self._deliver, claimed)
        return told

    async def _claim(self, channel: Channel) -> list[_Claimed]:
        now, (team, name) = self._now(), channel
        async with self._begin() as db:
            due = await db.scalars(
                select(Notice)
                .where(self._is_due(now), Notice.team == team, Notice.channel == name)
                .order_by(Notice.next_try_at, Notice.id)
                .limit(AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            claimed, died = list[_Claimed](), 0
            for notice in due.all():
                if notice.attempts >= MOST_ATTEMPTS:  # whoever made the last attempt has died in it
                    notice.state, notice.claimed_until = "failed", None
                    notice.last_error = "its last attempt never ended; it may have arrived"
                    died += 1
                else:
                    notice.claimed_until = now + self.claim_of(name)
                    notice.attempts += 1
                    claimed.append(await self._with_address(db, notice))
        return claimed or (await self._claim(channel) if died else [])

    async def _with_address(self, db: AsyncSession, notice: Notice) -> _Claimed:
        message = Message(
            message_id=message_id_of_notice(self._tenant_id, notice.id, self._smtp.sender.rpartition("@")[2]),
            subject=notice.subject,
            text=_told(notice),
            written_at=notice.queued_at,
        )
        mine = (notice.id, notice.attempts, message)
        if notice.channel == EMAIL:
            team = await db.get(Team, (self._tenant_id, notice.team))
            if team is not None and team.email is not None:
                return _Claimed(*mine, recipient=team.email)
            return _Claimed(*mine, unreachable=f"team {notice.team} has no mail address any more")
        channel = await db.get(TeamChannel, (self._tenant_id, notice.team, notice.channel))
        if channel is None:
            return _Claimed(*mine, unreachable=f"team {notice.team} has no channel {notice.channel} any more")
        if channel.kind not in self._allowed:
            return _Claimed(*mine, unreachable=f"channels of the kind {channel.kind} are not allowed any more")
        try:
            return _Claimed(*mine, address=await self._vault.reveal(db, channel.address_ref))
        except VaultError as error:
            return _Claimed(*mine, unreachable=error.message)

    async def _deliver(self, claimed: _Claimed) -> None:
        why_not: str | None
        if claimed.recipient is not None:
            why_not = await tell_by_mail(claimed.message, claimed.recipient, self._smtp)
        elif claimed.address is not None:
            why_not = await tell_by_apprise(claimed.message, claimed.address, timeout_seconds=self._timeout_seconds)
        else:
            why_not = claimed.unreachable
        async with self._begin() as db:
            notice = await db.scalar(
                select(Notice)
                .where(Notice.tenant_id == self._tenant_id, Notice.id == claimed.notice_id)
                .with_for_update()
            )
            assert notice is not None, "notices are never deleted"
            _close(notice, claimed.attempt, why_not, self._now())
            fields = {"notice_id": notice.id, "team": notice.team, "channel": notice.channel, "state": notice.state}
        log.info("notice attempt ended", **fields, attempt=claimed.attempt, why_not=why_not)


def _close(notice: Notice, attempt: int, why_not: str | None, now: datetime) -> None:
    """Meanwhile it may have been withdrawn, retried by an operator, or told by another process whose claim had begun
    after this one's ran out. That it was told outlives every doubt; a failure counts only for the attempt that had it.
    """
    if why_not is None:
        if notice.state != "sent":
            notice.state, notice.sent_at = "sent", now
        notice.last_error, notice.claimed_until = None, None
        return
    if notice.attempts != attempt:
        return
    notice.last_error, notice.claimed_until = why_not, None
    if notice.state == "queued":
        if notice.attempts >= MOST_ATTEMPTS:
            notice.state = "failed"
        else:
            notice.next_try_at = now + delay_after(notice.attempts)


def _told(notice: Notice) -> str:
    particulars = "\n".join(f"{name}: {value}" for name, value in notice.details.items())
    return f"{notice.message}\n\n{particulars}" if particulars else notice.message
