"""Customers choose the time of a visit that nobody has booked: the run hears of it, and nobody is sent twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial.tables import Mail
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from provisioning.field import (
    InvitationOver,
    InvitationRecord,
    Invitations,
    InvitationUnknown,
    Jobs,
    JobUnknown,
    NobodyFree,
    NoTimeAwaited,
    TechnicianBusy,
    Technicians,
    Visit,
    VisitRecord,
)
from provisioning.first_slots import ChosenFirst
from tests.provisioning.test_order_visits import CUSTOMER, ORDER, told, waiting, waiting_order
from tests.support.appliances import ESTATE, Original
from workflows import RunUnknown, show_run
from workflows.engine.tables import RunRow

MORNING = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
"""Of a Wednesday, so that neither an evening nor a day without work lies between it and the times it is about."""


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    settings = migrated.copy(tmp_path, public_url="https://isp.example", isp_name="Isp", customer_moves=2)
    async with open_appliance(settings, clock=lambda: MORNING) as opened:
        await import_estate(opened, ESTATE)
        async with opened.database.begin() as db:
            await Technicians(db, tenant_id=opened.tenant_id).register(technician_id=8, name="Theo", skills=["roof"])
            await Jobs(db, tenant_id=opened.tenant_id).define(
                name="install", duration_minutes=90, window_minutes=30, skills=["roof"]
            )
        yield opened


def nine(appliance: Appliance, days: int) -> datetime:
    local = appliance.clock().astimezone(appliance.zone) + timedelta(days=days)
    return local.replace(hour=9, minute=0, second=0, microsecond=0)


async def invite(appliance: Appliance, run_id: int, **more: object) -> InvitationRecord:
    async with appliance.database.begin() as db:
        wish: dict[str, object] = {"run_id": run_id, "job": "install", "by": "dora", **more}
        return await appliance.first_slots(db).invite(**wish)  # type: ignore[arg-type]


async def look_for(appliance: Appliance, invited: InvitationRecord, starts_at: datetime) -> ChosenFirst:
    async with appliance.database.read() as db:
        return await appliance.first_slots(db).choose(invited, starts_at=starts_at)


async def book(appliance: Appliance, chosen: ChosenFirst) -> VisitRecord:
    async with appliance.database.begin() as db:
        return await appliance.first_slots(db).book(chosen, by="one-time link")


async def choose(appliance: Appliance, invited: InvitationRecord, starts_at: datetime) -> VisitRecord:
    return await book(appliance, await look_for(appliance, invited, starts_at))


@pytest.mark.both_databases
async def test_a_customer_is_invited_by_mail_chooses_a_time_and_the_installation_hears_of_it(
    appliance: Appliance,
) -> None:
    run_id = await waiting(appliance, "T-1")
    invited = await invite(appliance, run_id)
    async with appliance.database.read() as db:
        [mail] = await db.scalars(select(Mail).order_by(Mail.id))
        notes = (await show_run(db, run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)).notes
        choice = await appliance.first_slots(db).look(invited["invitation_id"])
    assert re.search(r"https://isp\.example/links/v1\.choose_visit\.", mail.text)
    assert str(ORDER) in mail.text and invited["address"] in mail.text
    assert "the customer may choose a time by the link in their mail" in notes[-1].text
    assert {each["technician_id"] for each in choice.times} == {8}  # alone able to do it
    wanted = nine(appliance, 3)
    assert wanted in [each["starts_at"] for each in choice.times]

    visit = await choose(appliance, invited, wanted)

    assert (visit["starts_at"], visit["ends_at"], visit["technician_id"]) == (wanted, wanted + timedelta(minutes=90), 8)
    assert (visit["customer_id"], visit["order_id"], visit["job"]) == (CUSTOMER, ORDER, "install")
    assert await appliance.order_visits.tell() == 1
    [(told_run, name, payload)] = await told(appliance)
    assert (told_run, name, payload["visit_id"], payload["technician_id"]) == (
        run_id,
        "appointment",
        visit["visit_id"],
        8,
    )
    async with appliance.database.read() as db:
        choice = await appliance.first_slots(db).look(invited["invitation_id"])
        known = Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        assert await known.invitations(only_open=True) == []
        [kept] = await known.invitations()
    assert (choice.visit, choice.times, kept["visit_id"]) == (visit, [], visit["visit_id"])


@pytest.mark.both_databases
async def test_an_orders_run_that_waits_for_a_day_hears_of_it_too(appliance: Appliance) -> None:
    order_id, run_id = await waiting_order(appliance)
    with pytest.raises(InvalidRequest, match="address"):
        await invite(appliance, run_id)  # the order knows none
    invited = await invite(appliance, run_id, address="Lindenweg 4")
    visit = await choose(appliance, invited, nine(appliance, 2))
    assert (visit["order_id"], visit["address"]) == (order_id, "Lindenweg 4")
    assert await appliance.order_visits.tell() == 1
    [(told_run, name, payload)] = await told(appliance)
    assert (told_run, name, payload["visit_id"]) == (run_id, "deployment_date", visit["visit_id"])


@pytest.mark.both_databases
async def test_of_many_customers_who_choose_one_time_one_gets_it_and_the_others_are_told_of_others(
    appliance: Appliance,
) -> None:
    wanted, invited = nine(appliance, 3), list[InvitationRecord]()
    for number in range(4):
        run_id = await waiting(appliance, f"T-{number}", order_id=7000 + number)
        invited.append(await invite(appliance, run_id))
    chosen = [await look_for(appliance, each, wanted) for each in invited]
    answers = await asyncio.gather(*(book(appliance, each) for each in chosen), return_exceptions=True)
    booked = [each for each in answers if not isinstance(each, BaseException)]
    refused = [each for each in answers if isinstance(each, TechnicianBusy)]
    assert (len(booked), len(refused)) == (1, 3)
    await appliance.alternatives.tell(refused[0])
    assert [each["starts_at"] for each in refused[0].alternatives] != []
    with pytest.raises(NobodyFree, match="Nobody can come at"):
        await look_for(appliance, invited[0] if invited[0]["order_id"] != booked[0]["order_id"] else invited[1], wanted)


@pytest.mark.both_databases
async def test_an_invitation_is_over_with_a_newer_one_a_visit_or_its_runs_wait(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    first, second = await invite(appliance, run_id), await invite(appliance, run_id)
    with pytest.raises(InvitationOver):
        await choose(appliance, first, nine(appliance, 3))
    chosen = await look_for(appliance, second, nine(appliance, 3))
    async with appliance.database.begin() as db:  # dispatch is quicker
        by_hand = await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER,
            technician_id=8,
            starts_at=nine(appliance, 4),
            address="here",
            job="install",
            order_id=ORDER,
            by="dora",
        )
    with pytest.raises(InvitationOver):
        await book(appliance, chosen)
    async with appliance.database.read() as db:
        choice = await appliance.first_slots(db).look(second["invitation_id"])
    assert choice.visit == by_hand
    with pytest.raises(NoTimeAwaited, match="or its order has a visit"):
        await invite(appliance, run_id)
    other = await waiting(appliance, "T-2", order_id=7001)
    invited = await invite(appliance, other)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == other).values(waiting_for="visit"))
    with pytest.raises(InvitationOver):
        await choose(appliance, invited, nine(appliance, 5))


async def test_who_books_by_hand_in_the_same_moment_leaves_no_second_visit(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    invited = await invite(appliance, await waiting(appliance, "T-1"))
    chosen = await look_for(appliance, invited, nine(appliance, 3))
    async with appliance.database.begin() as db:
        people = Technicians(db, tenant_id=appliance.tenant_id)
        await people.register(technician_id=9, name="Uma", skills=["roof"])
        by_hand = await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER,
            technician_id=9,
            starts_at=nine(appliance, 4),
            address="here",
            job="install",
            order_id=ORDER,
            by="dora",
        )

    async def sees_none(*_: object, **__: object) -> None:
        """As it stood a moment before."""

    with pytest.raises(InvitationOver):
        async with appliance.database.begin() as db:
            slots = appliance.first_slots(db)
            monkeypatch.setattr(slots, "_visit", sees_none)
            await slots.book(chosen, by="one-time link")
    async with appliance.database.read() as db:
        assert list(await db.scalars(select(Visit.id))) == [by_hand["visit_id"]]


async def test_an_order_whose_wait_ends_soon_may_still_be_visited_later(appliance: Appliance) -> None:
    _, run_id = await waiting_order(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(wake_at=nine(appliance, 2)))
    invited = await invite(appliance, run_id, address="here")
    assert invited["expires_at"] == nine(appliance, 2)
    assert (await choose(appliance, invited, nine(appliance, 5)))["starts_at"] == nine(appliance, 5)


async def test_nobody_is_invited_to_what_nobody_can_do_or_not_in_time(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="dive", duration_minutes=60, skills=["diving"])
        soon = appliance.clock() + timedelta(hours=20)
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(wake_at=soon))
    with pytest.raises(InvalidRequest) as refused:
        await invite(appliance, run_id, job="dive")
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        ("job", "is dive, and no technician is able to do it: diving"),
        ("run_id", "gives its addresses back before anybody could come whose time is still to be chosen"),
    ]


async def test_nobody_is_offered_a_time_after_the_run_has_given_its_addresses_back(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    gives_up = nine(appliance, 2)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(wake_at=gives_up))
    invited = await invite(appliance, run_id, days=30)
    assert invited["expires_at"] == gives_up
    async with appliance.database.read() as db:
        choice = await appliance.first_slots(db).look(invited["invitation_id"])
    assert choice.times != [] and max(each["ends_at"] for each in choice.times) <= gives_up
    assert choice.later_from is None


async def test_all_that_is_wrong_with_an_invitation_is_named_and_nothing_is_written(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    with pytest.raises(InvalidRequest) as refused:
        await invite(appliance, run_id, latitude=53.0, days=31, address="x" * 501)
    assert {fault.field for fault in refused.value.faults} == {"longitude", "address", "days"}
    with pytest.raises(JobUnknown):
        await invite(appliance, run_id, job="juggling")
    with pytest.raises(RunUnknown):
        await invite(appliance, 99)
    async with appliance.database.read() as db:
        assert list(await db.scalars(select(Mail.id))) == []
        with pytest.raises(InvitationUnknown, match="There is no invitation 1"):
            await appliance.first_slots(db).look(1)
