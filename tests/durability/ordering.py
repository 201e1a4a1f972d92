"""Orders: paid by card in advance, paid later, paid in another way than was said at first, by whoever's card is
declined; delivered, and undone."""

from __future__ import annotations

from typing import Any

from tests.durability.books import money
from tests.durability.mails import wrong_mails
from tests.durability.story import Played, Scene, Story, Undone, elsewhere, not_ended, not_undone, unlike
from tests.support.lab import JourneyLab
from tests.support.shop import FIBRE_POSTPAID, FIBRE_PREPAID, Shop
from workflows.definitions.quote_accepted_to_order import QUOTE_ACCEPTED_TO_ORDER
from workflows.engine.tables import RunRow

TOTAL_MINOR = 3990 + 4900


class Delivered(Story):
    """An order that is paid by card in advance, and delivered."""

    name = "delivered"
    journey = QUOTE_ACCEPTED_TO_ORDER

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        await shop.keep_card(house)
        day = shop.visit_day().isoformat()
        run = await shop.order(house, FIBRE_PREPAID, payment_method="card", scheduled_date=day)
        return Scene(people, shop, run, house)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "visit":
            await self.at_the_visit(scene)
            return
        await super().act(scene, row)

    async def at_the_visit(self, scene: Scene) -> None:
        if scene.first("scanned"):
            await scene.shop.report(scene.run, "scanned", serial=scene.facts.serial)

    async def faults(self, played: Played) -> list[str]:
        wanted = {
            "order": ("completed", None),
            "subscriptions": ["pending_installation"],
            "payments": ["captured"],
            "money taken": [TOTAL_MINOR],
            "money back": [],
            "notices": 1,
            "calendar": ["completed"],
        }
        found = await _bought(played)
        return [*not_ended(played), *unlike(found, wanted), *wrong_mails(played, played.facts.email)]


class OrderUndone(Undone, Delivered):
    """The customer changes their mind before the visit."""

    name = "order_undone"
    begins_at = "undo:"

    async def at_the_visit(self, scene: Scene) -> None:
        if scene.first("changes their mind"):
            await scene.cancel()

    async def faults(self, played: Played) -> list[str]:
        wanted = {
            "order": ("cancelled", "the order was undone"),
            "subscriptions": ["cancelled"],
            "payments": ["refunded"],
            "money taken": [TOTAL_MINOR],
            "money back": [TOTAL_MINOR],
            "notices": 1,
            "calendar": ["cancelled"],
        }
        found = await _bought(played)
        return [*not_undone(played), *unlike(found, wanted), *await played.people.broken_invariants()]


class PaidLater(Delivered):
    """A post-paid order without a day: dispatch names one, nobody is at home, and the next one is kept."""

    name = "paid_later"
    as_elsewhere = elsewhere(
        QUOTE_ACCEPTED_TO_ORDER, "create_subscriptions", "schedule_deployment", "notify_team", "complete_order"
    )

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        await shop.keep_card(house)
        return Scene(people, shop, await shop.order(house, FIBRE_POSTPAID), house)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "deployment_date":
            await scene.shop.tell(scene.run, "deployment_date", scheduled_date=scene.shop.visit_day().isoformat())
            return
        await super().act(scene, row)

    async def at_the_visit(self, scene: Scene) -> None:
        if scene.first("nobody at home"):
            await scene.shop.report(scene.run, "no_access")
            return
        await super().at_the_visit(scene)

    async def faults(self, played: Played) -> list[str]:
        wanted = {
            "order": ("completed", None),
            "subscriptions": ["pending_installation"],
            "payments": [],
            "money taken": [],
            "money back": [],
            "notices": 2,
            "calendar": ["no_access", "completed"],
        }
        found = await _bought(played)
        return [*not_ended(played), *unlike(found, wanted), *wrong_mails(played, played.facts.email)]


class PaidOtherwise(Delivered):
    """By invoice, for which nothing comes for days; then the customer pays at the bank."""

    name = "paid_otherwise"
    as_elsewhere = elsewhere(QUOTE_ACCEPTED_TO_ORDER, "process_payment", "capture_payment", "begin_order")

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        day = shop.visit_day().isoformat()
        run = await shop.order(house, FIBRE_PREPAID, payment_method="invoice", scheduled_date=day)
        return Scene(people, shop, run, house)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "payment_settled":
            if scene.first("the days pass"):
                scene.people.clock.skip(days=9)
                await scene.shop.pay_by(scene.run, "bank")
            elif scene.first("the money comes"):
                told = await scene.shop.settle(scene.run, "process_payment", "statement 7")
                assert told == [scene.run.id]
            return
        await super().act(scene, row)

    async def faults(self, played: Played) -> list[str]:
        wanted = {
            "order": ("completed", None),
            "subscriptions": ["pending_installation"],
            "payments": ["cancelled", "captured"],
            "money taken": [],  # by Stripe
            "money back": [],
            "notices": 1,
            "calendar": ["completed"],
        }
        found = await _bought(played)
        return [*not_ended(played), *unlike(found, wanted), *wrong_mails(played, played.facts.email)]


class CardDeclined(Delivered):
    """The card is declined and the order held; the customer pays at the bank."""

    name = "card_declined"
    as_elsewhere = elsewhere(QUOTE_ACCEPTED_TO_ORDER, "process_payment", "capture_payment", "begin_order")
    card = "pm_card_chargeDeclinedInsufficientFunds"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        await shop.keep_card(house, self.card)
        day = shop.visit_day().isoformat()
        return Scene(
            people, shop, await shop.order(house, FIBRE_PREPAID, payment_method="card", scheduled_date=day), house
        )

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.state == "held" and row.current_step == "capture_payment":
            assert row.reason_code == "payment.declined", row.reason
            if scene.first("another way"):
                await scene.shop.pay_by(scene.run, "bank")
            return
        if row.waiting_for == "payment_settled":
            if scene.first("the money comes"):
                assert await scene.shop.settle(scene.run, "process_payment", "statement 8") == [scene.run.id]
            return
        await super().act(scene, row)

    async def faults(self, played: Played) -> list[str]:
        wanted = {
            "order": ("completed", None),
            "subscriptions": ["pending_installation"],
            "payments": ["declined", "captured"],
            "money taken": [],  # by Stripe
            "money back": [],
            "notices": 1,
            "calendar": ["completed"],
        }
        payments = await played.shop.payments(played.facts)
        intents = played.shop.stripe.account.intents
        still_open = [one.reference for one in payments[:1] if intents[str(one.reference)]["status"] != "canceled"]
        found = await _bought(played)
        return [
            *not_ended(played),
            *unlike(found, wanted),
            *wrong_mails(played, played.facts.email),
            *([f"the declined card can still be charged: {still_open}"] if still_open else []),
        ]


async def _bought(played: Played) -> dict[str, Any]:
    house, shop = played.facts, played.shop
    order = await played.run.result("create_order_from_quote")
    return {
        "order": await shop.order_state(played.run),
        "subscriptions": [one.state for one in await shop.bought(house)],
        **await money(played, house, "process_payment"),
        "notices": len(await shop.notices(order["order_id"])),
        "calendar": [state for state, _ in await shop.calendar(house)],
    }
