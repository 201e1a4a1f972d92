"""The first page, and the search: what needs a person and what was found, each leading where it is shown."""

from __future__ import annotations

import pytest

from provisioning.attention import Target
from provisioning.console.home import address_of
from provisioning.console.search import page_of_hit
from provisioning.search import Hit
from tests.support.console import Console


async def test_what_needs_a_person_comes_first_in_sentences_and_leads_to_it(console: Console) -> None:
    nora = await console.somebody("noc")
    page = (await nora.get("/home")).text
    assert "a person at" in page and '<a href="/runs/3">' in page
    assert 'data-topics="held"' in page and 'hx-get="/home/now"' in page
    part = (await nora.get("/home/now")).text
    assert "<html" not in part and '<a href="/runs/3">' in part


async def test_a_technician_is_led_to_no_run(console: Console) -> None:
    technician = await console.somebody("technician")
    page = (await technician.get("/home")).text
    assert "/runs/" not in page and "data-topics" not in page


async def test_what_was_found_is_shown_with_why_and_leads_to_what_there_is_a_page_of(console: Console) -> None:
    nora = await console.somebody("noc")
    page = (await nora.get("/search", params={"q": "HWTC00000003"})).text
    assert "HWTC00000003" in page and 'value="HWTC00000003"' in page
    run = (await nora.get("/search", params={"q": "run 3"})).text
    assert '<a href="/runs/3">' in run
    nothing = (await nora.get("/search", params={"q": "<b>nobody at all</b>"})).text
    assert "Nothing fits &lt;b&gt;nobody at all&lt;/b&gt;" in nothing
    assert (await nora.get("/search")).status_code == 200
    assert (await nora.get("/search", params={"q": "x"})).status_code in (200, 422)


@pytest.mark.parametrize(
    ("target", "address", "hidden"),
    [
        (Target("run", "7"), "/runs/7", None),
        (Target("runs", "line.refused"), "/queue", None),
        (Target("visit", "3"), "/visits", "/visits"),
        (Target("pool", "north"), None, None),
    ],
)
def test_an_item_leads_where_its_looker_may_go(target: Target, address: str | None, hidden: str | None) -> None:
    assert (address_of(target, sees_runs=True), address_of(target, sees_runs=False)) == (address, hidden)


def test_a_hit_leads_to_the_page_that_there_is() -> None:
    run = Hit("run", "7", "run 7", "", [], [], 100)
    assert (page_of_hit(run, sees_runs=True), page_of_hit(run, sees_runs=False)) == ("/runs/7", None)
    assert page_of_hit(Hit("pool", "1", "north", "", [], [], 100), sees_runs=True) is None
