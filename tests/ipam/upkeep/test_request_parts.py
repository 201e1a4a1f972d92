"""What speaks against a request is found of each of its parts, or it is said that there is no such part."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import AddressLookup
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
