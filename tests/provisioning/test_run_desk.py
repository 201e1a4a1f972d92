"""The run desk: what its previews refuse the engine refuses, whichever way the run goes; of many each for itself."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from provisioning.bootstrap import Appliance
from provisioning.commercial import TicketDesk
from provisioning.keeps import acts
from provisioning.run_desk import Decision, RunHandedOver, RunMoved, mark_of
from provisioning.run_previews import Verb, what_may_be_decided
from tests.support.held_runs import AT_AN_UNDO, BACK_TO, PAYING, UNDO_HELD_IN, hold_at_a_payment, hold_in_its_undo
from workflows import RunNotOpenFor
from workflows.engine.tables import RunRow

WAITING, HELD = 2, 3
REFUSED = {"undo": {"retry-from", "cancel"}, "back": {"retry-from"}}
AFTERWARDS = {
    "retry": {"undo": ("inProgress", "undo"), "back": ("inProgress", "back")},
    "skip": {"undo": ("inProgress", "undo"), "back": ("inProgress", "back")},
    "roll-back": {"undo": ("inProgress", "undo"), "back": ("inProgress", "undo")},
    "cancel": {"back": ("inProgress", "back")},
    "hand-over": {"undo": ("held", "undo"), "back": ("held", "back")},
    "note": {"undo": ("held", "undo"), "back": ("held", "back")},
}


@pytest.mark.parametrize("direction", ["undo", "back"])
async def test_what_is_said_of_a_run_that_is_held_while_it_goes_back_is_what_happens(
    spoilable: Appliance, direction: str
) -> None:
    verbs: tuple[Verb, ...] = ("retry", "retry-from", "skip", "roll-back", "cancel", "hand-over", "note")
    async with spoilable.database.begin() as db:
        await hold_in_its_undo(db, direction)
    refused, afterwards = set(), {}
    for verb in verbs:
        async with spoilable.database.begin() as db:
            before, desk = await db.begin_nested(), spoilable.run_desk(db)
            _, seen = await desk.preview(AT_AN_UNDO, verb)
            decision = Decision(verb, reason="the OLT is mended", from_step=BACK_TO, team="onboarding")
            try:
                await desk.decide(AT_AN_UNDO, decision, by="nora")
            except RunNotOpenFor:
                refused.add(verb)
            else:
                view = await desk.run(AT_AN_UNDO)
                afterwards[verb] = (view.summary.state, view.direction)
            assert (seen.refused is not None) == (verb in refused), verb
            await before.rollback()
    assert refused == REFUSED[direction]
    assert afterwards == {verb: ways[direction] for verb, ways in AFTERWARDS.items() if direction in ways}


@pytest.mark.parametrize(("direction", "offered"), [("undo", []), ("back", ["roll-back"])])
async def test_what_is_offered_for_a_run_that_goes_back_is_what_it_takes(
    spoilable: Appliance, direction: str, offered: list[str]
) -> None:
    async with spoilable.database.begin() as db:
        await hold_in_its_undo(db, direction)
        view = await spoilable.run_desk(db).run(AT_AN_UNDO)
        assert what_may_be_decided(view) == ["retry", "skip", *offered, "hand-over", "note"]
        typed = [act.command.split()[2] for act in acts(view)]
        assert typed == ["retry", "skip", *offered, *(["cancel"] if offered else [])]
        assert not any("--from-step" in act.command for act in acts(view))


async def test_a_skip_while_it_undoes_itself_says_what_stays_and_leaves_it(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        await hold_in_its_undo(db, "undo")
        desk = spoilable.run_desk(db)
        view, seen = await desk.preview(AT_AN_UNDO, "skip")
        line = next(step for step in view.steps if step.name == UNDO_HELD_IN).result
        assert seen.touches[0] == "authorise line is not undone: what it has made is left as it is, with your reason."
        assert seen.touches[1].startswith(f"That stays: line order {line['line_order_id']}: ")
        assert (seen.ends, UNDO_HELD_IN in [each.step for each in seen.undone]) == ("partial", False)
        await desk.decide(AT_AN_UNDO, Decision("skip", reason="taken off by hand"), by="nora")
        left = next(step for step in (await desk.run(AT_AN_UNDO)).steps if step.name == UNDO_HELD_IN)
        assert (left.state, left.note) == ("undone", "left as it is; skipped by nora: taken off by hand")


async def test_a_run_that_this_release_has_no_code_for_does_not_stop_the_others(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        desk = spoilable.run_desk(db)
        marks = {WAITING: "x", 999: "x", HELD: mark_of((await desk.run(HELD)).summary)}
        summaries = [(await desk.run(number)).summary for number in (WAITING, HELD)]
        await db.execute(update(RunRow).where(RunRow.id == WAITING).values(version=99))
        looked = await desk.preview_each(summaries, "retry")
        assert [seen.refused is None for _, seen in looked] == [False, True]
        assert "isp_ticket_to_deployment version 99" in str(looked[0][1].refused)
        done = {one.run_id: one for one in await desk.decide_each(marks, Decision("retry"), by="nora")}
        assert "does not carry" in str(done[WAITING].refused) and done[999].refused == "there is no run 999"
        assert done[HELD].refused is None and (await desk.run(HELD)).summary.state == "inProgress"


async def test_a_note_is_taken_however_the_run_stands(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        desk = spoilable.run_desk(db)
        await desk.decide(HELD, Decision("note", reason="called"), by="nora", seen="as it was before")
        assert (await desk.run(HELD)).notes[-1].text == "called"
        with pytest.raises(RunMoved):
            await desk.decide(HELD, Decision("retry"), by="nora", seen="as it was before")


async def test_no_amount_goes_into_the_ticket_of_a_hand_over(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        await hold_at_a_payment(db, spoilable.tenant_id)
        decision = Decision("hand-over", reason="call them", team="onboarding")
        decided = await spoilable.run_desk(db).decide(PAYING, decision, by="nora")
        assert decided.before is not None
        [ticket] = (await spoilable.run_desk(db).handed_over([decided.before])).values()
        assert ticket["description"].startswith("call them\n\nRun 77, quote_accepted_to_order")
        assert "payment 7 of (not shown) by bank has not come" in ticket["description"]
        assert "Held meanwhile: order 9\nHeld meanwhile: payment 7" in ticket["description"]
        assert "49.90" not in ticket["description"]


async def test_a_hand_over_that_does_not_hold_any_more_is_not_told_as_done(spoilable: Appliance) -> None:
    decision = Decision("hand-over", reason="see to it", team="onboarding")
    async with spoilable.database.begin() as db:
        desk = spoilable.run_desk(db)
        tickets = TicketDesk(db, tenant_id=spoilable.tenant_id, now=spoilable.clock)
        number = (await desk.decide(HELD, decision, by="nora")).ticket_id
        assert number is not None and (await desk.decide(HELD, decision, by="nora")).ticket_id == number
        move = f"`firstlight tickets move {number}"
        await tickets.update(ticket_id=number, assigned_team="noc")
        for state, told in (
            ("open", rf"Team noc has run 3 already, by ticket {number} since .* {move} open --team TEAM`\."),
            ("inProgress", rf"{move} inProgress --team TEAM`\."),
            ("resolved", rf"had run 3 by ticket {number}, which is resolved: {move} inProgress` takes that up again\."),
            ("closed", r"which is closed: open another with `firstlight tickets add`\."),
        ):
            await tickets.update(ticket_id=number, state=state)
            with pytest.raises(RunHandedOver, match=told):
                await desk.decide(HELD, decision, by="nora")
        assert len(await tickets.tickets()) == 1
