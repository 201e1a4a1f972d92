"""Mails that no run waits for: sent once by whoever comes first, tried again where that may help, and else left."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from provisioning.commercial import MailDelivery, UnattendedMails
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.mails.unattended import PAUSES
from provisioning.commercial.tables import Mail
from provisioning.commercial.testing import MailSink, Quirk
from tests.provisioning.commercial.conftest import ACTIVATION, NOW, TENANT, Communications

pytestmark = pytest.mark.both_databases

SENDER = "noreply@isp.example"
LONGEST = timedelta(minutes=10)
OVER = LONGEST + timedelta(minutes=1)


class Office:
    """Workers at one outbox and one mail server; their clock is moved by hand."""

    def __init__(self, begin: Begin, communications: Communications, sink: MailSink) -> None:
        self.begin = begin
        self.sink = sink
        self.now = NOW
        self._communications = communications

    async def write(self, request: str = "visit/7/1/scheduled", *, unattended: bool = True) -> int:
        async with self.begin() as db:
            queued = await self._communications(db).send_template_email(
                template="service_activated",
                recipient="ada@example.com",
                variables=ACTIVATION,
                unattended=unattended,
                request_id=request,
            )
        return queued["email_id"]

    async def withdraw(self, email_id: int) -> None:
        async with self.begin() as db:
            await self._communications(db).withdraw_email(email_id=email_id, reason="not any more")

    def worker(self) -> UnattendedMails:
        clock = {"tenant_id": TENANT, "now": lambda: self.now}
        delivery = MailDelivery(self.begin, smtp=self.sink.settings(SENDER), **clock)  # type: ignore[arg-type]
        return UnattendedMails(self.begin, delivery, **clock, longest=LONGEST)  # type: ignore[arg-type]

    async def send_due(self) -> int:
        return await self.worker().send_due()

    async def stands(self, email_id: int) -> tuple[str, datetime | None]:
        async with self.begin() as db:
            mail = await db.get_one(Mail, email_id)
            return mail.state, mail.next_try_at


@pytest.fixture
def office(begin: Begin, communications: Communications, sink: MailSink) -> Office:
    return Office(begin, communications, sink)


async def test_what_no_run_waits_for_is_sent_and_what_one_waits_for_is_left_to_it(office: Office) -> None:
    mine, a_runs = await office.write(), await office.write("order/1/mail", unattended=False)
    assert [await office.send_due() for _ in range(2)] == [1, 0]
    assert await office.stands(mine) == ("sent", None)
    assert await office.stands(a_runs) == ("queued", None)
    assert len(office.sink.mails()) == 1


async def test_several_workers_send_each_mail_once(office: Office) -> None:
    numbers = [await office.write(f"visit/{number}/1/scheduled") for number in range(6)]
    sent = await asyncio.gather(*(office.send_due() for _ in range(3)))
    assert sum(sent) == 6
    assert sorted(office.sink.copies().values()) == [1] * 6
    assert {await office.stands(number) for number in numbers} == {("sent", None)}


async def test_a_server_that_defers_is_asked_again_after_longer_and_longer_pauses_and_then_no_more(
    office: Office,
) -> None:
    number = await office.write()
    for pause in PAUSES:
        office.sink.misbehave(Quirk.DEFER_RECIPIENT)
        assert await office.send_due() == 0
        assert await office.stands(number) == ("queued", office.now + pause)
        office.now += pause - timedelta(seconds=1)
        assert await office.send_due() == 0  # not before its time
        office.now += timedelta(seconds=1)
    office.sink.misbehave(Quirk.DEFER_RECIPIENT)
    assert await office.send_due() == 0
    assert await office.stands(number) == ("queued", None)
    office.sink.behave()
    assert await office.send_due() == 0
    assert office.sink.mails() == []


async def test_one_that_is_refused_or_withdrawn_is_left_and_the_next_one_goes(office: Office) -> None:
    refused = await office.write()
    office.sink.misbehave(Quirk.REFUSE_RECIPIENT)
    assert await office.send_due() == 0
    office.sink.behave()
    withdrawn, good = await office.write("visit/8/1/scheduled"), await office.write("visit/9/1/scheduled")
    await office.withdraw(withdrawn)
    assert await office.send_due() == 1
    assert [await office.stands(each) for each in (refused, withdrawn, good)] == [
        ("refused", None),
        ("withdrawn", None),
        ("sent", None),
    ]


async def test_a_worker_that_dies_in_it_leaves_it_to_another_once_and_a_second_death_to_a_person(
    office: Office,
) -> None:
    number = await office.write()
    for _ in range(2):
        office.sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
        before = len(office.sink.mails())
        dying = asyncio.create_task(office.send_due())
        await office.sink.wait_for_mails(before + 1)
        assert await office.send_due() == 0  # it is in somebody's hands
        dying.cancel()
        await asyncio.wait({dying})
        office.now += OVER
    office.sink.behave()
    assert await office.send_due() == 0
    assert await office.stands(number) == ("unknown", None)
    assert sorted(office.sink.copies().values()) == [2]
