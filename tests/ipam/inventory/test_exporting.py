"""What is held, kept or cooling goes out as a file, and comes in elsewhere as it was."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import logging
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ipam import ExportShape, NameUnknown, StaticResources, UnitCooling
from provisioning.database import Database
from tests.ipam.conftest import Network, one_pool, small

TENANTS = itertools.count(1)
HEADER = "vrf,pool,kind,value,state,customer_id,username,location,plan,since,available_at,sticky_until,note"


async def test_each_unit_is_a_line_with_its_owner_and_its_times(network: Network) -> None:
    held = await network.allocate(1, "LOC-2", ip_address="100.64.0.4")
    gone = await network.allocate(2, "LOC-1", ip_address="100.64.0.5")
    network.clock.forward(hours=1)
    await network.release(gone["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.9", note="for the museum, north wing")
    await network.serve("move_service", service_id=held["service_id"], service_location="LOC-1", note="moves")
    addresses = {each["service_id"]: each["ip_address"] for each in (held, gone)}

    exported = await network.export()

    assert exported.splitlines()[0] == HEADER
    kinds = [(row["pool"], row["state"]) for row in csv.DictReader(io.StringIO(exported))]
    assert sorted(kinds) == [
        ("cgnat", "assigned"),
        ("cgnat", "quarantine"),
        ("cgnat", "reserved"),
        ("metro/210", "quarantine"),  # its service is elsewhere by now, and holds its other things there
        ("pd", "assigned"),
        ("pd", "quarantine"),
        ("wan6", "assigned"),
        ("wan6", "quarantine"),
    ]
    of_cgnat = (await network.export("cgnat")).splitlines()[1:]
    assert sorted(of_cgnat) == sorted(
        [
            f"default,cgnat,ipv4,{addresses[1]},assigned,1,c1-s1@isp.example,LOC-1,fiber-100,2030-01-01T12:00:00Z,,,",
            f"default,cgnat,ipv4,{addresses[2]},quarantine,2,c2-s2@isp.example,LOC-1,fiber-100,2030-01-01T13:00:00Z,"
            "2030-01-01T14:00:00Z,,",
            'default,cgnat,ipv4,100.64.0.9,reserved,,,,,2030-01-01T13:00:00Z,,,"for the museum, north wing"',
        ]
    )
    vlan = (await network.export("metro/210")).splitlines()[1]
    assert vlan.startswith(",metro/210,cvlan,") and ",c1-s1@isp.example,LOC-2,fiber-100," in vlan
    network.clock.forward(hours=1)
    assert "quarantine" not in await network.export("cgnat")  # what has rested is nobody's
    with pytest.raises(NameUnknown):
        await network.export("nowhere")


async def test_netbox_is_given_its_own_two_lists(network: Network) -> None:
    held = await network.allocate(1, ip_address="100.64.0.4")
    await network.release((await network.allocate(2, ip_address="100.64.0.5"))["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.9", note="for the museum")
    whose = "customer 1 at LOC-1"

    addresses = (await network.export("cgnat", "netbox-addresses")).splitlines()
    prefixes = (await network.export(None, "netbox-prefixes")).splitlines()

    assert addresses[0] == "address,vrf,status,description"
    assert sorted(addresses[1:]) == sorted(
        [
            f'{held["ip_address"]}/32,,active,"{held["username"]}, {whose}"',
            "100.64.0.5/32,,reserved,"
            '"in quarantine until 2030-01-01T13:00:00Z, last c2-s2@isp.example, customer 2 at LOC-1"',
            "100.64.0.9/32,,reserved,for the museum",
        ]
    )
    assert prefixes[0] == "prefix,vrf,status,description"
    assert f'{held["delegated_prefix"]},,active,"{held["username"]}, {whose}"' in prefixes
    assert len(prefixes) == 5  # two services, two prefixes each, and no C-VLAN
    empty = Network(network.database, network.clock, tenant_id="empty")
    await empty.apply(small(pool=small()["pool"][:1], plan=one_pool()["plan"]))
    assert (await empty.bring_in("\n".join(addresses) + "\n", "netbox"))["reserved"] == 3


async def test_what_netbox_has_sent_goes_back_as_it_came_and_may_come_again(empty: Network) -> None:
    await empty.apply(small())
    addresses = (
        "address,vrf,status,description\n"
        "100.64.0.4/32,,active,printer (old)\n"
        "100.64.0.5/32,,reserved,for the museum\n"
        "100.64.0.6/32,,dhcp,\n"
        "100.64.0.7/32,,active,\n"
        "100.64.0.8/32,,quarantined,a box of (ours)\n"
        "100.64.0.9/32,,active,printer (reserved)\n"
    )
    prefixes = "prefix,vrf,status,description\n2001:db8:2000:300::/56,,deprecated,the old town hall\n"
    lists: dict[ExportShape, str] = {"netbox-addresses": addresses, "netbox-prefixes": prefixes}
    for shape, sent in lists.items():
        lines = len(sent.splitlines()) - 1

        assert (await empty.bring_in(sent, "netbox"))["reserved"] == lines

        back = await empty.export(None, shape)
        assert back == sent
        assert (await empty.bring_in(back, "netbox"))["unchanged"] == lines


async def test_a_status_of_netbox_is_the_same_however_it_is_written(empty: Network) -> None:
    await empty.apply(small())
    table = "IP Address,Status,Description\n100.64.0.4/28,Deprecated,old\n100.64.0.5/28,Active,a (b)\n"
    await empty.bring_in(table, "netbox")

    for again in (await empty.export(shape="netbox-addresses"), table):
        counts = await empty.bring_in(again, "netbox")
        assert (counts["unchanged"], counts["updated"]) == (2, 0)

    assert len(await empty.keep("history", pool="cgnat", value="100.64.0.4")) == 1
    for words, updated in (("100.64.0.4/28,Reserved,old", 1), ("100.64.0.4/28,reserved,Old", 1)):
        assert (await empty.bring_in(f"IP Address,Status,Description\n{words}\n", "netbox"))["updated"] == updated


@pytest.mark.parametrize("vrf", ["cust (a)", "Global", "plain"])
async def test_a_vrf_is_known_by_its_whole_name_when_netbox_s_lists_come_back(empty: Network, vrf: str) -> None:
    await empty.apply(one_pool(vrf=vrf) | {"vrf": [{"name": vrf}]})
    await empty.keep("reserve", pool="cgnat", value="192.0.2.9", note="for the museum")

    ours = await empty.export(shape="netbox-addresses")

    assert ours.splitlines()[1] == f"192.0.2.9/32,{vrf},reserved,for the museum"
    assert (await empty.bring_in(ours, "netbox"))["unchanged"] == 1
    by_number = f"IP Address,VRF\n192.0.2.9/28,{vrf} (65000:1)\n"
    assert (await empty.bring_in(by_number, "netbox"))["unchanged"] == 1
    unknown = "IP Address,VRF\n192.0.2.9/28,elsewhere (65000:1)\n"
    assert (await empty.faults(unknown, "netbox"))[2][-1] == "there is no VRF 'elsewhere'"


async def test_a_network_with_a_past_comes_in_elsewhere_as_it_was(database: Database) -> None:
    here, there = Network(database, tenant_id="here"), Network(database, tenant_id="there")
    for network in (here, there):
        await network.apply(small())
    held = await here.allocate(1, "LOC-2", ip_address="100.64.0.4")
    await here.allocate(3, "LOC-3", "dynamic")
    gone = await here.allocate(2, "LOC-1", ip_address="100.64.0.5")
    here.clock.forward(minutes=10)
    await here.release(gone["service_id"])
    await here.serve("move_service", service_id=held["service_id"], service_location="LOC-1", note="moves")
    await here.keep("reserve", pool="cgnat", value="100.64.0.9", note="for the museum")
    exported = (await here.export()).replace("@isp.example", "@elsewhere")  # a username is only once on a database
    there.clock.at = here.clock.at

    await there.bring_in(exported)

    assert await there.export() == exported
    assert await there.violations() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["drain", "exclude"])
@pytest.mark.parametrize("is_so_before", [False, True])
async def test_what_was_left_behind_at_another_premise_is_that_one_s_where_nobody_is_given_it(
    database: Database, how: str, is_so_before: bool
) -> None:
    here, there = Network(database, tenant_id="here"), Network(database, tenant_id="there")
    for network in (here, there):
        await network.apply(one_pool("192.0.2.0/28", quarantine_seconds=86400, sticky_seconds=100_000))
    service_id = (await here.allocate(1, "LOC-1", ip_address="192.0.2.4"))["service_id"]
    for number, place in ((5, "LOC-3"), (6, "LOC-1"), (7, "LOC-3")):
        here.clock.forward(minutes=1)
        static = StaticResources(ip_address=f"192.0.2.{number}")
        await here.serve("move_service", service_id=service_id, service_location=place, note="moves", static=static)
    here.clock.forward(minutes=1)
    exported = (await here.export()).replace("@isp.example", "@elsewhere")  # a username is only once on a database
    rows = [(row["value"], row["state"], row["location"]) for row in csv.DictReader(io.StringIO(exported))]
    assert rows == [
        ("192.0.2.4", "quarantine", "LOC-1"),
        ("192.0.2.5", "quarantine", "LOC-3"),
        ("192.0.2.6", "quarantine", "LOC-1"),
        ("192.0.2.7", "assigned", "LOC-3"),
    ]
    there.clock.at = here.clock.at

    if is_so_before:
        await there.keep(how, pool="cgnat", span="192.0.2.4-192.0.2.6", note="for a while")
    assert (await there.bring_in(exported))["quarantine"] == 3
    if not is_so_before:
        await there.keep(how, pool="cgnat", span="192.0.2.4-192.0.2.6", note="for a while")

    assert await there.export() == exported
    assert (await there.bring_in(exported))["unchanged"] == 4
    assert await there.violations() == []
    await there.keep({"drain": "undrain", "exclude": "include"}[how], pool="cgnat", span="192.0.2.4-192.0.2.6")
    assert await there.export() == exported
    assert await there.violations() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["drain", "exclude"])
@pytest.mark.parametrize("is_so_there", [False, True])
async def test_what_cools_off_where_nobody_is_given_it_goes_out_too_and_is_no_sooner_free_elsewhere(
    database: Database, how: str, is_so_there: bool
) -> None:
    here, there = Network(database, tenant_id="here"), Network(database, tenant_id="there")
    for network in (here, there):
        await network.apply(one_pool("192.0.2.0/28", quarantine_seconds=86400, sticky_seconds=100_000))
    given = [await here.allocate(customer, ip_address=f"192.0.2.{customer + 3}") for customer in range(1, 5)]
    await here.release(given[0]["service_id"])
    await here.keep("reserve", pool="cgnat", value="192.0.2.2", note="for the museum")
    await here.serve("move_service", service_id=given[1]["service_id"], service_location="LOC-3", note="moves")
    if how == "drain":
        await here.keep("drain", pool="cgnat", span="192.0.2.4-192.0.2.6", note="for a while")
    here.clock.forward(minutes=1)
    for each in (given[1], given[3]):
        await here.release(each["service_id"])
    if how == "exclude":
        await here.keep("exclude", pool="cgnat", span="192.0.2.4-192.0.2.5", note="for a while")
    exported = (await here.export()).replace("@isp.example", "@elsewhere")  # a username is only once on a database

    rows = [(row["value"], row["state"], row["location"]) for row in csv.DictReader(io.StringIO(exported))]
    assert rows == [
        ("192.0.2.2", "reserved", ""),
        ("192.0.2.4", "quarantine", "LOC-1"),
        ("192.0.2.5", "quarantine", "LOC-3"),
        ("192.0.2.6", "assigned", "LOC-1"),
        ("192.0.2.7", "quarantine", "LOC-1"),
    ]
    assert exported.splitlines()[3] == (
        "default,cgnat,ipv4,192.0.2.5,quarantine,2,c2-s2@elsewhere,LOC-3,fiber-100,"
        "2030-01-01T12:01:00Z,2030-01-02T12:01:00Z,2030-01-02T15:47:40Z,"
    )
    there.clock.at = here.clock.at
    if is_so_there:
        await there.keep(how, pool="cgnat", span="192.0.2.4-192.0.2.5", note="for a while")
    assert (await there.bring_in(exported))["quarantine"] == 3
    assert await there.export() == exported
    assert (await there.bring_in(exported))["unchanged"] == 5
    assert await there.violations() == []
    if is_so_there:
        await there.keep({"drain": "undrain", "exclude": "include"}[how], pool="cgnat", span="192.0.2.4-192.0.2.5")
    assert await there.export() == exported
    with pytest.raises(UnitCooling):
        await there.allocate(9, ip_address="192.0.2.4")
    assert (await there.allocate(2, "LOC-3"))["ip_address"] == "192.0.2.5"
    assert await there.violations() == []
    assert (await here.bring_in(exported.replace("@elsewhere", "@isp.example")))["unchanged"] == 5


async def test_what_cools_off_for_another_time_or_had_another_story_where_nobody_is_given_it_is_refused(
    empty: Network,
) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=3600))
    given = await empty.allocate(1, ip_address="192.0.2.4")
    await empty.keep("drain", pool="cgnat", span="192.0.2.4", note="for a while")
    empty.clock.forward(minutes=1)
    await empty.release(given["service_id"])
    exported = await empty.export()
    other = exported.replace("T13:01:00Z", "T13:02:00Z")

    assert await empty.faults(other) == {2: ["192.0.2.4 of pool cgnat is in quarantine until 2030-01-01 13:01:00 UTC"]}
    empty.clock.forward(hours=2)
    assert (await empty.bring_in(exported))["unchanged"] == 1
    early = other.replace("2030-01-01T12:01:00Z", "2029-12-31T12:00:00Z").replace("c1-s1@", "c1-s9@")
    assert await empty.faults(early) == {
        2: ["since: 192.0.2.4 had another story until 2030-01-01 12:01:00 UTC (see its history)"]
    }


_UNIT = st.integers(2, 14)
_LINES = st.dictionaries(
    _UNIT,
    st.one_of(
        st.tuples(
            st.just("reserved"), st.text("abc ,;\"'é", min_size=1, max_size=9).map(lambda text: f"x{text}".strip())
        ),
        st.tuples(st.just("assigned"), st.integers(1, 9), st.sampled_from(["LOC-1", "DROP-7781", "LOC-3"])),
        st.tuples(st.just("quarantine"), st.integers(1, 9), st.sampled_from(["LOC-1", "LOC-3"])),
    ),
    max_size=8,
)


def written(lines: dict[int, tuple[Any, ...]], tenant: int) -> str:
    """A file of ours with these lines, each service with a username of its own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER.split(","))
    for unit, (state, said, *place) in sorted(lines.items()):
        value = f"192.0.2.{unit}"
        until = "2030-01-05T00:00:00Z" if state == "quarantine" else ""
        who = [str(said), f"u{unit}@t{tenant}", *place, "fiber-100"] if state != "reserved" else [""] * 4
        note = " ".join(str(said).split()) if state == "reserved" else ""
        since = f"2029-12-{unit + 1:02}T08:00:00Z"
        writer.writerow(["default", "cgnat", "ipv4", value, state, *who, since, until, "", note])
    return file.getvalue()


def test_whatever_comes_in_goes_out_as_it_came(database_url: str) -> None:
    async def there_and_back(lines: dict[int, tuple[Any, ...]]) -> None:
        tenant = next(TENANTS)
        network = Network(Database(database_url), tenant_id=f"tenant {tenant}")
        try:
            await network.apply(one_pool(gateway="192.0.2.1"))
            text = written(lines, tenant)
            await network.bring_in(text)
            canonical = text.replace("DROP-7781", "LOC-1")
            assert await network.export() == canonical
            assert (await network.bring_in(canonical))["unchanged"] == len(lines)
            assert await network.violations() == []
        finally:
            await network.database.close()

    @settings(max_examples=8, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
    @given(_LINES)
    def property_(lines: dict[int, tuple[Any, ...]]) -> None:
        asyncio.run(there_and_back(lines))

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    property_()
