"""Every route of the console for every role: who may goes in, who may not is told so, and nobody sees a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from provisioning.access import PERMISSIONS, ROLES, Role
from provisioning.api import PUBLIC
from provisioning.api.routes import Terms
from provisioning.console import assets
from provisioning.console.doors import SIGNED_IN, ConsoleDoor, ConsoleDoors, ScriptDoor
from provisioning.console.navigation import FEW, PLACES
from provisioning.console.words import begun
from tests.support.console import SAME_ORIGIN, Console, Person

VALUES = {
    "subscriber_id": "1",
    "service_id": "1",
    "line_order_id": "1",
    "act": "disconnect",
    "run_id": "3",
    "verb": "retry",
    "token": "x" * 43,
    "mark": "0",
    "name": "x.css",
    "serial": "HWTC00000001",
    "partner_id": "21",
    "payment_id": "1",
    "webhook_id": "1",
    "visit_id": "1",
    "customer_id": "1001",
    "order_id": "1",
    "quote_id": "1",
    "ticket_id": "1",
    "email_id": "1",
    "technician_id": "7001",
    "leave_id": "1",
    "feed_id": "1",
    "photo_id": "1",
}
ACTS = {
    "/subscribers/{subscriber_id}/cpes/{serial}/acts/{act}": {"act": "reboot"},
    "/campaigns/{name}/acts/{verb}": {"verb": "pause"},
    "/webhooks/{webhook_id}/acts/{verb}": {"verb": "disable"},
}
NOT_THERE = (
    *("/campaigns/{name}/acts/{verb}", "/webhooks/{webhook_id}/acts/{verb}", "/tickets/{ticket_id}"),
    *("/technicians/{technician_id}/leave/{leave_id}/withdraw", "/technicians/feeds/{feed_id}/revoke"),
)
"""Of these the estate has none."""
NEEDS: dict[str, dict[str, str]] = {
    "/access-nodes/of": {"name": "OLT-3"},
    "/live": {"topic": "held"},
    "/pools/of": {"pool": "north-v4"},
    "/pools/picture.svg": {"pool": "north-v4"},
    "/search": {"q": "run 3"},
    "/search/device": {"serial": "HWTC00000001"},
    "/search/subscriber": {"username": "c1001-s1@isp.example"},
    "/sessions/of": {"username": "c1001-s1@isp.example"},
    "/queue/acts/{verb}": {"journey": "isp_ticket_to_deployment", "step": "visit"},
}


def doors_of(app: FastAPI) -> Iterator[tuple[str, str, Terms]]:
    """(method, path, terms) of every page of the console, and every form. What scripts call: ``test_field``."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, ConsoleDoor) and not isinstance(route.original_route, ScriptDoor):
            terms = route.original_route.terms
            yield terms.method, str(route.path), terms


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_gets_through_the_doors_of_its_permissions_and_no_other(console: Console, role: Role) -> None:
    person = await console.somebody(role)
    token = await form_token_of(person)
    walked = 0
    for method, path, terms in doors_of(console.app):
        if terms.permission == PUBLIC or path in ("/live", "/sign-out"):
            continue
        values = VALUES | ACTS.get(path, {})
        address = re.sub(r"{(\w+)}", lambda found, values=values: values[found[1]], path)  # type: ignore[misc]
        fields = {**NEEDS.get(path, {}), "form_token": token} if method == "POST" else NEEDS.get(path, {})
        answer = await call(person.client, method, address, fields)
        may = terms.permission == SIGNED_IN or terms.permission in ROLES[role]
        if may:
            taken = (303, 409, 422) if method == "POST" and path not in NOT_THERE else (200, 303, 404, 409, 422)
            assert answer.status_code in taken, (method, path, answer.status_code, answer.text)
        else:
            assert answer.status_code == 403, (method, path, answer.status_code)
            assert f"it takes the permission {terms.permission}" in answer.text
        walked += 1
    assert walked >= 10


async def test_who_is_not_signed_in_is_led_to_where_they_can(console: Console) -> None:
    person = console.anybody()
    for method, path, terms in doors_of(console.app):
        if terms.permission == PUBLIC or path == "/live":  # a stream is led nowhere: ``test_live``
            continue
        address = re.sub(r"{(\w+)}", lambda found: VALUES[found[1]], path)
        answer = await call(person.client, method, address, NEEDS.get(path, {}))
        assert answer.status_code == 303, (method, path, answer.status_code)
        assert answer.headers["location"].startswith("/sign-in"), (method, path)


@pytest.mark.parametrize("role", ROLES)
async def test_the_navigation_shows_what_the_role_may_see_and_leads_there(console: Console, role: Role) -> None:
    person = await console.somebody(role)
    first = await person.get("/")
    assert (first.status_code, first.headers["location"]) == (303, "/home")
    page = await person.get("/home")
    assert page.status_code == 200
    shown = set(re.findall(r'<li><a href="([^"]+)"', page.text))
    assert shown == {place.path for place in PLACES if place.permission in ROLES[role]}
    for path in shown:
        assert (await person.get(path)).status_code == 200
    assert 'aria-current="page"' in page.text
    menus = re.findall(r'<details class="dropdown" name="places">(.*?)</details>', page.text, re.DOTALL)
    assert bool(menus) == (len(shown) > FEW)
    assert all(menu.count("<li>") > 1 for menu in menus)


