"""What speaks against a request is found of each of its parts, or it is said that there is no such part."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from ipam import AddressLookup, RequestInvalid
from tests.ipam.conftest import Network


@pytest.mark.parametrize("misnamed", ["ip_adress", "pools", "live_services"])
async def test_a_part_that_no_request_has_is_not_passed_over_as_if_it_had_been_looked_at(
    network: Network, misnamed: str
) -> None:
    said: dict[str, Any] = {"pool": "cgnat", misnamed: "8.8.8.8"}
    async with network.database.read() as db:
        lookup = AddressLookup(db, tenant_id=network.tenant_id, now=network.clock)

        with pytest.raises(TypeError, match=f"has no {misnamed}$"):
            await lookup.refuse_faults(**said)
        with pytest.raises(TypeError, match=f"has no {misnamed}$"):
            await lookup.faults_in(said)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a\x00", "\x00", "\ud800"])
async def test_what_is_no_text_names_nothing_and_is_refused_as_such_on_either_database(
    network: Network, text: str
) -> None:
    service_id = (await network.allocate(1, "LOC-1"))["service_id"]
    line = {"customer_id": 2, "service_location": "LOC-1", "bandwidth_plan": "fiber-100"}
    move = {"service_id": service_id, "service_location": text, "note": "moves house"}
    asked: list[tuple[str, Awaitable[Any]]] = [
        ("service_location", network.serve("allocate_resources", **{**line, "service_location": text})),
        ("bandwidth_plan", network.serve("allocate_resources", **{**line, "bandwidth_plan": text})),
        ("request_id", network.serve("allocate_resources", **line, request_id=f"r{text}")),
        ("service_location", network.serve("preview", **{**line, "service_location": text})),
        ("service_location", network.serve("move_service", **move)),
        ("pool", network.keep("reserve", pool=text, value="100.64.0.5", note="for the museum")),
        ("bng", network.keep("rehome", access_nodes=["OLT-1"], bng=text, note="a new one")),
        ("username", network.keep("rename_service", service_id=service_id, username=text)),
    ]
    for where, asking in asked:
        with pytest.raises(RequestInvalid) as refused:
            await asking
        assert [fault.where for fault in refused.value.faults] == [where]
        assert "which is no text" in str(refused.value)
    assert await network.violations() == []
