"""A qualified lead becomes a customer with what was sold: rows, licence, a page that answers, one mail, a ticket."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from provisioning.commercial import OfferTerms
from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.selling.selling_tables import Lead
from provisioning.commercial.tables import Subscription
from provisioning.keeps import kept
from tests.support.customers import Standing, standing
from tests.support.lab import Installation, JourneyLab
from tests.support.walks import MAIL_MAY_HAVE_ARRIVED_TWICE, begun_by_hand, walk, walk_killed_everywhere
from workflows.engine.tables import RunRow

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIBRE, WIFI, SETUP = 1, 2, 3  # offers: with a line, hosted, without a licence template
NOTHING_LEFT = Standing(
    customers=("withdrawn",), subscriptions=("cancelled",), licences=("revoked",), pages=("withdrawn",)
)


def address(lab: JourneyLab) -> str:
    """Of somebody whom no other test knows."""
    return f"lead{lab.household().number}@leads.example"


async def keep_lead(lab: JourneyLab, email: str, offer_id: int | None = WIFI, language: str | None = None) -> int:
    async with lab.appliance.database.begin() as db:
        lead = await lab.appliance.leads(db).register(
            source="web", name="Grace Hopper", email=email, phone="+49 30 555", offer_id=offer_id, language=language
        )
    return lead["lead_id"]


async def qualify(lab: JourneyLab, lead_id: int, **said: Any) -> str:
    """Somebody finds the lead good; the key of the event that this makes."""
    async with lab.appliance.database.begin() as db:
        await lab.appliance.leads(db).qualify(lead_id=lead_id, by="sales", **said)
    return f"lead/{lead_id}/qualified"


async def onboarding(lab: JourneyLab, email: str, offer_id: int = WIFI, language: str | None = None) -> Installation:
    return await lab.run_of(await qualify(lab, await keep_lead(lab, email, offer_id, language)))


def wanted(lead_id: int) -> dict[str, Any]:
    """The journey's own input."""
    return {"lead_id": lead_id, "plan_id": WIFI, "license_template_id": 1, "ticket_team": "onboarding"}


async def lead_state(lab: JourneyLab, email: str) -> tuple[str, int | None]:
    async with lab.appliance.database.read() as db:
        row = (await db.execute(select(Lead.state, Lead.customer_id).where(Lead.email == email))).one()
    return row.state, row.customer_id


async def test_a_qualified_lead_becomes_a_customer(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email)
    run = await lab.run_of(await qualify(lab, lead_id))

    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == ("completed", None)
    customer_id = (await run.result("create_from_lead"))["customer_id"]
    assert ended.summary.customer_id == customer_id
    assert await lead_state(lab, email) == ("converted", customer_id)
    assert await standing(lab, email) == Standing(
        customers=("active",),
        subscriptions=("active",),
        licences=("active",),
        pages=("active",),
        tickets=("open",),
        mails=("sent",),
    )
    async with lab.appliance.database.read() as db:
        sold = (await db.scalars(select(Subscription).where(Subscription.customer_id == customer_id))).one()
        ticket = (await db.scalars(select(Ticket).where(Ticket.customer_id == customer_id))).one()
    assert (sold.offer_id, sold.price_minor, sold.currency, sold.term_months) == (WIFI, 590, "EUR", 12)
    issued = await run.result("issue_license")
    assert issued["seats"] == 10

    # The page answers under the address that the mail names; the mail holds no licence key.
    url = (await run.result("provision_tenant"))["tenant_url"]
    assert (await run.result("tenant_answers"))["status"] == 200
    status, page = await lab.pages.page(url)
    assert (status, url.rpartition("/")[2] in page) == (200, True)
    [mail] = lab.mails_at(email)
    body = mail.body("plain")
    assert "Hello Grace Hopper," in body and url in body and "Mesh WiFi, two units" in body
    assert sold.starts_on is not None and sold.ends_on is not None
    last_day = sold.ends_on - timedelta(days=1)
    assert f"Begins      {sold.starts_on:%B %-d, %Y}\n  Runs until  {last_day:%B %-d, %Y}\n" in body
    assert issued["license_key"] not in body + mail.body("html")

    assert (ticket.assigned_team, ticket.priority) == ("onboarding", "normal")
    assert ticket.title == f"New customer {customer_id}: Mesh WiFi, two units"
    for fact in (f"lead {lead_id}", email, "+4930555", url, "Nothing has to be installed"):
        assert fact in ticket.description

    # Told once more, by whom ever, it is the same run; nothing is done twice.
    again = await lab.publish("lead.qualified", {"lead_id": lead_id}, key=f"crm/{lead_id}")
    assert (again.state, again.run_id) == ("started", run.id)
    assert len(lab.mails_at(email)) == 1
    assert await lab.broken_invariants() == []


