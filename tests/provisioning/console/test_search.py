"""The one search box: hits by kind, each with its reason, of what the role may see."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from provisioning.access import ROLES, Role
from provisioning.console.destinations import of_hit
from provisioning.console.search import by_noun
from provisioning.search import Hit, Noun
from tests.support.console import Console


def hit(noun: Noun, number: str, score: int = 50, username: str | None = None) -> Hit:
    return Hit(noun, number, number, "", [], [], score, username=username)


def test_kinds_stand_in_the_order_of_their_best_hits() -> None:
    hits = [hit("run", "1", 100), hit("visit", "2", 90), hit("run", "3", 70)]
    assert [(noun, [each.id for each in some]) for noun, some in by_noun(hits)] == [
        ("run", ["1", "3"]),
        ("visit", ["2"]),
    ]


def test_a_hit_leads_to_its_page_or_to_its_subscriber_or_says_what_is_known() -> None:
    may = ROLES["noc"]
    assert of_hit(hit("run", "7"), may) == "/runs/7"
    assert of_hit(hit("device", "HWTC/1"), may) == "/devices/HWTC%2F1"
    assert of_hit(hit("customer", "1001", username="a@b"), may) == "/customers/1001"
    assert of_hit(hit("order", "7", username="a@b"), may) == "/search/subscriber?username=a%40b"  # it tells amounts
    assert of_hit(hit("order", "7"), may) == ""
    assert of_hit(hit("order", "7"), ROLES["sales"]) == "/orders/7"
    assert of_hit(hit("ticket", "5"), may) == "/tickets/5"
    assert of_hit(hit("run", "7"), ROLES["technician"]) == ""
    held = replace(hit("address", "203.0.113.7:40112"), service_id=7)
    assert (of_hit(held, may), of_hit(held, ROLES["technician"])) == ("/services/7", "")


async def test_what_is_found_says_why_and_leads_on(any_console: Console) -> None:
    nora = await any_console.somebody("noc")
    page = (await nora.get("/search", params={"q": "ticket/T-3"})).text
    assert '<a href="/runs/3" data-hit><strong>run 3</strong></a>' in page
    assert "Found by: it is the run of ticket/T-3" in page
    page = (await nora.get("/search", params={"q": "c1001"})).text
    assert '<h2 id="hits-1">Subscribers' in page and "its username begins so" in page


async def test_a_username_leads_to_its_subscriber_or_to_its_sessions(console: Console) -> None:
    nora = await console.somebody("noc")
    known = await nora.get("/search/subscriber", params={"username": "c1001-s1@isp.example"})
    assert (known.status_code, known.headers["location"]) == (303, "/subscribers/1")
    gone = await nora.get("/search/subscriber", params={"username": "a&b"})
    assert (gone.status_code, gone.headers["location"]) == (303, "/sessions/of?username=a%26b")


async def test_a_serial_number_leads_to_its_cpe_or_to_what_else_is_known_of_it(console: Console) -> None:
    nora = await console.somebody("noc")
    bound = await nora.get("/search/device", params={"serial": "4857544300000001"})
    assert (bound.status_code, bound.headers["location"]) == (303, "/devices/HWTC00000001")
    for nowhere in ("HWTC0000ABCD", "a b"):
        led = await nora.get("/search/device", params={"serial": nowhere})
        assert (led.status_code, led.headers["location"]) == (303, f"/search?q={nowhere.replace(' ', '+')}")


async def test_the_number_of_a_line_order_leads_to_it_on_the_page_of_its_service(console: Console) -> None:
    nora = await console.somebody("noc")
    page = (await nora.get("/search", params={"q": "line order 1"})).text
    assert '<a href="/line-orders/1" data-hit><strong>line order 1</strong></a>' in page
    assert (await nora.get("/line-orders/1")).headers["location"] == "/services/1#line-order-1"


async def test_what_is_too_short_or_found_nowhere_is_told_in_words(console: Console) -> None:
    nora = await console.somebody("noc")
    short = await nora.get("/search", params={"q": "x"})
    assert short.status_code == 422 and "is too short" in short.text
    assert "Nothing that you may see fits" in (await nora.get("/search", params={"q": "zzzzzzz"})).text
    half = (await nora.get("/search", params={"q": "ff:ff:0c"})).text
    assert "It was looked for as a MAC address or either half of one, a username." in half
    asked = (await nora.get("/search", params={"q": '"><script>'})).text
    assert "<script>" not in asked and "&lt;script&gt;" in asked
    assert "Type a name" in (await nora.get("/search")).text
    assert (await nora.get("/search", params={"q": "a" * 2000})).status_code == 200


@pytest.mark.parametrize("role", ROLES)
async def test_every_hit_that_leads_somewhere_opens(console: Console, role: Role) -> None:
    person = await console.somebody(role)
    for asked in ("run 3", "HWTC00000001", "c1001-s1@isp.example", "100.64.0.1", "Customer", "visit 1", "line order 1"):
        page = (await person.get("/search", params={"q": asked})).text
        for link in re.findall(r'href="(/[^"#]*)[^"]*" data-hit', page):
            answer = await person.get(link)
            assert answer.status_code == (303 if link.startswith(("/search/subscriber", "/line-orders/")) else 200), (
                asked,
                link,
            )


async def test_a_partner_finds_nobody_else_s_customers(console: Console) -> None:
    partner = await console.somebody("partner")
    assert "Nothing that you may see" in (await partner.get("/search", params={"q": "customer 1001"})).text


async def test_where_the_radius_database_can_not_be_read_the_page_says_what_is_not_known(console: Console) -> None:
    async with console.appliance.radius_database.begin() as db:
        await db.execute(text("ALTER TABLE radacct RENAME TO radacct_of_somebody"))
    nora = await console.somebody("noc")
    answer = await nora.get("/search", params={"q": "c1001-s1@isp.example"})
    assert answer.status_code == 200
    assert "Not known: who is online. The radius database cannot be used as it is (" in answer.text
    assert "its username" in answer.text and "whether it is online is not known" in answer.text
    assert ">offline<" not in answer.text
