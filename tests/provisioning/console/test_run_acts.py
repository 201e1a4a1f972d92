"""Decisions without a browser: previews, what is refused, what the audit keeps, and of many each for itself."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import text, update

from provisioning.access import list_audit
from provisioning.commercial import TicketDesk
from tests.support.console import Console
from tests.support.held_runs import hold_in_its_undo
from workflows import show_run
from workflows.engine.tables import RunRow

HELD, WAITING, DONE = 3, 2, 1
SAME = {"journey": "isp_ticket_to_deployment", "step": "confirm_port", "code": "workflow.port_mismatch"}


async def test_a_decision_is_taken_on_what_was_seen_and_kept_in_the_audit(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    page = f"/runs/{HELD}/acts/skip"
    seen = await nora.get(page)
    assert "is passed over" in seen.text and "partial" in seen.text
    form = {"reason": "the fibre is right", **hidden(seen.text)}
    answer = await nora.send(page, form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{HELD}")
    for where, told in ((WAITING, False), (HELD, True), (HELD, False)):
        assert ("The step is passed over" in (await nora.get(f"/runs/{where}")).text) == told, "there, once"
    entry = await newest(any_console)
    assert (entry["door"], entry["actor"], entry["action"]) == ("console", "noc", "runs skip")
    assert (entry["subject"], entry["customer_id"], entry["reason"]) == ("run/3", 1003, "the fibre is right")
    assert entry["before"]["state"] == "held" and entry["after"]["state"] == "inProgress"
    again = await nora.send(page, form)
    assert again.status_code == 409 and "is not as you have seen it any more" in again.text


async def test_what_can_not_be_meant_is_refused_and_changes_nothing(console: Console) -> None:
    nora = await console.somebody("noc")
    mark = hidden((await nora.get(f"/runs/{HELD}/acts/skip")).text)
    for verb, form, words in (
        ("skip", {}, "reason: is missing"),
        ("roll-back", {"reason": "  "}, "reason: is missing"),
        ("note", {}, "reason: is missing"),
        ("hand-over", {"reason": "see to it"}, "team: is missing"),
        ("hand-over", {"reason": "see to it", "team": "nobody"}, "nobody"),
        ("retry-from", {"from_step": "tea"}, "tea"),
        ("skip", {"reason": "two\nlines"}, "holds a line break"),
    ):
        answer = await nora.send(f"/runs/{HELD}/acts/{verb}", {**mark, **form})
        assert answer.status_code in (404, 422), (verb, answer.status_code)
        assert words in answer.text, (verb, form)
    for address in (f"/runs/{HELD}/acts/dance", "/runs/999/acts/retry", "/queue/acts/cancel?journey=x&step=y"):
        assert (await nora.get(address)).status_code == 404
    assert await state_of(console, HELD) == "held"


async def test_a_preview_says_why_something_is_not_for_this_run(console: Console) -> None:
    nora = await console.somebody("noc")
    page = await nora.get(f"/runs/{WAITING}/acts/roll-back")
    assert (
        "The run is pending by now; this is for held runs." in page.text
        and '<button type="submit">Roll' not in page.text
    )
    assert "there is nothing to cancel" in (await nora.get(f"/runs/{DONE}/acts/cancel")).text


async def test_of_many_each_is_decided_for_itself_and_said_of_what_came_of_it(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    await hold_as(any_console, WAITING, HELD)
    preview = await nora.get("/queue/acts/hand-over", params=same(await reason_of(any_console)))
    marks = re.findall(r'name="seen" value="([^"]+)"', preview.text)
    assert [mark.partition(":")[0] for mark in marks] == ["3", "2"]
    token = hidden(preview.text, "form_token")
    async with any_console.appliance.database.begin() as db:  # somebody else is quicker with one of them
        await any_console.appliance.runs.retry(db, HELD, by="paul")
    form = {**token, "reason": "the OLT is being mended", "team": "onboarding", "seen": marks}
    answer = await nora.client.post("/queue/acts/hand-over", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert "1 run of 2 was taken up" in answer.text
    assert "is not as you have seen it any more: it is inProgress now." in answer.text
    entry = await newest(any_console)
    assert (entry["subject"], entry["action"]) == ("run/2", "runs hand-over")
    assert entry["reason"] == "the OLT is being mended"
    noted = ["\n".join(await notes_of(any_console, run_id)) for run_id in (WAITING, HELD)]
    assert ["the OLT is being mended" in notes for notes in noted] == [True, False]


async def test_of_many_every_one_is_shown_and_what_is_not_for_one_stands_apart(console: Console) -> None:
    nora = await console.somebody("noc")
    await hold_as(console, WAITING, HELD)
    code = same(await reason_of(console))
    assert "2 runs alike" in (await nora.get("/queue/acts/note", params=code)).text
    page = (await nora.get("/queue/acts/retry", params=code)).text
    assert "2 runs alike" not in page and page.count('name="seen"') == 2, "their ways on are different"
    for run_id, customer in ((2, 1002), (3, 1003)):
        assert f'<a href="/runs/{run_id}">Run {run_id}</a> · customer {customer}' in page
    back = (await nora.get("/queue/acts/roll-back", params=code)).text
    assert "given back: service 3: " in back
    async with console.appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == WAITING).values(version=99))
    page = (await nora.get("/queue/acts/retry", params=code)).text
    assert "Not for 1 run" in page and re.search("customer 1002, Customer 2: open runs need definitions", page)
    assert re.findall(r'name="seen" value="(\d+):', page) == ["3"] and "Retry: all 1<" in page
    many = [f"{number}:x" for number in range(1, 52)]
    form = {**hidden(page, "form_token"), "seen": many}
    refused = await nora.client.post("/queue/acts/retry", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert refused.status_code == 422 and "names more than 50 runs" in refused.text


async def test_a_hand_over_s_ticket_is_shown_to_who_reads_tickets(console: Console) -> None:
    nora, paula = await console.somebody("noc"), await console.somebody("partner")
    async with console.appliance.database.begin() as db:
        own = text("UPDATE run SET customer_id = (SELECT customer_id FROM partner_customer LIMIT 1) WHERE id = 3")
        await db.execute(own)
    page = f"/runs/{HELD}/acts/hand-over"
    form = {**hidden((await nora.get(page)).text), "reason": "see to it", "team": "onboarding"}
    assert (await nora.send(page, form)).status_code == 303
    for address in (f"/runs/{HELD}", "/queue"):
        assert 'Handed over to onboarding as <a href="/tickets/' in (await nora.get(address)).text
        seen = await paula.get(address)
        assert (seen.status_code, "Handed over to" in seen.text, "confirm port" in seen.text) == (200, False, True)


async def test_a_preview_says_which_of_the_runs_a_team_has_already(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    await hold_as(any_console, WAITING, HELD)
    page, code = f"/runs/{HELD}/acts/hand-over", same(await reason_of(any_console))
    form = {**hidden((await nora.get(page)).text), "reason": "see to it", "team": "onboarding"}
    assert (await nora.send(page, form)).status_code == 303
    of_all = (await nora.get("/queue/acts/hand-over", params=code)).text
    assert "Not for 1 run" in of_all and re.findall(r'name="seen" value="(\d+):', of_all) == [str(WAITING)]
    told = rf'has <a href="/runs/{HELD}">run {HELD}</a> already, by <a href="/tickets/(\d+)">ticket \1</a> since'
    for seen in (of_all, (await nora.get(page)).text):
        assert re.search(told, seen)
    again = await nora.send(page, {**form, "reason": "see to it again"})
    assert again.status_code == 409 and "another team gets it with <code>firstlight tickets move " in again.text
    async with any_console.appliance.database.begin() as db:
        desk = TicketDesk(db, tenant_id=any_console.appliance.tenant_id, now=any_console.appliance.clock)
        [ticket] = await desk.tickets()
        await desk.cancel(ticket_id=ticket["ticket_id"], note="a mistake")
    assert "which is cancelled: open another with <code>firstlight tickets add</code>" in (await nora.get(page)).text


async def test_an_undo_that_is_held_says_so_and_shows_no_button_that_is_refused(console: Console) -> None:
    nora = await console.somebody("noc")
    async with console.appliance.database.begin() as db:
        await hold_in_its_undo(db, "undo")
    page = (await nora.get(f"/runs/{HELD}")).text
    assert "The undo of <strong>authorise line</strong> is held: the OLT is silent" in page
    assert re.findall(rf'href="/runs/{HELD}/acts/([^"]+)"', page) == ["retry", "skip", "hand-over", "note"]
    assert "The undo of authorise line is tried again" in (await nora.get(f"/runs/{HELD}/acts/retry")).text
    assert "The run is being undone already." in (await nora.get(f"/runs/{HELD}/acts/cancel")).text


async def test_many_that_nobody_has_seen_are_not_decided(console: Console) -> None:
    nora = await console.somebody("noc")
    for seen in ({}, {"seen": "x"}, {"seen": "3"}):
        answer = await nora.send("/queue/acts/retry", seen, page="/queue")
        assert answer.status_code == 422, seen
    assert await state_of(console, HELD) == "held"


async def test_the_queue_groups_by_reason_and_filters(console: Console) -> None:
    nora = await console.somebody("noc")
    await hold_as(console, WAITING, HELD)
    page = (await nora.get("/queue")).text
    assert "2 runs are held, by reason" in page and "<strong>2 runs</strong> held in confirm port" in page
    ont = '<a href="/search/device?serial=HWTC00000003">HWTC00000003</a>'
    assert f'<p>The newest, <a href="/runs/3">run 3</a>: ONT {ont}' in page
    only = (await nora.get("/queue", params={"customer": "1003"})).text
    assert "<strong>Run 3</strong>" in only and "<strong>Run 2</strong>" not in only
    none = (await nora.get("/queue", params={**same("other.code")})).text
    assert "None of these." in none
    assert (await nora.get("/queue", params={"customer": "x"})).status_code == 422
    assert (await nora.get("/runs", params={"state": "x"})).status_code == 422


async def test_who_may_only_look_is_shown_no_button_and_who_may_not_look_nothing(console: Console) -> None:
    for role, acts in (("noc", True), ("read-only", False), ("dispatch", False), ("sales", False)):
        person = await console.somebody(role)  # type: ignore[arg-type]
        page = (await person.get(f"/runs/{HELD}")).text
        assert ("/acts/" in page) == acts, role
        assert ("/acts/" in (await person.get("/queue")).text) == acts, role
    partner = await console.somebody("partner")
    assert (await partner.get(f"/runs/{HELD}")).status_code == 404
    assert "All quiet: no run is held" in (await partner.get("/queue")).text
    assert "<strong>Run" not in (await partner.get("/queue")).text


async def hold_as(console: Console, run_id: int, like: int) -> None:
    """Holds a run as another one is held."""
    async with console.appliance.database.begin() as db:
        other = await db.get_one(RunRow, like)
        values = {name: getattr(other, name) for name in ("state", "current_step", "reason", "reason_code")}
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(waiting_for="operator", **values))


async def reason_of(console: Console) -> str:
    async with console.appliance.database.read() as db:
        return str((await db.get_one(RunRow, HELD)).reason_code)


def same(code: str) -> dict[str, str]:
    return {**SAME, "code": code}


async def state_of(console: Console, run_id: int) -> str:
    async with console.appliance.database.read() as db:
        return (await db.get_one(RunRow, run_id)).state


async def notes_of(console: Console, run_id: int) -> list[str]:
    appliance = console.appliance
    async with appliance.database.read() as db:
        view = await show_run(db, run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    return [note.text for note in view.notes]


async def newest(console: Console) -> dict[str, Any]:
    async with console.appliance.database.read() as db:
        return vars((await list_audit(db, tenant_id=console.appliance.tenant_id, limit=1))[0])


def hidden(page: str, *names: str) -> dict[str, str]:
    """The fields that a page's form carries along."""
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    return {name: value for name, value in found.items() if not names or name in names}
