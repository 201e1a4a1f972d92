"""From a term that ends soon to its next one: nothing is charged before the customer has said yes, and then once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from provisioning.access import list_audit
from provisioning.commercial import QuoteNotOpen
from provisioning.commercial.bills.subscriptions import SubscriptionView
from provisioning.commercial.bills.terms import months_later
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.outages import mail_server_down
from tests.support.shop import PORTAL, PORTAL_POSTPAID, RENEWAL, Shop, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE_MINOR = 1500
LINK = re.compile(r"https://isp\.example/links/(\S+)")
PAYING = ("process_renewal_payment", "capture_payment", "payment_settled", "extend_subscription")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(lab: JourneyLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(lab, tmp_path_factory.mktemp("shop")) as opened:
        yield opened


async def test_a_renewal_is_accepted_by_its_link_paid_once_and_extended_by_a_calendar_month(
    lab: JourneyLab, shop: Shop
) -> None:
    house = lab.household()
    sold, run = await expiring(shop, house)
    waiting = await run.until_waiting_for("quote_accepted")
    assert waiting.summary.reason == "the renewal is offered: waiting for the customer to accept it"
    assert (await shop.payments(house), await shop.renewal_quotes(house)) == ([], ["sent"])
    await lab.appliance.announce_expiring()
    assert await shop.run_of(RENEWAL, key_of(sold)) == run, "one end, one renewal"

    # The link of the mail is used up together with what it does.
    [offer] = lab.mails_to(house)
    [token] = LINK.findall(offer.body("plain"))
    assert sold.ends_on is not None
    last = sold.ends_on - timedelta(days=1)
    assert f"ends on {last:%B} {last.day}, {last.year}." in offer.body("plain")
    assert "Price for that  €15.00" in offer.body("plain") and "Without your acceptance nothing" in offer.body("plain")
    async with lab.appliance.database.begin() as db:
        link = await lab.appliance.links.use(db, token)
        desk = lab.appliance.quote_desk(db)
        _, told = await desk.accept(quote_id=int(link.subject), accepted_by=house.email, by="link")
    assert told == [run.id]

    await run.until_waiting_for("payment_settled")
    [asked] = await shop.payments(house)
    assert (asked.method, asked.state, asked.amount) == ("invoice", "awaiting", Decimal("15.00"))
    assert (await shop.subscription(sold.subscription_id)).ends_on == sold.ends_on, "not before it is paid"
    assert await shop.settle(run, "process_renewal_payment", "statement 3") == [run.id]

    assert (await run.until_ended()).summary.state == "completed"
    assert sold.starts_on is not None and sold.ends_on is not None
    longer = await shop.subscription(sold.subscription_id)
    assert longer.ends_on == months_later(sold.ends_on, 1, anchor_day=sold.starts_on.day)
    assert [one.state for one in await shop.payments(house)] == ["captured"]
    assert (len(lab.mails_to(house)), await shop.renewal_quotes(house)) == (1, ["accepted"])
    assert await lab.broken_invariants() == []


async def test_a_card_on_file_is_charged_after_the_yes_and_given_back_when_it_is_undone(
    lab: JourneyLab, shop: Shop
) -> None:
    house, account = lab.household(), shop.stripe.account
    await shop.keep_card(house)
    taken, given_back = len(account.captured()), len(account.refunds)
    sold, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    assert len(account.intents) == taken, "a card on file is no consent"

    # The customer says yes and cancels the subscription right after: nobody pays for what can't be extended.
    await lab.stop_worker()
    await shop.accept(await quote_of(run))
    await cancel(shop, sold, "moved away")
    await lab.start_worker()
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"Subscription {sold.subscription_id} is cancelled (moved away).",
    )
    assert (len(account.intents), await shop.payments(house)) == (taken, [])

    sold, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    assert await shop.accept(await quote_of(run)) == [run.id]
    assert (await run.until_ended()).summary.state == "completed"
    [intent] = account.captured()[taken:]
    assert (intent["amount"], len(account.refunds)) == (PRICE_MINOR, given_back)
    assert (await run.states())["payment_settled"] == "skipped"
    assert [one.state for one in await shop.payments(house)] == ["captured"]
    assert await lab.broken_invariants() == []


async def test_a_declined_card_holds_the_renewal_and_rolls_back_to_nothing(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    await shop.keep_card(house, "pm_card_chargeDeclined")
    sold, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    await shop.accept(await quote_of(run))
    held = await run.until_held()
    assert held.summary.reason_code == "payment.declined"

    await shop.keep_card(house)
    await run.retry("process_renewal_payment")
    assert (await run.until_ended()).summary.state == "completed"
    assert [one.state for one in await shop.payments(house)] == ["declined", "captured"]
    assert (await shop.subscription(sold.subscription_id)).renewed_at is not None
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D8")
async def test_reminders_come_at_their_time_survive_a_restart_and_stop_with_the_yes(
    lab: JourneyLab, shop: Shop
) -> None:
    house = lab.household()
    _, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    for mails in (2, 3):
        lab.clock.skip(days=9)
        await lab.worker.dispatch.wake_due()
        assert len(lab.mails_to(house)) == mails - 1
        await lab.stop_worker()
        lab.clock.skip(days=1)
        await lab.start_worker()
        await until_reminded(lab, house, mails)
        await run.until_waiting_for("quote_accepted")
    letters = lab.mails_to(house)
    assert len({mail.message_id for mail in letters}) == len({LINK.findall(mail.body("plain"))[0] for mail in letters})
    assert len({mail.message_id for mail in letters}) == 3

    await shop.accept(await quote_of(run))
    await run.until_waiting_for("payment_settled")
    lab.clock.skip(days=11)
    await lab.worker.dispatch.wake_due()
    await shop.settle(run, "process_renewal_payment", "statement 4")
    assert (await run.until_ended()).summary.state == "completed"
    assert len(lab.mails_to(house)) == 3
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D8")
async def test_a_yes_from_before_anybody_waited_for_it_is_acted_on(lab: JourneyLab, shop: Shop) -> None:
    """It was kept without a word to the run, which asks the quote itself."""
    house = lab.household()
    async with mail_server_down(lab):
        _, run = await expiring(shop, house)
        await run.until_retrying("deliver_email")
        async with lab.appliance.database.begin() as db:
            crm = lab.appliance.services(db).crm_service
            await crm.accept_quote(quote_id=await quote_of(run), accepted_by="Ada")
    await run.until_waiting_for("payment_settled")
    waits = {one.name: one.note for one in (await run.view()).steps if one.state == "skipped"}
    assert waits["acceptance"] == "the customer had accepted already"
    assert waits["send_reminder"] == waits["deliver_reminder"] == "it is not the time for a reminder"
    await run.cancel("it was a test")
    assert (await run.until_ended()).summary.state == "cancelled"
    assert [one.state for one in await shop.payments(house)] == ["cancelled"]
    assert await shop.renewal_quotes(house) == ["withdrawn"]
    assert await lab.broken_invariants() == []


async def test_who_may_not_renew_is_told_to_the_operator_with_the_reason(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    sold = await shop.subscribe(house)
    await cancel(shop, sold, "moved away")
    run = await shop.expire(sold)

    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"Subscription {sold.subscription_id} is cancelled (moved away).",
    )
    assert (lab.mails_to(house), await shop.renewal_quotes(house), await shop.payments(house)) == ([], [], [])
    assert await lab.broken_invariants() == []


async def test_who_pays_after_delivery_goes_on_paying_so(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    await shop.keep_card(house)
    sold, run = await expiring(shop, house, PORTAL_POSTPAID)
    await run.until_waiting_for("quote_accepted")
    await shop.accept(await quote_of(run))
    assert (await run.until_ended()).summary.state == "completed"
    assert (await run.states())["process_renewal_payment"] == "skipped"
    assert await shop.payments(house) == []
    assert (await shop.subscription(sold.subscription_id)).renewed_at is not None
    assert await lab.broken_invariants() == []


async def test_nobody_who_leaves_is_reminded(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    sold, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    await cancel(shop, sold, "moved away")
    # A yes that nothing could come of is not taken: nobody is thanked for it.
    with pytest.raises(
        QuoteNotOpen, match=r"is sent \(Subscription \d+ is cancelled \(moved away\)\) and can't be accepted"
    ):
        await shop.accept(await quote_of(run))
    lab.clock.skip(days=10)

    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"Subscription {sold.subscription_id} is cancelled (moved away).",
    )
    assert (len(lab.mails_to(house)), await shop.renewal_quotes(house)) == (1, ["withdrawn"])
    assert await lab.broken_invariants() == []


async def test_an_offer_that_was_taken_back_ends_at_the_next_look(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    _, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    async with lab.appliance.database.begin() as db:
        await lab.appliance.quotes(db).withdraw(quote_id=await quote_of(run), reason="a better one comes")
    lab.clock.skip(days=10)

    ended = await run.until_ended()

    assert (ended.summary.state, str(ended.summary.reason).partition(", and it ")[2]) == (
        "rejected",
        "was withdrawn (a better one comes); nothing was charged",
    )
    assert (await shop.payments(house), len(lab.mails_to(house))) == ([], 1)
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D8")
async def test_nothing_is_charged_to_who_does_not_accept_in_time(lab: JourneyLab, shop: Shop) -> None:
    house = lab.household()
    await shop.keep_card(house)
    sold, run = await expiring(shop, house)
    await run.until_waiting_for("quote_accepted")
    quote_id = await quote_of(run)
    assert sold.ends_on is not None
    until = datetime.combine(sold.ends_on + timedelta(days=1), time(), UTC)
    lab.clock.skip_to(until)

    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "rejected",
        f"customer {house.customer_id} has not accepted quote {quote_id} by {until:%Y-%m-%d %H:%M} UTC; nothing was"
        " charged",
    )
    assert not {step for step, state in (await run.states()).items() if state == "completed"} & {*PAYING}
    assert (await shop.payments(house), len(lab.mails_to(house))) == ([], 1)
    assert set(await shop.renewal_quotes(house)) <= {"withdrawn", "expired"}
    for _ in range(2):  # it ends with its term, as the mail said, and once
        await lab.appliance.end_terms()
    over = await shop.subscription(sold.subscription_id)
    assert (over.state, over.ends_on, over.billing_stopped_at, over.stop_reason) == (
        "cancelled",
        sold.ends_on,
        datetime.combine(sold.ends_on, time(), UTC),
        f"its term was over on {sold.ends_on - timedelta(days=1)} and not renewed",
    )
    async with lab.appliance.database.read() as db:
        kept = await list_audit(db, tenant_id=lab.appliance.tenant_id, subject=f"subscription/{sold.subscription_id}")
    assert [(entry.actor, entry.action, entry.reason) for entry in kept] == [
        ("clock", "subscriptions end", over.stop_reason)
    ]
    assert await lab.broken_invariants() == []


async def expiring(shop: Shop, house: Household, offer: int = PORTAL) -> tuple[SubscriptionView, Installation]:
    """A subscription that the daily sweep finds, and its renewal."""
    sold = await shop.subscribe(house, offer)
    shop.lab.clock.skip(days=2)  # the month may have 31 days, and the sweep looks 30 ahead
    await shop.lab.appliance.announce_expiring()
    return sold, await shop.run_of(RENEWAL, key_of(sold))


def key_of(sold: SubscriptionView) -> str:
    return f"subscription/{sold.subscription_id}/ends/{sold.ends_on}"


async def quote_of(run: Installation) -> int:
    quote_id: int = (await run.result("create_renewal_quote"))["quote_id"]
    return quote_id


async def cancel(shop: Shop, sold: SubscriptionView, reason: str) -> None:
    async with shop.lab.appliance.database.begin() as db:
        billing = shop.lab.appliance.services(db).billing_service
        await billing.cancel_subscription(subscription_id=sold.subscription_id, reason=reason)


async def until_reminded(lab: JourneyLab, house: Household, mails: int) -> None:
    """Until the customer has so many mails."""
    for _ in range(200):
        if len(lab.mails_to(house)) >= mails:
            return
        await lab.happening()
    raise AssertionError(f"{house.email} has {len(lab.mails_to(house))} mails, not {mails}")
