"""Renewals that came to nothing are offered anew, and nobody who leaves is offered any."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial.tables import Subscription
from tests.support.healthy_estate import HealthyEstate
from workflows import list_runs
from workflows.engine.tables import RunRow

INSTALLED = 1
ENDS_ON = date(2026, 6, 30)
RENEWAL = "customer_renewal_process"


async def keys(appliance: Appliance) -> list[str]:
    """Of the renewals that were started by now, the newest first."""
    await appliance.announce_expiring()
    await appliance.events.take_up(appliance.database.begin)
    async with appliance.database.read() as db:
        return [run.business_key for run in await list_runs(db, tenant_id=appliance.tenant_id, journey=RENEWAL)]


async def end_runs(appliance: Appliance, state: str) -> None:
    """As the worker ends them."""
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.journey == RENEWAL).values(state=state))


async def give_term(appliance: Appliance) -> None:
    term = {"starts_on": date(2025, 6, 30), "ends_on": ENDS_ON, "anchor_day": 30, "term_months": 12}
    sold = {"offer_id": 1, "title": "Fibre 300", "price_minor": 3990, "currency": "EUR"}
    async with appliance.database.begin() as db:
        await db.execute(update(Subscription).where(Subscription.id == INSTALLED).values(**term, **sold))


async def test_what_came_to_nothing_is_offered_anew_once_a_day_and_not_to_who_leaves(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    now = datetime(2026, 6, 1, 9, tzinfo=UTC)
    async with open_appliance(sqlite_estate.copy(tmp_path), clock=lambda: now) as appliance:
        await give_term(appliance)
        first = f"subscription/1/ends/{ENDS_ON}"
        assert await keys(appliance) == [first]
        now += timedelta(days=1)
        assert await keys(appliance) == [first], "it is under way"

        await end_runs(appliance, "rejected")  # for a debt, before anything was offered
        assert await keys(appliance) == [first], "it was looked at today"
        now += timedelta(days=1)
        assert await keys(appliance) == [f"{first}/2", first]

        async with appliance.database.begin() as db:
            crm = appliance.services(db).crm_service
            quote = await crm.create_renewal_quote(customer_id=1001, subscription_id=INSTALLED, renewal_term=12)
            await crm.withdraw_renewal_quote(quote_id=quote["quote_id"], reason="a better one comes")
        await end_runs(appliance, "rejected")
        now += timedelta(days=1)
        assert len(await keys(appliance)) == 2, "what was offered was for the customer to accept"
        await end_runs(appliance, "cancelled")
        now += timedelta(days=1)
        assert await keys(appliance) == [f"{first}/3", f"{first}/2", first]

        await end_runs(appliance, "cancelled")
        async with appliance.database.begin() as db:
            wish = {"username": "c1001-s1@isp.example", "ends_on": "2026-06-29", "reason": "moves away"}
            leaving = await appliance.termination_desk(db).accept(wish, by="nora")
        now += timedelta(days=1)
        assert len(await keys(appliance)) == 3
        async with appliance.database.read() as db:
            told = await appliance.services(db).billing_service.check_renewal_eligibility(
                customer_id=1001, subscription_id=INSTALLED
            )
        assert (told["reason_code"], told["reason"]) == (
            "to_be_ended",
            f"Subscription 1 is to end with its service 1 (run {leaving.run_id}).",
        )


async def test_a_planned_end_of_a_hosted_one_speaks_against_its_renewal(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    now = datetime(2026, 6, 1, 9, tzinfo=UTC)
    async with open_appliance(sqlite_estate.copy(tmp_path), clock=lambda: now) as appliance:
        await give_term(appliance)
        async with appliance.database.begin() as db:
            wish = {"to_end_on": date(2026, 6, 20), "to_end_because": "moves away"}
            await db.execute(update(Subscription).where(Subscription.id == INSTALLED).values(**wish))
            told = await appliance.services(db).billing_service.check_renewal_eligibility(
                customer_id=1001, subscription_id=INSTALLED
            )
        assert (told["reason_code"], told["reason"]) == (
            "to_be_ended",
            "Subscription 1 is to end after 2026-06-20 (moves away).",
        )
