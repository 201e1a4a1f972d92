"""When a change is looked at, by whom, and for what it does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import delete, insert, select, update

from radius import ProjectedSubscriber, Projection, RadiusProjector, Retransmission, Session, SessionChanges
from radius.coa import lanes, preparing
from radius.coa.claims import ChangeClaims
from radius.coa.preparing import Prepared
from radius.coa.treatment import GRACE, LOOK_AGAIN, Answer
from radius.importing.projecting import BulkProjector
from radius.projection.freeradius_tables import radacct, radius_projection
from radius.tables import Nas
from radius.testing import LabNas, LabSession
from tests.radius.conftest import Site
from tests.radius.online import FASTER, QUICKLY, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


class CountingProjector(RadiusProjector):
    """The real one, and how often it was asked, and for which plans."""

    asked = 0
    plans: tuple[int, ...] = ()

    async def project_one(self, kind: Literal["plan", "nas"], source_id: int) -> Projection:
        if kind == "plan":
            self.plans += (source_id,)
        return await super().project_one(kind, source_id)

    async def project_subscriber(self, subscriber_id: int) -> ProjectedSubscriber:
        self.asked += 1
        return await super().project_subscriber(subscriber_id)


async def test_a_change_that_waits_for_an_interim_is_projected_once_and_is_due_at_the_next_interim(line: Line) -> None:
    site = line.site
    site.projector = counting = CountingProjector(
        site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now, secrets=site.secrets
    )
    change = await line.act("change_plan", plan=FASTER)
    first = await line.changes.deliver(change["change_id"])
    assert first["carried_at"] is not None and first["next_at"] is not None
    # who logged in just before may still turn up
    assert first["next_at"] - first["carried_at"] < LOOK_AGAIN + timedelta(seconds=10)

    line.behind -= timedelta(seconds=20)
    second = await line.changes.deliver(change["change_id"])
    [session] = second["sessions"]
    assert (session["said"], session["confirmed_at"]) == ("changed", None)
    assert session["asked_at"] is not None
    assert second["next_at"] == session["asked_at"] + timedelta(seconds=300) + GRACE
    assert counting.asked == 1


async def test_an_interim_that_comes_between_the_request_and_its_ack_is_no_proof(line: Line) -> None:
    line.retransmission = Retransmission(sends=2, first_wait_seconds=5.0)
    line.nas.disconnects.mood.first = line.interim
    change = await line.act("change_plan", plan=FASTER)
    await line.changes.deliver(change["change_id"])
    told = await line.later(change)
    assert [(one["said"], one["confirmed_at"]) for one in told["sessions"]] == [("changed", None)]
    await line.interim(seconds=60)
    assert (await line.later(change))["state"] == "confirmed"


async def test_a_worker_that_stops_while_a_nas_is_asked_leaves_the_change_to_the_next_one(line: Line) -> None:
    asked, line.retransmission = asyncio.Event(), Retransmission(sends=1, first_wait_seconds=60)

    async def busy() -> None:
        asked.set()
        await asyncio.Event().wait()

    line.nas.disconnects.mood.first = busy
    change = await line.act("change_plan", plan=FASTER)
    stopping = line.changes
    assert await stopping.start_due() == 0
    await asked.wait()
    await stopping.stop()
    line.nas.disconnects.mood.first = None
    assert await line.changes.deliver_due() == 1
    assert [one["said"] for one in (await line.shown(change))["sessions"]] == ["changed"]


async def test_who_asks_while_another_process_is_at_it_waits_for_what_that_one_has_to_say(line: Line) -> None:
    asked, answering = asyncio.Event(), asyncio.Event()
    line.retransmission = Retransmission(sends=1, first_wait_seconds=60)

    async def busy() -> None:
        asked.set()
        await answering.wait()

    line.nas.disconnects.mood.first = busy
    change = await line.act("change_plan", plan=FASTER)
    worker = line.changes
    assert await worker.start_due() == 0
    await asked.wait()
    at_once = await line.changes.deliver(change["change_id"])
    assert (at_once["sessions"], at_once["state"]) == ([], "pending")
    patient = asyncio.create_task(line.changes.deliver(change["change_id"], pauses=[0.02] * 1000))
    answering.set()
    assert [one["said"] for one in (await patient)["sessions"]] == ["changed"]
    assert await worker.deliver_due() == 1
    line.nas.disconnects.mood.first = None


async def test_a_nas_that_answers_is_not_held_up_by_eight_that_are_silent(line: Line) -> None:
    site = line.site
    silent = [await online_at(line, nas) for nas in await site.nases(["mikrotik"] * 8)]
    for one in silent:
        one.nas.disconnects.mood.silent = True
    changes = [await one.act("change_plan", plan=FASTER) for one in (*silent, line)]
    line.retransmission = Retransmission(sends=2, first_wait_seconds=1.0)

    assert await line.changes.deliver_due() == 9

    *unanswered, healthy = [(await line.shown(change))["sessions"][0] for change in changes]
    assert {one["said"] for one in unanswered} == {"unanswered"}
    assert healthy["said"] == "changed"
    assert healthy["asked_at"] is not None
    assert all(one["asked_at"] is not None and healthy["asked_at"] < one["asked_at"] for one in unanswered)
    for one in silent:
        await one.nas.close()


async def test_a_nas_that_answers_nobody_any_more_does_not_keep_the_places_of_others(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "IN_FLIGHT", 1)
    monkeypatch.setattr(lanes, "STALLED_SECONDS", 0.05)
    [failing] = await line.site.nases(["mikrotik"])
    theirs = [await online_at(line, failing)]
    theirs += [await online_again(line, failing) for _ in range(2)]
    worker = line.changes
    await worker.deliver((await theirs[0].act("set_right"))["change_id"])  # it answers, so that nobody probes it
    failing.disconnects.mood.silent = True
    first, *others = [await one.act("change_plan", plan=FASTER) for one in theirs]
    healthy = await line.act("change_plan", plan=FASTER)
    patience = Retransmission(sends=1, first_wait_seconds=60.0)
    worker._retransmission = patience

    async with asyncio.timeout(30):
        while not (told := (await line.shown(healthy))["sessions"]):
            await worker.start_due(limit=3)
            await asyncio.sleep(0.01)
    assert [one["said"] for one in told] == ["changed"]
    assert (await line.shown(first))["sessions"] == []  # still asked
    put_off = [await line.shown(each) for each in others]
    assert [[one["said"] for one in each["sessions"]] for each in put_off] == [["not_asked"]] * 2
    assert {each["sessions"][0]["reason"].partition(" has ")[2] for each in put_off} == {
        "as many to answer as it can for now, and is asked when these are through"
    }
    assert [each["attempts"] for each in put_off] == [0, 0]
    await worker.stop()
    await failing.close()


async def online_again(line: Line, nas: LabNas) -> Line:
    """One more subscriber there."""
    subscriber = await line.site.active()
    made = Line(line.site, nas, subscriber, LabSession("nobody"))
    made.session = LabSession.after(subscriber["username"], await made.login())
    await nas.accounting_start(made.session)
    return made


async def online_at(line: Line, nas: LabNas) -> Line:
    """Another subscriber on the same plan, who is online there."""
    site = line.site
    port = await nas.listen()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name=nas.name, address=nas.source_address, dialect="mikrotik", coa_port=port)
    return await online_again(line, nas)


async def test_what_has_waited_long_for_its_nas_is_sent_only_while_nobody_else_may_be_at_it(line: Line) -> None:
    begin, minutes = line.site.database.begin, timedelta(minutes=4)
    mine, other = (ChangeClaims(begin, begin, tenant_id=line.site.tenant_id, now=line.now) for _ in range(2))
    change = (await line.act("suspend"))["change_id"]
    assert await mine.take_due([change]) == [change]
    line.behind -= minutes
    assert await mine.keep(change)
    line.behind -= minutes  # past the first lease, not past the one that was renewed
    assert not await other.take(change)
    await line.act("resume")
    assert not await mine.keep(change)  # a later change says what sessions shall have
    line.behind -= minutes
    later = (await line.act("suspend"))["change_id"]
    assert await other.take(later)
    assert not await mine.keep(change)


async def test_who_stops_gives_back_what_is_still_its_own_alone(line: Line) -> None:
    begin = line.site.database.begin
    mine, other, third = (ChangeClaims(begin, begin, tenant_id=line.site.tenant_id, now=line.now) for _ in range(3))
    change = (await line.act("suspend"))["change_id"]
    assert await mine.take_due([change]) == [change]
    line.behind -= timedelta(minutes=6)
    assert await other.take_due([change]) == [change]
    await mine.give_back([change])
    assert await third.take_due([change]) == []
    await other.give_back([change])
    assert await third.take_due([change]) == [change]


async def test_what_is_due_is_taken_at_once_and_by_one_alone(line: Line) -> None:
    begin = line.site.database.begin
    mine, other = (ChangeClaims(begin, begin, tenant_id=line.site.tenant_id, now=line.now) for _ in range(2))
    change = (await line.act("suspend"))["change_id"]
    assert await mine.take_due([change, change + 1]) == [change]
    assert await other.take_due([change]) == []
    later = (await line.act("resume"))["change_id"]
    assert await other.take_due([later]) == []  # somebody is at this subscriber's sessions
    line.behind -= timedelta(minutes=6)
    assert await other.take_due([change, later]) == [later]


async def test_many_are_told_in_one_go_and_one_that_cannot_be_carried_over_holds_up_no_other(line: Line) -> None:
    site = line.site
    others = [await online_at(line, nas) for nas in await site.nases(["mikrotik"] * 2)]
    strange = others[0]
    changes = [await one.act("change_plan", plan=FASTER) for one in (line, *others)]
    async with site.radius_database.begin() as db:  # as if its rows were somebody else's
        mine = radius_projection.c.name == strange.subscriber["username"]
        noted = (await db.execute(select(radius_projection).where(mine))).mappings().one()
        await db.execute(delete(radius_projection).where(mine))

    assert await line.changes.deliver_due() == 2

    told = [await line.shown(change) for change in changes]
    assert [[one["said"] for one in each["sessions"]] for each in told] == [["changed"], [], ["changed"]]
    assert [(each["attempts"], each["carried_at"] is None) for each in told] == [(0, False), (1, True), (0, False)]
    async with site.radius_database.begin() as db:
        await db.execute(insert(radius_projection).values(**noted))
    for one in others:
        await one.nas.close()


async def test_who_is_shown_already_is_not_projected_again_unless_it_is_to_be_set_right(line: Line) -> None:
    site = line.site
    counting = CountingProjector(
        site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now, secrets=site.secrets
    )
    site.projector = counting
    told = await line.changes.deliver((await line.act("disconnect"))["change_id"])
    assert [one["said"] for one in told["sessions"]] == ["disconnected"]
    assert counting.asked == 0
    await line.changes.deliver((await line.act("set_right"))["change_id"])
    assert counting.asked == 1
    async with site.radius_database.begin() as db:  # a later wish than the one that we know of
        mine = radius_projection.c.name == line.subscriber["username"]
        await db.execute(update(radius_projection).where(mine).values(digest="another"))
    await line.changes.deliver((await line.act("disconnect"))["change_id"])
    assert counting.asked == 2
    setting_right = await line.act("set_right")
    await line.changes.deliver((await line.act("disconnect"))["change_id"])  # before it was carried over
    assert ((await line.shown(setting_right))["state"], counting.asked) == ("superseded", 3)


async def test_many_who_are_suspended_are_shown_to_freeradius_in_one_go(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "MANY", 3)
    site = line.site
    counting = CountingProjector(
        site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now, secrets=site.secrets
    )
    site.projector = counting
    everybody = [line, *[await online_again(line, line.nas) for _ in range(2)]]
    common: dict[str, Any] = {"tenant_id": site.tenant_id, "now": line.now, "secrets": site.secrets}
    both = (site.database.begin, site.radius_database.begin)
    many = BulkProjector(*both, projector=counting, **common)
    changes = SessionChanges(*both, projector=counting, retransmission=QUICKLY, many=many, **common)
    counting.asked, counting.plans = 0, ()
    made = [await one.act("suspend") for one in everybody]
    assert await changes.deliver_due() == 3
    told = [await line.shown(each) for each in made]
    assert [[one["said"] for one in each["sessions"]] for each in told] == [["disconnected"]] * 3
    assert (counting.asked, len(counting.plans)) == (0, 1)
    for one in everybody:
        assert (await one.login()).code == "Access-Reject"


async def test_a_round_that_could_not_be_kept_is_held_on_to_until_it_is(line: Line) -> None:
    begin = line.site.database.begin
    mine, other = (ChangeClaims(begin, begin, tenant_id=line.site.tenant_id, now=line.now) for _ in range(2))
    change = (await line.act("suspend"))["change_id"]
    assert await mine.take_due([change]) == [change]
    leased = mine._held[change]
    with pytest.raises(OSError, match="no space"):
        async with mine.giving_up([change]) as give_up:
            assert give_up(change, leased) is None
            raise OSError("no space left")
    async with mine.giving_up([change]) as give_up:
        assert give_up(change, leased) is None
    assert not await mine.keep(change)
    async with other.giving_up([change]) as give_up:
        assert give_up(change, leased) == leased  # somebody else's


async def test_a_nas_whose_secret_does_not_open_holds_up_no_session_of_another(line: Line) -> None:
    site = line.site
    [nas] = await site.nases(["mikrotik"])
    other = await online_at(line, nas)
    async with site.database.begin() as db:
        known = (await db.scalars(select(Nas).where(Nas.name == nas.name))).one()
        await site.secrets.discard(db, known.secret_ref)
    changes = [await one.act("change_plan", plan=FASTER) for one in (line, other)]
    assert await line.changes.deliver_due() == 2
    told = [await line.shown(change) for change in changes]
    assert [[one["said"] for one in each["sessions"]] for each in told] == [["changed"], ["nas_unknown"]]
    # of what is no error of the appliance only the kind is told: its words may hold a secret
    closed = f"the secret of NAS {nas.name} does not open (NoResultFound), so it was not asked"
    assert told[1]["sessions"][0]["reason"] == closed
    assert [each["attempts"] for each in told] == [0, 1]
    await nas.close()


async def test_numbers_of_a_nas_that_no_column_holds_are_its_own_trouble(line: Line) -> None:
    async with line.site.radius_database.begin() as db:
        mine = radacct.c.username == line.subscriber["username"]
        await db.execute(update(radacct).where(mine).values(acctsessiontime=2**32 - 1))
    line.nas.disconnects.mood.refuses_changes = line.nas.disconnects.mood.refuses = 2**32 - 1
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    [session] = told["sessions"]
    assert (session["said"], session["error_cause"]) == ("refused", None)
    assert session["reason"].endswith("refused to end it: a cause of its own")
    assert (told["state"], told["attempts"]) == ("pending", 1)


async def test_what_nobody_thought_of_is_tried_again_later_and_not_left_leased(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = await line.act("suspend")
    worker = line.changes

    async def broken(_change_id: int) -> None:
        raise LookupError("nobody thought of it")

    monkeypatch.setattr(worker, "_prepare", broken)
    with pytest.raises(ExceptionGroup):
        await worker.deliver_due()
    assert (await line.shown(change))["attempts"] == 1
    assert [one["said"] for one in (await line.changes.deliver(change["change_id"]))["sessions"]] == ["disconnected"]


async def test_what_one_nas_answered_is_kept_where_nobody_thought_of_what_another_one_did(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    [nas] = await line.site.nases(["mikrotik"])
    other = LabSession.after(line.subscriber["username"], await line.login())
    await nas.accounting_start(replace(other, session_id="elsewhere"))
    change = await line.act("suspend")
    worker = line.changes
    ask = worker._ask

    async def broken(prepared: Prepared, session: Session, *more: Any) -> Answer:
        if session.session_id == "elsewhere":
            raise LookupError("nobody thought of it")
        return await ask(prepared, session, *more)

    monkeypatch.setattr(worker, "_ask", broken)
    with pytest.raises(ExceptionGroup):
        await worker.deliver_due()
    told = await line.shown(change)
    assert [(one["session_id"], one["said"]) for one in told["sessions"]] == [(line.session.session_id, "disconnected")]
    assert (told["state"], told["attempts"] > 0) == ("pending", True)
