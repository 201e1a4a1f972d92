"""Delivery over real SMTP: every way a conversation can end, and what the outbox says afterwards."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from provisioning.commercial import (
    DeliveryDoubtful,
    DeliveryFailed,
    DeliveryUnknown,
    MailAlreadySent,
    MailDeferred,
    MailDelivery,
    MailRefused,
    MailServerUnreachable,
    MailUnknown,
    MailWithdrawn,
    SmtpSettings,
)
from provisioning.commercial.mails.delivery import MOST_SILENCES, Begin
from provisioning.commercial.mails.smtp import ENVELOPE_SECONDS, QUIT_SECONDS
from provisioning.commercial.tables import Mail, MailAttempt
from provisioning.commercial.testing import MailSink, Quirk
from provisioning.settings import SettingsRefused, load_settings
from tests.provisioning.commercial.conftest import ACTIVATION, NOW, TENANT, Communications
from workflows.definitions.installation.service import deliver_email
from workflows.engine.due import MOVES_WITHIN
from workflows.services import QueuedEmail

SENDER = "noreply@isp.example"
LATER = NOW + timedelta(minutes=5)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with the kind of database."""

Bad = Callable[[MailDelivery, MailSink, QueuedEmail], Awaitable[None]]


@pytest.fixture
async def queued(begin: Begin, communications: Communications) -> QueuedEmail:
    async with begin() as db:
        return await communications(db, isp_name="Jörg's Fibre").send_template_email(
            template="service_activated",
            recipient="ada@example.com",
            variables=ACTIVATION,
            request_id="order/1/mail",
        )


def delivery(begin: Begin, settings: SmtpSettings) -> MailDelivery:
    return MailDelivery(begin, smtp=settings, tenant_id=TENANT, now=lambda: LATER)


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


async def mail_row(begin: Begin, email_id: int) -> Mail:
    async with begin() as db:
        row = await db.get(Mail, email_id)
    assert row is not None
    return row


async def outcomes(begin: Begin, email_id: int) -> list[tuple[int, str | None, str]]:
    async with begin() as db:
        rows = await db.scalars(select(MailAttempt).where(MailAttempt.mail_id == email_id).order_by(MailAttempt.number))
        return [(row.number, row.outcome, row.message_id) for row in rows]


async def test_a_mail_arrives_as_it_was_written(begin: Begin, sink: MailSink, queued: QueuedEmail) -> None:
    settings = sink.settings(SENDER, sender_name="Jörg's Fibre", reply_to="help@isp.example")
    delivered = await delivery(begin, settings).deliver(queued["email_id"])
    (arrived,) = sink.mails()
    assert delivered == {
        "email_id": queued["email_id"],
        "message_id": queued["message_id"],
        "recipient": "ada@example.com",
        "smtp_reply": f"250 2.0.0 kept as {arrived.path.name}",
        "attempts": 1,
        "sent_at": LATER,
    }
    headers = {name: str(arrived.message[name]) for name in arrived.message}
    assert headers["Message-ID"] == queued["message_id"]
    assert headers["From"] == "Jörg's Fibre <noreply@isp.example>"
    assert headers["To"] == "ada@example.com"
    assert headers["Reply-To"] == "help@isp.example"
    assert headers["Subject"] == "Jörg's Fibre: your service is live"
    assert headers["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["MIME-Version"] == "1.0"
    assert len(headers) == len(arrived.message.items()), "no header stands twice"
    assert "Hello Ada Byron," in arrived.body("plain")
    assert ">fiber-300</td>" in arrived.body("html")


async def test_a_mail_that_is_sent_is_not_sent_again(begin: Begin, sink: MailSink, queued: QueuedEmail) -> None:
    sending = delivery(begin, sink.settings(SENDER))
    first = await sending.deliver(queued["email_id"])
    assert await sending.deliver(queued["email_id"]) == first
    assert await sending.receipt(queued["email_id"]) == first
    assert sink.copies() == {queued["message_id"]: 1}


async def test_no_transaction_is_open_while_the_server_is_waited_for(
    begin: Begin, communications: Communications, sink: MailSink, queued: QueuedEmail
) -> None:
    sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
    waiting = asyncio.create_task(delivery(begin, sink.settings(SENDER)).deliver(queued["email_id"]))
    await sink.wait_for_mails(1)
    async with begin() as db:  # on SQLite an open transaction anywhere would keep this one out
        await communications(db).withdraw_email(email_id=queued["email_id"], reason="written meanwhile")
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("quirk", "error", "state", "outcome", "code"),
    [
        (Quirk.DEFER_RECIPIENT, MailDeferred, "queued", "deferred", 451),
        (Quirk.DEFER_CONTENT, MailDeferred, "queued", "deferred", 451),
        (Quirk.REFUSE_RECIPIENT, MailRefused, "refused", "refused", 550),
        (Quirk.REFUSE_CONTENT, MailRefused, "refused", "refused", 554),
        (Quirk.HANG_UP_ON_RECIPIENT, MailServerUnreachable, "queued", "unreachable", None),
    ],
)
async def test_a_mail_the_server_did_not_take_says_why_and_can_be_sent_later(
    begin: Begin,
    sink: MailSink,
    queued: QueuedEmail,
    quirk: Quirk,
    error: type[DeliveryFailed],
    state: str,
    outcome: str,
    code: int | None,
) -> None:
    sink.misbehave(quirk)
    sending = delivery(begin, sink.settings(SENDER))
    with pytest.raises(error) as failed:
        await sending.deliver(queued["email_id"])
    assert failed.value.reply_code == code
    assert failed.value.transient is (error is not MailRefused)
    assert "ada@example.com" in failed.value.message and sink.settings(SENDER).server in failed.value.message
    assert sink.mails() == []
    assert await sending.receipt(queued["email_id"]) is None
    row = await mail_row(begin, queued["email_id"])
    assert (row.state, row.attempts, row.smtp_reply) == (state, 1, failed.value.reason)

    delivered = await sending.deliver(queued["email_id"])
    assert delivered["attempts"] == 2
    message_id = queued["message_id"]
    assert await outcomes(begin, queued["email_id"]) == [(1, outcome, message_id), (2, "sent", message_id)]
    assert sink.copies() == {message_id: 1}


