"""``firstlight find``, as the NOC types it."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from provisioning.bootstrap import open_appliance
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

ANNA = "c1001-s1@isp.example"


def test_whatever_is_typed_is_found_with_the_reason_why(any_isp: Settings, type_: Type) -> None:
    [heading, line, *below] = type_("find", ANNA).out.splitlines()
    assert heading.split() == ["what", "which", "online"]
    assert line.split() == ["subscriber", ANNA, "yes"]
    assert "its username" in " ".join(each.strip() for each in below)
    [hit] = type_("find", "customer", "1001", "--json").json["hits"]
    assert (hit["noun"], hit["id"], hit["username"], hit["why"]) == ("customer", "1001", ANNA, ["its number"])
    assert type_("find", "nobody", "here").out == "nothing found; it was looked for as a pool or NAS, a name\n"
    assert type_("find", "example", "--limit", "1", "--json").json["hits"] == []
    refused = type_("find", "a")
    assert (refused.status, "too short" in refused.err) == (2, True)


def test_what_the_radius_database_did_not_answer_is_said(any_isp: Settings, type_: Type) -> None:
    async def take_away() -> None:
        async with open_appliance(any_isp) as appliance, appliance.radius_database.begin() as db:
            await db.execute(text("ALTER TABLE radacct RENAME TO radacct_of_somebody"))

    asyncio.run(take_away())
    told = " ".join(type_("find", ANNA).out.split())
    assert told.startswith("not known: who is online. The radius database cannot be used as it is (")
    assert "whether it is online is not known" in told
    found = type_("find", ANNA, "--json").json
    assert [each["what"] for each in found["not_asked"]] == ["who is online"]
    assert found["hits"][0]["is_online"] is None
