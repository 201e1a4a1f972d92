"""One network in two VRFs: which of them a line means that doesn't say it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ipam.conftest import Network, one_pool
from tests.ipam.inventory.test_reconciling import compared

ROWS = "username,attribute,op,value\n"
BLUE = "192.0.2.9 exists in the VRFs blue, default: say which, in a column vrf"


def twice(**blue: Any) -> dict[str, Any]:
    """``cgnat`` is for one plan; ``twin``, in VRF blue, for another one."""
    described = one_pool()
    described["pool"][0]["bindings"] = [{"bng": "bng-1", "plan": "fiber-100"}]
    twin = {"name": "twin", "kind": "ipv4", "vrf": "blue", "network": "192.0.2.0/28"}
    described["pool"].append({**twin, "bindings": [{"bng": "bng-1", "plan": "fiber-blue"}], **blue})
    return described | {
        "vrf": [{"name": "blue"}],
        "plan": [*described["plan"], {"name": "fiber-blue", "access": "pppoe"}],
    }


async def kept(network: Network, pool: str) -> list[str]:
    """What stands in that pool: value, state, username."""
    rows = [row.split(",") for row in (await network.export(pool)).splitlines()[1:]]
    return [f"{row[3]} {row[4]} {row[6]}".strip() for row in rows]


async def test_a_row_of_what_its_name_has_already_is_that_one(empty: Network) -> None:
    await empty.apply(twice())
    held = await empty.allocate(1, "LOC-1", "fiber-blue", ip_address="192.0.2.9")
    await empty.keep("reserve", pool="cgnat", value="192.0.2.10", note="imported from radreply: eve")
    rows = [(held["username"], "Framed-IP-Address", "192.0.2.9"), ("eve", "Framed-IP-Address", "192.0.2.10")]

    counts = await empty.bring_in(ROWS + "".join(f"{who},{what},:=,{value}\n" for who, what, value in rows), "radreply")

    assert (counts["unchanged"], counts["reserved"]) == (2, 0)
    assert await compared(empty, rows) == []


async def test_where_one_pool_alone_serves_its_owner_a_row_is_of_that_one(empty: Network) -> None:
    await empty.apply(twice())
    mapping = "username,customer_id,location,plan\nada,5,LOC-1,fiber-100\nbob,6,LOC-1,fiber-blue\n"
    rows = ROWS + "ada,Framed-IP-Address,:=,192.0.2.9\nbob,Framed-IP-Address,:=,192.0.2.9\n"

    counts = await empty.bring_in(rows, "radreply", mapping)

    assert counts["assigned"] == 2
    assert await kept(empty, "cgnat") == ["192.0.2.9 assigned ada"]
    assert await kept(empty, "twin") == ["192.0.2.9 assigned bob"]
    assert await empty.violations() == []


async def test_a_column_of_the_file_or_of_the_mapping_says_which(empty: Network) -> None:
    await empty.apply(twice())
    row = "ada,Framed-IP-Address,:=,192.0.2.9"
    assert await empty.faults(f"{ROWS}{row}\n", "radreply") == {2: [BLUE]}

    await empty.bring_in(f"{ROWS}{row}\n", "radreply", "username,vrf\nada,blue\n")
    await empty.bring_in(f"username,attribute,op,value,vrf\n{row.replace('ada', 'bob')},default\n", "radreply")
    pool = "username,attribute,op,value,pool\neve,Framed-IP-Address,:=,192.0.2.10,twin\n"
    await empty.bring_in(pool, "radreply")

    assert (await kept(empty, "twin"), await kept(empty, "cgnat")) == (
        ["192.0.2.9 reserved", "192.0.2.10 reserved"],
        ["192.0.2.9 reserved"],
    )
    wrong = await empty.faults(f"{ROWS}{row}\n", "radreply", "username,vrf\nada,green\n")
    assert wrong == {2: ["there is no VRF 'green'"]}


async def test_what_is_no_address_of_the_pool_in_one_vrf_is_that_of_the_other_one(empty: Network) -> None:
    await empty.apply(twice(framed_pool="POOL-B"))
    counts = await empty.bring_in(ROWS + "ada,Framed-IP-Address,:=,192.0.2.9\n", "radreply")
    assert (counts["reserved"], await kept(empty, "cgnat")) == (1, ["192.0.2.9 reserved"])


async def test_netbox_s_addresses_in_no_vrf_are_those_of_default(empty: Network) -> None:
    await empty.apply(twice())
    for pool in ("cgnat", "twin"):
        await empty.keep("reserve", pool=pool, value="192.0.2.9", note=f"for {pool}")
    ours = await empty.export(shape="netbox-addresses")
    assert (await empty.bring_in(ours, "netbox"))["unchanged"] == 2
    assert await empty.faults("address\n192.0.2.9/28\n", "netbox") == {2: [BLUE]}


async def test_what_netbox_has_in_no_vrf_is_not_that_of_another_one(empty: Network) -> None:
    await empty.apply(twice(network="198.51.100.0/28"))
    outside = ["198.51.100.9 lies outside every pool of VRF default"]
    for vrf in ("", "Global"):
        assert await empty.faults(f"address,vrf\n198.51.100.9/28,{vrf}\n", "netbox") == {2: outside}

    await empty.bring_in("address,vrf\n198.51.100.9/28,\n", "netbox", "address,vrf\n198.51.100.9,blue\n")
    await empty.bring_in("address\n198.51.100.10/28\n", "netbox")

    assert await kept(empty, "twin") == ["198.51.100.9 reserved", "198.51.100.10 reserved"]


async def test_phpipam_s_addresses_in_no_vrf_are_those_of_default_where_several_have_them(empty: Network) -> None:
    await empty.apply(twice())
    await empty.bring_in("IP Address,VRF\n192.0.2.9,\n192.0.2.10,blue\n", "phpipam")
    assert await kept(empty, "cgnat") == ["192.0.2.9 reserved"]
    assert await kept(empty, "twin") == ["192.0.2.10 reserved"]
    assert await empty.faults("IP Address\n192.0.2.9\n", "phpipam") == {2: [BLUE]}


@pytest.mark.both_databases
async def test_what_several_vrfs_have_is_no_address_that_nobody_hands_out(empty: Network) -> None:
    await empty.apply(twice())
    for value in ("192.0.2.9", "192.0.2.10"):
        await empty.allocate(1, "LOC-1", "fiber-100", ip_address=value)
    await empty.allocate(2, "LOC-1", "fiber-blue", ip_address="192.0.2.10")
    rows = [(who, "Framed-IP-Address", f"192.0.2.{last}") for who, last in (("ann", 9), ("ben", 9), ("carl", 10))]
    rows.append(("dora", "Framed-IP-Address", "192.0.2.8/31"))

    found = await compared(empty, rows)

    assert {each["username"]: each["difference"] for each in found if each["service_id"] is None} == {
        "ann": "unknown_to_ipam",
        "ben": "unknown_to_ipam",
        "carl": "held_otherwise",
        "dora": "unfit",
    }
