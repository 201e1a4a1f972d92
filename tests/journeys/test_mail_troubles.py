"""The mail server's bad days. The line works and is billed meanwhile; the mail comes late, and never as two mails."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from provisioning.commercial.tables import Mail, MailAttempt
from provisioning.commercial.testing import Quirk
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.outages import mail_server_down
from tests.support.traces import NOTHING, traces_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_mail_server_that_is_down_gets_one_mail_when_it_is_back(lab: JourneyLab) -> None:
    house = lab.household()
    run = await scanned(lab, house)
    async with mail_server_down(lab):
        waiting = await run.until_retrying()
        assert waiting.summary.current_step == "deliver_email"
        email_id = (await run.result("send_template_email"))["email_id"]
        assert str(waiting.summary.reason).startswith(
            f"Mail {email_id} to {house.email} did not reach 127.0.0.1:{lab.world.mail.port}: "
        )
        left = await traces_of(lab, house)
        assert (left.bills, left.subscribers, left.mails_to_send) == (1, ("active",), 1)

    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert len(lab.activation_mails(house)) == 1
    outcomes = await attempts(lab, house)
    assert set(outcomes[:-1]) == {"unreachable"} and outcomes[-1] == "sent"
    assert await lab.broken_invariants() == []


async def test_a_connection_cut_after_the_content_brings_at_most_two_copies_of_one_mail(lab: JourneyLab) -> None:
    house = lab.household()
    run = await scanned(lab, house, Quirk.KEEP_AND_HANG_UP)

    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    mails = lab.activation_mails(house)
    assert len(mails) == 2
    assert {mail.message_id for mail in mails} == {(await run.result("send_template_email"))["message_id"]}
    assert await attempts(lab, house) == ["unknown", "sent"]
    assert await lab.broken_invariants() == []


async def test_a_mail_that_was_lost_with_the_connection_is_sent_again(lab: JourneyLab) -> None:
    house = lab.household()
    run = await scanned(lab, house, Quirk.LOSE_AND_HANG_UP, Quirk.DEFER_RECIPIENT)

    assert (await run.until_ended()).summary.state == "completed"
    assert len(lab.activation_mails(house)) == 1
    assert await attempts(lab, house) == ["unknown", "deferred", "sent"]


async def test_a_refused_mailbox_holds_the_run_and_can_be_passed_over(lab: JourneyLab) -> None:
    house = lab.household()
    run = await scanned(lab, house, Quirk.REFUSE_RECIPIENT)

    held = await run.until_held()
    assert (held.summary.current_step, held.summary.reason_code) == ("deliver_email", "mail.refused")
    assert "550 5.1.1 no such mailbox" in str(held.summary.reason)
    assert (await traces_of(lab, house)).bills == 1  # the line works all the same

    await run.skip("the customer was told by telephone")
    ended = await run.until_ended()
    assert ended.summary.state == "partial"
    assert (await run.states())["deliver_email"] == "skipped"
    assert lab.activation_mails(house) == []
    assert await lab.broken_invariants() == []


async def test_a_cancel_before_the_mail_is_gone_stops_the_bill_and_the_mail(lab: JourneyLab) -> None:
    house = lab.household()
    run = await scanned(lab, house)
    async with mail_server_down(lab):
        await run.until_retrying()
        await run.cancel("the customer has changed his mind")
        ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "cancelled",
        "cancelled by operator: the customer has changed his mind",
    )
    assert await traces_of(lab, house) == NOTHING
    assert lab.activation_mails(house) == []
    assert await lab.broken_invariants() == []


async def scanned(lab: JourneyLab, house: Household, *quirks: Quirk) -> Installation:
    """An installation whose ONT has just been scanned; from now on the mail server has these quirks."""
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    lab.world.mail.misbehave(*quirks)
    await run.plug_and_scan(house)
    return run


async def attempts(lab: JourneyLab, house: Household) -> list[str | None]:
    """How each attempt to tell this customer that the line works ended."""
    async with lab.appliance.database.begin() as db:
        found = await db.scalars(
            select(MailAttempt.outcome)
            .join(Mail, Mail.id == MailAttempt.mail_id)
            .where(Mail.recipient == house.email, Mail.template == "service_activated")
            .order_by(MailAttempt.id)
        )
        return list(found)
