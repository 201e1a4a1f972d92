"""``/queue``: the fallout queue. What is held, by reason, for whom and since when; one decision for one or for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Query, Response

from provisioning.amounts import summary_without_amounts, words_without_amounts
from provisioning.api import Call, InCall
from provisioning.api.own import own_runs
from provisioning.api.pages import After, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import show
from provisioning.console.run_pages import handed_over, read_customer
from provisioning.console.topics import HELD
from provisioning.sight import sees_money
from workflows import DEFINITIONS, HeldFor, HeldGroup, RunSummary, held_groups, held_runs

ON_A_PAGE = 50

doors = ConsoleDoors(name="runs")

Word = Annotated[str, Query(max_length=200)]


@doors.page("/queue", permission="runs.read")
async def queue(
    call: InCall, journey: Word = "", step: Word = "", code: Word = "", customer: Word = "", after: After = None
) -> Response:
    """All that is held. With ``step`` and ``code`` those of one reason."""
    return await _queue(call, "queue.html.j2", journey, step, code, customer, after)


@doors.page("/queue/now", permission="runs.read")
async def queue_now(
    call: InCall, journey: Word = "", step: Word = "", code: Word = "", customer: Word = "", after: After = None
) -> Response:
    """The same without its frame, as it is now."""
    return await _queue(call, "queue_now.html.j2", journey, step, code, customer, after)


async def _queue(
    call: Call, template: str, journey: str, step: str, code: str, customer: str, after: str | None
) -> Response:
    chosen = HeldFor(journey, step, code) if journey and step else None
    among = own_runs(call)
    found = await held_runs(
        call.db,
        tenant_id=call.tenant_id,
        held_for=chosen,
        journey=journey or None,
        customer_id=read_customer(customer),
        among=among,
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [run.id for run in found], ON_A_PAGE)
    groups = await held_groups(call.db, tenant_id=call.tenant_id, among=among)
    return show(
        call,
        template,
        "Fallout queue",
        topics=[] if after else [HELD],
        runs=[_shown(call, run) for run in page.items],
        names=await names_of(call, [run.customer_id for run in page.items]),
        next=page.next.replace("/queue/now", "/queue") if page.next else None,
        groups=[_group(call, group) for group in groups if not journey or group.held_for.journey == journey],
        total=sum(group.count for group in groups),
        chosen=chosen,
        handed=await handed_over(call, page.items),
        journeys=sorted({name for name, _ in DEFINITIONS}),
        wanted={"journey": journey, "step": step, "code": code, "customer": customer},
        query=call.request.url.query,
    )


def _shown(call: Call, run: RunSummary) -> RunSummary:
    return run if sees_money(call.caller) else summary_without_amounts(run)


def _group(call: Call, group: HeldGroup) -> HeldGroup:
    if sees_money(call.caller) or group.reason is None:
        return group
    return replace(group, reason=words_without_amounts(group.reason, group.held_for.step))
