"""The checks: silent on a healthy database, and each one finds the corruption it is there for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, text, update

from provisioning.commercial import BillingService, CustomerService, TicketingService
from provisioning.commercial.invariants import (
    BillWithoutCustomer,
    DoubledBill,
    DoubledMail,
    MailOfTwoIdentities,
    OverlappingVisits,
    StuckMail,
    bills_without_customer,
    bills_without_service,
    doubled_bills,
    doubled_mails,
    mails_of_two_identities,
    overlapping_visits,
    running_bills,
    stuck_mails,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Mail, MailAttempt, Subscription
from provisioning.database import Database
from provisioning.field import Technicians, Visit
from tests.provisioning.commercial.conftest import ACTIVATION, NOW, TENANT, Communications

LONG_AFTER = NOW + timedelta(hours=2)
BILL = {"tenant_id": TENANT, "customer_id": 42, "service_id": 7, "state": "active", "billing_started_at": NOW}


@pytest.fixture
async def healthy(begin: Begin, communications: Communications) -> int:
    """One customer with one visit, one bill and one mail; the mail's id."""
    async with begin() as db:
        await CustomerService(db, tenant_id=TENANT, now=lambda: NOW).register(
            name="Ada", email="ada@example.com", customer_id=42
        )
        await Technicians(db, tenant_id=TENANT).register(technician_id=1, name="Tom")
        await TicketingService(db, tenant_id=TENANT, now=lambda: NOW).schedule_installation(
            customer_id=42,
            installation_address="1 High Street",
            technician_id=1,
            scheduled_date=NOW + timedelta(days=1),
        )
        await BillingService(db, tenant_id=TENANT, now=lambda: NOW).activate_service(customer_id=42, service_id=7)
        queued = await communications(db).send_template_email(
            template="service_activated",
            recipient="ada@example.com",
            variables=ACTIVATION,
            request_id="order/1/mail",
        )
    return queued["email_id"]


async def corrupt(begin: Begin, *statements: str) -> None:
    async with begin() as db:
        for statement in statements:
            await db.execute(text(statement))


async def test_a_healthy_database_has_nothing_to_say(begin: Begin, healthy: int) -> None:
    async with begin() as db:
        assert await doubled_mails(db, TENANT) == []
        assert await mails_of_two_identities(db, TENANT) == []
        assert await stuck_mails(db, TENANT, queued_before=NOW) == []
        assert await overlapping_visits(db, TENANT) == []
        assert await doubled_bills(db, TENANT) == []
        assert await bills_without_customer(db, TENANT) == []
        assert await bills_without_service(db, TENANT, live_service_ids={7}) == []
        assert [(bill.service_id, bill.customer_id) for bill in await running_bills(db, TENANT)] == [(7, 42)]


async def test_a_second_mail_of_one_request_is_found(begin: Begin, healthy: int) -> None:
    await corrupt(
        begin,
        "DROP INDEX uq_mail_request",
        "INSERT INTO mail (tenant_id, request_id, message_id, template, language, recipient, variables_digest,"
        " subject, text, html, state, queued_at, attempts) SELECT tenant_id, request_id, '<other@isp.example>',"
        " template, language, recipient, variables_digest, subject, text, html, state, queued_at, attempts FROM mail",
    )
    async with begin() as db:
        (found,) = await doubled_mails(db, TENANT)
        assert found == DoubledMail("order/1/mail", (healthy, found.email_ids[1]))
        assert await doubled_mails(db, "south") == []
        (stranger,) = await mails_of_two_identities(db, TENANT)
        assert stranger == MailOfTwoIdentities(found.email_ids[1], ("<other@isp.example>",))


async def test_an_attempt_under_another_message_id_is_found(begin: Begin, healthy: int) -> None:
    async with begin() as db:
        mail = await db.get(Mail, healthy)
        assert mail is not None
        attempts = [(1, mail.message_id), (2, "<x@isp.example>"), (3, "<x@isp.example>")]
        await db.execute(
            insert(MailAttempt),
            [
                {"tenant_id": TENANT, "mail_id": healthy, "number": number, "message_id": tried, "started_at": NOW}
                for number, tried in attempts
            ],
        )
    async with begin() as db:
        assert await mails_of_two_identities(db, TENANT) == [
            MailOfTwoIdentities(healthy, (mail.message_id, "<x@isp.example>"))
        ]


