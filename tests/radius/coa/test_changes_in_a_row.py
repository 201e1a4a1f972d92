"""A change that comes before an earlier one is borne out: who has come back since has what the earlier one wished."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from radius import LineIdentity, PlanTerms
from radius.coa.former import each_once
from radius.plans.history import FormerTerms
from radius.testing import LabSession
from tests.radius.conftest import ADDRESSES, PLAN, Site
from tests.radius.online import FASTER, Line, go_online

MONTHLY, BURST = PlanTerms(100_000, 20_000), PlanTerms(200_000, 20_000)


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def comes_back(line: Line) -> LabSession:
    line.behind -= timedelta(seconds=7)
    session = LabSession.after(line.subscriber["username"], await line.login())
    await line.nas.accounting_start(session)
    await line.nas.stops_told()
    return session


async def test_who_has_come_back_since_a_disconnection_is_told_of_a_new_plan_and_not_ended_once_more(
    line: Line,
) -> None:
    ended = await line.act("disconnect")
    assert [one["said"] for one in (await line.changes.deliver(ended["change_id"]))["sessions"]] == ["disconnected"]
    back = await comes_back(line)

    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert (await line.shown(ended))["state"] == "superseded"
    assert {one["session_id"]: one["said"] for one in told["sessions"]} == {back.session_id: "changed"}
    assert line.nas.disconnects.requests[-1].attributes["Mikrotik-Rate-Limit"] == "50000k/250000k"

    again = await line.changes.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    assert [one["said"] for one in again["sessions"]] == ["changed"]
    assert len(line.nas.disconnects.requests) == 3


async def test_who_was_not_ended_yet_is_ended_by_the_change_that_follows(line: Line) -> None:
    line.nas.disconnects.mood.silent = True
    moved = await line.act("readdress", addresses=replace(ADDRESSES, ipv4="100.64.7.10"))
    await line.changes.deliver(moved["change_id"])
    line.nas.disconnects.mood.silent = False
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]  # no CoA gives it the other address
    back = await comes_back(line)
    told = await line.changes.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    assert [(one["session_id"], one["said"]) for one in told["sessions"]] == [(back.session_id, "changed")]


async def test_a_change_that_follows_before_freeradius_showed_the_earlier_one_takes_all_of_it_over(line: Line) -> None:
    await line.act("disconnect")
    told = await line.changes.deliver((await line.act("bind", line=LineIdentity(port="ge-0/0/1")))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]


def test_of_terms_that_are_said_twice_those_that_hold_for_more_sessions_are_kept() -> None:
    own, earlier = FormerTerms(MONTHLY), FormerTerms(MONTHLY, until_change=7)
    earliest, ends = FormerTerms(BURST, until_change=3), FormerTerms(MONTHLY, until_change=7, ends=True)
    assert each_once([own, earlier, ends, earliest, earliest]) == (own, ends, earliest)