async def test_killed_at_every_instant_everything_is_there_once(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email, None)
    await lab.event(await qualify(lab, lead_id))
    run = await begun_by_hand(lab, "lead_to_customer_onboarding", wanted(lead_id))

    killed_at = await walk_killed_everywhere(run, but=MAIL_MAY_HAVE_ARRIVED_TWICE)

    assert (await run.view()).summary.state == "completed"
    for step in ("create_from_lead", "create_subscription", "issue_license", "provision_tenant", "create_ticket"):
        assert {f"{step}.before", f"{step}.in_tx", f"{step}.committed"} <= set(killed_at)
    assert "tenant_answers.effect" in killed_at
    assert await standing(lab, email) == Standing(
        customers=("active",),
        subscriptions=("active",),
        licences=("active",),
        pages=("active",),
        tickets=("open",),
        mails=("sent",),
    )
    assert len({mail.message_id for mail in lab.mails_at(email)}) == 1
    assert await lab.broken_invariants() == []


async def test_what_needs_a_line_waits_for_its_installation_and_the_mail_names_no_dates(lab: JourneyLab) -> None:
    """In the language that the lead has asked for, which is the customer's and their page's then."""
    email = address(lab)
    run = await onboarding(lab, email, FIBRE, language="de-AT")

    assert (await run.until_ended()).summary.state == "completed"

    assert (await standing(lab, email)).subscriptions == ("pending_installation",)
    [mail] = lab.mails_at(email)
    assert "fiber-300" in mail.body("plain") and "Beginn" not in mail.body("plain")
    assert "Er beginnt mit der Installation Ihres Anschlusses." in mail.body("plain")
    _, page = await lab.pages.page((await run.result("provision_tenant"))["tenant_url"])
    assert "Ihr Anschluss" in page
    async with lab.appliance.database.read() as db:
        wanted = select(Ticket.description).where(Ticket.customer_id == run_customer(await run.view()))
        text = await db.scalar(wanted)
    assert text is not None and "waiting for the installation of its line" in text
    assert "survey the premise, then hand in the installation ticket" in text


def run_customer(view: Any) -> int:
    assert view.summary.customer_id is not None
    return int(view.summary.customer_id)


async def test_a_lead_that_is_not_qualified_starts_nothing(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email)
    before = await runs(lab)

    told = await lab.publish("lead.qualified", {"lead_id": lead_id, "offer_id": 99}, key=f"too-early/{lead_id}")

    assert (told.state, told.run_id) == ("refused", None)
    assert told.reason == (
        f"The lead was refused, nothing was written: lead_id Lead {lead_id} is not qualified yet; qualify it before it "
        "becomes a customer; offer_id There is no offer 99; `firstlight offers list` shows those there are."
    )
    assert await standing(lab, email) == Standing()
    for nonsense in ({}, {"lead_id": "7"}, {"lead_id": True}, {"lead_id": lead_id, "colour": "red"}):
        told = await lab.publish("lead.qualified", nonsense, key=f"nonsense/{lead_id}/{nonsense}")
        assert told.state == "refused"
    told = await lab.publish("lead.qualified", {"lead_id": lead_id, "offer_id": 99, "round": 0}, key=f"m/{lead_id}")
    assert told.reason == (
        f"The lead was refused, nothing was written: round should be greater than 0; lead_id Lead {lead_id} is not "
        "qualified yet; qualify it before it becomes a customer; offer_id There is no offer 99; `firstlight offers "
        "list` shows those there are."
    )
    assert await runs(lab) == before