@pytest.mark.parametrize("state", ["queued", "unknown"])
async def test_a_mail_that_nobody_sends_is_found(begin: Begin, healthy: int, state: str) -> None:
    async with begin() as db:
        await db.execute(update(Mail).values(state=state, attempts=3))
    async with begin() as db:
        assert await stuck_mails(db, TENANT, queued_before=LONG_AFTER) == [
            StuckMail(healthy, "ada@example.com", state, NOW, 3)  # type: ignore[arg-type]
        ]


@pytest.mark.parametrize("state", ["sent", "refused", "withdrawn"])
async def test_a_mail_with_an_end_is_not_stuck(begin: Begin, healthy: int, state: str) -> None:
    async with begin() as db:
        await db.execute(update(Mail).values(state=state, sent_at=NOW if state == "sent" else None))
    async with begin() as db:
        assert await stuck_mails(db, TENANT, queued_before=LONG_AFTER) == []


async def test_a_technician_in_two_places_is_found(database: Database, begin: Begin, healthy: int) -> None:
    drop = (
        ["ALTER TABLE visit DROP CONSTRAINT ex_visit_technician_once"]
        if database.is_postgresql
        else ["DROP TRIGGER visit_technician_once_on_insert"]
    )
    await corrupt(
        begin,
        *drop,
        "INSERT INTO visit (tenant_id, customer_id, technician_id, starts_at, ends_at, address, state, booked_at)"
        " SELECT tenant_id, 43, technician_id, starts_at, ends_at, address, state, booked_at FROM visit",
    )
    async with begin() as db:
        (found,) = await overlapping_visits(db, TENANT)
        assert (found.technician_id, found.visit_id < found.other_visit_id) == (1, True)
        assert await overlapping_visits(db, "south") == []
        await db.execute(update(Visit).where(Visit.id == found.other_visit_id).values(state="cancelled"))
        assert await overlapping_visits(db, TENANT) == []
    assert isinstance(found, OverlappingVisits)


async def test_a_service_billed_twice_is_found(begin: Begin, healthy: int) -> None:
    await corrupt(begin, "DROP INDEX uq_subscription_live_service")
    async with begin() as db:
        second = await db.scalar(insert(Subscription).values(BILL).returning(Subscription.id))
        (found,) = await doubled_bills(db, TENANT)
    assert found == DoubledBill(7, (found.subscription_ids[0], second or 0))


async def test_a_bill_of_nobody_is_found(database: Database, begin: Begin, healthy: int) -> None:
    if database.is_postgresql:
        await corrupt(begin, "ALTER TABLE subscription DROP CONSTRAINT fk_subscription_tenant_id_customer_id_customer")
    else:
        async with database.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
            await raw.driver_connection.execute("UPDATE subscription SET customer_id = 99")  # type: ignore[union-attr]
            await raw.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
    async with begin() as db:
        if database.is_postgresql:
            await db.execute(update(Subscription).values(customer_id=99))
        (found,) = await bills_without_customer(db, TENANT)
    assert found == BillWithoutCustomer(found.subscription_id, 7, 99)


async def test_a_hosted_product_is_billed_without_a_service_and_a_sold_line_is_not_billed(
    begin: Begin, healthy: int
) -> None:
    sold = {"tenant_id": TENANT, "customer_id": 42, "price_minor": 990, "currency": "EUR"}
    hosted = sold | {"state": "active", "billing_started_at": NOW, "offer_id": 1, "title": "Business mail"}
    waiting = sold | {"state": "pending_installation", "offer_id": 2, "title": "Fibre 300", "plan": "fiber-300"}
    async with begin() as db:
        for values in (hosted, hosted, waiting):
            await db.execute(insert(Subscription).values(values))
        assert await doubled_bills(db, TENANT) == []
        assert await bills_without_service(db, TENANT, live_service_ids={7}) == []
        assert len(await running_bills(db, TENANT)) == 3


async def test_a_bill_without_a_service_is_found(begin: Begin, healthy: int) -> None:
    async with begin() as db:
        (found,) = await bills_without_service(db, TENANT, live_service_ids={8, 9})
        assert (found.service_id, found.customer_id) == (7, 42)
