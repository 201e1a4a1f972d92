"""Notices: queued with their cause, once per request, complete; and withdrawn or tried again by their rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    NoticeSent,
    NoticeUnknown,
    NoticeWithdrawn,
    NotificationsService,
    Teams,
    TeamUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.notices.notice_tables import Notice
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.vault import SecretVault
from tests.provisioning.commercial.conftest import NOW, TENANT

WISH: dict[str, Any] = {
    "team": "deployment",
    "channel": "email",
    "subject": "Order 42 is ready",
    "message": "Order 42 is paid.\nPlease deploy it.",
    "metadata": {"order_id": 42, "customer": "Ada Brandt"},
    "request_id": "order/42/notify_team",
}


def notifications(db: AsyncSession, tenant_id: str = TENANT) -> NotificationsService:
    return NotificationsService(db, tenant_id=tenant_id, now=lambda: NOW)


@pytest.fixture
async def isp(begin: Begin, vault: SecretVault) -> AsyncIterator[Begin]:
    async with begin() as db:
        teams = Teams(db, tenant_id=TENANT, vault=vault, allowed=())
        await teams.define(name="deployment", email="deployment@isp.example", channels={})
    yield begin


async def test_a_notice_is_kept_as_it_was_given_and_due_at_once(isp: Begin) -> None:
    async with isp() as db:
        queued = await notifications(db).notify_team(**WISH)
        assert queued == {"notice_id": 1, "team": "deployment", "channel": "email", "state": "queued"}
        (kept,) = await notifications(db).notices()
    assert kept == {
        "notice_id": 1,
        "team": "deployment",
        "channel": "email",
        "subject": "Order 42 is ready",
        "message": "Order 42 is paid.\nPlease deploy it.",
        "metadata": {"order_id": 42, "customer": "Ada Brandt"},
        "state": "queued",
        "queued_at": NOW,
        "sent_at": None,
        "attempts": 0,
        "next_try_at": NOW,
        "last_error": None,
    }


async def test_the_same_request_is_one_notice_also_at_the_same_moment(isp: Begin) -> None:
    async def notify() -> int:
        async with isp() as db:
            return (await notifications(db).notify_team(**WISH))["notice_id"]

    assert len(set(await asyncio.gather(*(notify() for _ in range(5))))) == 1
    async with isp() as db:
        for other in ({"message": "Order 42 is not paid."}, {"metadata": None}, {"channel": "chat"}):
            with pytest.raises(RequestConflict, match="already made notice"):
                await notifications(db).notify_team(**WISH | other)
        without_id = WISH | {"request_id": None}
        first, second = [await notifications(db).notify_team(**without_id) for _ in range(2)]
        assert first["notice_id"] != second["notice_id"]


async def test_a_message_that_nobody_has_filled_in_is_refused_with_all_other_faults(isp: Begin) -> None:
    async with isp() as db:
        with pytest.raises(InvalidRequest) as refused:
            await notifications(db).notify_team(
                team="deployment",
                channel="email",
                subject="{{ subject }}",
                message="Order ${step_create_order.order_id} is ready",
                metadata={"order": "{% if x %}", "password": "secret:subscriber/1", "at": NOW, "rate": float("nan")},
            )
        assert await db.scalar(select(func.count()).select_from(Notice)) == 0
    left = "which nobody would fill in"
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        ("metadata.order", f"still has a placeholder in it ({{%...), {left}"),
        ("metadata.password", "refers to a secret, and secrets are not told to teams"),
        ("metadata.at", "is a datetime; write it as text"),
        ("metadata", "is not what JSON can keep"),
        ("subject", f"still has a placeholder in it ({{{{...), {left}"),
        ("message", f"still has a placeholder in it (${{...), {left}"),
    ]


async def test_nobody_is_told_through_a_team_or_channel_that_there_is_not(isp: Begin) -> None:
    async with isp() as db:
        with pytest.raises(TeamUnknown, match="there are: deployment"):
            await notifications(db).notify_team(**WISH | {"team": "sales"})
        with pytest.raises(TeamUnknown, match="there are none"):
            await notifications(db, "south").notify_team(**WISH)


async def test_a_withdrawn_notice_stays_withdrawn_and_a_sent_one_sent(isp: Begin) -> None:
    async with isp() as db:
        notice_id = (await notifications(db).notify_team(**WISH))["notice_id"]
        withdrawn = await notifications(db).withdraw_notice(notice_id=notice_id)
        assert await notifications(db).withdraw_notice(notice_id=notice_id) == withdrawn
        assert withdrawn["state"] == "withdrawn"
        for again in (notifications(db).notify_team(**WISH), notifications(db).retry_notice(notice_id=notice_id)):
            with pytest.raises(NoticeWithdrawn):
                await again
        await db.execute(update(Notice).values(state="sent", sent_at=NOW))
    async with isp() as db:
        assert (await notifications(db).withdraw_notice(notice_id=notice_id))["state"] == "sent"
        assert (await notifications(db).notify_team(**WISH))["state"] == "sent"
        with pytest.raises(NoticeSent, match="is with team deployment already"):
            await notifications(db).retry_notice(notice_id=notice_id)
        with pytest.raises(NoticeUnknown):
            await notifications(db, "south").withdraw_notice(notice_id=notice_id)


async def test_a_failed_notice_is_tried_again_from_the_beginning(isp: Begin) -> None:
    async with isp() as db:
        notice_id = (await notifications(db).notify_team(**WISH))["notice_id"]
        await db.execute(update(Notice).values(state="failed", attempts=10, last_error="the other side answered 401"))
    async with isp() as db:
        (failed,) = await notifications(db).notices(states=["failed"])
        assert failed["last_error"] == "the other side answered 401"
        assert (await notifications(db).retry_notice(notice_id=notice_id))["state"] == "queued"
        (queued,) = await notifications(db).notices(team="deployment")
        assert (queued["attempts"], queued["next_try_at"]) == (0, NOW)
        assert await notifications(db).notices(before=notice_id) == []
