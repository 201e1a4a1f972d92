"""Campaigns and webhooks: each act is previewed, taken on what was seen, with a reason, and kept in the audit."""

from __future__ import annotations

import re
from typing import cast

from acs import CampaignRecord, Group, Pace
from provisioning.access import list_audit
from provisioning.console.devices import what_it_brings
from tests.support.console import Console, Person


async def planned(console: Console) -> None:
    async with console.appliance.database.begin() as db:
        await console.appliance.campaigns(db).plan_template(
            name="wifi", template="tr181-pppoe", group=Group(template="tr181-pppoe"), by="nora", pace=Pace()
        )


async def told(console: Console) -> int:
    async with console.appliance.database.begin() as db:
        added = await console.appliance.webhooks(db).add(
            url="https://crm.example/in?token=abc", event_types=["pool.critical"], by="nora"
        )
    return added["webhook_id"]


async def take(person: Person, path: str, **form: str) -> int:
    """Sends the page's form as it is, with a reason; returns the status."""
    seen = await person.get(path)
    assert seen.status_code == 200, seen.text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', seen.text))
    return (await person.send(path, {**fields, "reason": "at 3 a.m.", **form})).status_code


async def test_a_campaign_is_started_paused_let_go_on_and_ended(any_console: Console) -> None:
    await planned(any_console)
    nora = await any_console.somebody("noc")
    assert 'href="/campaigns/wifi/acts/start"' in (await nora.get("/campaigns/wifi")).text
    preview = (await nora.get("/campaigns/wifi/acts/start")).text
    assert re.search(r"It begins with \d+ CPEs? that waits?: 5 first, then 50 at a time\.", preview)
    for verb, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert await take(nora, f"/campaigns/wifi/acts/{verb}") == 303, verb
        async with any_console.appliance.database.read() as db:
            assert (await any_console.appliance.campaigns(db).campaign(name="wifi"))["state"] == state
    assert "It is cancelled; pause is for one that is running." in (await nora.get("/campaigns/wifi/acts/pause")).text
    async with any_console.appliance.database.read() as db:
        entries = await list_audit(db, tenant_id=any_console.appliance.tenant_id, limit=1)
    assert (entries[0].action, entries[0].reason) == ("campaigns cancel", "at 3 a.m.")
    assert (entries[0].before, entries[0].after) == ({"state": "running"}, {"campaign": "wifi", "state": "cancelled"})


async def test_a_campaigns_page_says_in_words_what_it_brings_and_shows_the_cpes_in_one_state(console: Console) -> None:
    await planned(console)
    nora = await console.somebody("noc")
    page = (await nora.get("/campaigns/wifi")).text
    assert "<dd>template tr181-pppoe, to CPEs of template tr181-pppoe</dd>" in page
    assert re.search(r'<a href="\?state=waiting" aria-label="(\d+) waiting: show them alone">\1</a>', page)
    assert "/devices/HWTC" in (await nora.get("/campaigns/wifi?state=waiting")).text
    failed = (await nora.get("/campaigns/wifi?state=failed")).text
    assert "No CPE like that." in failed and "/devices/HWTC" not in failed
    assert (await nora.get("/campaigns/wifi?state=tired")).status_code == 422


def test_a_campaign_for_cpes_of_a_model_or_for_some_by_their_serials_says_so() -> None:
    firmware = {"kind": "firmware", "arguments": {"file": "2.bin", "of": {"template": None, "model": "HG8245"}}}
    named = {"kind": "firmware", "arguments": {"file": "2.bin", "of": {"template": None, "model": None}}}
    assert [what_it_brings(cast(CampaignRecord, each)) for each in (firmware, named)] == [
        "firmware 2.bin, to CPEs of model HG8245",
        "firmware 2.bin, to CPEs that were named one by one",
    ]


async def test_an_act_that_was_seen_otherwise_or_has_no_reason_is_refused(console: Console) -> None:
    await planned(console)
    nora = await console.somebody("noc")
    assert await take(nora, "/campaigns/wifi/acts/start", seen="paused") == 422
    assert await take(nora, "/campaigns/wifi/acts/start", reason=" ") == 422
    assert (await nora.get("/campaigns/wifi/acts/dance")).status_code == 404
    reader = await console.somebody("read-only")
    assert (await reader.get("/campaigns/wifi/acts/start")).status_code == 403
    assert "/acts/" not in (await reader.get("/campaigns/wifi")).text


async def test_a_webhook_is_disabled_enabled_and_told_again(any_console: Console) -> None:
    number, admin = await told(any_console), await any_console.somebody("admin")
    path = f"/webhooks/{number}/acts"
    assert "token" not in (await admin.get(f"{path}/disable")).text.replace("form_token", "")
    assert await take(admin, f"{path}/disable") == 303
    seen = (await admin.get(f"/webhooks/{number}")).text
    assert f'href="{path}/enable"' in seen and f'href="{path}/replay"' not in seen
    async with any_console.appliance.database.begin() as db:
        await any_console.appliance.publish(db, "pool.critical", "pool/1", {"pool_id": 1}, "k", "a test")
    assert "It is disabled; replay is not for one that is so." in (await admin.get(f"{path}/replay")).text
    assert await take(admin, f"{path}/enable") == 303
    assert "No messages are sent to it once more" in (await admin.get(f"{path}/replay")).text
    assert "1 message is sent to it once more" in (await admin.get(f"{path}/replay", params={"all": "yes"})).text
    assert (await admin.get(f"{path}/replay", params={"hours": "5"})).status_code == 422
    assert await take(admin, f"{path}/replay?all=yes") == 303
    async with any_console.appliance.database.read() as db:
        [delivery] = await any_console.appliance.webhooks(db).deliveries(webhook_id=number)
        entries = await list_audit(db, tenant_id=any_console.appliance.tenant_id, limit=1)
    assert (delivery["state"], delivery["type"]) == ("queued", "pool.critical")
    assert (entries[0].action, entries[0].after) == ("webhooks replay", {"queued": 1})