@pytest.mark.parametrize(
    ("quirk", "copies"),
    [
        (Quirk.KEEP_AND_HANG_UP, 2),
        (Quirk.LOSE_AND_HANG_UP, 1),
        (Quirk.KEEP_AND_SAY_NOTHING, 2),
        (Quirk.ANSWER_RUBBISH, 2),
    ],
)
async def test_a_lost_answer_is_unknown_and_the_repeat_is_a_true_copy(
    begin: Begin, sink: MailSink, queued: QueuedEmail, quirk: Quirk, copies: int
) -> None:
    sink.misbehave(quirk)
    sending = delivery(begin, sink.settings(SENDER, answer_timeout_seconds=0.3))
    with pytest.raises(
        DeliveryUnknown, match="may have arrived, and is sent again under the same Message-ID"
    ) as failed:
        await sending.deliver(queued["email_id"])
    assert failed.value.transient
    assert (await mail_row(begin, queued["email_id"])).state == "unknown"

    await sending.deliver(queued["email_id"])
    assert sink.copies() == {queued["message_id"]: copies}
    assert len({mail.path.read_bytes() for mail in sink.mails()}) == 1


async def test_a_server_that_is_not_there_is_transient(begin: Begin, queued: QueuedEmail) -> None:
    settings = SmtpSettings(host="127.0.0.1", port=closed_port(), sender=SENDER)
    with pytest.raises(MailServerUnreachable) as failed:
        await delivery(begin, settings).deliver(queued["email_id"])
    assert failed.value.transient
    assert (await mail_row(begin, queued["email_id"])).state == "queued"