async def test_where_one_is_stands_marked_in_the_navigation_and_at_its_menu(console: Console) -> None:
    ada = await console.somebody("admin")
    for path, menu, place in (
        ("/pools/of?pool=north-v4", "Network", "Pools"),
        ("/notices", "Customers", "Mails"),
        ("/queue", None, "Fallout queue"),
    ):
        page = (await ada.get(path)).text
        assert re.findall(r'<summary aria-current="true">(.*?)</summary>', page) == ([menu] if menu else [])
        assert re.findall(r'<a href="[^"]+" aria-current="page">(.*?)</a>', page) == [place]


async def test_an_address_without_a_page_says_so_and_a_name_is_told_as_it_is_written(console: Console) -> None:
    person = await console.somebody("noc")
    lost = await person.get("/nothing", headers={"Accept": "text/html"})
    assert lost.status_code == 404 and "<p>There is no page at this address.</p>" in lost.text
    assert (begun("run 3 is held"), begun("c7-s7@isp is gone")) == ("Run 3 is held", "c7-s7@isp is gone")


async def test_every_page_forbids_what_it_does_not_need(console: Console) -> None:
    person = await console.somebody("admin")
    paths = ["/runs/3", "/sign-in", "/nothing", "/runs/999", "/search?q=run+3", "/pools/of?pool=north-v4"]
    for path in (*paths, *(place.path for place in PLACES)):
        answer = await person.get(path, headers={"Accept": "text/html"})
        policy = dict(each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";"))
        more = {"manifest-src": "'self'", "worker-src": "'self'"} if path == "/field" else {}
        assert policy == {
            **more,
            "default-src": "'none'",
            "script-src": "'self' 'wasm-unsafe-eval'" if path == "/field" else "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<style|<script(?! src=)|\son\w+=|style=|https?://", answer.text), path


async def test_what_a_page_loads_may_be_kept_for_good_and_is_small(console: Console) -> None:
    person = console.anybody()
    page = await person.get("/sign-in")
    addresses = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text)
    assert len(addresses) == 6
    weight = len(page.content)
    for address in addresses:
        answer = await person.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        weight += len(answer.content)
    assert weight < 200 * 1024
    sheet = next(address for address in addresses if address.endswith("pico.min.css"))
    whole = await person.get(sheet, headers={"Accept-Encoding": "identity"})
    packed = await person.get(sheet, headers={"Accept-Encoding": "br;q=1.0, gzip;q=0.5"})
    assert "content-encoding" not in whole.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert packed.content == whole.content == assets.assets()["pico.min.css"].content
    assert int(packed.headers["content-length"]) * 4 < int(whole.headers["content-length"])
    other = re.sub(r"/assets/\w+/", "/assets/000000000000/", addresses[0])
    assert (await person.get(other)).status_code == 404


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [("gzip", True), ("gzip, deflate, br", True), ("gzip;q=0", False), ("br, gzip; q=0.0", False), ("br", False)],
)
def test_a_file_is_packed_for_who_says_that_they_unpack_it(accepted: str, takes: bool) -> None:
    assert assets.takes_gzip(accepted) is takes


async def test_an_address_that_leads_nowhere_is_a_page_for_people_and_a_problem_for_programs(console: Console) -> None:
    person = await console.somebody("noc")
    page = await person.get("/nothing/here", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    for path, accept in (("/nothing", "*/*"), ("/api/v1/nothing", "text/html")):
        problem = await person.get(path, headers={"Accept": accept})
        assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


async def test_no_page_stands_in_the_api_s_description_and_the_cookie_opens_no_door_of_it(console: Console) -> None:
    person = await console.somebody("admin")
    assert not {path for _, path, _ in doors_of(console.app)} & set(console.app.openapi()["paths"])
    assert (await person.get("/api/v1/runs")).status_code == 401


async def test_a_page_without_a_permission_does_not_come_to_be() -> None:
    doors = ConsoleDoors(name="probe")
    with pytest.raises(TypeError, match="declares no permission"):
        doors.page("/open", permission="no.such")(_nothing)
    with pytest.raises(TypeError, match="declares no permission"):
        doors.add_api_route("/open", _nothing)
    assert not {SIGNED_IN, PUBLIC} & PERMISSIONS


async def _nothing() -> None: ...


async def form_token_of(person: Person) -> str:
    """The token that each form of this session's pages carries."""
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', (await person.get("/home")).text)
    assert found is not None
    return found[1]


async def call(client: Any, method: str, address: str, fields: dict[str, str]) -> Any:
    if method == "GET":
        return await client.get(address, params=fields)
    return await client.post(address, data=fields, headers=SAME_ORIGIN)
