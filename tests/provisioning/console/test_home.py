"""The first page: what needs a person, of what the role may see, with links that open for them; and calm numbers."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text, update

from provisioning.access import ROLES, Role
from provisioning.attention import Target
from provisioning.console.destinations import command_for, of_target
from tests.support.console import Console
from workflows.engine.tables import RunRow


async def test_what_is_held_is_told_with_what_it_holds_and_leads_to_the_run(any_console: Console) -> None:
    page = (await (await any_console.somebody("noc")).get("/home")).text
    assert re.search(r'<a href="/runs/3">Run 3 \(ticket/T-3\) for customer 1003 is held in', page)
    assert 'Held meanwhile: <a href="/services/3">service 3</a>' in page
    assert "<code>firstlight check</code>" in page
    assert 'data-topics="attention figures"' in page
    part = (await (await any_console.somebody("noc")).get("/home/now")).text
    assert "<html" not in part and "Run 3" in part
    numbers = (await (await any_console.somebody("noc")).get("/home/figures")).text
    assert "2 in 24 hours, 1 of them completed" in numbers and '<svg class="spark" role="img"' in numbers
    assert "No worker has counted them." in numbers


async def test_all_quiet_is_said_with_the_time_of_the_look(console: Console) -> None:
    async with console.appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == 3).values(state="completed"))
    page = (await (await console.somebody("sales")).get("/home")).text
    assert re.search(r"<strong>All quiet at \d{4}-\d\d-\d\d \d\d:\d\d UTC\.</strong>", page)
    assert re.search(r"Looked at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", page)


@pytest.mark.parametrize("role", ROLES)
async def test_every_link_of_the_first_page_opens_for_whom_it_is_shown(console: Console, role: Role) -> None:
    person = await console.somebody(role)
    page = (await person.get("/home")).text
    links = set(re.findall(r'href="(/(?!assets)[^"#]*)', page))
    assert "/home" in links
    for link in links:
        assert (await person.get(link.replace("&amp;", "&"), follow_redirects=True)).status_code == 200, link


async def test_a_partner_and_a_technician_see_nothing_of_others(console: Console) -> None:
    for role in ("partner", "technician"):
        page = (await (await console.somebody(role)).get("/home")).text
        assert "Run 3" not in page and "1003" not in page and "Pool north-v4" not in page, role


async def test_a_stream_of_the_first_page_is_for_everybody_and_one_of_runs_is_not(console: Console) -> None:
    technician = await console.somebody("technician")
    assert (await technician.get("/live", params={"topic": ["attention", "held"]})).status_code == 403


async def test_where_the_radius_database_can_not_be_read_the_page_says_so_and_shows_all_else(console: Console) -> None:
    async with console.appliance.radius_database.begin() as db:
        await db.execute(text("ALTER TABLE radacct RENAME TO radacct_of_somebody"))
        await db.execute(text("DROP TABLE radius_nas_heard"))
    nora = await console.somebody("noc")
    page = (await nora.get("/home")).text
    assert "The radius database cannot be used as it is (" in page and "not known now" in page
    assert "Runs ended" in page and "Run 3" in page


@pytest.mark.parametrize(
    ("target", "address"),
    [
        (Target("run", "7"), "/runs/7"),
        (Target("runs", "line.refused"), "/queue"),
        (Target("visit", "4"), "/visits/4"),
        (Target("pool", "a/b c"), "/pools/of?pool=a%2Fb+c"),
        (Target("nas", "bng-1"), "/sessions?nas=bng-1"),
        (Target("devices", "handed_over"), "/devices?handed_over=yes"),
        (Target("devices", "faulted"), "/devices?state=faulted"),
        (Target("devices", "offline"), "/devices?why=offline"),
        (Target("webhook", "2"), "/webhooks/2"),
        (Target("campaign", "wifi 2"), "/campaigns/wifi%202"),
        (Target("mails", "refused"), "/mails"),
        (Target("notices", "failed"), "/notices"),
        (Target("access_node", "OLT 3"), "/access-nodes/of?name=OLT+3"),
        (Target("radius"), ""),
    ],
)
def test_an_item_leads_to_where_it_is_acted_on(target: Target, address: str) -> None:
    assert of_target(target, ROLES["admin"]) == address
    assert of_target(target, frozenset()) == ""
    assert command_for(target) or address


def test_who_is_told_of_a_webhook_and_may_not_see_it_has_a_command() -> None:
    target = Target("webhook", "2")
    assert "attention.read" in ROLES["noc"] and of_target(target, ROLES["noc"]) == ""
    assert command_for(target) == "firstlight webhooks list"
