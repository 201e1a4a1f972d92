"""The outbox: one mail per request, under one Message-ID, written together with its cause."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from provisioning.commercial import MailUnknown, MailWithdrawn, Outbox
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Mail
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.links import SignedLinks
from provisioning.vault import SecretVault
from tests.provisioning.commercial.conftest import ACTIVATION, NOW, TENANT, Communications
from workflows.answers import LinkTo

WISH: dict[str, Any] = {
    "template": "service_activated",
    "recipient": "ada@example.com",
    "variables": ACTIVATION,
    "request_id": "order/1/mail",
}


async def test_a_mail_is_kept_as_it_was_rendered(begin: Begin, communications: Communications) -> None:
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


async def test_the_same_request_is_the_same_mail(begin: Begin, communications: Communications) -> None:
    async with begin() as db:
        first = await communications(db).send_template_email(**WISH)
    async with begin() as db:
        assert await communications(db).send_template_email(**WISH) == first
        assert await db.scalar(select(func.count()).select_from(Mail)) == 1


async def test_the_same_request_at_the_same_moment_is_one_mail(begin: Begin, communications: Communications) -> None:
    async def send() -> int:
        async with begin() as db:
            return (await communications(db).send_template_email(**WISH))["email_id"]

    assert len(set(await asyncio.gather(*(send() for _ in range(6))))) == 1


async def test_a_message_id_belongs_to_the_request_and_survives_a_rollback(
    begin: Begin, communications: Communications
) -> None:
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
        foreign = await communications(db, tenant_id="south").send_template_email(**WISH)
    assert seen[0] == seen[1]
    assert len({seen[0], other["message_id"], foreign["message_id"]}) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"recipient": "eve@example.com"},
        {"variables": ACTIVATION | {"customer_name": "Eve"}},
        {"language": "de"},
    ],
)
async def test_the_same_request_with_other_input_is_a_conflict(
    begin: Begin, communications: Communications, other: dict[str, Any]
) -> None:
    async with begin() as db:
        await communications(db).send_template_email(**WISH)
        with pytest.raises(RequestConflict, match="order/1/mail already made mail"):
            await communications(db).send_template_email(**WISH | other)


async def test_template_recipient_and_variables_are_refused_together(
    begin: Begin, communications: Communications
) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await communications(db).send_template_email(
                template="service_activated",
                recipient="ada@example.com\nBcc: eve@example.com",
                variables=ACTIVATION | {"plan": None, "service_id": "secret:x"},
                language="de_AT",
                request_id="",
            )
    assert [fault.field for fault in refused.value.faults] == [
        "request_id",
        "recipient",
        "language",
        "variables.plan",
        "variables.service_id",
    ]
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Mail)) == 0


async def test_a_withdrawn_mail_stays_withdrawn(begin: Begin, communications: Communications) -> None:
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


async def test_without_a_request_id_every_call_is_a_mail_of_its_own(
    begin: Begin, communications: Communications
) -> None:
    wish = {name: value for name, value in WISH.items() if name != "request_id"}
    async with begin() as db:
        first = await communications(db).send_template_email(**wish)
        second = await communications(db).send_template_email(**wish)
    assert first["email_id"] != second["email_id"]
    assert first["message_id"] != second["message_id"]


async def test_a_mail_comes_in_the_language_it_was_asked_for_in_and_says_which(
    begin: Begin, communications: Communications
) -> None:
    async with begin() as db:
        queued = await communications(db).send_template_email(**WISH, language="de-AT")
    async with begin() as db:
        kept = await db.get(Mail, queued["email_id"])
    assert kept is not None
    assert (kept.language, kept.subject) == ("de", "Northern Fibre: Ihr Anschluss ist aktiv")


async def test_a_wish_for_a_link_becomes_its_address_in_the_mail_and_nowhere_else(
    begin: Begin, communications: Communications, vault: SecretVault, caplog: pytest.LogCaptureFixture
) -> None:
    to = LinkTo("reveal_wifi", "HWTC4A2B9C01", NOW + timedelta(days=7))
    wish = WISH | {"variables": ACTIVATION | {"wifi_link": to}}
    async with begin() as db:
        queued = await communications(db).send_template_email(**wish)
        assert await communications(db).send_template_email(**wish) == queued
    async with begin() as db:
        kept = await db.get(Mail, queued["email_id"])
        assert kept is not None
        (address,) = set(re.findall(r"https://isp.example/links/[\w.-]+", kept.text + kept.html))
        token = address.rpartition("/")[2]
        assert await SignedLinks(vault, tenant_id=TENANT, now=lambda: NOW, public_url=None).open(db, token) == to
        shown = await Outbox(db, tenant_id=TENANT).mail(queued["email_id"])
    assert token not in f"{queued} {kept.subject} {kept.variables_digest} {caplog.text}"
    assert "https://isp.example/links/***\n" in shown["text"] and token not in str(shown)


async def test_a_link_that_cannot_be_made_refuses_the_mail(begin: Begin, communications: Communications) -> None:
    past = LinkTo("reveal_wifi", "../admin", NOW)
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await communications(db, public_url=None).send_template_email(
                **WISH | {"variables": ACTIVATION | {"wifi_link": past, "plan": None}}
            )
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        (
            "variables.wifi_link",
            "needs a link, and FIRSTLIGHT_PUBLIC_URL doesn't say where this appliance is reached",
        ),
        ("variables.wifi_link", "is a link whose subject isn't 1 to 64 letters, digits, - or _"),
        ("variables.wifi_link", "is a link that has expired already"),
        ("variables.plan", "is empty"),
    ]


async def test_the_outbox_is_read_page_by_page_the_newest_first(begin: Begin, communications: Communications) -> None:
    async with begin() as db:
        for number in range(3):
            await communications(db).send_template_email(**WISH | {"request_id": f"order/{number}/mail"})
        await communications(db).withdraw_email(email_id=2, reason="run undone")
        await communications(db, tenant_id="south").send_template_email(**WISH)
    async with begin() as db:
        outbox = Outbox(db, tenant_id=TENANT)
        assert [(mail["email_id"], mail["state"]) for mail in await outbox.mails(limit=2)] == [
            (3, "queued"),
            (2, "withdrawn"),
        ]
        assert [mail["email_id"] for mail in await outbox.mails(before=2)] == [1]
        assert [mail["last_answer"] for mail in await outbox.mails(states=["withdrawn"])] == ["run undone"]
        assert await outbox.mails(recipient="eve@example.com") == []
        with pytest.raises(MailUnknown):
            await outbox.mail(4)
