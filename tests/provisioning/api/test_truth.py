"""``/subscribers/{username}/truth`` and ``/timeline``: four sides and what differs, for who may read them."""

from __future__ import annotations

from sqlalchemy import update

from radius.projection.freeradius_tables import radreply
from tests.support.api import Api

DONE = "c1001-s1@isp.example"


async def test_the_truth_is_told_with_sources_ages_and_fixes(any_api: Api) -> None:
    async with any_api.appliance.radius_database.begin() as db:
        mine = (radreply.c.username == DONE, radreply.c.attribute == "Framed-IP-Address")
        await db.execute(update(radreply).where(*mine).values(value="203.0.113.77"))
    told = (await any_api.get(f"/subscribers/{DONE}/truth", role="noc")).json()
    assert told["agrees"] is False
    [difference] = told["differences"]
    assert (difference["matter"], difference["side"], difference["fix"]) == ("ipv4", "radius", "set-right")
    [address] = [each for each in told["comparisons"] if each["matter"] == "ipv4"]
    assert address["radius"]["value"] == "203.0.113.77"
    assert address["radius"]["source"] == "FreeRADIUS' tables"
    assert address["differs"] == ["radius"]
    assert (await any_api.get("/subscribers/1/truth?by=id", role="noc")).json()["subscriber"]["username"] == DONE


async def test_the_timeline_goes_on_where_its_page_ended(any_api: Api) -> None:
    first = (await any_api.get(f"/subscribers/{DONE}/timeline?limit=1", role="noc")).json()
    assert len(first["entries"]) == 1
    following = await any_api.get(f"/subscribers/{DONE}/timeline", params={"after": first["after"]}, role="noc")
    assert first["entries"][0] not in following.json()["entries"]
    assert (await any_api.get(f"/subscribers/{DONE}/timeline?after=%00x", role="noc")).status_code in (400, 422)


async def test_who_may_not_read_subscribers_is_told_nothing(any_api: Api) -> None:
    for what in ("truth", "timeline"):
        assert (await any_api.get(f"/subscribers/{DONE}/{what}", role="partner")).status_code == 403
        assert (await any_api.get(f"/subscribers/nobody/{what}", role="noc")).status_code == 404


async def test_an_act_is_previewed_as_the_console_does(any_api: Api) -> None:
    path = "/subscribers/c1001-s1@isp.example/preview"
    seen = (await any_api.get(path, params={"act": "suspend"})).json()
    assert (seen["act"], seen["refused"]) == ("suspend", None) and seen["touches"]
    refused = (await any_api.get(path, params={"act": "resume"})).json()
    assert refused["touches"] == [] and refused["refused"]
    reboot = (await any_api.get(path, params={"act": "reboot", "serial": "HWTC00000001"})).json()
    assert (reboot["serial"], reboot["refused"]) == ("HWTC00000001", None)
    assert (await any_api.get(path, params={"act": "dance"})).status_code == 422
