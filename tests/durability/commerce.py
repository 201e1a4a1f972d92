"""Selling: a lead's onboarding, an order paid by card, a partner's customer and a renewal; done, and undone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from provisioning.commercial.bills.terms import months_later
from provisioning.commercial.testing import Quirk
from tests.durability.story import Played, Scene, Story, Undone, not_undone
from tests.support.customers import Standing, standing
from tests.support.lab import JourneyLab
from tests.support.shop import FIBRE_PREPAID, Shop
from tests.support.worker_process import Instant
from workflows.definitions.customer_renewal_process import CUSTOMER_RENEWAL_PROCESS
from workflows.definitions.lead_to_customer_onboarding import LEAD_TO_CUSTOMER_ONBOARDING
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING
from workflows.definitions.quote_accepted_to_order import QUOTE_ACCEPTED_TO_ORDER
from workflows.engine.tables import RunRow

REFUSALS = 6
WIFI = 2  # an offer that needs no line
PARTNER = 31
TOTAL_MINOR = 3990 + 4900
PRICE_MINOR = 1500
MAIL_REFUSED = "deliver_email.failed.in_tx"

PARTNER_OF_MANY = """
[[partner]]
id = 31
name = "Weitnetz"
email = "orders@weitnetz.example"
license_template = 1
license_quota = 100000
commission = { type = "percentage", basis_points = 1250, currency = "EUR" }
"""


class MailRefused(Undone):
    """Everything but the mail is done; that is refused for good, and an operator cancels the run."""

    begins_at = MAIL_REFUSED

    def refuse_mail(self, people: JourneyLab) -> None:
        people.world.mail.misbehave(*[Quirk.REFUSE_RECIPIENT] * REFUSALS)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.state == "held" and row.current_step == "deliver_email" and not scene.cancelled:
            await scene.cancel()
            return
        await super().act(scene, row)


class Onboarded(Story):
    """A qualified lead becomes a customer."""

    name = "onboarded"
    journey = LEAD_TO_CUSTOMER_ONBOARDING

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        email = f"lead{people.household().number}@leads.example"
        async with people.appliance.database.begin() as db:
            leads = people.appliance.leads(db)
            lead = await leads.register(source="web", name="Grace Hopper", email=email, offer_id=WIFI)
            await leads.qualify(lead_id=lead["lead_id"], by="sales")
        return Scene(people, shop, await people.run_of(f"lead/{lead['lead_id']}/qualified"), email)

    async def faults(self, played: Played) -> list[str]:
        found = await standing(played.people, played.facts)
        once = Standing(
            customers=("active",),
            subscriptions=("active",),
            licences=("active",),
            pages=("active",),
            tickets=("open",),
            mails=("sent",),
        )
        return [*_unlike(found, once), *_mails(played, played.facts)]


class OnboardingUndone(MailRefused, Onboarded):
    """Its mail is refused, and an operator cancels it."""

    name = "onboarding_undone"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        self.refuse_mail(people)
        return await super().begin(people, shop)

    async def faults(self, played: Played) -> list[str]:
        nothing = Standing(
            customers=("withdrawn",), subscriptions=("cancelled",), licences=("revoked",), pages=("withdrawn",)
        )
        return [*not_undone(played), *await _left(played, nothing)]


class PartnerServed(Story):
    """A partner's order becomes a customer of theirs."""

    name = "partner_served"
    journey = PARTNER_CUSTOMER_PROVISIONING

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        number = people.household().number
        email = f"grace{number}@weitnetz.example"
        order = {
            "order_ref": f"W-{number}",
            "customer_data": {"name": "Grace Hopper", "email": email},
            "license_count": 2,
            "white_label_config": {"name": "Weitnetz"},
            "sale_amount": "49.90",
        }
        async with people.appliance.database.begin() as db:
            submitted = await people.appliance.partner_desk(db).submit(PARTNER, order, by="the partner")
        return Scene(people, shop, await people.run_of(submitted["event_key"]), email)

    async def faults(self, played: Played) -> list[str]:
        found = await standing(played.people, played.facts)
        once = Standing(
            customers=("active",),
            licences=("active", "active"),
            pages=("active",),
            mails=("sent",),
            live_links=1,
            earned_minor=624,  # 12.5 % of 49.90, half a cent rounded up
        )
        return [*_unlike(found, once), *_mails(played, played.facts)]


class PartnerUndone(MailRefused, PartnerServed):
    """Its mail is refused, and an operator cancels it."""

    name = "partner_undone"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        self.refuse_mail(people)
        return await super().begin(people, shop)

    async def faults(self, played: Played) -> list[str]:
        nothing = Standing(customers=("withdrawn",), licences=("revoked", "revoked"), pages=("withdrawn",))
        return [*not_undone(played), *await _left(played, nothing)]


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
        if row.waiting_for == "visit" and not scene.told:
            scene.told = True
            await self.at_the_visit(scene)
            return
        await super().act(scene, row)

    async def at_the_visit(self, scene: Scene) -> None:
        await scene.shop.report(scene.run, "scanned", serial=scene.facts.serial)

    async def faults(self, played: Played) -> list[str]:
        found = await _bought(played)
        found |= {"calendar": [state for state, _ in await played.shop.calendar(played.facts)]}
        wanted = {
            "order": ("completed", None),
            "subscriptions": ["pending_installation"],
            "payments": ["captured"],
            "money taken": [TOTAL_MINOR],
            "money back": [],
            "notices": 1,
            "calendar": ["completed"],
        }
        return [*_unlike(found, wanted), *_mails(played, played.facts.email)]


