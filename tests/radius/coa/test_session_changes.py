"""A change of a subscriber reaches FreeRADIUS and every open session, once, whatever NASes answer and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from radius import (
    CoaTerms,
    IllegalMove,
    PlanTerms,
    RequestConflict,
    SubscriberTerminated,
)
from radius.projection.freeradius_tables import radacct
from radius.tables import Plan
from tests.radius.conftest import ADDRESSES, PLAN, Site
from tests.radius.online import FASTER, GARDEN, POOL_GARDEN, Line, go_online

VERBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("change_plan", {"plan": FASTER}),
    ("suspend", {}),
    ("resume", {}),
    ("rotate_password", {}),
)


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def test_a_change_of_plan_is_at_the_session_and_at_the_next_login_and_proven_by_an_interim(line: Line) -> None:
    change = await line.act("change_plan", plan=FASTER, request_id="r1")
    assert (change["state"], change["sessions"]) == ("pending", [])

    assert await line.changes.deliver_due() == 1

    [request] = line.nas.disconnects.requests
    assert (request.code, request.attributes["Mikrotik-Rate-Limit"]) == (43, "50000k/250000k")
    told = await line.shown(change)
    assert [(one["said"], one["confirmed_at"]) for one in told["sessions"]] == [("changed", None)]
    assert told["state"] == "pending"  # an ACK is no proof
    assert (await line.login()).attributes["Mikrotik-Rate-Limit"] == ("50000k/250000k",)

    await line.interim()
    proven = await line.later(change)
    assert proven["state"] == "confirmed"
    assert proven["sessions"][0]["confirmed_at"] is not None
    assert len(line.nas.disconnects.requests) == 1
    assert await line.act("change_plan", plan=FASTER, request_id="r1") == proven
    with pytest.raises(RequestConflict):
        await line.act("change_plan", plan=PLAN, request_id="r1")


async def test_a_hard_suspension_refuses_logins_ends_the_session_and_keeps_the_password(line: Line) -> None:
    password = await line.site.password(line.subscriber)
    told = await line.changes.deliver((await line.act("suspend"))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert not line.nas.sessions
    refused = await line.login()
    assert (refused.code, refused.attributes["Reply-Message"]) == ("Access-Reject", ("This service is suspended.",))
    assert await line.act("suspend") == told
    line.behind -= timedelta(seconds=7)  # it was let in before, and its Accounting-Start is slow
    await line.nas.accounting_start(replace(line.session, session_id="late"))
    told = await line.changes.deliver(told["change_id"])
    assert [(one["session_id"], one["said"]) for one in told["sessions"]][1:] == [("late", "disconnected")]
    line.behind -= timedelta(seconds=60)
    assert (await line.changes.deliver(told["change_id"]))["state"] == "pending"
    assert not line.nas.sessions
    with pytest.raises(IllegalMove):  # only a resumption lifts it
        async with line.site.database.begin() as db:
            await line.site.service(db).activate(subscriber_id=line.id)

    back = await line.changes.deliver((await line.act("resume"))["change_id"])
    assert back["sessions"] == []  # the suspension has ended all of them
    assert await line.site.password(line.subscriber) == password
    again = await line.login()
    assert (again.code, again.framed_ip_address) == ("Access-Accept", ADDRESSES.ipv4)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_nas_whose_clock_is_wrong_hides_no_session_and_its_earlier_interim_proves_nothing(
    line: Line, hours: int
) -> None:
    line.behind = timedelta(0)
    async with line.site.radius_database.begin() as db:
        its_time = datetime.now(UTC) + timedelta(hours=hours, seconds=-1)
        mine = update(radacct).where(radacct.c.username == line.subscriber["username"])
        await db.execute(mine.values(acctstarttime=its_time, acctupdatetime=its_time))
    change = await line.act("change_plan", plan=FASTER)
    assert [one["said"] for one in (await line.changes.deliver(change["change_id"]))["sessions"]] == ["changed"]
    assert (await line.later(change))["sessions"][0]["confirmed_at"] is None
    async with line.site.radius_database.begin() as db:
        await db.execute(mine.values(acctupdatetime=its_time + timedelta(seconds=300), acctsessiontime=300))
    assert (await line.later(change))["sessions"][0]["confirmed_at"] is not None


async def test_a_session_is_ended_where_its_nas_cannot_be_told_the_plan_that_it_comes_to(line: Line) -> None:
    async with line.site.database.begin() as db:
        terms = PlanTerms(100_000, 20_000, vrf="business", where_untold="refuse_login")
        await line.site.service(db).define_plan(name="business", terms=terms)
    await line.site.projector.project_plans()
    told = await line.changes.deliver((await line.act("change_plan", plan="business"))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert (await line.login()).code == "Access-Reject"
    back = await line.changes.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    assert (back["sessions"], (await line.login()).code) == ([], "Access-Accept")


async def test_a_policy_garden_keeps_the_address_and_the_session_and_its_end_needs_a_login(line: Line) -> None:
    told = await line.changes.deliver((await line.act("suspend", garden=GARDEN))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["changed"]
    [request] = line.nas.disconnects.requests
    assert request.attributes["Mikrotik-Address-List"] == "unpaid"
    inside = await line.login()
    assert (inside.framed_ip_address, inside.attributes["Mikrotik-Rate-Limit"]) == (ADDRESSES.ipv4, ("500k/1000k",))

    back = await line.changes.deliver((await line.act("resume"))["change_id"])
    # MikroTik is not told by silence that an address list is over
    assert [one["said"] for one in back["sessions"]] == ["disconnected"]
    assert "Mikrotik-Address-List" not in (await line.login()).attributes


async def test_a_pool_garden_withholds_the_address_and_begins_with_a_new_session(line: Line) -> None:
    told = await line.changes.deliver((await line.act("suspend", garden=POOL_GARDEN))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    inside = await line.login()
    assert (inside.code, inside.framed_ip_address) == ("Access-Accept", None)
    assert inside.attributes["Framed-Pool"] == ("garden",)
    assert inside.attributes["Mikrotik-Address-List"] == ("unpaid",)
    assert "Delegated-IPv6-Prefix" not in inside.attributes


async def test_every_session_is_told_also_one_that_began_just_before(line: Line) -> None:
    line.behind = timedelta(0)
    second = replace(line.session, session_id="second")
    await line.nas.accounting_start(second)
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert {one["session_id"]: one["said"] for one in told["sessions"]} == {
        line.session.session_id: "changed",
        "second": "changed",
    }


async def test_a_plan_that_was_edited_since_is_no_word_for_what_its_sessions_have(line: Line) -> None:
    async with line.site.database.begin() as db:
        edited = PlanTerms(download_kbps=250_000, upload_kbps=50_000)
        await line.site.service(db).define_plan(name=PLAN, terms=edited)
        await db.execute(update(Plan).values(updated_at=datetime.now(UTC) - timedelta(minutes=1)))
    change = await line.act("change_plan", plan=FASTER)  # which is now alike
    told = await line.changes.deliver(change["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["changed"]
    [request] = line.nas.disconnects.requests
    assert request.attributes["Mikrotik-Rate-Limit"] == "50000k/250000k"
    await line.interim()
    assert (await line.later(change))["state"] == "confirmed"

    line.behind = timedelta(0)
    again = await line.changes.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    assert [one["said"] for one in again["sessions"]] == ["as_wished"]  # since it is known what it was brought to


async def test_a_refused_coa_becomes_a_disconnect_unless_its_nas_may_not(line: Line) -> None:
    line.nas.disconnects.mood.refuses_changes = 401
    await set_coa(line, CoaTerms(may_end=False))
    change = await line.act("change_plan", plan=FASTER)
    told = await line.changes.deliver(change["change_id"])
    assert [(one["said"], one["error_cause"]) for one in told["sessions"]] == [("refused", 401)]
    assert (told["state"], told["attempts"]) == ("pending", 1)

    await set_coa(line, CoaTerms())
    told = await line.changes.deliver(change["change_id"])
    [session] = told["sessions"]
    assert session["said"] == "disconnected"
    assert session["reason"] == (
        f"NAS {line.nas.name} refused to change it: Unsupported Attribute (401); NAS {line.nas.name} has ended it"
    )


async def set_coa(line: Line, coa: CoaTerms) -> None:
    async with line.site.database.begin() as db:
        await line.site.service(db).define_nas(
            name=line.nas.name,
            address=line.nas.source_address,
            dialect="mikrotik",
            coa_port=line.nas.disconnects.port,
            coa=coa,
        )


async def test_silence_stays_pending_and_visible_and_is_asked_again_later(line: Line) -> None:
    line.nas.disconnects.mood.silent = True
    change = await line.act("change_plan", plan=FASTER)
    told = await line.changes.deliver(change["change_id"])
    [session] = told["sessions"]
    assert (session["said"], told["state"], told["attempts"]) == ("unanswered", "pending", 1)
    assert session["reason"].endswith("did not answer 2 CoA-Requests")
    assert told["carried_at"] is not None
    assert session["asked_at"] is not None
    assert session["asked_at"] - told["carried_at"] > timedelta(seconds=0.1)  # when it had been waited for
    assert await line.changes.deliver_due() == 0  # not yet
    line.nas.disconnects.mood.silent = False
    line.behind -= timedelta(seconds=40)
    assert await line.changes.deliver_due() == 1
    assert [one["said"] for one in (await line.shown(change))["sessions"]] == ["changed"]


async def test_an_ack_has_as_long_as_the_former_interval_asks_for(line: Line) -> None:
    async with line.site.database.begin() as db:
        often = PlanTerms(download_kbps=250_000, upload_kbps=50_000, interim_interval_seconds=60)
        await line.site.service(db).define_plan(name=FASTER, terms=often)
    change = await line.act("change_plan", plan=FASTER)
    await line.changes.deliver(change["change_id"])
    await line.later(change)  # more than three of the plan's intervals on, and the session keeps that of the former
    assert len(line.nas.disconnects.requests) == 1


async def test_who_was_not_asked_since_the_nas_had_just_been_silent_is_said_so_and_is_no_failed_attempt(
    line: Line,
) -> None:
    line.nas.disconnects.mood.silent = True
    one_process = line.changes
    first = await one_process.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    told = await one_process.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    [session] = told["sessions"]
    assert (session["said"], session["asked_at"], told["attempts"]) == ("not_asked", None, 0)
    assert session["reason"].endswith("has just been silent, and is asked again later")

    again = await line.changes.deliver(told["change_id"])  # by a process that does not know
    assert [one["said"] for one in again["sessions"]] == ["unanswered"]
    asked_at = again["sessions"][0]["asked_at"]
    assert (again["attempts"], asked_at is None) == (1, False)
    left_alone = await one_process.deliver(told["change_id"])
    assert (left_alone["sessions"][0]["said"], left_alone["sessions"][0]["asked_at"]) == ("unanswered", asked_at)
    assert (left_alone["attempts"], first["attempts"]) == (1, 1)


async def test_a_session_that_its_nas_does_not_know_is_closed_in_accounting(line: Line) -> None:
    line.nas.sessions.clear()
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    [session] = told["sessions"]
    assert (session["said"], session["error_cause"], session["confirmed_at"] is None) == ("unknown_to_nas", 503, False)
    assert await line.site.sessions.open_sessions(line.subscriber["username"]) == []


async def test_a_later_change_takes_over_what_an_earlier_one_has_not_brought_about(line: Line) -> None:
    line.nas.disconnects.mood.silent = True
    first = await line.act("suspend", garden=GARDEN)
    await line.changes.deliver(first["change_id"])
    line.nas.disconnects.mood.silent = False
    second = await line.act("resume")
    told = await line.changes.deliver(second["change_id"])
    assert (await line.shown(first))["state"] == "superseded"
    # the session may have got the garden's list by a request that was not answered
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]


async def test_who_dies_after_asking_leaves_it_due_again_and_nobody_overtakes_meanwhile(line: Line) -> None:
    change = await line.act("change_plan", plan=FASTER)
    dying = line.changes

    async def killed(*_arguments: Any, **_more: Any) -> None:
        raise asyncio.CancelledError

    dying._conclude = killed  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        await dying.deliver(change["change_id"])
    assert len(line.nas.disconnects.requests) == 1
    later = await line.act("change_plan", plan=PLAN)
    assert (await line.changes.deliver(later["change_id"]))["carried_at"] is None  # the dead one may still be at it
    line.behind -= timedelta(seconds=310)  # a NAS takes no request of an earlier or later time than 300 s
    assert await line.changes.deliver_due() == 1
    assert line.nas.disconnects.requests[-1].attributes["Mikrotik-Rate-Limit"] == "20000k/100000k"
    assert [one["said"] for one in (await line.shown(later))["sessions"]] == ["changed"]


async def test_a_new_password_is_good_at_the_next_login_and_no_session_ends(line: Line) -> None:
    former = await line.site.password(line.subscriber)
    change = await line.act("rotate_password", request_id="r7")
    assert await line.act("rotate_password", request_id="r7") == change
    fresh = await line.site.password(line.subscriber)
    assert (fresh != former, len(fresh), fresh in str(change)) == (True, 20, False)
    told = await line.changes.deliver(change["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["as_wished"]
    assert line.nas.disconnects.requests == []
    assert (await line.nas.login(line.subscriber["username"], former)).code == "Access-Reject"
    assert (await line.login()).code == "Access-Accept"


async def test_nothing_is_done_to_who_is_not_in_service(line: Line) -> None:
    async with line.site.database.begin() as db:
        await line.site.service(db).return_to_pending(subscriber_id=line.id)
    for verb, said in VERBS:
        with pytest.raises(IllegalMove):
            await line.act(verb, **said)
    async with line.site.database.begin() as db:
        await line.site.service(db).begin_testing(subscriber_id=line.id, until=datetime.now(UTC) + timedelta(hours=1))
    for verb, said in VERBS:
        with pytest.raises(IllegalMove, match=f"^Subscriber {line.subscriber['username']} is testing and "):
            await line.act(verb, **said)
    async with line.site.database.begin() as db:
        await line.site.service(db).terminate(subscriber_id=line.id)
    with pytest.raises(SubscriberTerminated):
        await line.act("change_plan", plan=FASTER)


async def test_another_address_ends_the_session_and_is_given_to_the_next_login(line: Line) -> None:
    wanted = replace(ADDRESSES, ipv4="100.64.7.10")
    told = await line.changes.deliver((await line.act("readdress", addresses=wanted))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert (await line.login()).framed_ip_address == "100.64.7.10"
    assert await line.act("readdress", addresses=wanted) is None
    await line.act("suspend", garden=POOL_GARDEN)
    assert await line.act("readdress", addresses=ADDRESSES) is None  # it is given none of them there


async def test_a_disconnection_ends_what_is_open_and_nothing_that_logs_in_since(line: Line) -> None:
    change = await line.act("disconnect")
    assert await line.act("disconnect") == change  # it is under way already
    told = await line.changes.deliver(change["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert not line.nas.sessions
    assert (await line.login()).code == "Access-Accept"
    line.behind -= timedelta(seconds=30)
    await line.nas.accounting_start(replace(line.session, session_id="anew"))
    await line.nas.stops_told()
    told = await line.later(change)
    assert [one["session_id"] for one in told["sessions"]] == [line.session.session_id]
    assert told["sessions"][0]["confirmed_at"] is not None
    assert len(line.nas.disconnects.requests) == 1
    assert (await line.act("disconnect"))["change_id"] != change["change_id"]


async def test_who_is_set_right_is_told_all_of_it_though_nothing_was_changed(line: Line) -> None:
    change = await line.act("set_right")
    told = await line.changes.deliver(change["change_id"])
    [request] = line.nas.disconnects.requests
    assert request.code == 43
    assert [(one["said"], one["confirmed_at"]) for one in told["sessions"]] == [("changed", None)]
    await line.interim()
    assert (await line.later(change))["state"] == "confirmed"
