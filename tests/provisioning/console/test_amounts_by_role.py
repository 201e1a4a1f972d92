"""A run that is held at a payment, as the NOC has it through every door: no amount, and all the rest."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import update

from provisioning.access import Deed, Tokens, keep_deed, subject_of
from tests.support.console import Console
from tests.support.held_runs import NOW, PAYING, REASON, hold_at_a_payment
from workflows.engine.tables import EventRow

PAGES = ["/queue", "/queue/now", f"/runs/{PAYING}", f"/runs/{PAYING}/now", "/runs", "/audit"] + [
    f"/runs/{PAYING}/acts/{verb}" for verb in ("retry", "retry-from", "skip", "roll-back", "hand-over", "note")
]
SAME = "journey=quote_accepted_to_order&step=payment_settled&code=workflow.needs_a_person"
PAGES += [f"/queue/acts/{verb}?{SAME}" for verb in ("retry", "roll-back", "skip")]
DOORS = [f"/runs/{PAYING}", "/runs?state=held", f"/runs/{PAYING}/preview?verb=roll-back", "/audit", "/events"]
AMOUNTS = ("49.90", "4990", "12.50")
TOLD = "payment 7 of (not shown) by bank has not come within 14 days"


async def test_no_page_tells_the_noc_an_amount_and_all_tell_who_sees_money(any_console: Console) -> None:
    await prepare(any_console)
    nora, ada = await any_console.somebody("noc"), await any_console.somebody("admin")
    telling = 0
    for page in PAGES:
        seen, whole = await nora.get(page), (await ada.get(page)).text
        assert seen.status_code == 200, (page, seen.text)
        assert not [amount for amount in AMOUNTS if amount in seen.text], page
        telling += "49.90" in whole
    assert telling >= 10
    assert TOLD in (await nora.get("/queue")).text and TOLD in (await nora.get(f"/runs/{PAYING}")).text
    assert "The gateway says that (not shown) was taken" in (await nora.get(f"/runs/{PAYING}")).text


async def test_no_door_of_the_api_tells_the_noc_an_amount(any_console: Console) -> None:
    await prepare(any_console)
    noc, admin = await token(any_console, "noc"), await token(any_console, "admin")
    for path in DOORS:
        seen, whole = await api(any_console, path, noc), await api(any_console, path, admin)
        assert (seen.status_code, "49.90" in whole.text) == (200, True), path
        assert not [amount for amount in AMOUNTS if amount in seen.text], path
    run = (await api(any_console, f"/runs/{PAYING}", noc)).json()
    assert TOLD in run["run"]["reason"] and TOLD in run["notes"][-1]["text"]
    assert [kept["particulars"] for kept in run["kept"]] == ["", ""]
    both = [(await api(any_console, f"/runs/{PAYING}", who)).headers["etag"] for who in (noc, admin)]
    assert both[0] == both[1], "what may be seen of a run does not change how it stands"


async def prepare(console: Console) -> None:
    appliance = console.appliance
    async with appliance.database.begin() as db:
        await hold_at_a_payment(db, appliance.tenant_id)
        await db.execute(update(EventRow).values(data=json.dumps({"customer_id": 1, "sale_amount": "49.90"})))
        deed = Deed("runs retry", "paul", "console", subject=subject_of("run", PAYING), reason="49.90 EUR came")
        deed.before, deed.after = {"reason": REASON}, {"amount": "49.90"}
        await keep_deed(db, deed, tenant_id=appliance.tenant_id, at=NOW)


async def token(console: Console, role: Any) -> str:
    async with console.appliance.database.begin() as db:
        tokens = Tokens(db, tenant_id=console.appliance.tenant_id, now=console.appliance.clock)
        return (await tokens.create(role=role, name=f"{role} of the test", days=1)).secret


async def api(console: Console, path: str, secret: str) -> Any:
    client = console.anybody().client
    return await client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {secret}"})
