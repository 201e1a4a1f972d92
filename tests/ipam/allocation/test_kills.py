"""`kill -9` of who allocates and gives back, at every instant: what was told is there, and nothing by halves."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import Any

import pytest
from sqlalchemy import select

from ipam.tables import Service
from tests.ipam.allocation.dying_clients import PREMISE
from tests.ipam.conftest import Network, small

pytestmark = pytest.mark.both_databases


def roomy() -> dict[str, Any]:
    described = small()
    described["pool"][0]["network"], described["pool"][3]["network"] = "100.64.0.0/24", "2001:db8:1000::/56"
    return described


async def requests(network: Network) -> dict[str, str]:
    """Of every service that is in the database, and what state it is in."""
    async with network.database.read() as db:
        return {each: state for each, state in await db.execute(select(Service.request_id, Service.state)) if each}


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.durability_sweep)])
async def test_clients_killed_at_any_instant_leave_what_they_were_told_and_nothing_by_halves(
    empty: Network, database_url: str, every: int
) -> None:
    await empty.apply(roomy())

    dying = [sys.executable, "-m", "tests.ipam.allocation.dying_clients", database_url, str(every)]
    process = await asyncio.create_subprocess_exec(*dying, stdout=PIPE, stderr=PIPE)
    said, failure = await asyncio.wait_for(process.communicate(), timeout=300)

    assert process.returncode == 0, failure.decode()
    told = [json.loads(line) for line in said.splitlines()]
    answers = {each["request"]: each["answer"] for each in told if each["did"] == "allocated"}
    customers = {each["request"]: each["customer"] for each in told if "request" in each}
    asked_back = {each["service_id"] for each in told if each["did"] == "releasing"}
    gave_back = {each["service_id"]: each["units"] for each in told if each["did"] == "released"}
    assert await empty.violations() == []
    there = await requests(empty)
    assert answers.keys() <= there.keys() <= customers.keys()
    assert customers.keys() - there.keys(), "nobody died before the COMMIT"
    if every == 1:
        assert there.keys() - answers.keys(), "nobody died between the COMMIT and what they would have been told"
    states = {there[request] for request, answer in answers.items() if answer["service_id"] in asked_back}
    assert states == {"active", "released"} if every == 1 else "released" in states
    for service_id, units in gave_back.items():
        assert [each["value"] for each in (await empty.release(service_id))["released"]] == units

    for request, customer in customers.items():
        answer = answers.get(request)
        if answer is None or answer["service_id"] not in asked_back:
            again = await empty.allocate(customer, PREMISE, request_id=request)
            assert answer in (None, again)

    assert (await requests(empty)).keys() == customers.keys()
    assert await empty.violations() == []