async def test_a_lead_that_is_a_customer_already_starts_nothing(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email)
    await lab.stop_worker()
    try:
        key = await qualify(lab, lead_id)
        async with lab.appliance.database.begin() as db:  # somebody is quicker than the worker
            made = await lab.appliance.services(db).customer_service.create_from_lead(
                lead_id=lead_id, tenant_id=lab.appliance.tenant_id
            )
    finally:
        await lab.start_worker()

    told = await lab.event(key)

    assert (told.state, told.run_id) == ("refused", None)
    assert f"Lead {lead_id} has already become customer {made['customer_id']}" in str(told.reason)
    assert await standing(lab, email) == Standing(customers=("active",))


async def test_a_lead_that_was_disqualified_meanwhile_ends_its_run_as_rejected(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email)
    async with lab.appliance.database.begin() as db:
        await lab.appliance.leads(db).disqualify(lead_id=lead_id, reason="a joke")
    before = await lab.row_counts()

    run = await begun_by_hand(lab, "lead_to_customer_onboarding", wanted(lead_id))
    await walk(run)

    ended = await run.view()
    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"Lead {lead_id} was disqualified (a joke); register a new one if that has changed.",
    )
    after = await lab.row_counts()
    assert {table for table in after if after[table] != before[table]} == {"run", "run_note"}


async def test_what_an_offer_lacks_is_named_and_the_event_can_be_taken_up_again(lab: JourneyLab) -> None:
    email = address(lab)
    lead_id = await keep_lead(lab, email, SETUP)
    told = await lab.event(key := await qualify(lab, lead_id))
    assert told.state == "refused"
    assert "offer_id is 3 (Setup at home), which has no licence template; give it one in the estate" in str(told.reason)

    async with lab.appliance.database.begin() as db:
        terms = OfferTerms("Setup at home", 4900, "EUR", 1, "postpaid", license_template_id=1)
        await lab.appliance.offers(db).define(SETUP, terms)
        await lab.appliance.events.retry(db, told.id)
    try:
        run = await lab.run_of(key)
        assert (await run.until_ended()).summary.state == "completed"
        assert (await standing(lab, email)).subscriptions == ("active",)
    finally:
        async with lab.appliance.database.begin() as db:
            await lab.appliance.offers(db).define(SETUP, OfferTerms("Setup at home", 4900, "EUR", 1, "postpaid"))


async def test_a_lead_without_an_offer_is_refused_by_name(lab: JourneyLab) -> None:
    lead_id = await keep_lead(lab, address(lab), None)
    told = await lab.event(await qualify(lab, lead_id))
    assert told.state == "refused"
    assert f"offer_id is missing: lead {lead_id} names no offer" in str(told.reason)


async def test_a_page_that_does_not_answer_holds_the_run_until_it_does(lab: JourneyLab) -> None:
    email = address(lab)
    lab.pages.out_of_order = True
    try:
        run = await onboarding(lab, email)
        held = await run.until_held()
        url = (await run.result("provision_tenant"))["tenant_url"]
        assert (held.summary.current_step, held.summary.reason_code) == ("tenant_answers", "tenant.not_answering")
        assert str(held.summary.reason).startswith(
            f"{url} does not answer (HTTP 503); see that the appliance's web server runs and that FIRSTLIGHT_PUBLIC_URL"
        )
        assert [step.attempts for step in held.steps if step.name == "tenant_answers"] == [10]
        first = (await run.result("create_from_lead"))["customer_id"]
        keeps = {thing.what: thing.particulars for thing in kept(held)}
        assert (keeps[f"customer {first}"], keeps["customer page"]) == (f"Grace Hopper, {email}", url)
        assert [what.split()[0] for what in keeps] == ["customer", "subscription", "licence", "customer"]
        assert lab.mails_at(email) == []
    finally:
        lab.pages.out_of_order = False

    # Done anew from the beginning, it is another customer, and the first one is withdrawn.
    await run.retry(from_step="create_from_lead")
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    second = (await run.result("create_from_lead"))["customer_id"]
    assert second != first and ended.summary.customer_id == second
    assert await lead_state(lab, email) == ("converted", second)
    assert await standing(lab, email) == Standing(
        customers=("withdrawn", "active"),
        subscriptions=("cancelled", "active"),
        licences=("revoked", "active"),
        pages=("withdrawn", "active"),
        tickets=("open",),
        mails=("sent",),
    )
    assert (await lab.pages.page(url))[0] == 404
    assert await lab.broken_invariants() == []


