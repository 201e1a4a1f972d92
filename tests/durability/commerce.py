"""Selling what needs nobody to pay on the way: a lead's onboarding and a partner's customer; done, undone, refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from provisioning.commercial import CommissionTerms, Partners, PartnerService
from provisioning.commercial.testing import Quirk
from tests.durability.mails import wrong_mails
from tests.durability.story import Played, Prepared, Scene, Story, Undone, not_ended, not_undone, unlike
from tests.support.customers import Standing, standing
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import Shop
from tests.support.walks import begun_by_hand, walk
from workflows.definitions.lead_to_customer_onboarding import LEAD_TO_CUSTOMER_ONBOARDING
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING
from workflows.engine.tables import RunRow

REFUSALS = 6
WIFI = 2  # an offer that needs no line
PARTNER = 31
FIRST_OF_ONE = 1000
"""Partners with one licence each are numbered from here."""
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


def an_order(email: str, licences: int) -> dict[str, Any]:
    """As a partner writes it."""
    return {
        "order_ref": f"W-{email.partition('@')[0]}",
        "customer_data": {"name": "Grace Hopper", "email": email},
        "license_count": licences,
        "white_label_config": {"name": "Weitnetz"},
        "sale_amount": "49.90",
    }


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
        return [*not_ended(played), *unlike(found, once), *wrong_mails(played, played.facts)]


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
    licences = 2

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        email = f"grace{people.household().number}@weitnetz.example"
        order = an_order(email, self.licences)
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


class LeadRejected(Undone, Onboarded):
    """The lead was disqualified before its run begins: the run is rejected, and nothing is written."""

    name = "lead_rejected"
    begins_at = "claim.in_tx"
    ends_as = "rejected"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        email = f"lead{people.household().number}@leads.example"
        async with people.appliance.database.begin() as db:
            leads = people.appliance.leads(db)
            lead = await leads.register(source="web", name="Grace Hopper", email=email, offer_id=WIFI)
            await leads.disqualify(lead_id=lead["lead_id"], reason="a joke")
            wanted = {
                "lead_id": lead["lead_id"],
                "plan_id": WIFI,
                "license_template_id": 1,
                "ticket_team": "onboarding",
            }
            run_id, _ = await people.appliance.runs.start(db, self.journey.name, wanted, by="desk")
        return Scene(people, shop, Installation(people, run_id), email)

    async def faults(self, played: Played) -> list[str]:
        found = await standing(played.people, played.facts)
        return [*not_undone(played), *unlike(found, Standing()), *await played.people.broken_invariants()]


class PartnerRejected(Undone):
    """The partner's licences don't reach: the run is rejected at its gate, and nothing is written."""

    name = "partner_rejected"
    journey = PARTNER_CUSTOMER_PROVISIONING
    begins_at = "claim.in_tx"
    ends_as = "rejected"

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        partner = await partner_of_one(people)
        async with people.appliance.database.begin() as db:
            order = an_order(second_of(partner), 2)
            submitted = await people.appliance.partner_desk(db).submit(partner, order, by="the partner")
        return Scene(people, shop, await people.run_of(submitted["event_key"]), partner)

    async def faults(self, played: Played) -> list[str]:
        people, partner = played.people, played.facts
        found = await standing(people, second_of(partner)), await licences_left(people, partner)
        return [*not_undone(played), *unlike(found, (Standing(), 1)), *await people.broken_invariants()]


class PartnerOutsold(Undone, Prepared):
    """Two orders pass the gate with one licence left; another takes it, and this one is rejected and undone."""

    name = "partner_outsold"
    journey = PARTNER_CUSTOMER_PROVISIONING
    begins_at = "claim.in_tx"
    ends_as = "rejected"

    def __init__(self) -> None:
        self._second: dict[JourneyLab, tuple[Installation, int]] = {}

    async def prepare(self, people: JourneyLab) -> None:
        """Of a partner of its own: one that has passed the gate, where its worker was lost; and the one that wins."""
        partner = await partner_of_one(people)
        terms = {"commission_type": "percentage", "commission_amount": "49.90", "currency": "EUR"}
        order = {"partner_id": partner, **terms, **an_order(second_of(partner), 1)}
        del order["sale_amount"]
        run = await begun_by_hand(people, self.journey.name, order)
        await walk(run, stop_at="create_partner_customer.committed", outside=False)
        assert (await run.result("check_license_quota"))["available"] is True
        async with people.appliance.database.begin() as db:  # else the lane's worker finds it when this takes long
            (await db.get_one(RunRow, run.id)).updated_at = people.clock.now() + timedelta(days=1)
        async with people.appliance.database.begin() as db:
            won = await people.appliance.partner_desk(db).submit(
                partner, an_order(first_of(partner), 1), by="the partner"
            )
        ended = await (await people.run_of(won["event_key"])).until_ended()
        assert ended.summary.state == "completed", ended.summary.reason
        self._second[people] = run, partner

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        run, partner = self._second.pop(people)
        async with people.appliance.database.begin() as db:
            assert await people.appliance.runs.restart(db, run.id, 1, "its worker was lost", most_restarts=9)
        return Scene(people, shop, run, partner)

    async def faults(self, played: Played) -> list[str]:
        people, partner = played.people, played.facts
        won, lost = [await standing(people, who(partner)) for who in (first_of, second_of)]
        return [
            *not_undone(played),
            *unlike(lost, Standing(customers=("withdrawn",))),
            *unlike(
                (won.customers, won.licences, won.earned_minor, await licences_left(people, partner)),
                (("active",), ("active",), 624, 0),
            ),
            *await people.broken_invariants(),
        ]


async def partner_of_one(people: JourneyLab) -> int:
    """A partner of its own, with one licence to give."""
    partner = FIRST_OF_ONE + people.household().number
    async with people.appliance.database.begin() as db:
        await Partners(db, tenant_id=people.appliance.tenant_id, now=people.clock.now).register(
            partner_id=partner,
            name=f"Kleinnetz {partner}",
            email=f"orders@kleinnetz{partner}.example",
            license_template_id=1,
            license_quota=1,
            commission=CommissionTerms("percentage", "EUR", basis_points=1250),
        )
    return partner


async def licences_left(people: JourneyLab, partner: int) -> int:
    async with people.appliance.database.read() as db:
        service = PartnerService(db, tenant_id=people.appliance.tenant_id, now=people.clock.now)
        return (await service.partner(partner))["quota_remaining"]


def first_of(partner: int) -> str:
    """Who gets the last licence, by their mail address."""
    return f"first@kleinnetz{partner}.example"


def second_of(partner: int) -> str:
    return f"second@kleinnetz{partner}.example"


class PartnerUndone(MailRefused, PartnerServed):
    """Its mail is refused, and an operator cancels it."""

    name = "partner_undone"

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
