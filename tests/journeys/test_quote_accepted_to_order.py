"""From a quote's acceptance to a delivered order: paid in advance or not, called off, moved, and paid once in any case.

The bank is a person at the desk, the cards are Stripe's as its double speaks; the calendar is everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from provisioning.commercial import LineWish
from provisioning.commercial.payments.testing.stripe_account import REDIRECTED, Quirk
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.errors import InvalidRequest
from tests.support.estate import Household
from tests.support.lab import PATIENCE_SECONDS, Installation, JourneyLab
from tests.support.shop import FIBRE_POSTPAID, FIBRE_PREPAID, ORDER, PORTAL, Shop, open_shop
from workflows import RunSummary, list_runs

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOTAL_MINOR = 3990 + 4900


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(lab: JourneyLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(lab, tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.mark.scenario("D12")
async def test_an_order_paid_by_bank_waits_for_the_money_and_is_delivered(lab: JourneyLab, shop: Shop) -> None:
    house, day = lab.household(), shop.visit_day()
    run = await shop.order(house, FIBRE_PREPAID, payment_method="bank", scheduled_date=day.isoformat())

    # Nothing is promised before the money is there.
    waiting = await run.until_waiting_for("payment_settled")
    order = await run.result("create_order_from_quote")
    assert "`firstlight payments settle`" in str(waiting.summary.reason)
    assert (order["total_minor"], order["payment_terms"]) == (TOTAL_MINOR, "prepaid")
    assert (await shop.order_state(run))[0] == "acknowledged"
    assert (await shop.calendar(house), lab.mails_to(house)) == ([], [])

    # The customer says yes once more: that is the same acceptance.
    assert await shop.accept(order["quote_id"], by="Ada's son") == []
    assert (await run.result("accept_quote"))["accepted_by"] == "Ada"

    assert await shop.settle(run, "process_payment", "statement 7") == [run.id]
    assert await shop.settle(run, "process_payment", "statement 7") == []
    await run.until_waiting_for("visit")
    assert await shop.order_state(run) == ("inProgress", None)
    [(state, starts_at)] = await shop.calendar(house)
    assert (state, starts_at) == ("booked", datetime.combine(day, time(8), UTC))
    [notice] = await shop.notices(order["order_id"])
    assert (notice.team, notice.subject) == ("dispatch", f"Order {order['order_id']}: visit on {day} 08:00 UTC")
    assert f"({house.name}) comes to 88.90 EUR, prepaid." in notice.message
    [mail] = lab.mails_to(house)
    text = mail.body("plain")
    assert "1 x Fibre 300, paid ahead: €39.90" in text and "1 x Setup: Fibre 300, paid ahead: €49.00" in text
    assert "Total     €88.90" in text and "We come to you on" in text

    await shop.report(run, "scanned", serial=house.serial)
    assert (await run.until_ended()).summary.state == "completed"
    assert await shop.order_state(run) == ("completed", None)
    assert [state for state, _ in await shop.calendar(house)] == ["completed"]
    [payment] = await shop.payments(house)
    assert (payment.state, payment.reference, payment.settled_by) == ("captured", "statement 7", "books")
    assert [one.id for one in await runs_of(lab, house)] == [run.id]
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D2")
async def test_a_post_paid_order_skips_the_payment_and_the_rest_runs(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    quote_id = await shop.quote(house, FIBRE_POSTPAID)
    await shop.accept(quote_id)
    run = await shop.run_of(ORDER, f"quote/{quote_id}/accepted")

    waiting = await run.until_waiting_for("deployment_date")
    skipped = {one.name: one.note for one in waiting.steps if one.state == "skipped"}
    assert list(skipped) == ["payment_method", "process_payment", "capture_payment", "payment_settled"]
    assert skipped["process_payment"] == "nothing is paid in advance: the order is post-paid, or comes to nothing"

    # A day that is over is refused; one that is over when its turn comes holds the order until dispatch tells another.
    over = {"scheduled_date": "2026-01-01"}
    with pytest.raises(InvalidRequest, match="scheduled_date is over already"):
        await shop.tell(run, "deployment_date", **over)
    async with lab.appliance.database.begin() as db:
        assert await lab.appliance.runs.signal(db, run.id, "deployment_date", over, key="told before", by="desk")
    held = await run.until_held()
    assert (held.summary.current_step, "is over already" in str(held.summary.reason)) == ("schedule_deployment", True)
    moment = datetime.combine(shop.visit_day(), time(13, 15), UTC)
    await shop.tell(run, "deployment_date", scheduled_date=moment.isoformat())
    await run.until_waiting_for("visit")
    assert await shop.calendar(house) == [("booked", moment)]
    assert len(lab.mails_to(house)) == 1
    assert "Payment   by invoice, afterwards" in lab.mails_to(house)[0].body("plain")
    assert await shop.payments(house) == []

    # Called off before the visit: the technician is free, the order cancelled, the quote open again.
    await run.cancel("the customer moves house")
    assert (await run.until_ended()).summary.state == "cancelled"
    assert await shop.order_state(run) == ("cancelled", "the order was undone")
    assert await shop.calendar(house) == [("cancelled", moment)]
    assert await deployments(lab, house) == ["released"]
    assert await shop.quote_state(quote_id) == "sent"

    # The same quote accepted once more is another acceptance, with an order of its own.
    await shop.accept(quote_id)
    again = await shop.run_of(ORDER, f"quote/{quote_id}/accepted/2")
    await again.until_waiting_for("deployment_date")
    first, second = [await one.result("create_order_from_quote") for one in (run, again)]
    assert first["order_id"] < second["order_id"]
    await again.cancel("it was a test")
    assert (await again.until_ended()).summary.state == "cancelled"
    assert await lab.broken_invariants() == []


async def test_a_card_is_charged_once_and_gets_its_money_back_once(lab: JourneyLab, shop: Shop) -> None:
    house, account = lab.household(), shop.stripe.account
    await shop.keep_card(house)
    taken, given_back = len(account.captured()), len(account.refunds)
    run = await shop.order(
        house, FIBRE_PREPAID, payment_method="card", scheduled_date=shop.visit_day().isoformat(), priority="urgent"
    )

    await run.until_waiting_for("visit")
    [intent] = account.captured()[taken:]
    assert (intent["amount"], intent["currency"]) == (TOTAL_MINOR, "eur")
    assert (await run.states())["payment_settled"] == "skipped"
    assert (await run.result("schedule_deployment"))["priority"] == "urgent"
    paid = account.webhooks[-1]
    assert (paid.type, await shop.hear(paid), await shop.hear(paid)) == ("payment_intent.succeeded", [run.id], [])
    assert (await run.until_waiting_for("visit")).summary.state == "pending"

    await run.cancel("the customer has changed their mind")
    assert (await run.until_ended()).summary.state == "cancelled"
    assert [(one["payment_intent"], one["amount"]) for one in account.refunds[given_back:]] == [
        (intent["id"], TOTAL_MINOR)
    ]
    [payment] = await shop.payments(house)
    assert (payment.state, payment.reason) == ("refunded", "the order was undone")
    assert [state for state, _ in await shop.calendar(house)] == ["cancelled"]
    assert await shop.order_state(run) == ("cancelled", "the order was undone")
    assert await lab.broken_invariants() == []


async def test_a_declined_card_holds_the_order_until_there_is_another_way_to_pay(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    await shop.keep_card(house, "pm_card_chargeDeclinedInsufficientFunds")
    taken = len(shop.stripe.account.captured())
    run = await shop.order(house, FIBRE_PREPAID, payment_method="card", scheduled_date=shop.visit_day().isoformat())

    held = await run.until_held()
    assert (held.summary.current_step, held.summary.reason_code) == ("capture_payment", "payment.declined")
    assert "insufficient funds" in str(held.summary.reason) and "another way to pay" in str(held.summary.reason)

    # The invoice is asked for, and then the bank: each way to pay takes the place of the one before.
    for method in ("invoice", "bank"):
        await shop.pay_by(run, method)
        await until_asked(shop, run, house, method)
    assert await shop.settle(run, "process_payment", "statement 8") == [run.id]
    await run.until_waiting_for("visit")
    assert [(one.method, one.state, one.reason) for one in await shop.payments(house)] == [
        ("card", "declined", "Your card has insufficient funds (insufficient_funds)"),
        ("invoice", "cancelled", "another way to pay was chosen"),
        ("bank", "captured", None),
    ]
    assert len(shop.stripe.account.captured()) == taken
    intent = shop.stripe.account.intents[str((await shop.payments(house))[0].reference)]
    assert intent["status"] == "canceled", "its holder can't pay by it any more"

    # What was paid at the bank goes back by hand, and the undo waits for that.
    await shop.report(run, "not_feasible", note="the duct has collapsed")
    held = await run.until_held()
    assert (held.summary.current_step, held.summary.reason_code) == ("capture_payment", "payment.refund_awaited")
    assert await shop.order_state(run) == ("failed", "not feasible: the duct has collapsed")
    async with lab.appliance.database.begin() as db:
        payment_id = (await run.result("process_payment"))["payment_id"]
        await lab.appliance.payment_desk(db).paid_back(payment_id=payment_id, reference="transfer 9", by="books")
    await run.retry()
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == (
        "failed",
        "the technician found the order not feasible: the duct has collapsed",
    )
    assert [one.state for one in await shop.payments(house)] == ["declined", "cancelled", "refunded"]
    assert await lab.broken_invariants() == []


async def test_what_is_sold_waits_as_subscriptions_for_its_installation_at_the_quoted_price(
    lab: JourneyLab, shop: Shop
) -> None:
    house = lab.household()
    special = LineWish(FIBRE_POSTPAID, quantity=2, unit_price_minor=3490)
    quote_id = await shop.quote(house, special, LineWish(description="Cabling", unit_price_minor=9900))
    await shop.accept(quote_id)
    run = await shop.run_of(ORDER, f"quote/{quote_id}/accepted")
    await run.until_waiting_for("deployment_date")
    first, second = await shop.bought(house)
    assert [(one.state, one.offer_id, one.price_minor) for one in (first, second)] == [
        ("pending_installation", FIBRE_POSTPAID, 3490)
    ] * 2

    await shop.tell(run, "deployment_date", scheduled_date=shop.visit_day().isoformat())
    await run.until_waiting_for("visit")
    [notice] = await shop.notices((await run.result("create_order_from_quote"))["order_id"])
    assert notice.message.endswith(
        "Hand in an installation ticket for each that waits for its line: "
        f"{first.subscription_id} (fiber-300), {second.subscription_id} (fiber-300)."
    )
    assert await active(lab, house, service_id=house.customer_id) == first.subscription_id
    bill = await shop.subscription(first.subscription_id)
    assert (bill.state, bill.price_minor, bill.term_months) == ("active", 3490, first.term_months)

    # The order can't take back what is installed; the rest of it goes when that has ended.
    await run.cancel("the customer moves house")
    held = await run.until_held()
    assert (held.summary.current_step, held.summary.reason_code) == (
        "create_subscriptions",
        "billing.subscription_installed",
    )
    async with lab.appliance.database.begin() as db:
        await lab.appliance.services(db).billing_service.withdraw_activation(
            subscription_id=first.subscription_id, reason="moves house"
        )
    await run.retry()
    assert (await run.until_ended()).summary.state == "cancelled"
    assert [one.state for one in await shop.bought(house)] == ["cancelled", "cancelled"]
    assert await lab.broken_invariants() == []


async def test_a_hosted_order_is_complete_when_it_is_paid_and_nobody_visits(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    run = await shop.order(house, PORTAL, payment_method="cash")
    await run.until_waiting_for("payment_settled")
    await shop.tell(run, "deployment_date", scheduled_date=shop.visit_day().isoformat())
    assert await shop.bought(house) == []

    await shop.settle(run, "process_payment", "till 3")
    assert (await run.until_ended()).summary.state == "completed"
    assert await shop.order_state(run) == ("completed", None)
    assert [(one.state, one.title) for one in await shop.bought(house)] == [("active", "Portal")]
    [notice] = await shop.notices((await run.result("create_order_from_quote"))["order_id"])
    assert notice.subject.endswith(": no visit")
    assert notice.message.endswith("Nobody has to go there: nothing that was sold needs a line.")
    assert (await shop.calendar(house), len(lab.mails_to(house))) == ([], 1)
    assert "We come to you" not in lab.mails_to(house)[0].body("plain")
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D10")
async def test_a_time_out_after_the_money_was_taken_is_resolved_by_asking(lab: JourneyLab, shop: Shop) -> None:
    house, account = lab.household(), shop.stripe.account
    await shop.keep_card(house)
    taken, calls = len(account.captured()), len(account.calls)
    account.misbehave("confirm", Quirk.HANG_AFTER_EFFECT)
    run = await shop.order(house, FIBRE_PREPAID, payment_method="card", scheduled_date=shop.visit_day().isoformat())

    waiting = await run.until_retrying("capture_payment")
    assert waiting.summary.reason_code == "payment.outcome_unknown"
    assert (await run.states())["capture_payment"] == "unknown"
    assert await shop.calendar(house) == []

    await run.until_waiting_for("visit")
    assert len(account.captured()) == taken + 1
    assert [operation for operation, _ in account.calls[calls:]] == ["create", "confirm", "retrieve"]
    assert [one.state for one in await shop.payments(house)] == ["captured"]
    assert await lab.broken_invariants() == []


async def test_a_card_that_its_holder_must_confirm_is_waited_for_and_its_webhook_counts_once(
    lab: JourneyLab, shop: Shop
) -> None:
    house, account = lab.household(), shop.stripe.account
    await shop.keep_card(house, REDIRECTED)
    run = await shop.order(house, FIBRE_PREPAID, payment_method="card", scheduled_date=shop.visit_day().isoformat())
    await run.until_waiting_for("payment_settled")
    [payment] = await shop.payments(house)
    assert (payment.state, payment.action_url) == (
        "requires_action",
        f"https://hooks.stripe.com/redirect/authenticate/{payment.reference}",
    )

    account.settle(str(payment.reference), "succeeded")
    webhook = account.webhooks[-1]
    assert (await shop.hear(webhook), await shop.hear(webhook)) == ([run.id], [])
    await run.until_waiting_for("visit")
    assert [one.state for one in await shop.payments(house)] == ["captured"]
    assert await lab.broken_invariants() == []


async def test_money_that_does_not_come_is_asked_about_and_never_charged_twice(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    run = await shop.order(house, FIBRE_PREPAID, scheduled_date=shop.visit_day().isoformat())
    await run.until_waiting_for("payment_settled")
    lab.clock.skip(days=15)

    held = await run.until_held()
    [payment] = await shop.payments(house)
    assert payment.method == "invoice"
    assert str(held.summary.reason).startswith(f"payment {payment.payment_id} of 88.90 EUR by invoice has not come")

    await run.retry(from_step="process_payment")
    await run.until_waiting_for("payment_settled")
    await run.cancel("the customer never paid")
    assert (await run.until_ended()).summary.state == "cancelled"
    assert [(one.state, one.reason) for one in await shop.payments(house)] == [
        ("cancelled", "the payment is asked for anew"),
        ("cancelled", "the order was undone"),
    ]
    assert await lab.broken_invariants() == []


async def test_a_visit_without_anybody_at_home_is_booked_anew_confirmed_once_and_the_new_time_written(
    lab: JourneyLab, shop: Shop
) -> None:
    house, day = lab.household(), shop.visit_day()
    run = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat())
    await run.until_waiting_for("visit")
    order = await run.result("create_order_from_quote")
    await shop.report(run, "no_access")
    waiting = await run.until_waiting_for("deployment_date")
    assert "going back to deployment_date: nobody was at home" in [note.text for note in waiting.notes]

    later = day + timedelta(days=1)
    await shop.tell(run, "deployment_date", scheduled_date=later.isoformat())
    await run.until_waiting_for("visit")
    assert await shop.calendar(house) == [
        ("no_access", datetime.combine(day, time(8), UTC)),
        ("booked", datetime.combine(later, time(8), UTC)),
    ]
    assert await releases(lab, house) == [("released", "the visit is booked anew"), ("scheduled", None)]
    assert [one.subject for one in await shop.notices(order["order_id"])] == [
        f"Order {order['order_id']}: visit on {each} 08:00 UTC" for each in (day, later)
    ]
    await shop.report(run, "scanned", serial=house.serial)
    assert (await run.until_ended()).summary.state == "completed"
    letters = [mail.body("plain") for mail in lab.mails_to(house)]
    assert [f"{later:%B} {later.day}, " in letter for letter in letters] == [False, True]
    assert ["Fibre" in letter for letter in letters] == [True, False]
    assert await lab.broken_invariants() == []


async def until_asked(shop: Shop, run: Installation, house: Household, method: str) -> None:
    """Until the money is waited for in this way."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            view = await run.view()
            payments = await shop.payments(house)
            if view.summary.waiting_for == "payment_settled" and payments[-1].method == method:
                return
            await shop.lab.happening()


async def active(lab: JourneyLab, house: Household, service_id: int) -> int:
    """The subscription that has become this service's bill."""
    async with lab.appliance.database.begin() as db:
        bill = await lab.appliance.services(db).billing_service.activate_service(
            customer_id=house.customer_id, service_id=service_id, plan="fiber-300"
        )
    return bill["subscription_id"]


async def deployments(lab: JourneyLab, house: Household) -> list[str]:
    async with lab.appliance.database.begin() as db:
        return list(await db.scalars(select(Deployment.state).where(Deployment.customer_id == house.customer_id)))


async def releases(lab: JourneyLab, house: Household) -> list[tuple[str, str | None]]:
    async with lab.appliance.database.begin() as db:
        mine = select(Deployment).where(Deployment.customer_id == house.customer_id).order_by(Deployment.id)
        return [(one.state, one.release_reason) for one in await db.scalars(mine)]


async def runs_of(lab: JourneyLab, house: Household) -> list[RunSummary]:
    async with lab.appliance.database.begin() as db:
        return list(await list_runs(db, tenant_id=lab.appliance.tenant_id, customer_id=house.customer_id))
