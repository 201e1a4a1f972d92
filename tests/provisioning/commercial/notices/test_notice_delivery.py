"""Delivery of notices over real HTTP and real SMTP: taken, refused, silent, dead; tried again, and given up visibly."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from provisioning.commercial import NoticeDelivery, NotificationsService, SmtpSettings, Teams
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.notices.notice_delivery import MOST_ATTEMPTS, delay_after
from provisioning.commercial.notices.notice_tables import Notice
from provisioning.commercial.notices.notifications import NoticeRecord
from provisioning.commercial.testing import MailSink, Quirk
from provisioning.logs import configure_logs
from provisioning.vault import SecretVault
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.support.http_receiver import SILENCE, HttpReceiver

CANARY = "B3cretT0ken"
KINDS = ("json", "mailto")


@dataclass
class Isp:
    """One ISP with the team noc, whose channels lead to a receiver and a mail server of ours."""

    begin: Begin
    vault: SecretVault
    smtp: SmtpSettings
    now: datetime = NOW

    def delivery(self, **options: Any) -> NoticeDelivery:
        return NoticeDelivery(
            self.begin,
            tenant_id=TENANT,
            now=lambda: self.now,
            vault=self.vault,
            smtp=self.smtp,
            **{"allowed": KINDS, "timeout_seconds": 5.0, **options},
        )

    async def define(self, **channels: str) -> None:
        async with self.begin() as db:
            teams = Teams(db, tenant_id=TENANT, vault=self.vault, allowed=KINDS)
            await teams.define(name="noc", email="noc@isp.example", channels=channels)

    async def notify(self, channel: str, subject: str = "Order 42 is ready") -> int:
        async with self.begin() as db:
            queued = await NotificationsService(db, tenant_id=TENANT, now=lambda: self.now).notify_team(
                team="noc", channel=channel, subject=subject, message="Please deploy it.", metadata={"order_id": 42}
            )
        return queued["notice_id"]

    async def notice(self, notice_id: int) -> NoticeRecord:
        async with self.begin() as db:
            found = await NotificationsService(db, tenant_id=TENANT, now=lambda: self.now).notices()
        return next(each for each in found if each["notice_id"] == notice_id)


@pytest.fixture
async def isp(begin: Begin, vault: SecretVault, sink: MailSink) -> Isp:
    return Isp(begin, vault, sink.settings("noreply@isp.example"))


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as running:
        yield running


def hook(port: int) -> str:
    return f"json://127.0.0.1:{port}/hooks/{CANARY}"


async def test_a_team_is_told_by_web_hook_by_apprises_mail_and_by_our_own(
    isp: Isp, receiver: HttpReceiver, sink: MailSink
) -> None:
    mailto = f"mailto://127.0.0.1:{sink.port}?from=alerts@isp.example&to=chat@isp.example&mode=insecure"
    await isp.define(hook=hook(receiver.port), post=mailto)
    ids = [await isp.notify(channel) for channel in ("hook", "post", "email")]
    assert await isp.delivery().deliver_due() == 3
    for notice_id in ids:
        notice = await isp.notice(notice_id)
        assert (notice["state"], notice["attempts"], notice["sent_at"], notice["last_error"]) == ("sent", 1, NOW, None)
    (received,) = receiver.received
    assert (received.method, received.target) == ("POST", f"/hooks/{CANARY}")
    assert (received.body["title"], received.body["message"]) == (
        "Order 42 is ready",
        "Please deploy it.\n\norder_id: 42",
    )
    arrived = {str(mail.message["To"]): mail for mail in sink.mails()}
    assert set(arrived) == {"chat@isp.example", "noc@isp.example"}
    ours = arrived["noc@isp.example"]
    assert (ours.message["Subject"], ours.body("plain")) == ("Order 42 is ready", "Please deploy it.\n\norder_id: 42\n")
    assert await isp.delivery().deliver_due() == 0


async def test_what_fails_comes_again_later_each_time_and_then_succeeds(isp: Isp, receiver: HttpReceiver) -> None:
    await isp.define(hook=hook(receiver.port))
    notice_id = await isp.notify("hook")
    receiver.answer(500, 401)
    await isp.delivery().deliver_due()
    notice = await isp.notice(notice_id)
    assert (notice["state"], notice["attempts"], notice["last_error"]) == ("queued", 1, "the other side answered 500")
    assert notice["next_try_at"] == NOW + timedelta(seconds=30)
    assert await isp.delivery().deliver_due() == 0
    isp.now = notice["next_try_at"]
    await isp.delivery().deliver_due()
    notice = await isp.notice(notice_id)
    assert (notice["attempts"], notice["last_error"]) == (2, "the other side answered 401")
    assert notice["next_try_at"] == isp.now + timedelta(minutes=1)
    isp.now = notice["next_try_at"]
    await isp.delivery().deliver_due()
    notice = await isp.notice(notice_id)
    assert (notice["state"], notice["attempts"], notice["last_error"]) == ("sent", 3, None)
    assert len(receiver.received) == 3


async def test_after_the_last_attempt_it_has_failed_and_is_not_tried_any_more(isp: Isp) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        await isp.define(hook=hook(unused.getsockname()[1]))
        notice_id = await isp.notify("hook")
        async with isp.begin() as db:
            await db.execute(update(Notice).values(attempts=MOST_ATTEMPTS - 1))
        await isp.delivery().deliver_due()
    notice = await isp.notice(notice_id)
    assert (notice["state"], notice["attempts"]) == ("failed", MOST_ATTEMPTS)
    assert notice["last_error"] == "the other side was not reached"
    isp.now += timedelta(days=1)
    assert await isp.delivery().deliver_due() == 0
    assert sum((delay_after(number) for number in range(1, MOST_ATTEMPTS)), timedelta()) > timedelta(hours=3)


async def test_a_silent_receiver_is_left_and_holds_up_no_other(
    isp: Isp, receiver: HttpReceiver, sink: MailSink
) -> None:
    await isp.define(hook=hook(receiver.port))
    receiver.answer(SILENCE)
    slow, quick = await isp.notify("hook"), await isp.notify("email")
    delivering = asyncio.create_task(isp.delivery(timeout_seconds=1.0).deliver_due())
    await sink.wait_for_mails(1)
    async with isp.begin() as db:  # on SQLite an open transaction anywhere would keep this one out
        withdrawn = await NotificationsService(db, tenant_id=TENANT, now=lambda: NOW).withdraw_notice(notice_id=slow)
    assert withdrawn["state"] == "withdrawn"
    await delivering
    assert (await isp.notice(quick))["state"] == "sent"
    notice = await isp.notice(slow)
    assert (notice["state"], notice["last_error"]) == ("withdrawn", "no answer within 1 s; it may have arrived")


async def test_a_silent_channel_holds_up_nothing_that_comes_later(
    isp: Isp, receiver: HttpReceiver, sink: MailSink
) -> None:
    await isp.define(hook=hook(receiver.port))
    receiver.answer(SILENCE)
    slow = await isp.notify("hook")
    worker = isp.delivery(timeout_seconds=60.0)
    await worker.start_due()
    await receiver.until_received(1)
    later = await isp.notify("email")
    await worker.start_due()
    await sink.wait_for_mails(1)
    assert (await isp.notice(slow))["state"] == "queued"
    await worker.stop()
    assert (await isp.notice(later))["attempts"] == 1


async def test_a_mail_that_the_server_looks_at_for_minutes_is_not_sent_by_a_second_worker(
    isp: Isp, sink: MailSink
) -> None:
    isp.smtp = replace(isp.smtp, answer_timeout_seconds=600.0)
    await isp.define()
    await isp.notify("email")
    sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
    patient = isp.delivery()
    await patient.start_due()
    await sink.wait_for_mails(1)
    isp.now = NOW + timedelta(seconds=isp.smtp.longest_seconds)
    assert await isp.delivery().deliver_due() == 0
    await patient.stop()
    assert list(sink.copies().values()) == [1]
    isp.now = NOW + patient.claim_of("email")  # whoever had it is dead by now
    assert await isp.delivery().deliver_due() == 1


async def test_a_token_is_not_carried_to_where_a_receiver_redirects(isp: Isp, receiver: HttpReceiver) -> None:
    receiver.location = f"http://127.0.0.1:{receiver.port}/elsewhere"
    receiver.answer(307)
    await isp.define(hook=hook(receiver.port) + "?redirect=yes")
    notice_id = await isp.notify("hook")
    await isp.delivery().deliver_due()
    assert (await isp.notice(notice_id))["last_error"] == "the other side answered 307"
    assert [each.target for each in receiver.received] == [f"/hooks/{CANARY}"]


async def test_two_workers_tell_a_team_once(isp: Isp, receiver: HttpReceiver) -> None:
    await isp.define(hook=hook(receiver.port))
    for number in range(6):
        await isp.notify("hook", subject=f"Order {number}")
    taken = await asyncio.gather(*(isp.delivery().deliver_due() for _ in range(3)))
    assert sum(taken) == 6
    assert sorted(each.body["title"] for each in receiver.received) == [f"Order {number}" for number in range(6)]


async def test_what_a_dead_worker_had_taken_is_told_by_another_when_its_claim_has_run_out(
    isp: Isp, receiver: HttpReceiver
) -> None:
    await isp.define(hook=hook(receiver.port))
    notice_id = await isp.notify("hook")
    claim = isp.delivery().claim_of("hook")
    async with isp.begin() as db:
        await db.execute(update(Notice).values(attempts=1, claimed_until=NOW + claim))
    assert await isp.delivery().deliver_due() == 0
    isp.now = NOW + claim
    assert await isp.delivery().deliver_due() == 1
    assert (await isp.notice(notice_id))["attempts"] == 2
    async with isp.begin() as db:
        await db.execute(update(Notice).values(state="queued", sent_at=None, attempts=MOST_ATTEMPTS, claimed_until=NOW))
    assert await isp.delivery().deliver_due() == 0
    notice = await isp.notice(notice_id)
    assert (notice["state"], notice["last_error"]) == ("failed", "its last attempt never ended; it may have arrived")


async def test_a_channel_that_is_gone_or_not_allowed_any_more_is_a_reason(isp: Isp, receiver: HttpReceiver) -> None:
    await isp.define(hook=hook(receiver.port), other=hook(receiver.port))
    not_allowed, gone = await isp.notify("hook"), await isp.notify("other")
    await isp.define(hook=hook(receiver.port))
    await isp.delivery(allowed=("slack",)).deliver_due()
    assert (await isp.notice(not_allowed))["last_error"] == "channels of the kind json are not allowed any more"
    assert (await isp.notice(gone))["last_error"] == "team noc has no channel other any more"
    assert receiver.received == []


async def test_our_mail_server_says_why_it_did_not_take_a_notice_and_a_repeat_is_the_same_mail(
    isp: Isp, sink: MailSink
) -> None:
    await isp.define()
    sink.misbehave(Quirk.DEFER_CONTENT)
    notice_id = await isp.notify("email")
    await isp.delivery().deliver_due()
    notice = await isp.notice(notice_id)
    assert notice["last_error"] == f"127.0.0.1:{sink.port} (deferred): 451 4.3.0 local error in processing"
    isp.now, sender = notice["next_try_at"], isp.delivery()
    sink.misbehave(Quirk.KEEP_AND_HANG_UP)
    await sender.deliver_due()
    isp.now += timedelta(hours=1)
    await sender.deliver_due()
    assert list(sink.copies().values()) == [2]


async def test_no_token_gets_out_whatever_goes_wrong(
    isp: Isp, receiver: HttpReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    logged = io.StringIO()
    configure_logs(level="debug", form="json", stream=logged)
    await isp.define(
        hook=hook(receiver.port),
        basic=f"json://user:{CANARY}@127.0.0.1:1/x?token={CANARY}",
        post=f"mailto://user:{CANARY}@127.0.0.1:1?from=a@isp.example&to=b@isp.example&mode=insecure",
    )
    for channel in ("hook", "basic", "post"):
        await isp.notify(channel)
    receiver.answer(403)
    await isp.delivery().deliver_due()
    async with isp.begin() as db:
        shown = str(await NotificationsService(db, tenant_id=TENANT, now=lambda: NOW).notices())
    screen = capfd.readouterr()
    assert "the other side answered 403" in shown and "notice attempt ended" in logged.getvalue()
    assert CANARY not in shown + logged.getvalue() + screen.out + screen.err
