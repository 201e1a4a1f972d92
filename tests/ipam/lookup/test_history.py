"""Who had which address when, how full the pools are, and a history that nobody rewrites."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from ipam import AddressLookup, NameUnknown, RequestInvalid
from ipam.tables import AllocationEvent, Pool
from tests.ipam.conftest import STARTED_AT, Network, one_pool, small

HOUR = timedelta(hours=1)


async def test_each_holder_of_an_address_is_known_for_its_time(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"], quarantine_seconds=0))
    first = await empty.allocate(1)
    empty.clock.forward(hours=2)
    await empty.release(first["service_id"])
    empty.clock.forward(hours=2)
    second = await empty.allocate(2)
    address = first["ip_address"]
    assert second["ip_address"] == address
    empty.clock.forward(hours=1)

    async with empty.database.begin() as db:
        service = empty.service(db)
        at = {hours: await service.service_at(address=address, at=STARTED_AT + hours * HOUR) for hours in (-1, 1, 3, 5)}
        now = await service.service_at(address=address)

    assert at[-1] is None
    assert at[1] == {
        "service_id": first["service_id"],
        "customer_id": 1,
        "username": first["username"],
        "location": "LOC-1",
        "pool": "cgnat",
        "value": address,
        "since": STARTED_AT,
        "until": STARTED_AT + 2 * HOUR,
    }
    assert at[3] is None
    assert at[5] == now
    assert now is not None
    assert (now["customer_id"], now["since"], now["until"]) == (2, STARTED_AT + 4 * HOUR, None)
    with pytest.raises(RequestInvalid, match="at is 2030-01-01 18:00 UTC, which is yet to come"):
        await empty.serve("service_at", address=address, at=STARTED_AT + 6 * HOUR)


async def test_an_address_inside_a_delegated_prefix_leads_to_its_holder(network: Network) -> None:
    given = await network.allocate(7)
    assert given["delegated_prefix"] is not None
    inside = given["delegated_prefix"].replace("::/56", "::53")

    async with network.database.begin() as db:
        holder = await network.service(db).service_at(address=inside)

    assert holder is not None
    assert (holder["customer_id"], holder["value"]) == (7, given["delegated_prefix"])


async def test_a_prefix_leads_to_its_holder_when_one_unit_has_all_of_it(network: Network) -> None:
    given = await network.allocate(7)
    prefix, address = given["delegated_prefix"], given["ip_address"]
    assert prefix is not None

    async with network.database.read() as db:
        service, upkeep = network.service(db), network.upkeep(db)
        holder = await service.service_at(address=prefix)
        events = await upkeep.history_of_address(address=f"{address}/32")
        with pytest.raises(RequestInvalid, match="more than pool pd hands out at once; ask for one /56"):
            await service.service_at(address="2001:db8:2000::/48")
        with pytest.raises(RequestInvalid, match="lies in no pool"):
            await service.service_at(address="2001:db8::/32")
        with pytest.raises(RequestInvalid, match=r"'100\.64\.0\.1/all' is not an IPv4 or IPv6 prefix"):
            await upkeep.history_of_address(address="100.64.0.1/all")
        with pytest.raises(NameUnknown, match="There is no VRF 'blue'"):
            await upkeep.history(pool="cgnat", value=address, vrf="blue")
        with pytest.raises(RequestInvalid, match=r"is default, but pool metro/210 is in none"):
            await upkeep.history(pool="metro/210", value="7", vrf="default")

    assert holder is not None
    assert (holder["customer_id"], holder["value"]) == (7, prefix)
    assert [(each["what"], each["value"]) for each in events] == [("assigned", address)]


async def test_a_c_vlan_that_an_s_vlan_does_not_have_has_no_history_but_what_somebody_had(network: Network) -> None:
    given = await network.allocate(1, "LOC-2", cvlan=77)
    vlans = {number: f"{number} is nothing that pool metro/210 hands out" for number in (0, 1, 150, 4095)}
    for number, told in vlans.items():
        with pytest.raises(RequestInvalid, match=told):
            await network.keep("history", pool="metro/210", value=str(number))
    assert await network.keep("history", pool="metro/210", value="78") == []

    await network.release(given["service_id"])
    network.clock.forward(days=30)
    described = small()
    described["svlan"][1]["reserved"] = ["77"]
    await network.apply(described)
    told = await network.keep("history", pool="metro/210", value="77")
    assert [each["what"] for each in told] == ["assigned", "released"]
    await network.keep("exclude", pool="metro/210", span="78", note="a lab has it")
    assert await network.keep("history", pool="metro/210", value="78") == []


async def test_an_address_of_no_pool_belongs_to_nobody(network: Network) -> None:
    async with network.database.begin() as db:
        assert await network.service(db).service_at(address="8.8.8.8") is None


async def test_an_ipv4_mapped_address_is_asked_for_as_the_ipv4_address_that_it_is(network: Network) -> None:
    """As a server that listens on both families logs it."""
    given = await network.allocate()
    address, mapped = given["ip_address"], f"::ffff:{given['ip_address']}"
    async with network.database.begin() as db:
        service, upkeep = network.service(db), network.upkeep(db)
        lookup = AddressLookup(db, tenant_id=network.tenant_id, now=network.clock)
        holder = await service.service_at(address=mapped)
        hexadecimal = await service.service_at(address="::FFFF:6440:" + f"{int(address.rpartition('.')[2]):x}")
        events = await upkeep.history_of_address(address=mapped)
        facts = await lookup.find(mapped)
        assert await lookup.faults_in({"address": mapped}) == ()
        with pytest.raises(RequestInvalid, match="covers the IPv4-mapped addresses"):
            await service.service_at(address="::ffff:100.64.0.0/124")

    assert holder is not None and holder == hexadecimal
    assert (holder["service_id"], holder["value"]) == (given["service_id"], address)
    assert [(each["what"], each["value"]) for each in events] == [("assigned", address)]
    assert (facts["value"], facts["kind"], facts["state"]) == (address, "ipv4", "assigned")
    with pytest.raises(RequestInvalid, match="is not an IPv4 address"):
        await network.allocate(2, ip_address="::ffff:100.64.0.9")


async def test_what_is_no_address_or_exists_in_several_vrfs_is_refused(network: Network) -> None:
    twin = {"name": "cgnat-blue", "kind": "ipv4", "network": "100.64.0.0/28", "vrf": "blue"}
    await network.apply({"vrf": [{"name": "blue"}], "pool": [twin]})
    given = await network.allocate()

    async with network.database.begin() as db:
        service = network.service(db)
        with pytest.raises(RequestInvalid, match=r"'100\.64' is not an IPv4 or IPv6 address"):
            await service.service_at(address="100.64")
        with pytest.raises(RequestInvalid, match="VRFs blue, default: say which one"):
            await service.service_at(address=given["ip_address"])
        holder = await service.service_at(address=given["ip_address"], vrf="default")
        nobody = await service.service_at(address=given["ip_address"], vrf="blue")

    assert holder is not None
    assert holder["service_id"] == given["service_id"]
    assert nobody is None


async def test_a_vrf_that_is_not_there_has_not_nobody_in_it(network: Network) -> None:
    address = (await network.allocate())["ip_address"]

    async with network.database.read() as db:
        lookup = AddressLookup(db, tenant_id=network.tenant_id, now=network.clock)
        for asked in (
            network.service(db).service_at(address=address, vrf="defualt"),
            network.upkeep(db).history_of_address(address=address, vrf="defualt"),
            lookup.find(address, vrf="defualt"),
        ):
            with pytest.raises(NameUnknown, match="There is no VRF 'defualt'"):
                await asked
    with pytest.raises(NameUnknown, match="There is no VRF 'defualt'"):
        await network.ports("blocks_of", inside=address, vrf="defualt")
    assert await network.ports("blocks_of", inside=address, vrf="default") == []


async def test_every_unit_given_and_taken_back_is_one_event(network: Network) -> None:
    given = await network.allocate()
    await network.release(given["service_id"])
    await network.release(given["service_id"])
    await network.allocate()

    async with network.database.begin() as db:
        events = (await db.execute(select(AllocationEvent.service_id, AllocationEvent.what))).all()

    assert sorted(tuple(event) for event in events) == [
        *[(1, "assigned")] * 3,
        *[(1, "released")] * 3,
        *[(2, "assigned")] * 3,
    ]


@pytest.mark.parametrize(
    "rewriting", ["UPDATE ipam_allocation_event SET unit = 9", "DELETE FROM ipam_allocation_event"]
)
async def test_the_database_refuses_to_rewrite_history(network: Network, rewriting: str) -> None:
    await network.allocate()

    with pytest.raises(IntegrityError, match="append-only"):
        async with network.database.begin() as db:
            await db.execute(text(rewriting))


async def test_utilisation_counts_what_cools_off_as_used(empty: Network) -> None:
    described = small()
    for pool in described["pool"]:
        if pool["name"] == "wan6":
            pool["network"] = "2001:db8:1000::/62"
    await empty.apply(described)
    first = await empty.allocate(1)
    await empty.allocate(2)
    await empty.release(first["service_id"])

    async with empty.database.begin() as db:
        usage = {pool["pool"]: pool for pool in await empty.service(db).utilisation()}

    assert list(usage) == ["cgnat", "metro/210", "office", "pd", "wan6"]
    async with empty.database.begin() as db:
        numbers = {name: number for number, name in await db.execute(select(Pool.id, Pool.name))}
    assert {name: pool["pool_id"] for name, pool in usage.items()} == {name: numbers[name] for name in usage}
    assert usage["wan6"] == {
        "pool_id": numbers["wan6"],
        "pool": "wan6",
        "kind": "ipv6_wan",
        "role": "wan6",
        "network": "2001:db8:1000::/62",
        "vrf": "default",
        "size": 4,
        "assigned": 1,
        "quarantined": 1,
        "reserved": 0,
        "draining": 0,
        "free": 2,
        "used_percent": 50.0,
        "next_available_at": STARTED_AT + timedelta(days=1),
    }
    assert usage["office"]["used_percent"] == 0.0
    assert usage["office"]["next_available_at"] is None
    assert (usage["metro/210"]["network"], usage["metro/210"]["vrf"]) == ("metro/210", None)