async def test_cancelled_nothing_is_left_and_the_lead_is_qualified_again(lab: JourneyLab) -> None:
    email = address(lab)
    lab.pages.out_of_order = True
    try:
        run = await onboarding(lab, email, FIBRE)
        await run.until_retrying("tenant_answers", "tenant.not_answering")
        assert (await standing(lab, email)).subscriptions == ("pending_installation",)
        await run.cancel("the customer has thought better of it")
        ended = await run.until_ended()
    finally:
        lab.pages.out_of_order = False

    assert ended.summary.state == "cancelled"
    assert str(ended.summary.reason).endswith("the customer has thought better of it")
    assert await standing(lab, email) == NOTHING_LEFT
    assert await lead_state(lab, email) == ("qualified", None)
    assert lab.mails_at(email) == []

    # Qualified once more, the lead has another try; while that is under way or has succeeded, it stays one.
    first = await qualify(lab, (await run.result("create_from_lead"))["lead_id"])
    again = await lab.run_of(f"{first}/2")
    assert (await again.until_ended()).summary.state == "completed"
    customer_id = (await again.result("create_from_lead"))["customer_id"]
    assert await lead_state(lab, email) == ("converted", customer_id)
    found = await standing(lab, email)
    assert (found.customers, found.subscriptions) == (
        ("withdrawn", "active"),
        ("cancelled", "pending_installation"),
    )
    assert await lab.broken_invariants() == []


async def test_a_cancel_at_the_last_moment_is_kept_to_and_no_ticket_is_opened(lab: JourneyLab) -> None:
    email = address(lab)
    async with lab.appliance.database.begin() as db:
        lead = await lab.appliance.leads(db).register(source="web", name="Grace Hopper", email=email)
    lead_id = lead["lead_id"]
    assert (await lab.event(await qualify(lab, lead_id))).state == "refused"  # it names no offer, but a person may
    run = await begun_by_hand(lab, "lead_to_customer_onboarding", wanted(lead_id))

    await walk(run, between=("create_ticket.before", lambda: run.cancel("a joke")))

    ended = await run.view()
    assert (ended.summary.state, ended.summary.reason) == ("cancelled", "cancelled by operator: a joke")
    assert await standing(lab, email) == Standing(
        customers=("withdrawn",),
        subscriptions=("cancelled",),
        licences=("revoked",),
        pages=("withdrawn",),
        mails=("sent",),
    )


async def test_a_lead_at_a_customers_address_waits_for_somebody_to_say_whose_it_is(lab: JourneyLab) -> None:
    house = lab.household()
    lead_id = await keep_lead(lab, house.email)
    run = await lab.run_of(await qualify(lab, lead_id))
    held = await run.until_held()
    assert (held.summary.current_step, held.summary.reason_code) == ("create_from_lead", "lead.of_known_customer")
    assert f"qualify it with --customer {house.customer_id}" in str(held.summary.reason)

    await qualify(lab, lead_id, existing_customer_id=house.customer_id)
    await run.retry()

    assert (await run.until_ended()).summary.customer_id == house.customer_id
    assert (await standing(lab, house.email)).subscriptions == ("active",)


async def runs(lab: JourneyLab) -> int:
    async with lab.appliance.database.read() as db:
        return await db.scalar(select(func.count()).select_from(RunRow)) or 0
