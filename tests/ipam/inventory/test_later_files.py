"""Files that come after others have: what they say of what is here already."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ipam import ExportShape, ImportSource
from tests.ipam.conftest import STARTED_AT, Network, one_pool, small

pytestmark = pytest.mark.both_databases
ADAS = ("100.64.0.9", "2001:db8:1000:3::/64", "2001:db8:2000:300::/56")


@pytest.mark.parametrize("how", ["drain", "exclude"])
async def test_what_cools_off_where_nobody_is_given_it_may_stand_in_netbox_s_later_lists(
    network: Network, how: str
) -> None:
    file = "value,state,customer_id,username,location,plan,since,available_at\n"
    for value in ("100.64.0.5", "2001:db8:2000:500::/56"):
        file += f"{value},quarantine,5,ada,LOC-1,fiber-100,2029-12-31T00:00:00Z,2030-01-03T00:00:00Z\n"
    await network.bring_in(file)
    await network.keep(how, pool="cgnat", span="100.64.0.5-100.64.0.6", note="for a while")
    await network.keep(how, pool="pd", span="2001:db8:2000:500::/56", note="for a while")
    before = await network.export()

    shapes: tuple[ExportShape, ...] = ("netbox-addresses", "netbox-prefixes")
    for shape in shapes:
        counts = await network.bring_in(await network.export(shape=shape), "netbox")
        assert {name: number for name, number in counts.items() if number} == {"lines": 1, "unchanged": 1}
    free = "ip address,description\n100.64.0.5,printer\n100.64.0.6,scanner\n"
    assert (await network.bring_in(free, "phpipam"))["unchanged"] == 2

    assert await network.export() == before
    if how == "drain":
        named = "ip address,username\n100.64.0.6,eve\n"
        drained = "100.64.0.6 lies in what is being drained of pool cgnat (for a while)"
        assert await network.faults(named, "phpipam") == {2: [drained]}
        assert await network.faults("value,state\n100.64.0.6,reserved\n") == {2: [drained]}
    assert await network.violations() == []


async def test_what_was_reserved_for_want_of_an_owner_may_have_been_the_owner_s_before(empty: Network) -> None:
    await empty.apply(one_pool(quarantine_seconds=0))
    gone = await empty.allocate(9, ip_address="192.0.2.6")
    await empty.release(gone["service_id"])
    empty.clock.forward(minutes=1)
    await empty.bring_in("value\n192.0.2.5\n192.0.2.6\n")
    empty.clock.forward(minutes=5)
    file = "value,customer_id,username,location,plan,since\n"
    file += "192.0.2.5,5,ada,LOC-1,fiber-100,2029-06-01T00:00:00Z\n"
    early = file + "192.0.2.6,6,bob,LOC-1,fiber-100,2029-06-01T00:00:00Z\n"
    assert await empty.faults(early) == {
        3: ["since: 192.0.2.6 had another story until 2030-01-01 12:00:00 UTC (see its history)"]
    }

    assert (await empty.bring_in(file))["assigned"] == 1

    history = await empty.keep("history_of_address", address="192.0.2.5")
    assert [(each["at"], each["what"], each["username"]) for each in history] == [
        (STARTED_AT + timedelta(minutes=1), "reserved", None),
        (empty.clock(), "unreserved", None),
        (empty.clock(), "assigned", "ada"),
    ]
    async with empty.database.read() as db:
        service = empty.service(db)
        assert await service.service_at(address="192.0.2.5", at=STARTED_AT + timedelta(minutes=2)) is None
        found = await service.service_at(address="192.0.2.5", at=empty.clock())
    assert found is not None and (found["username"], found["since"]) == ("ada", empty.clock())
    assert (await empty.bring_in(file))["unchanged"] == 1
    assert await empty.violations() == []


NETBOX_TWICE = (
    "IP Address,Status,Role,Description\n192.0.2.9/28,Active,VRRP,r1 vip\n192.0.2.9/28,Active,VRRP,r2 vip\n"
    "192.0.2.10/32,Active,Anycast,dns\n192.0.2.10/32,Active,Anycast,dns\n"
)
PHPIPAM_TWICE = (
    "Section,IP Address,Description\nA,192.0.2.9,r1 vip\nB,192.0.2.9,r2 vip\nA,192.0.2.10,dns\nB,192.0.2.10,dns\n"
)


@pytest.mark.parametrize(("source", "text"), [("netbox", NETBOX_TWICE), ("phpipam", PHPIPAM_TWICE)])
async def test_an_address_that_a_list_has_several_times_is_one_reservation(
    empty: Network, source: ImportSource, text: str
) -> None:
    await empty.apply(one_pool())

    counts = await empty.bring_in(text, source)

    assert (counts["lines"], counts["reserved"], counts["skipped"]) == (4, 2, 2)
    notes = [row.rpartition(": ")[2] for row in (await empty.export("cgnat")).splitlines()[1:]]
    assert notes == ["r1 vip", "dns"]
    again = await empty.bring_in(text, source)
    assert (again["unchanged"], again["updated"], again["skipped"]) == (2, 0, 2)
    assert await empty.violations() == []


async def test_an_address_that_a_list_has_several_times_has_one_owner(empty: Network) -> None:
    await empty.apply(one_pool())
    mapping = "address,customer_id,username,location,plan\n192.0.2.9,5,ada,LOC-1,fiber-100\n"
    counts = await empty.bring_in(PHPIPAM_TWICE, "phpipam", mapping)
    assert (counts["assigned"], counts["reserved"], counts["skipped"]) == (1, 1, 2)

    both = (
        ("6,LOC-1,fiber-100,bob", "7,LOC-1,fiber-100,carl"),
        ("6,LOC-1,fiber-100,", "6,LOC-3,fiber-100,"),
        ("6,LOC-1,fiber-100,", ",,,"),
        (",,,", "6,LOC-1,fiber-100,"),
        (",,,bob", ",,,carl"),
    )
    for owners in both:
        rows = "".join(f"192.0.2.12,{owner}\n" for owner in owners)
        found = await empty.faults(f"IP Address,customer_id,location,plan,username\n{rows}", "netbox")
        assert found[3] == ["192.0.2.12 of pool cgnat stands in line 2 already"]


async def test_a_service_that_is_there_keeps_what_was_bound_elsewhere_since_and_a_new_one_is_not_given_it(
    empty: Network,
) -> None:
    described = small()
    described["bng"].append({"name": "bng-2"})
    await empty.apply(described)
    await empty.allocate(1, "LOC-1")
    await empty.allocate(2, "LOC-2")
    file = "value,customer_id,username,location,plan\n"
    file += "".join(f"{value},5,ada,LOC-1,fiber-100\n" for value in ADAS)
    assert (await empty.bring_in(file))["services"] == 1
    before = await empty.export()
    wan6, *others = [each for each in described["pool"] if each["name"] in {"wan6", "cgnat", "pd"}]
    for pool in (wan6, *others):
        pool["bindings"] = [{"bng": "bng-2"}]
    described["svlan"][0]["bindings"] = [{"access_node": "OLT-1", "port": "0/1/1"}]
    await empty.apply(described)

    again = await empty.bring_in(file)
    whole = await empty.bring_in(before)

    assert (again["unchanged"], again["services"], again["assigned"]) == (3, 0, 0)
    assert (whole["unchanged"], whole["lines"]) == (10, 10)
    assert await empty.export() == before
    newcomer = file.replace("ada", "eve").replace(",5,", ",6,").replace("100.64.0.9", "100.64.0.10")
    told = await empty.faults(newcomer.replace(":300::", ":400::").replace(":3::", ":4::"))
    assert "pool cgnat is not bound to where LOC-1 on plan fiber-100 terminates" in told[2]
    assert await empty.violations() == []


@pytest.mark.parametrize("pool", ["cgnat", "wan6", "pd", "metro/210"])
async def test_what_was_exported_of_one_pool_alone_comes_back_where_it_is(network: Network, pool: str) -> None:
    await network.allocate(1, "LOC-1")
    await network.allocate(2, "LOC-2")
    before = await network.export()

    counts = await network.bring_in(await network.export(pool))

    assert counts["unchanged"] == counts["lines"] == (1 if pool == "metro/210" else 2)
    assert await network.export() == before


async def test_a_file_that_adds_to_a_service_that_is_there_is_refused_by_that_alone(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    file = "value,customer_id,username,location,plan\n"
    file += f"{given['ip_address']},1,{given['username']},LOC-1,fiber-100\n"
    more = f"100.64.0.9,1,{given['username']},LOC-1,fiber-100\n"

    told = await network.faults(file + more)

    assert told == {
        3: [
            f"the service has {given['ip_address']} in line 2 already",
            f"username {given['username']} is service {given['service_id']}'s, which exists without this",
        ]
    }
