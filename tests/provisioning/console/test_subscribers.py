"""The page of one subscriber: what each side says, acts with a preview, and outcomes that are told and never hoped."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from provisioning.access import list_audit
from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import radreply
from tests.support.console import Console, Person

DONE, SERIAL = "c1001-s1@isp.example", "HWTC00000001"


async def told(console: Console, answer_location: str, person: Person) -> str:
    return (await person.get(answer_location)).text


async def seen(person: Person, path: str) -> str:
    page = await person.get(path)
    assert page.status_code == 200, page.text
    found = re.search(r'name="seen" value="(\w+)"', page.text)
    assert found, page.text
    return found[1]


async def test_the_list_is_filtered_and_leads_to_the_subscriber(console: Console) -> None:
    nora = await console.somebody("noc")
    page = await nora.get("/subscribers", params={"state": "active"})
    assert f'<a href="/subscribers/1">{DONE}</a>' in page.text
    assert page.text.count('<th scope="row">') == 1
    assert (await nora.get("/subscribers", params={"state": "asleep"})).status_code == 422
    assert "No subscribers." in (await nora.get("/subscribers", params={"plan": "nothing"})).text
    hashed = (await nora.get("/subscribers", params={"only_hash": "true"})).text
    assert "No subscribers." in hashed and 'name="only_hash" value="true" checked' in hashed


async def test_the_page_has_four_columns_and_says_what_nobody_knows(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    page = await nora.get("/subscribers/1")
    assert page.status_code == 200
    for column in ("We want", "RADIUS has", "The session shows", "The CPE reports"):
        assert f'<th scope="col">{column}</th>' in page.text
    assert "Everything that could be asked agrees." in page.text
    assert "accounting does not tell it" in page.text
    assert "Let in at" in page.text or "A session began at" in page.text
    assert (await nora.get("/subscribers/999")).status_code == 404


async def test_what_differs_is_amber_has_a_fix_and_the_fix_is_previewed_and_asked_for(any_console: Console) -> None:
    nora, appliance = await any_console.somebody("noc"), any_console.appliance
    async with appliance.radius_database.begin() as db:
        mine = (radreply.c.username == DONE, radreply.c.attribute == "Framed-IP-Address")
        await db.execute(update(radreply).where(*mine).values(value="203.0.113.77"))
    page = await nora.get("/subscribers/1")
    assert "One thing differs." in page.text
    assert 'class="differs"' in page.text
    assert 'href="/subscribers/1/acts/set-right"' in page.text
    look = "/subscribers/1/acts/set-right"
    preview = await nora.get(look)
    assert "are written anew, as we want them" in preview.text
    assert "ipv4 is 203.0.113.77 instead of" in preview.text
    answer = await nora.send(look, {"seen": await seen(nora, look), "reason": "somebody edited it"})
    assert answer.status_code == 303, answer.text
    after = await told(any_console, answer.headers["location"], nora)
    assert "Set right: asked for." in after
    assert "It is committed; FreeRADIUS does not show it yet." in after
    async with appliance.database.read() as db:
        [entry] = await list_audit(db, tenant_id=appliance.tenant_id, subject="subscriber/1", limit=1)
    assert (entry.action, entry.door, entry.reason) == ("subscribers set-right", "console", "somebody edited it")


@pytest.mark.parametrize(
    ("act", "more"), [("suspend", {}), ("disconnect", {}), ("change-plan", {"plan": "fiber-garden"})]
)
async def test_an_act_is_committed_with_its_audit_and_told_as_asked_for(
    console: Console, act: str, more: dict[str, str]
) -> None:
    nora = await console.somebody("noc")
    if more:
        async with console.appliance.database.read() as db:
            plans = await console.appliance.services(db).radius_service.plans()
        more = {"plan": next(each["name"] for each in plans if each["name"] != "fiber-300")}
    look = f"/subscribers/1/acts/{act}" + "".join(f"?{name}={value}" for name, value in more.items())
    form = {"seen": await seen(nora, look), "reason": "as was asked for", **more}
    answer = await nora.send(f"/subscribers/1/acts/{act}", form, page=look)
    assert answer.status_code == 303, answer.text
    after = await told(console, answer.headers["location"], nora)
    assert f"{act.replace('-', ' ').capitalize()}: asked for." in after
    again = await nora.send(f"/subscribers/1/acts/{act}", form, page=look)
    assert again.status_code == 409
    assert "is not as you have seen it any more" in again.text


async def test_a_cpe_is_rebooted_once_and_its_outcome_is_told(console: Console) -> None:
    nora = await console.somebody("noc")
    page = await nora.get("/subscribers/1")
    found = re.search(r'href="(/subscribers/1/cpes/(\w+)/acts/reboot)"', page.text)
    assert found, page.text
    answer = await nora.send(found[1], {"seen": await seen(nora, found[1]), "reason": "the customer rang"})
    assert answer.status_code == 303, answer.text
    after = await told(console, answer.headers["location"], nora)
    assert f"Reboot of CPE {found[2]}: asked for." in after
    assert "It is written down; the ACS has not been told yet." in after
    converge = f"/subscribers/1/cpes/{found[2]}/acts/converge"
    answer = await nora.send(converge, {"seen": await seen(nora, converge), "reason": "once more"})
    assert "Converge: asked for." in await told(console, answer.headers["location"], nora)
    assert (await nora.get("/subscribers/1/cpes/HWTC00000009/acts/reboot")).text.count("is not bound") == 1


async def test_a_reason_is_needed_and_the_role_decides_what_can_be_done(console: Console) -> None:
    nora, dora = await console.somebody("noc"), await console.somebody("dispatch")
    look = "/subscribers/1/acts/suspend"
    answer = await nora.send(look, {"seen": await seen(nora, look)})
    assert answer.status_code == 422
    page = await dora.get("/subscribers/1")
    assert page.status_code == 200
    assert "/acts/" not in page.text
    assert "Through the" not in page.text  # the audit is not hers to see


async def test_a_login_that_was_refused_again_and_again_is_one_entry_of_the_timeline(any_console: Console) -> None:
    appliance = any_console.appliance
    began = appliance.clock().replace(microsecond=0) - timedelta(hours=1)
    rows = [
        {
            "username": DONE,
            "accepted": number == 60,
            "reason": None if number == 60 else "wrong_password",
            "method": "pap",
            "nas_address": "192.0.2.9",
            "happened_at": began + timedelta(seconds=30 * number),
        }
        for number in range(63)
    ]
    async with appliance.radius_database.begin() as db:
        await db.execute(insert(radius_login), rows)
    nora = await any_console.somebody("noc")
    page = (await nora.get("/subscribers/1/timeline")).text
    assert page.count("Refused at 192.0.2.9") == 2 and "Let in at 192.0.2.9 by pap." in page
    assert f"Refused at 192.0.2.9: wrong password, 60 times since {began:%Y-%m-%d %H:%M} UTC." in page
    assert "wrong password, 2 times since" in page
    assert page.count('<span class="kind">session</span>') == 1  # what is older is not pushed off the page


async def test_the_timeline_is_paged_and_tells_nothing_twice(any_console: Console) -> None:
    ada = await any_console.somebody("admin")
    appliance = any_console.appliance
    for _ in range(3):
        async with appliance.database.begin() as db:
            await appliance.subscriber_desk(db).rotate_password(DONE)
    after, entries = None, []
    async with appliance.database.read() as db:
        from provisioning.sight import ALL_SIGHT

        timeline = appliance.timeline(db, ALL_SIGHT)
        whole = (await timeline.page(DONE, limit=200)).entries
        for _ in range(len(whole)):
            page = await timeline.page(DONE, after=after, limit=2)
            entries += page.entries
            after = page.after
            if after is None:
                break
    assert entries == whole
    assert {each.kind for each in whole} >= {"run", "change", "session"}
    assert [each.at for each in whole] == sorted((each.at for each in whole), reverse=True)
    assert (await ada.get("/subscribers/1/timeline")).status_code == 200
    assert (await ada.get("/subscribers/1/timeline", params={"after": "x';--"})).status_code == 422
