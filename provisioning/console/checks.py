"""``/checks``: what the last check of all invariants has found, with its time. No check is run for the page."""

from __future__ import annotations

from fastapi import Response

from provisioning.api import InCall
from provisioning.attention import ABOUT_MONEY
from provisioning.check import Finding, every_invariant
from provisioning.check_records import MOST_OF_ONE, last_check
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.sight import sees_money

doors = ConsoleDoors(name="checks")


@doors.page("/checks", permission="runs.operate")
async def checks(call: InCall) -> Response:
    """What does not hold, by invariant."""
    last = await last_check(call.db, tenant_id=call.tenant_id)
    meanings = dict(every_invariant())
    broken: dict[str, list[Finding]] = {}
    for finding in last.findings if last is not None else []:
        if sees_money(call.caller) or not finding.invariant.startswith(ABOUT_MONEY):
            broken.setdefault(finding.invariant, []).append(finding)
    return show(
        call,
        "checks.html.j2",
        "Checks",
        last=last,
        most_of_one=MOST_OF_ONE,
        broken=[(name, meanings.get(name, name), findings) for name, findings in broken.items()],
    )
