"""Selling what needs nobody to pay on the way: a lead's onboarding and a partner's customer; done, and undone."""

from __future__ import annotations

from typing import ClassVar

from provisioning.commercial.testing import Quirk
from tests.durability.mails import wrong_mails
from tests.durability.story import Played, Scene, Story, Undone, not_ended, not_undone, unlike
from tests.support.customers import Standing, standing
from tests.support.lab import JourneyLab
from tests.support.shop import Shop
from workflows.definitions.lead_to_customer_onboarding import LEAD_TO_CUSTOMER_ONBOARDING
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING
from workflows.engine.tables import RunRow

REFUSALS = 6
WIFI = 2  # an offer that needs no line
PARTNER = 31
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
    deadliest: ClassVar[tuple[str, ...]] = ("tenant_answers.effect", "deliver_email.effect")
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
        return [*not_ended(played), *unlike(found, once), *wrong_mails(played, played.facts)]


class OnboardingUndone(MailRefused, Onboarded):
    """Its mail is refused, and an operator cancels it."""

    name = "onboarding_undone"
    deadliest: ClassVar[tuple[str, ...]] = ("deliver_email.failed.in_tx", "undo:issue_license.in_tx")

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
    deadliest: ClassVar[tuple[str, ...]] = ("tenant_answers.effect", "record_commission.in_tx", "deliver_email.effect")
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
        return [*not_ended(played), *unlike(found, once), *wrong_mails(played, played.facts)]


class PartnerUndone(MailRefused, PartnerServed):
    """Its mail is refused, and an operator cancels it."""

    name = "partner_undone"
    deadliest: ClassVar[tuple[str, ...]] = ("undo:record_commission.in_tx", "undo:allocate_from_partner.in_tx")

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        self.refuse_mail(people)
        return await super().begin(people, shop)

    async def faults(self, played: Played) -> list[str]:
        nothing = Standing(customers=("withdrawn",), licences=("revoked", "revoked"), pages=("withdrawn",))
        return [*not_undone(played), *await _left(played, nothing)]


async def _left(played: Played, nothing: Standing) -> list[str]:
    found = await standing(played.people, played.facts)
    withdrawn = Standing(**{**vars(found), "mails": (), "tickets": ()})
    unsent = [state for state in found.mails if state not in ("withdrawn", "refused")]
    open_tickets = [state for state in found.tickets if state != "closed"]
    wrong = [f"mails {unsent}"] * bool(unsent) + [f"tickets {open_tickets}"] * bool(open_tickets)
    return [*unlike(withdrawn, nothing), *wrong, *await played.people.broken_invariants()]
