"""A gateway's own word over HTTP: believed when it is signed, heard once, and of no one else's payments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from provisioning.access import list_audit
from provisioning.access.audit import AuditEntry
from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish
from provisioning.commercial.payments import PaymentCapture, payment_gateways
from provisioning.commercial.payments.tables import Payment, PaymentEvent
from provisioning.commercial.payments.testing import StripeDouble, Webhook
from provisioning.estate import import_estate
from tests.support.appliances import ESTATE, Original

CUSTOMER = 1001
ADDRESS = "/webhooks/payments/stripe"


@dataclass
class Till:
    """An ISP that takes cards, with one payment that its gateway is still at."""

    appliance: Appliance
    double: StripeDouble
    browser: httpx.AsyncClient
    payment_id: int = 0

    async def pay(self, http: httpx.AsyncClient) -> None:
        """By a card whose bank takes its time."""
        appliance = self.appliance
        async with appliance.database.begin() as db:
            await appliance.cards(db).keep(customer_id=CUSTOMER, holder="cus_ada", method="pm_card_bypassPending")
            quotes, services = appliance.quotes(db), appliance.services(db)
            drafted = await quotes.draft(
                customer_id=CUSTOMER,
                lines=[LineWish(offer_id=1)],
                valid_until=appliance.clock() + timedelta(days=30),
                payment_terms="prepaid",
            )
            quote_id = drafted["quote_id"]
            await quotes.send(quote_id=quote_id)
            await services.crm_service.accept_quote(quote_id=quote_id, accepted_by="Ada Brandt")
            order = await services.sales_service.create_order_from_quote(
                quote_id=quote_id, tenant_id=appliance.tenant_id
            )
            asked = await services.billing_service.process_payment(
                order_id=order["order_id"], amount=order["total_amount"], payment_method="card"
            )
        self.payment_id = asked["payment_id"]
        await PaymentCapture(
            appliance.database.begin,
            payment_gateways(http, stripe=appliance.stripe),
            tenant_id=appliance.tenant_id,
            now=appliance.clock,
            secrets=appliance.vault,
        ).capture(self.payment_id)

    async def payment(self) -> Payment:
        async with self.appliance.database.read() as db:
            return await db.get_one(Payment, self.payment_id)

    async def rows(self) -> tuple[int, int]:
        """Events heard, entries of the audit."""
        async with self.appliance.database.read() as db:
            heard = await db.scalar(select(func.count()).select_from(PaymentEvent)) or 0
            return heard, await db.scalar(select(func.count()).select_from(AuditEntry)) or 0

    async def send(self, webhook: Webhook, address: str = ADDRESS) -> httpx.Response:
        return await self.browser.post(address, content=webhook.body, headers=webhook.headers)


@asynccontextmanager
async def open_till(original: Original, tmp_path: Path) -> AsyncIterator[Till]:
    async with StripeDouble() as double, httpx.AsyncClient(trust_env=False) as http:
        key, secret = tmp_path / "stripe-key", tmp_path / "stripe-webhook"
        key.write_text(double.account.api_key)
        secret.write_text(double.account.webhook_secret)
        settings = original.copy(
            tmp_path / "copy", stripe_api_key_file=key, stripe_webhook_secret_file=secret, stripe_url=double.url
        )
        async with open_appliance(settings) as appliance:
            await import_estate(appliance, ESTATE)
            transport = httpx.ASGITransport(create_app(appliance))
            async with httpx.AsyncClient(transport=transport, base_url="https://isp.example") as browser:
                opened = Till(appliance, double, browser)
                await opened.pay(http)
                yield opened


@pytest.fixture
async def till(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(migrated_sqlite, tmp_path) as opened:
        yield opened


@pytest.fixture
async def till_on_both(migrated: Original, tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(migrated, tmp_path) as opened:
        yield opened


async def test_a_gateways_word_settles_its_payment_once(till_on_both: Till) -> None:
    till = till_on_both
    before = await till.payment()
    assert before.state == "awaiting"
    account = till.double.account
    account.settle(str(before.provider_ref), "succeeded")
    succeeded = account.webhooks[-1]
    answers = [await till.send(succeeded) for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"received": True})] * 2
    assert (await till.payment()).state == "captured"
    assert (await till.rows())[0] == 1
    async with till.appliance.database.read() as db:
        entry = (await list_audit(db, tenant_id=till.appliance.tenant_id))[-1]
    assert (entry.subject, entry.customer_id, entry.before) == (
        f"payment/{till.payment_id}",
        CUSTOMER,
        {"state": "awaiting"},
    )


async def test_a_forged_word_is_refused_and_leaves_nothing(till: Till) -> None:
    before, account = await till.rows(), till.double.account
    account.settle(str((await till.payment()).provider_ref), "succeeded")
    true = account.webhooks[-1]
    forged = Webhook(true.type, true.body, account.signed(true.body, secret="whsec_forged"))
    changed = Webhook(true.type, true.body.replace(b"succeeded", b"processing"), true.headers)
    old = Webhook(true.type, true.body, account.signed(true.body, at=1_600_000_000))
    unsigned = Webhook(true.type, true.body, {})
    for webhook in (forged, changed, old, unsigned):
        refused = await till.send(webhook)
        assert (refused.status_code, refused.json()["code"]) == (400, "payment.webhook_refused")
    assert (await till.payment()).state == "awaiting"
    assert await till.rows() == before


async def test_somebody_elses_payment_is_heard_and_changes_nothing(till: Till) -> None:
    account = till.double.account
    account.settle(str((await till.payment()).provider_ref), "succeeded")
    true = account.webhooks[-1]
    body = true.body.replace(b'"firstlight_payment"', b'"other_payment"').replace(
        str((await till.payment()).provider_ref).encode(), b"pi_other"
    )
    heard = await till.send(Webhook(true.type, body, account.signed(body)))
    assert (heard.status_code, heard.json()) == (200, {"received": True})
    unknown = b'{"id": "evt_9", "object": "event", "type": "charge.updated", "data": {"object": {}}}'
    assert (await till.send(Webhook("charge.updated", unknown, account.signed(unknown)))).status_code == 200
    assert ((await till.payment()).state, (await till.rows())[0]) == ("awaiting", 0)


async def test_a_gateway_that_is_not_set_up_has_no_door(till: Till) -> None:
    true = till.double.account.webhooks[-1]
    for provider in ("paypal", "manual"):
        missing = await till.send(true, f"/webhooks/payments/{provider}")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