async def test_a_server_that_never_greets_is_given_up(begin: Begin, queued: QueuedEmail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = SmtpSettings(host="127.0.0.1", port=silent.getsockname()[1], sender=SENDER, timeout_seconds=0.2)
        with pytest.raises(MailServerUnreachable, match="Timed out"):
            await delivery(begin, settings).deliver(queued["email_id"])


async def test_a_process_that_dies_while_sending_leaves_an_attempt_that_shows_it(
    begin: Begin, sink: MailSink, queued: QueuedEmail
) -> None:
    sending = delivery(begin, sink.settings(SENDER))
    await killed(sending, sink, queued)
    assert (await mail_row(begin, queued["email_id"])).state == "unknown"
    assert await outcomes(begin, queued["email_id"]) == [(1, None, queued["message_id"])]

    delivered = await sending.deliver(queued["email_id"])
    assert delivered["attempts"] == 2
    assert sink.copies() == {queued["message_id"]: 2}
    assert len({mail.path.read_bytes() for mail in sink.mails()}) == 1


async def killed(sending: MailDelivery, sink: MailSink, queued: QueuedEmail) -> None:
    """The process dies between the last byte of the mail and the server's answer; the server has kept it."""
    arrived = len(sink.mails())
    sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
    dying = asyncio.create_task(sending.deliver(queued["email_id"]))
    await sink.wait_for_mails(arrived + 1)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying


async def unanswered(sending: MailDelivery, sink: MailSink, queued: QueuedEmail) -> None:
    """The server keeps the mail and cuts the line before it says so."""
    sink.misbehave(Quirk.KEEP_AND_HANG_UP)
    with pytest.raises(DeliveryUnknown):
        await sending.deliver(queued["email_id"])


@ON_SQLITE
@pytest.mark.parametrize(
    ("first", "second"), [(killed, killed), (killed, unanswered), (unanswered, killed), (unanswered, unanswered)]
)
async def test_a_mail_that_may_have_arrived_twice_is_not_sent_a_third_time(
    begin: Begin, sink: MailSink, queued: QueuedEmail, first: Bad, second: Bad
) -> None:
    sending = delivery(begin, sink.settings(SENDER))
    for bad in (first, second):
        await bad(sending, sink, queued)
    for _ in range(2):
        with pytest.raises(DeliveryDoubtful) as failed:
            await sending.deliver(queued["email_id"])
    reason = (
        (await mail_row(begin, queued["email_id"])).smtp_reply if second is unanswered else "no answer was recorded"
    )
    assert failed.value.message == (
        f"Mail {queued['email_id']} to ada@example.com was offered to {sink.settings(SENDER).server} twice, and neither"
        f" time is it known whether it took it ({reason}); it is not sent again. Ask the recipient, then skip this step"
        " with what they said."
    )
    assert not failed.value.transient
    assert sink.copies() == {queued["message_id"]: MOST_SILENCES}
    assert (await mail_row(begin, queued["email_id"])).attempts == MOST_SILENCES


@ON_SQLITE
async def test_a_server_that_has_said_no_each_time_leaves_no_doubt(
    begin: Begin, sink: MailSink, queued: QueuedEmail
) -> None:
    sending = delivery(begin, sink.settings(SENDER))
    sink.misbehave(*[Quirk.DEFER_CONTENT] * 3)
    for _ in range(3):
        with pytest.raises(MailDeferred):
            await sending.deliver(queued["email_id"])
    assert (await sending.deliver(queued["email_id"]))["attempts"] == 4
    assert sink.copies() == {queued["message_id"]: 1}


def test_the_longest_conversation_ends_before_its_step_does_and_the_step_before_its_run_is_called_stuck() -> None:
    longest_answer = load_settings(smtp_answer_timeout_seconds=600).smtp_answer_timeout_seconds
    assert ENVELOPE_SECONDS + longest_answer + QUIT_SECONDS < deliver_email.timeout_seconds
    assert deliver_email.timeout_seconds < MOVES_WITHIN.total_seconds()
    with pytest.raises(SettingsRefused):
        load_settings(smtp_answer_timeout_seconds=601)


async def test_a_mail_withdrawn_while_it_was_failing_stays_withdrawn(
    begin: Begin, communications: Communications, sink: MailSink, queued: QueuedEmail
) -> None:
    sink.misbehave(Quirk.KEEP_AND_SAY_NOTHING)
    settings = sink.settings(SENDER, answer_timeout_seconds=0.3)
    waiting = asyncio.create_task(delivery(begin, settings).deliver(queued["email_id"]))
    await sink.wait_for_mails(1)
    async with begin() as db:
        await communications(db).withdraw_email(email_id=queued["email_id"], reason="run undone")
    with pytest.raises(DeliveryUnknown):
        await waiting
    assert (await mail_row(begin, queued["email_id"])).state == "withdrawn"


async def test_a_mail_withdrawn_before_it_was_sent_never_leaves(
    begin: Begin, communications: Communications, sink: MailSink, queued: QueuedEmail
) -> None:
    async with begin() as db:
        await communications(db).withdraw_email(email_id=queued["email_id"], reason="run undone")
    with pytest.raises(MailWithdrawn, match="run undone"):
        await delivery(begin, sink.settings(SENDER)).deliver(queued["email_id"])
    assert sink.mails() == []


async def test_a_mail_that_is_with_the_customer_cannot_be_withdrawn(
    begin: Begin, communications: Communications, sink: MailSink, queued: QueuedEmail
) -> None:
    await delivery(begin, sink.settings(SENDER)).deliver(queued["email_id"])
    async with begin() as db:
        with pytest.raises(MailAlreadySent, match=r"with ada@example\.com already"):
            await communications(db).withdraw_email(email_id=queued["email_id"], reason="run undone")
        undone = await communications(db).withdraw_unsent_email(email_id=queued["email_id"], reason="run undone")
    assert undone["state"] == "sent"


async def test_another_isps_mail_is_unknown(begin: Begin, sink: MailSink, queued: QueuedEmail) -> None:
    foreign = MailDelivery(begin, smtp=sink.settings(SENDER), tenant_id="south", now=lambda: LATER)
    with pytest.raises(MailUnknown):
        await foreign.deliver(queued["email_id"])
    with pytest.raises(MailUnknown):
        await foreign.receipt(queued["email_id"])
