"""The outbox: one mail per request, under one Message-ID, written together with its cause."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import CommunicationsService, MailUnknown, MailWithdrawn
from provisioning.commercial.delivery import Begin
from provisioning.commercial.tables import Mail
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import ACTIVATION, NOW, TENANT

WISH: dict[str, Any] = {
    "template": "service_activated",
    "recipient": "ada@example.com",
    "variables": ACTIVATION,
    "request_id": "order/1/mail",
}


def communications(db: AsyncSession, tenant_id: str = TENANT) -> CommunicationsService:
    return CommunicationsService(
        db, tenant_id=tenant_id, now=lambda: NOW, sender="noreply@isp.example", isp_name="Northern Fibre"
    )


async def test_a_mail_is_kept_as_it_was_rendered(begin: Begin) -> None:
    async with begin() as db:
        queued = await communications(db).send_template_email(**WISH)
    assert queued["state"] == "queued"
    assert queued["template"] == "service_activated"
    assert queued["recipient"] == "ada@example.com"
    assert queued["message_id"].startswith("<") and queued["message_id"].endswith("@isp.example>")
    async with begin() as db:
        kept = await db.get(Mail, queued["email_id"])
    assert kept is not None
    assert kept.subject == "Northern Fibre: your service is live"
    assert kept.text.startswith("Hello Ada Byron,")
    assert kept.queued_at == NOW
    assert (kept.attempts, kept.sent_at) == (0, None)


async def test_the_same_request_is_the_same_mail(begin: Begin) -> None:
    async with begin() as db:
        first = await communications(db).send_template_email(**WISH)
    async with begin() as db:
        assert await communications(db).send_template_email(**WISH) == first
        assert await db.scalar(select(func.count()).select_from(Mail)) == 1


async def test_the_same_request_at_the_same_moment_is_one_mail(begin: Begin) -> None:
    async def send() -> int:
        async with begin() as db:
            return (await communications(db).send_template_email(**WISH))["email_id"]

    assert len(set(await asyncio.gather(*(send() for _ in range(6))))) == 1


async def test_a_message_id_belongs_to_the_request_and_survives_a_rollback(begin: Begin) -> None:
    class PulledPlug(Exception):
        pass

    seen = []
    with pytest.raises(PulledPlug):
        async with begin() as db:
            seen.append((await communications(db).send_template_email(**WISH))["message_id"])
            raise PulledPlug
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Mail)) == 0
        seen.append((await communications(db).send_template_email(**WISH))["message_id"])
        other = await communications(db).send_template_email(**WISH | {"request_id": "order/2/mail"})
        foreign = await communications(db, "south").send_template_email(**WISH)
    assert seen[0] == seen[1]
    assert len({seen[0], other["message_id"], foreign["message_id"]}) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"recipient": "eve@example.com"},
        {"variables": ACTIVATION | {"customer_name": "Eve"}},
    ],
)
async def test_the_same_request_with_other_input_is_a_conflict(begin: Begin, other: dict[str, Any]) -> None:
    async with begin() as db:
        await communications(db).send_template_email(**WISH)
        with pytest.raises(RequestConflict, match="order/1/mail already made mail"):
            await communications(db).send_template_email(**WISH | other)


async def test_template_recipient_and_variables_are_refused_together(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await communications(db).send_template_email(
                template="service_activated",
                recipient="ada@example.com\nBcc: eve@example.com",
                variables=ACTIVATION | {"plan": None, "service_id": "secret:x"},
                request_id="",
            )
    assert [fault.field for fault in refused.value.faults] == [
        "request_id",
        "recipient",
        "variables.plan",
        "variables.service_id",
    ]
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Mail)) == 0


async def test_a_withdrawn_mail_stays_withdrawn(begin: Begin) -> None:
    async with begin() as db:
        queued = await communications(db).send_template_email(**WISH)
        withdrawn = await communications(db).withdraw_email(email_id=queued["email_id"], reason="run undone")
        assert await communications(db).withdraw_email(email_id=queued["email_id"], reason="again") == withdrawn
        undone = await communications(db).withdraw_unsent_email(email_id=queued["email_id"], reason="again")
        assert undone == withdrawn
        with pytest.raises(MailWithdrawn, match="run undone"):
            await communications(db).send_template_email(**WISH)
        with pytest.raises(MailUnknown):
            await communications(db).withdraw_email(email_id=999, reason="x")
    assert withdrawn["state"] == "withdrawn"


async def test_without_a_request_id_every_call_is_a_mail_of_its_own(begin: Begin) -> None:
    wish = {name: value for name, value in WISH.items() if name != "request_id"}
    async with begin() as db:
        first = await communications(db).send_template_email(**wish)
        second = await communications(db).send_template_email(**wish)
    assert first["email_id"] != second["email_id"]
    assert first["message_id"] != second["message_id"]
