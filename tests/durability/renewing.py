"""Renewals: offered, accepted and paid, at once or when somebody was reminded; let lapse, called off, paid back."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from provisioning.commercial.bills.subscriptions import SubscriptionView
from provisioning.commercial.bills.terms import months_later
from provisioning.commercial.payments.testing.stripe_account import REDIRECTED
from tests.durability.books import money
from tests.durability.mails import LAST_MAIL, wrong_mails
from tests.durability.story import Played, Scene, Story, Undone, elsewhere, not_ended, not_undone, unlike
from tests.support.lab import JourneyLab
from tests.support.shop import Shop
from workflows.definitions.customer_renewal_process import CUSTOMER_RENEWAL_PROCESS
from workflows.engine.tables import RunRow

PRICE_MINOR = 1500
MAILS = {**LAST_MAIL, "send_reminder": "deliver_reminder"}


class Renewed(Story):
    """A term that ends is offered anew, accepted, paid by card, and extended."""

    name = "renewed"
    journey = CUSTOMER_RENEWAL_PROCESS
    card = "pm_card_visa"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        await shop.keep_card(house, self.card)
        sold = await shop.subscribe(house)
        return Scene(people, shop, await shop.expire(sold), (house, sold))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "quote_accepted":
            if scene.has_time(row):
                await self.at_the_offer(scene, row)
            return
        await super().act(scene, row)

    async def at_the_offer(self, scene: Scene, row: RunRow) -> None:
        if scene.first("yes"):
            await scene.shop.accept((await scene.run.result("create_renewal_quote"))["quote_id"])

    async def faults(self, played: Played) -> list[str]:
        _, sold = played.facts
        assert sold.ends_on is not None and sold.starts_on is not None
        wanted = {
            "quotes": ["accepted"],
            "payments": ["captured"],
            "money taken": [PRICE_MINOR],
            "money back": [],
            "subscription": ("active", months_later(sold.ends_on, 1, anchor_day=sold.starts_on.day), None),
        }
        return [*not_ended(played), *unlike(await _stands(played), wanted), *self.wrong_mails(played)]

    def wrong_mails(self, played: Played) -> list[str]:
        return wrong_mails(played, played.facts[0].email)


class Reminded(Renewed):
    """Nobody answers the offer for ten days; the reminder is what is accepted."""

    name = "renewal_reminded"
    as_elsewhere = elsewhere(CUSTOMER_RENEWAL_PROCESS, "see_acceptance", "send_reminder", "deliver_reminder")

    async def at_the_offer(self, scene: Scene, row: RunRow) -> None:
        if scene.first("the days pass"):
            assert row.wake_at is not None
            scene.people.clock.skip_to(row.wake_at)
            return
        await super().at_the_offer(scene, row)

    def wrong_mails(self, played: Played) -> list[str]:
        return wrong_mails(played, played.facts[0].email, MAILS)


class Unanswered(Undone, Renewed):
    """The offer's time passes: nothing is charged, and the subscription ends with its term."""

    name = "renewal_unanswered"
    begins_at = "claim.in_tx#2"
    ends_as = "rejected"

    async def at_the_offer(self, scene: Scene, row: RunRow) -> None:
        if scene.first("the days pass"):
            until = (await scene.run.result("create_renewal_quote"))["valid_until"]
            scene.people.clock.skip_to(datetime.fromisoformat(until))

    async def faults(self, played: Played) -> list[str]:
        house, sold = played.facts
        assert sold.ends_on is not None
        broken = await played.people.broken_invariants()  # which looks for terms that are over, as the worker does
        ended_at = datetime.combine(sold.ends_on, time(), UTC)
        wanted = {
            "quotes": ["withdrawn"],
            "payments": [],
            "money taken": [],
            "money back": [],
            "subscription": ("cancelled", sold.ends_on, ended_at),
        }
        return [
            *not_undone(played),
            *unlike(await _stands(played), wanted),
            *wrong_mails(played, house.email),
            *broken,
        ]


class RenewalUndone(Undone, Renewed):
    """The offer is called off before anybody has accepted it."""

    name = "renewal_undone"
    begins_at = "undo:"

    async def at_the_offer(self, scene: Scene, row: RunRow) -> None:
        if scene.first("called off"):
            await scene.cancel()

    async def faults(self, played: Played) -> list[str]:
        _, sold = played.facts
        wanted = {
            "quotes": ["withdrawn"],
            "payments": [],
            "money taken": [],
            "money back": [],
            "subscription": ("active", sold.ends_on, None),
        }
        return [
            *not_undone(played),
            *unlike(await _stands(played), wanted),
            *await played.people.broken_invariants(),
        ]


class PaidBack(Undone, Renewed):
    """The customer cancels the subscription while their bank confirms the card: what was paid for can't be extended,
    an operator calls the renewal off, and the money goes back."""

    name = "renewal_paid_back"
    begins_at = "process_renewal_payment.before"
    card = REDIRECTED

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "payment_settled":
            if scene.first("leaves"):
                await self.leaves_and_pays(scene)
            return
        if row.state == "held" and row.current_step == "extend_subscription":
            if scene.first("called off"):
                await scene.cancel()
            return
        await super().act(scene, row)

    async def leaves_and_pays(self, scene: Scene) -> None:
        house, sold = scene.facts
        lab, account = scene.people, scene.shop.stripe.account
        async with lab.appliance.database.begin() as db:
            billing = lab.appliance.services(db).billing_service
            await billing.cancel_subscription(subscription_id=sold.subscription_id, reason="moves away")
        [payment] = await scene.shop.payments(house)
        account.settle(str(payment.reference), "succeeded")
        assert await scene.shop.hear(account.webhooks[-1]) == [scene.run.id]

    async def faults(self, played: Played) -> list[str]:
        _, sold = played.facts
        found = await _stands(played)
        state, ends_on, _ = found.pop("subscription")
        wanted = {
            "quotes": ["withdrawn"],
            "payments": ["refunded"],
            "money taken": [PRICE_MINOR],
            "money back": [PRICE_MINOR],
        }
        return [
            *not_undone(played),
            *unlike(found, wanted),
            *unlike((state, ends_on), ("cancelled", sold.ends_on)),
            *await played.people.broken_invariants(),
        ]


async def _stands(played: Played) -> dict[str, Any]:
    house, sold = played.facts
    now: SubscriptionView = await played.shop.subscription(sold.subscription_id)
    return {
        "quotes": await played.shop.renewal_quotes(house),
        **await money(played, house, "process_renewal_payment"),
        "subscription": (now.state, now.ends_on, now.billing_stopped_at),
    }
