"""One-time links in a browser: looking changes nothing, the button does it once, and every end has its words."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from string import Formatter

import httpx
import pytest
from sqlalchemy import func, select, text, update

from provisioning.access.audit import AuditEntry
from provisioning.api import create_app
from provisioning.api.public_words import WORDS
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish, QuoteWithLines
from provisioning.commercial.tables import Mail, Subscription
from provisioning.estate import import_estate
from provisioning.links import OneTimeLinkUse
from provisioning.reveals import SecretReveal
from tests.support.appliances import ESTATE, Original
from tests.support.links import expired_link
from workflows import list_events
from workflows.answers import LinkPurpose, LinkTo

PUBLIC_URL = "https://isp.example"
CUSTOMER, SERIAL, PASSPHRASE = 1001, "HWTC4A2B9C01", "plum-otter-71-kite"
STRICT = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
)


async def offer(appliance: Appliance, days: int = 30) -> QuoteWithLines:
    """A quote that the customer has."""
    async with appliance.database.begin() as db:
        quotes = appliance.quotes(db)
        drafted = await quotes.draft(
            customer_id=CUSTOMER,
            lines=[LineWish(offer_id=1, quantity=2)],
            valid_until=appliance.clock() + timedelta(days=days),
        )
        await quotes.send(quote_id=drafted["quote_id"])
        return await quotes.quote(drafted["quote_id"])


async def link(appliance: Appliance, purpose: LinkPurpose, subject: object) -> str:
    async with appliance.database.begin() as db:
        to = LinkTo(purpose, str(subject), appliance.clock() + timedelta(hours=1))
        return await appliance.links.issue(db, to)


async def test_a_link_speaks_its_mail_s_language_and_else_the_isps(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    quote = await offer(appliance)
    wish = {
        "customer_name": "Ada Brandt",
        "plan": "fiber-300",
        "ends_on": appliance.clock().date(),
        "renewal_term_months": 12,
        "total_minor": 3990,
        "currency": "EUR",
        "accept_link": LinkTo("accept_quote", str(quote["quote_id"]), appliance.clock() + timedelta(days=1)),
    }
    for language, title in ((None, "Your offer"), ("de-AT", "Ihr Angebot"), ("de", "Ihr Angebot")):
        async with appliance.database.begin() as db:
            mails = appliance.services(db).communications_service
            sent = await mails.send_template_email(
                template="subscription_renewal", recipient="ada@example.net", variables=wish, language=language
            )
            written = await db.scalar(select(Mail.text).where(Mail.id == sent["email_id"]))
        [address] = re.findall(r"https://isp\.example/links/\S+", str(written))
        shown = await browser.get(address)
        assert (shown.status_code, f"<h1>{title}</h1>" in shown.text) == (200, True), shown.text
        made_up = await browser.get(address.partition("?")[0] + "?lang=xx")
        assert "<h1>Your offer</h1>" in made_up.text
    taken = await browser.post(address)
    assert "das Angebot ist angenommen" in taken.text


async def uses(appliance: Appliance) -> int:
    async with appliance.database.read() as db:
        return await db.scalar(select(func.count()).select_from(OneTimeLinkUse)) or 0


async def accepted_events(appliance: Appliance) -> list[str]:
    async with appliance.database.read() as db:
        return [
            each.subject for each in await list_events(db, tenant_id=appliance.tenant_id, event_type="quote.accepted")
        ]


async def state_of(appliance: Appliance, quote_id: int) -> tuple[str, str | None]:
    async with appliance.database.read() as db:
        quote = await appliance.quotes(db).quote(quote_id)
        return quote["state"], quote["accepted_by"]


async def test_an_offer_is_shown_with_its_lines_and_accepted_by_the_button_alone(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    quote = await offer(appliance)
    address = await link(appliance, "accept_quote", quote["quote_id"])
    for _ in range(2):  # mail programs look in advance
        shown = await browser.get(address)
        assert shown.status_code == 200
    for line in quote["lines"]:
        assert line["description"] in shown.text
        assert f"{line['amount_minor'] / 100:,.2f}" in shown.text
    assert shown.text.count("2 &times;") == len([line for line in quote["lines"] if line["quantity"] == 2]) > 0
    total = f"{quote['total_minor'] / 100:,.2f}"
    assert shown.text.count(total) >= 2 and "Accept this offer" in shown.text
    assert shown.headers["content-security-policy"] == STRICT[0]
    assert (shown.headers["cache-control"], shown.headers["referrer-policy"]) == ("no-store", "no-referrer")
    head = await browser.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == shown.headers
    assert (await uses(appliance), await state_of(appliance, quote["quote_id"])) == (0, ("sent", None))

    accepted = await browser.post(address)
    assert accepted.status_code == 200 and "Thank you, the offer is accepted" in accepted.text
    assert quote["payment_terms"] == "postpaid" and "You need to do nothing more." in accepted.text
    assert "<form" not in accepted.text and accepted.headers["content-security-policy"] == STRICT[1]
    assert await state_of(appliance, quote["quote_id"]) == ("accepted", "Ada Brandt")
    for again in (await browser.post(address), await browser.get(address)):
        assert (again.status_code, again.text) == (200, accepted.text)
    assert await accepted_events(appliance) == [f"quote/{quote['quote_id']}"]
    assert await uses(appliance) == 1

    async with appliance.database.begin() as db:
        await db.execute(text("UPDATE quote SET payment_terms = 'prepaid'"))
    to_be_paid = (await browser.get(address)).text
    assert "You need to do nothing more." not in to_be_paid and "carried out as soon as it is paid" in to_be_paid


async def test_nobody_is_thanked_for_renewing_what_is_to_end(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    now = appliance.clock()
    day = now.date()
    term = {"starts_on": day - timedelta(days=335), "ends_on": day + timedelta(days=30), "anchor_day": 28}
    async with appliance.database.begin() as db:
        sold = Subscription(
            tenant_id=appliance.tenant_id,
            customer_id=CUSTOMER,
            state="active",
            billing_started_at=now,
            offer_id=1,
            title="Business mail",
            price_minor=990,
            currency="EUR",
            term_months=12,
            **term,
        )
        db.add(sold)
        await db.flush()
        quote = await appliance.services(db).crm_service.create_renewal_quote(
            customer_id=CUSTOMER, subscription_id=sold.id, renewal_term=12
        )
    address = await link(appliance, "accept_quote", quote["quote_id"])
    assert "Accept this offer" in (await browser.get(address)).text
    async with appliance.database.begin() as db:
        await db.execute(
            update(Subscription).where(Subscription.id == sold.id).values(to_end_on=day, to_end_because="x")
        )
    for answer in (await browser.get(address), await browser.post(address)):
        assert (answer.status_code, "has ended, or is to end" in answer.text) == (410, True)
    assert (await uses(appliance), await state_of(appliance, quote["quote_id"])) == (0, ("sent", None))


async def test_pressing_twice_at_once_is_one_acceptance(appliance: Appliance) -> None:
    quote = await offer(appliance)
    address = await link(appliance, "accept_quote", quote["quote_id"])
    transport = httpx.ASGITransport(create_app(appliance))
    async with httpx.AsyncClient(transport=transport, base_url="https://isp.example") as client:
        answers = await asyncio.gather(*(client.post(address) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert await accepted_events(appliance) == [f"quote/{quote['quote_id']}"]


async def test_an_offer_that_is_over_says_so_and_keeps_the_link(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    quote = await offer(appliance)
    address = await link(appliance, "accept_quote", quote["quote_id"])
    async with appliance.database.begin() as db:
        await appliance.quotes(db).withdraw(quote_id=quote["quote_id"], reason="Ada asked for another one")
    for answer in (await browser.get(address), await browser.post(address)):
        assert answer.status_code == 410
        assert "not open any more" in answer.text and "Ada" not in answer.text
    assert (await uses(appliance), await accepted_events(appliance)) == (0, [])


async def test_an_offer_whose_time_is_over_says_until_when_it_was(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    quote = await offer(appliance)
    address = await link(appliance, "accept_quote", quote["quote_id"])
    async with appliance.database.begin() as db:
        past = appliance.clock() - timedelta(days=1)
        await db.execute(text("UPDATE quote SET valid_until = :at"), {"at": past.strftime("%Y-%m-%d %H:%M:%S.%f")})
    looked, pressed = await browser.get(address), await browser.post(address)
    assert (looked.status_code, "offer&#39;s time is over" in looked.text) == (410, True)
    assert (pressed.status_code, await accepted_events(appliance)) == (410, [])


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_was_changed_or_is_too_old_says_so(
    appliance: Appliance, browser: httpx.AsyncClient, method: str
) -> None:
    quote = await offer(appliance)
    address = await link(appliance, "accept_quote", quote["quote_id"])
    for forged in (address[:-3], address.replace("accept_quote", "reveal_wifi"), "/links/x", f"/links/{'x' * 500}"):
        answer = await browser.request(method, forged)
        assert answer.status_code == 403, forged
        assert "doesn&#39;t open anything" in answer.text
    old = await expired_link(appliance, "accept_quote", quote["quote_id"])
    answer = await browser.request(method, old)
    assert (answer.status_code, "This link is too old" in answer.text) == (410, True)
    assert await state_of(appliance, quote["quote_id"]) == ("sent", None)


async def test_a_link_that_opens_nothing_waits_for_no_lock_and_leaves_nothing(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    quote = await offer(appliance)
    good = await link(appliance, "accept_quote", quote["quote_id"])
    old = await expired_link(appliance, "accept_quote", quote["quote_id"])
    async with appliance.database.begin() as db:  # the one that may write
        await db.execute(text("UPDATE quote SET valid_until = valid_until"))
        for address, status in ((good[:-3], 403), ("/links/x", 403), (old, 410)):
            answer = await asyncio.wait_for(browser.post(address), timeout=3)
            assert answer.status_code == status, address
    async with appliance.database.begin() as db:
        await appliance.quotes(db).withdraw(quote_id=quote["quote_id"], reason="Ada asked for another one")
    assert (await browser.post(good)).status_code == 410
    async with appliance.database.read() as db:
        assert await db.scalar(select(func.count()).select_from(AuditEntry)) == 0


async def test_a_secret_is_shown_once_to_who_asks_for_it(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    async with appliance.database.begin() as db:
        await appliance.vault.seal(db, f"secret:device/{SERIAL}/wifi", PASSPHRASE)
    address = await link(appliance, "reveal_wifi", SERIAL)
    for _ in range(2):
        looked = await browser.get(address)
        assert looked.status_code == 200 and "Show the password" in looked.text and PASSPHRASE not in looked.text
    shown = await browser.post(address)
    assert shown.status_code == 200 and PASSPHRASE in shown.text
    assert (shown.headers["cache-control"], shown.headers["referrer-policy"]) == ("no-store", "no-referrer")
    for again in (await browser.post(address), await browser.get(address)):
        assert again.status_code == 409
        assert "used already" in again.text and PASSPHRASE not in again.text
    async with appliance.database.read() as db:
        [reveal] = await db.scalars(select(SecretReveal))
        kept = [str(row) for row in await db.execute(text("SELECT * FROM audit_entry"))]
    assert (reveal.ref, reveal.revealed_to) == (f"secret:device/{SERIAL}/wifi", "one-time link")
    assert kept and PASSPHRASE not in "".join(kept)


async def test_pages_speak_the_language_of_the_isp_s_mails(migrated_sqlite: Original, tmp_path: Path) -> None:
    settings = migrated_sqlite.copy(tmp_path, public_url=PUBLIC_URL, isp_name="Isp", mail_language="de-AT")
    async with open_appliance(settings) as appliance:
        await import_estate(appliance, ESTATE)
        quote = await offer(appliance)
        address = await link(appliance, "accept_quote", quote["quote_id"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(appliance))) as browser:
            shown, accepted = (await browser.get(address)).text, (await browser.post(address)).text
            wifi = (await browser.get(await link(appliance, "reveal_wifi", SERIAL))).text
            nothing = (await browser.get(PUBLIC_URL + "/t/nobody")).text
    euros = f"{quote['total_minor'] / 100:_.2f}".replace(".", ",").replace("_", "\xa0")
    assert f"Dieses Angebot für €\xa0{euros} annehmen" in shown and "Dieses Angebot gilt bis" in shown
    assert "Vielen Dank, das Angebot ist angenommen" in accepted
    assert "Passwort anzeigen" in wifi and "Hier ist nichts" in nothing
    for page in (shown, accepted, wifi, nothing):
        assert '<html lang="de">' in page


def test_every_language_has_the_same_words_with_the_same_gaps() -> None:
    gaps = {
        language: {
            key: sorted(name for _, name, _, _ in Formatter().parse(said) if name) for key, said in words.items()
        }
        for language, words in WORDS.items()
    }
    assert gaps["de"] == gaps["en"]


async def test_a_secret_that_is_gone_uses_no_link_up(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    answer = await browser.post(await link(appliance, "reveal_wifi", SERIAL))
    assert (answer.status_code, "nothing to show" in answer.text, await uses(appliance)) == (410, True, 0)