class OrderUndone(Undone, Delivered):
    """The customer changes their mind before the visit."""

    name = "order_undone"
    begins_at = "undo:"

    async def at_the_visit(self, scene: Scene) -> None:
        await scene.cancel()

    async def faults(self, played: Played) -> list[str]:
        found = await _bought(played)
        found |= {"calendar": [state for state, _ in await played.shop.calendar(played.facts)]}
        wanted = {
            "order": ("cancelled", "the order was undone"),
            "subscriptions": ["cancelled"],
            "payments": ["refunded"],
            "money taken": [TOTAL_MINOR],
            "money back": [TOTAL_MINOR],
            "notices": 1,
            "calendar": ["cancelled"],
        }
        return [*not_undone(played), *_unlike(found, wanted), *await played.people.broken_invariants()]


class Renewed(Story):
    """A term that ends is offered anew, accepted, paid by card, and extended."""

    name = "renewed"
    journey = CUSTOMER_RENEWAL_PROCESS

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        await shop.keep_card(house)
        sold = await shop.subscribe(house)
        return Scene(people, shop, await shop.expire(sold), (house, sold))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "quote_accepted" and not scene.told:
            scene.told = True
            await self.at_the_offer(scene)
            return
        await super().act(scene, row)

    async def at_the_offer(self, scene: Scene) -> None:
        await scene.shop.accept((await scene.run.result("create_renewal_quote"))["quote_id"])

    async def faults(self, played: Played) -> list[str]:
        house, sold = played.facts
        longer = await played.shop.subscription(sold.subscription_id)
        ends_on = months_later(sold.ends_on, 1, anchor_day=sold.starts_on.day)
        found: dict[str, Any] = {
            "quotes": await played.shop.renewal_quotes(house),
            "payments": [one.state for one in await played.shop.payments(house)],
            "money taken": [intent["amount"] for intent in await _intents(played, "process_renewal_payment")],
            "ends on": longer.ends_on,
        }
        wanted = {"quotes": ["accepted"], "payments": ["captured"], "money taken": [PRICE_MINOR], "ends on": ends_on}
        return [*_unlike(found, wanted), *_mails(played, house.email)]


class RenewalUndone(Undone, Renewed):
    """The offer is called off before anybody has accepted it."""

    name = "renewal_undone"
    begins_at = "undo:"

    async def at_the_offer(self, scene: Scene) -> None:
        await scene.cancel()

    async def faults(self, played: Played) -> list[str]:
        house, sold = played.facts
        found: dict[str, Any] = {
            "quotes": await played.shop.renewal_quotes(house),
            "payments": await played.shop.payments(house),
            "ends on": (await played.shop.subscription(sold.subscription_id)).ends_on,
        }
        wanted = {"quotes": ["withdrawn"], "payments": [], "ends on": sold.ends_on}
        return [*not_undone(played), *_unlike(found, wanted), *await played.people.broken_invariants()]


async def _bought(played: Played) -> dict[str, Any]:
    house = played.facts
    order = await played.run.result("create_order_from_quote")
    mine = await _intents(played, "process_payment")
    refunds = played.shop.stripe.account.refunds
    return {
        "subscriptions": [one.state for one in await played.shop.bought(house)],
        "order": await played.shop.order_state(played.run),
        "payments": [one.state for one in await played.shop.payments(house)],
        "money taken": [intent["amount"] for intent in mine if intent["status"] == "succeeded"],
        "money back": [one["amount"] for one in refunds if one["payment_intent"] in {intent["id"] for intent in mine}],
        "notices": len(await played.shop.notices(order["order_id"])),
    }


async def _intents(played: Played, asked_in: str) -> list[dict[str, Any]]:
    """What Stripe has of the run's payment; two for one payment would be one too many."""
    key = (await played.run.result(asked_in))["idempotency_key"]
    return [one for one in played.shop.stripe.account.intents.values() if key in one["metadata"].values()]


async def _left(played: Played, nothing: Standing) -> list[str]:
    found = await standing(played.people, played.facts)
    withdrawn = Standing(**{**vars(found), "mails": (), "tickets": ()})
    unsent = [state for state in found.mails if state not in ("withdrawn", "refused")]
    open_tickets = [state for state in found.tickets if state != "closed"]
    wrong = [f"mails {unsent}"] * bool(unsent) + [f"tickets {open_tickets}"] * bool(open_tickets)
    return [*_unlike(withdrawn, nothing), *wrong, *await played.people.broken_invariants()]


def _mails(played: Played, address: str) -> list[str]:
    """One mail; a second copy of it only where the worker was lost while the mail server had it in hand."""
    copies = Counter(mail.message_id for mail in played.people.mails_at(address))
    in_hand = (Instant("deliver_email.effect").point, "commit(deliver_email")
    may_be_doubled = any(instant.point.startswith(in_hand) for instant in played.lost_at)
    wrong = len(copies) != 1 or max(copies.values()) > 1 + may_be_doubled
    return [f"mails by Message-ID: {dict(copies)}"] if wrong else []


def _unlike(found: Any, wanted: Any) -> list[str]:
    return [] if found == wanted else [f"it stands as {found}, and should as {wanted}"]
