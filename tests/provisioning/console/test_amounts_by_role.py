"""A run that is held at a payment, as the NOC has it through every door: no amount, and all the rest."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import update

from provisioning.access import Deed, Role, Tokens, keep_deed, subject_of
from tests.support.console import Console
from tests.support.held_runs import NOW, PAYING, REASON, hold_at_a_payment
from workflows.engine.tables import EventRow

PAGES = ["/queue", "/queue/now", f"/runs/{PAYING}", f"/runs/{PAYING}/now", "/runs", "/audit"] + [
    f"/runs/{PAYING}/acts/{verb}" for verb in ("retry", "retry-from", "skip", "roll-back", "hand-over", "note")
]
SAME = "journey=quote_accepted_to_order&step=payment_settled&code=workflow.needs_a_person"
PAGES += [f"/queue/acts/{verb}?{SAME}" for verb in ("retry", "roll-back", "skip")]
DOORS = [f"/runs/{PAYING}", "/runs?state=held", f"/runs/{PAYING}/preview?verb=roll-back", "/audit", "/events"]
AMOUNT = re.compile(r"(?<!\w)(?:49\.90|4990|12\.50)(?!\w)")
"""Alone: a form's token is of 64 random hex digits, and 4990 stands in one of a thousand."""
TOLD = "payment 7 of (not shown) by bank has not come within 14 days"


async def test_no_page_tells_the_noc_an_amount_and_all_tell_who_sees_money(any_console: Console) -> None:
    await prepare(any_console)
    nora, ada = await any_console.somebody("noc"), await any_console.somebody("admin")
    telling = 0
    for page in PAGES:
        seen, whole = await nora.get(page), (await ada.get(page)).text
        assert seen.status_code == 200, (page, seen.text)
        assert AMOUNT.findall(seen.text) == [], page
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
        assert AMOUNT.findall(seen.text) == [], path
    run = (await api(any_console, f"/runs/{PAYING}", noc)).json()
    assert TOLD in run["run"]["reason"] and TOLD in run["notes"][-1]["text"]
    assert [kept["particulars"] for kept in run["kept"]] == ["", ""]
    both = [(await api(any_console, f"/runs/{PAYING}", who)).headers["etag"] for who in (noc, admin)]
    assert both[0] == both[1], "what may be seen of a run does not change how it stands"


@pytest.mark.parametrize(
    ("role", "sees"),
    [("noc", False), ("sales", True), ("admin", True), ("read-only", True)],
)
async def test_mails_and_notices_tell_amounts_to_who_sees_money_alone(console: Console, role: Role, sees: bool) -> None:
    mails = await write_of_money(console)
    person = await console.somebody(role)
    for path in (*(f"/mails/{mail}" for mail in mails), "/notices"):
        seen = await person.get(path)
        assert seen.status_code == 200, (path, seen.text)
        assert [amount in seen.text for amount in ("49,90", "49.90", "1.234,50")].count(True) == (1 if sees else 0), (
            path
        )
        assert ("(not shown)" in seen.text) != sees, path
        assert "Fibre 300" in seen.text and "rder 12" in seen.text.replace("Bestellung   12", "order 12"), path
    for path in ("/mails", "/customers/1001"):
        assert "order 12 is confirmed" in (await person.get(path)).text, path


@pytest.mark.parametrize(("role", "sees"), [("noc", False), ("admin", True)])
async def test_why_somebody_acted_on_a_line_is_told_without_amounts_in_its_timeline(
    console: Console, role: Role, sees: bool
) -> None:
    appliance = console.appliance
    async with appliance.database.begin() as db:
        deed = Deed(
            "subscribers suspend", "paul", "console", subject=subject_of("subscriber", 1), reason="owes 49.90 EUR"
        )
        await keep_deed(db, deed, tenant_id=appliance.tenant_id, at=appliance.clock())
    person = await console.somebody(role)
    for path in ("/subscribers/1", "/subscribers/1/now", "/subscribers/1/timeline"):
        seen = (await person.get(path)).text
        assert ("owes 49.90 EUR" in seen, "owes (not shown)" in seen) == (sees, not sees), path


@pytest.mark.parametrize("role", ["dispatch", "technician", "partner"])
async def test_nobody_else_opens_mails_and_notices(console: Console, role: Role) -> None:
    mails = await write_of_money(console)
    person = await console.somebody(role)
    for path in ("/mails", f"/mails/{mails[0]}", "/notices"):
        assert (await person.get(path)).status_code == 403, path


async def write_of_money(console: Console) -> list[int]:
    """Confirmations of an order in English, in German and in German as in Austria; a notice of it."""
    mails = []
    async with console.appliance.database.begin() as db:
        services = console.appliance.services(db)
        for language, total in (("en", 4990), ("de", 4990), ("de-AT", 123450)):
            queued = await services.communications_service.send_template_email(
                template="order_confirmation",
                recipient="customer1@example.net",
                language=language,
                variables={
                    "customer_name": "Anna",
                    "order_id": 12,
                    "lines": [{"quantity": 1, "description": "Fibre 300", "total_minor": total}],
                    "total_minor": total,
                    "currency": "EUR",
                    "payment_terms": "prepaid",
                },
            )
            mails.append(queued["email_id"])
        await services.notifications_service.notify_team(
            team="noc",
            channel="email",
            subject="Order 12: Fibre 300",
            message="Order 12 of customer 1001 (Anna) comes to 49.90 EUR, prepaid.",
        )
    return mails


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
