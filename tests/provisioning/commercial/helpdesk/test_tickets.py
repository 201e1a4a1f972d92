"""Tickets: due by their priority, moved by the rules, taken back once, and listed as they are due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    CustomerService,
    CustomerUnknown,
    Teams,
    TeamUnknown,
    TicketCancelled,
    TicketChanged,
    TicketDesk,
    TicketingService,
    TicketMoveRefused,
    TicketUnknown,
)
from provisioning.commercial.helpdesk.ticket_desk import DUE_WITHIN, MOVES
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.vault import SecretVault
from tests.provisioning.commercial.conftest import NOW, TENANT

WISH: dict[str, Any] = {
    "title": "Welcome call",
    "description": "Call Ada.\nShe has asked about IPv6.",
    "customer_id": 42,
    "priority": "normal",
    "assigned_team": "onboarding",
}


def service(db: AsyncSession) -> TicketingService:
    return TicketingService(db, tenant_id=TENANT, now=lambda: NOW)


def desk(db: AsyncSession, now: datetime = NOW, tenant_id: str = TENANT) -> TicketDesk:
    return TicketDesk(db, tenant_id=tenant_id, now=lambda: now)


@pytest.fixture
async def isp(begin: Begin, vault: SecretVault) -> AsyncIterator[Begin]:
    async with begin() as db:
        for team in ("onboarding", "noc"):
            await Teams(db, tenant_id=TENANT, vault=vault, allowed=()).define(name=team, channels={})
        await CustomerService(db, tenant_id=TENANT, now=lambda: NOW).register(
            name="Ada", email="ada@example.com", customer_id=42
        )
    yield begin


@pytest.mark.parametrize(("priority", "hours"), [("urgent", 4), ("high", 24), ("normal", 72), ("low", 168)])
async def test_a_ticket_is_open_and_due_by_its_priority(isp: Begin, priority: str, hours: int) -> None:
    async with isp() as db:
        created = await service(db).create_ticket(**WISH | {"priority": priority})
    assert created == {
        "ticket_id": 1,
        "customer_id": 42,
        "title": "Welcome call",
        "priority": priority,
        "assigned_team": "onboarding",
        "state": "open",
        "due_at": NOW + timedelta(hours=hours),
    }


async def test_the_same_request_is_one_ticket_also_at_the_same_moment_and_after_it_was_moved(isp: Begin) -> None:
    async def create() -> int:
        async with isp() as db:
            return (await service(db).create_ticket(**WISH, request_id="run/1/ticket"))["ticket_id"]

    (ticket_id,) = set(await asyncio.gather(*(create() for _ in range(5))))
    async with isp() as db:
        await desk(db).update(ticket_id=ticket_id, assigned_team="noc", priority="high", state="resolved")
        again = await service(db).create_ticket(**WISH, request_id="run/1/ticket")
        assert (again["ticket_id"], again["state"], again["assigned_team"]) == (ticket_id, "resolved", "noc")
        for other in ({"priority": "high"}, {"assigned_team": "noc"}, {"customer_id": None}):
            with pytest.raises(RequestConflict, match="already made ticket"):
                await service(db).create_ticket(**WISH | other, request_id="run/1/ticket")


async def test_everything_that_is_wrong_with_a_ticket_is_named_at_once(isp: Begin) -> None:
    async with isp() as db:
        with pytest.raises(InvalidRequest) as refused:
            await service(db).create_ticket(
                title="a\nb", description="\x07", customer_id=0, priority="asap", assigned_team=""
            )
        assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
            ("title", "holds a line break or another control character"),
            ("description", "holds a control character"),
            ("customer_id", "is not a positive whole number"),
            ("priority", "is none of low, normal, high, urgent"),
            ("assigned_team", "is missing"),
        ]
        with pytest.raises(CustomerUnknown):
            await service(db).create_ticket(**WISH | {"customer_id": 43})
        with pytest.raises(TeamUnknown, match="there are: noc, onboarding"):
            await service(db).create_ticket(**WISH | {"assigned_team": "sales"})
        assert await desk(db).tickets() == []


async def test_taking_a_ticket_back_cancels_it_once_and_leaves_one_that_was_dealt_with(isp: Begin) -> None:
    async with isp() as db:
        first = (await service(db).create_ticket(**WISH, request_id="run/1/ticket"))["ticket_id"]
        closed = await service(db).close_ticket(ticket_id=first, reason="the run was undone")
        assert closed["state"] == "cancelled"
        assert await service(db).close_ticket(ticket_id=first, reason="again") == closed
        kept = await desk(db).ticket(first)
        assert (kept["note"], kept["ended_at"], kept["version"]) == ("the run was undone", NOW, 2)
        with pytest.raises(TicketCancelled):
            await service(db).create_ticket(**WISH, request_id="run/1/ticket")
        second = (await service(db).create_ticket(**WISH))["ticket_id"]
        await desk(db).update(ticket_id=second, state="resolved")
        assert (await service(db).close_ticket(ticket_id=second, reason="undone"))["state"] == "resolved"
        with pytest.raises(TicketUnknown):
            await service(db).close_ticket(ticket_id=99, reason="undone")


async def test_a_ticket_goes_only_where_the_rules_say(isp: Begin) -> None:
    ways: dict[str, list[str]] = {
        "open": [],
        "inProgress": ["inProgress"],
        "resolved": ["resolved"],
        "closed": ["resolved", "closed"],
        "cancelled": ["cancelled"],
    }
    for state, way in ways.items():
        for wanted in MOVES:
            async with isp() as db:
                ticket_id = (await service(db).create_ticket(**WISH))["ticket_id"]
                for step in way:
                    await desk(db).update(ticket_id=ticket_id, state=step)
                if wanted == state or wanted in MOVES[state]:  # type: ignore[index]
                    moved = await desk(db).update(ticket_id=ticket_id, state=wanted)
                    assert moved["state"] == wanted
                    assert (moved["ended_at"] is not None) == (wanted in ("closed", "cancelled"))
                else:
                    with pytest.raises(TicketMoveRefused, match=f"is {state} and can't become {wanted}"):
                        await desk(db).update(ticket_id=ticket_id, state=wanted)


async def test_a_change_counts_only_on_the_version_that_was_seen_and_nothing_new_is_no_change(isp: Begin) -> None:
    async with isp() as db:
        ticket_id = (await service(db).create_ticket(**WISH))["ticket_id"]
        changed = await desk(db, NOW + timedelta(hours=5)).update(
            ticket_id=ticket_id, priority="urgent", note="rang twice", version=1
        )
        assert (changed["due_at"], changed["note"], changed["version"]) == (NOW + DUE_WITHIN["urgent"], "rang twice", 2)
        with pytest.raises(TicketChanged, match=r"\(version 2, not 1\); look again"):
            await desk(db).update(ticket_id=ticket_id, state="inProgress", version=1)
        assert await desk(db).update(ticket_id=ticket_id, state="open", priority="urgent", version=2) == changed
        with pytest.raises(InvalidRequest, match=r"state is none of open.*priority is none of low"):
            await desk(db).update(ticket_id=ticket_id, state="done", priority="asap")


async def test_tickets_are_listed_as_they_are_due_page_by_page_and_by_what_they_are(isp: Begin) -> None:
    async with isp() as db:
        for priority in ("low", "urgent", "normal", "urgent"):
            await service(db).create_ticket(**WISH | {"priority": priority})
        await service(db).create_ticket(**WISH | {"assigned_team": "noc", "customer_id": None, "priority": "high"})
        await desk(db).update(ticket_id=4, state="cancelled")

        async def numbers(**asked: Any) -> list[int]:
            return [each["ticket_id"] for each in await desk(db, NOW + timedelta(days=2)).tickets(**asked)]

        assert await numbers() == [2, 4, 5, 3, 1]
        assert await numbers(limit=2) == [2, 4]
        assert await numbers(after=4) == [5, 3, 1]
        assert await numbers(after=2, limit=1) == [4]
        assert await numbers(overdue=True) == [2, 5]
        assert await numbers(states=["cancelled"]) == [4]
        assert await numbers(team="noc") == [5]
        assert await numbers(customer_id=42, states=["open"]) == [2, 3, 1]
        assert await desk(db, tenant_id="south").tickets() == []
        with pytest.raises(TicketUnknown):
            await numbers(after=99)
