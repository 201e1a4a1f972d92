"""A part of a pool that is emptied: nobody gets anything of it, nobody loses anything, and in the end it is gone."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from ipam import (
    AddressLookup,
    AllocatedResources,
    EstateInUse,
    PoolExhausted,
    PrefixNotEmpty,
    RequestInvalid,
    UnitDraining,
    UnitNotHeld,
    UnitTaken,
    badly_partitioned,
)
from ipam.tables import Prefix
from tests.ipam.conftest import STARTED_AT, Network, one_pool
from tests.support.postgres import tried_in_vain

UPPER = "192.0.2.8/29"


async def test_of_a_drained_part_nothing_is_handed_out_and_who_has_something_keeps_it(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))
    held = await empty.allocate(1, ip_address="192.0.2.9")
    rested = await empty.allocate(2, ip_address="192.0.2.10")
    await empty.release(rested["service_id"])
    await empty.keep("reserve", pool="cgnat", value="192.0.2.11", note="kept")

    assert await empty.keep("drain", pool="cgnat", span=UPPER, note="goes to the south")
    assert not await empty.keep("drain", pool="cgnat", span=UPPER, note="again")

    given = {(await empty.allocate(customer))["ip_address"] for customer in (2, *range(11, 17))}
    assert given == {f"192.0.2.{last}" for last in range(1, 8)}
    with pytest.raises(PoolExhausted):
        await empty.allocate(20)
    with pytest.raises(UnitDraining, match="goes to the south"):
        await empty.allocate(20, ip_address="192.0.2.12")
    with pytest.raises(UnitDraining):
        await empty.keep("reserve", pool="cgnat", value="192.0.2.10", note="x")
    left = await empty.keep("left_behind", pool="cgnat")
    assert [(each["value"], each["state"], each["service_id"], each["location"], each["note"]) for each in left] == [
        ("192.0.2.9", "assigned", held["service_id"], "LOC-1", None),
        ("192.0.2.11", "reserved", None, None, "kept"),
    ]
    usage = await empty.usage("cgnat")
    assert (usage["draining"], usage["free"], usage["assigned"], usage["reserved"]) == (5, 0, 8, 1)
    assert await empty.violations() == []


async def test_what_is_given_back_there_goes_to_nobody_until_the_drain_ends(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0))
    held = await empty.allocate(1, ip_address="192.0.2.5", request_id="t-1")
    await empty.keep("reserve", pool="cgnat", value="192.0.2.6", note="kept")
    await empty.keep("drain", pool="cgnat", note="all of it")

    released = await empty.release(held["service_id"])
    await empty.keep("unreserve", pool="cgnat", value="192.0.2.6", note="no longer")

    assert [(unit["value"], unit["available_at"]) for unit in released["released"]] == [("192.0.2.5", None)]
    assert await empty.release(held["service_id"]) == released
    assert await empty.keep("left_behind", pool="cgnat") == []
    with pytest.raises(PoolExhausted):
        await empty.allocate(1)
    assert await empty.violations() == []
    assert await empty.keep("undrain", pool="cgnat", span="192.0.2.4-192.0.2.6")
    assert await empty.keep("undrain", pool="cgnat")
    assert not await empty.keep("undrain", pool="cgnat")
    given = {(await empty.allocate(customer))["ip_address"] for customer in range(1, 7)}
    assert given == {f"192.0.2.{last}" for last in range(1, 7)}
    assert await empty.violations() == []


async def test_who_is_left_gets_out_by_a_move_to_where_they_are(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    before = await empty.allocate(1, ip_address="192.0.2.9")
    await empty.keep("drain", pool="cgnat", span=UPPER, note="goes to the south")
    said = {"service_id": before["service_id"], "service_location": "LOC-1", "note": "out of the drain"}

    after = await empty.serve("move_service", **said, request_id="out-1")

    assert int(after["ip_address"].rsplit(".", 1)[1]) < 8
    left = await empty.keep("left_behind", pool="cgnat")
    assert [(each["value"], each["state"], each["service_id"]) for each in left] == [("192.0.2.9", "quarantine", None)]
    assert await empty.serve("move_service", **said, request_id="out-1") == after
    assert await empty.serve("move_service", **said) == after
    assert await empty.violations() == []


async def test_what_cools_off_in_a_drained_part_is_listed_and_may_be_lifted_so_that_the_prefix_shrinks(
    empty: Network,
) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    before = await empty.allocate(1, ip_address="192.0.2.9")
    await empty.allocate(2, ip_address="192.0.2.10")
    await empty.keep("drain", pool="cgnat", span=UPPER, note="goes to the south")
    await empty.release(before["service_id"])
    left = await empty.keep("left_behind", pool="cgnat")
    assert [(each["value"], each["state"], each["available_at"]) for each in left] == [
        ("192.0.2.10", "assigned", None),
        ("192.0.2.9", "quarantine", STARTED_AT + timedelta(seconds=600)),
    ]
    await empty.release(left[0]["service_id"])
    with pytest.raises(UnitNotHeld, match="neither held nor in quarantine"):
        await empty.keep("lift", pool="cgnat", value="192.0.2.12", note="never was")
    with pytest.raises(RequestInvalid, match="is nothing that pool cgnat hands out"):
        await empty.keep("lift", pool="cgnat", value="192.0.2.0/24", note="all of it")
    assert await empty.keep("lift", pool="cgnat", value=UPPER, note="no log names them") is True
    assert await empty.keep("lift", pool="cgnat", value="192.0.2.8-192.0.2.15", note="once more") is False
    for value in ("192.0.2.9", "192.0.2.10", UPPER):
        assert await empty.keep("lift", pool="cgnat", value=value, note="once more") is False
        assert await empty.keep("why_drained", pool="cgnat", value=value) == "goes to the south"

    assert await empty.keep("left_behind", pool="cgnat") == []
    with pytest.raises(UnitDraining):
        await empty.allocate(3, ip_address="192.0.2.9")
    assert await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south") is True
    assert await empty.violations() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["drained", "excluded", "described"])
async def test_what_was_given_back_meanwhile_goes_on_cooling_off_when_a_part_is_handed_out_again(
    empty: Network, how: str
) -> None:
    await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.2-192.0.2.6"], quarantine_seconds=600))
    mine = await empty.allocate(1, ip_address="192.0.2.1")
    await empty.release(mine["service_id"])
    if how == "drained":
        await empty.keep("drain", pool="cgnat", note="by mistake")
        await empty.keep("undrain", pool="cgnat")
    elif how == "excluded":
        await empty.keep("exclude", pool="cgnat", span="192.0.2.1", note="by mistake")
        await empty.keep("include", pool="cgnat", span="192.0.2.1")
    else:
        await empty.apply(
            one_pool("192.0.2.0/29", exclude=["192.0.2.1", "192.0.2.3-192.0.2.6"], quarantine_seconds=600)
        )
        await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.2-192.0.2.6"], quarantine_seconds=600))

    with pytest.raises(PoolExhausted, match="12:10:00"):
        await empty.allocate(2)
    assert await empty.violations() == []
    again = await empty.allocate(1)
    await empty.release(again["service_id"])
    empty.clock.forward(seconds=601)
    given = await empty.allocate(2)
    assert (mine["ip_address"], again["ip_address"], given["ip_address"]) == ("192.0.2.1",) * 3
    assert await empty.violations() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("sticky_seconds", [None, 100_000])
@pytest.mark.parametrize("how", ["drained", "excluded", "described"])
async def test_what_has_cooled_off_is_its_former_holder_s_first_also_when_its_part_is_handed_out_again(
    empty: Network, how: str, sticky_seconds: int | None
) -> None:
    kept = {} if sticky_seconds is None else {"sticky_seconds": sticky_seconds}
    described = one_pool("192.0.2.0/28", quarantine_seconds=600, **kept)
    await empty.apply(described)
    mine, lifted = [await empty.allocate(customer, ip_address=f"192.0.2.{customer + 6}") for customer in (1, 2)]
    for given in (mine, lifted):
        await empty.release(given["service_id"])
    await empty.keep("lift", pool="cgnat", value=lifted["ip_address"], note="no log names it")
    empty.clock.forward(seconds=700)
    if how == "drained":
        await empty.keep("drain", pool="cgnat", note="by mistake")
        await empty.keep("undrain", pool="cgnat")
    elif how == "excluded":
        await empty.keep("exclude", pool="cgnat", span="192.0.2.4-192.0.2.9", note="by mistake")
        await empty.keep("include", pool="cgnat", span="192.0.2.4-192.0.2.9")
    else:
        await empty.apply(one_pool("192.0.2.0/28", exclude=["192.0.2.4-192.0.2.9"], quarantine_seconds=600, **kept))
        await empty.apply(described)

    for customer, given in ((1, mine), (2, lifted)):
        async with empty.database.read() as db:
            [told, *_] = await empty.service(db).preview(
                customer_id=customer, service_location="LOC-1", bandwidth_plan="fiber-100"
            )
        assert (told["how"], told["value"]) == ("former", given["ip_address"])
    usage = await empty.usage("cgnat")
    assert (usage["free"], usage["quarantined"]) == (14, 0)
    assert (await empty.allocate(3, ip_address=mine["ip_address"]))["ip_address"] == mine["ip_address"]
    assert (await empty.allocate(2))["ip_address"] == lifted["ip_address"]
    assert await empty.violations() == []


async def test_whose_claim_is_over_has_none_when_its_part_is_handed_out_again(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=60, sticky_seconds=120))
    mine = await empty.allocate(1, ip_address="192.0.2.6")
    await empty.release(mine["service_id"])
    await empty.keep("drain", pool="cgnat", note="by mistake")
    empty.clock.forward(seconds=121)
    await empty.keep("undrain", pool="cgnat")

    async with empty.database.read() as db:
        [told, *_] = await empty.service(db).preview(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
    assert told["how"] == "fresh"
    assert (await empty.usage("cgnat"))["free"] == 6
    assert await empty.violations() == []


async def test_what_cools_off_is_its_customer_s_wherever_others_have_moved(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=600))
    moved, stays, other = [await empty.allocate(customer) for customer in (1, 2, 3)]
    for line in (moved, other):
        await empty.serve("move_service", service_id=line["service_id"], service_location="LOC-3", note="moves")
    empty.clock.forward(seconds=1)
    await empty.keep("drain", pool="cgnat", note="by mistake")
    for line in (moved, stays):
        await empty.release(line["service_id"])
    await empty.keep("undrain", pool="cgnat")

    elsewhere = await empty.allocate(1, "LOC-1")
    there, again = await empty.allocate(1, "LOC-3"), await empty.allocate(2, "LOC-1")
    assert elsewhere["ip_address"] not in {moved["ip_address"], stays["ip_address"]}
    assert (there["ip_address"], again["ip_address"]) == (moved["ip_address"], stays["ip_address"])
    assert await empty.violations() == []


async def test_a_pool_and_a_service_that_history_names_stay_whatever_else_is_gone(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0))
    given = await empty.allocate(1)
    await empty.keep("drain", pool="cgnat", note="goes away")
    await empty.release(given["service_id"])

    for statement in ("DELETE FROM ipam_service", "DELETE FROM ipam_pool"):
        with pytest.raises(IntegrityError, match=r"kept for good|ipam_allocation_event refers to it"):
            async with empty.database.begin() as db:
                assert await db.scalar(text("SELECT count(*) FROM ipam_allocation")) == 0
                await db.execute(text(statement))
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_is_given_back_while_its_drain_ends_is_not_lost(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=600))
    held = await empty.allocate(1, ip_address="192.0.2.5")
    await empty.keep("drain", pool="cgnat", note="by mistake")
    async with empty.database.begin() as db:
        await empty.service(db).release_resources(service_id=held["service_id"])
        undrained = await tried_in_vain(empty.database, empty.keep("undrain", pool="cgnat"))

    assert await undrained is True
    usage = await empty.usage("cgnat")
    assert (usage["free"], usage["quarantined"], usage["draining"]) == (5, 1, 0)
    assert await empty.violations() == []


async def test_exclusions_and_drains_go_together(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    await empty.keep("drain", pool="cgnat", span=UPPER, note="moving")

    await empty.apply(one_pool("192.0.2.0/28", exclude=["192.0.2.6-192.0.2.9"]))
    assert await empty.violations() == []
    await empty.keep("exclude", pool="cgnat", span="192.0.2.10", note="x")
    await empty.apply(one_pool("192.0.2.0/28"))
    await empty.keep("include", pool="cgnat", span="192.0.2.10")

    usage = await empty.usage("cgnat")
    assert (usage["size"], usage["free"], usage["draining"]) == (14, 7, 7)
    assert await empty.violations() == []
    await empty.keep("undrain", pool="cgnat")
    assert (await empty.usage("cgnat"))["free"] == 14
    assert await empty.violations() == []


async def test_a_prefix_shrinks_when_the_rest_is_empty_and_cool(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    first = await empty.allocate(1, ip_address="192.0.2.9")
    low = await empty.allocate(2, ip_address="192.0.2.2")

    leaving = "192.0.2.7 to 192.0.2.15 (192.0.2.7 would be its broadcast address)"
    with pytest.raises(PrefixNotEmpty, match=re.escape(f"of {leaving} 1 unit is in use, 192.0.2.9 among them")):
        await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south")
    assert (await empty.usage("cgnat"))["draining"] == 0
    empty.clock.forward(minutes=2)
    await empty.release(first["service_id"])
    with pytest.raises(
        PrefixNotEmpty, match=r"192\.0\.2\.9 \(in quarantine until 2030-01-01 12:12:00 UTC\).* and wait until"
    ):
        await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south")
    empty.clock.forward(seconds=600)
    assert await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south") is True
    assert await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="once more") is False

    usage = await empty.usage("cgnat")
    assert (usage["network"], usage["size"], usage["assigned"], usage["free"]) == ("192.0.2.0/29", 6, 1, 5)
    assert await empty.violations() == []
    assert await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=600)) == []
    south = {"name": "south", "kind": "ipv4", "network": UPPER, "bindings": [{"bng": "bng-1", "priority": 99}]}
    assert await empty.apply({"pool": [south]}) == ["pool south created"]
    empty.clock.forward(hours=1)
    new = await empty.allocate(3, ip_address="192.0.2.9")
    async with empty.database.begin() as db:
        service = empty.service(db)
        then = await service.service_at(address="192.0.2.9", at=STARTED_AT + timedelta(seconds=60))
        later = await service.service_at(address="192.0.2.9")
        kept = await service.service_at(address="192.0.2.2")
        assert list(await db.scalars(select(Prefix.network).order_by(Prefix.network))) == ["192.0.2.0/29", UPPER]
    assert then is not None
    assert later is not None
    assert kept is not None
    assert (then["pool"], then["service_id"], then["customer_id"]) == ("cgnat", first["service_id"], 1)
    assert (later["pool"], later["service_id"]) == ("south", new["service_id"])
    told = await empty.keep("history_of_address", address="192.0.2.9")
    assert [(each["pool"], each["what"]) for each in told] == [
        ("cgnat", "assigned"),
        ("cgnat", "released"),
        ("south", "assigned"),
    ]
    async with empty.database.begin() as db:
        lookup = AddressLookup(db, tenant_id=empty.tenant_id, now=empty.clock)
        facts = await lookup.find("192.0.2.9")
    assert (facts["state"], facts["history"]) == ("assigned", told)
    assert kept["service_id"] == low["service_id"]


async def test_the_new_broadcast_address_must_be_nobodys_too(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    given = await empty.allocate(1, ip_address="192.0.2.7")

    with pytest.raises(PrefixNotEmpty, match=r"192\.0\.2\.7 among them"):
        await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="x")
    async with empty.database.begin() as db:
        assert (await empty.service(db).resources(given["service_id"]))["ip_address"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        ("192.0.2.8/29", "is not a smaller prefix that starts where"),
        ("192.0.2.0/27", "is not a smaller prefix that starts where"),
        ("192.0.2.1/29", "has host bits set"),
        ("192.0.2.0/30", r"network can't be 192.0.2.0/30: gateway 192.0.2.5 is not inside 192.0.2.0/30"),
    ],
)
async def test_what_a_prefix_can_not_become_is_told(empty: Network, network: str, fault: str) -> None:
    await empty.apply(one_pool("192.0.2.0/28", gateway="192.0.2.5"))

    with pytest.raises(RequestInvalid, match=fault):
        await empty.keep("shrink", pool="cgnat", network=network, note="x")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_drain_and_many_who_come_and_go_lose_and_double_nothing(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/27", quarantine_seconds=0))

    async def come_and_go(customer: int) -> AllocatedResources | None:
        for turn in range(5):
            named = {"ip_address": f"192.0.2.{customer + 17}"} if turn == 2 else {}
            try:
                given = await empty.allocate(customer, **named)
            except (PoolExhausted, UnitDraining, UnitTaken):  # the named one may be somebody else's
                continue
            if turn < 4:
                await empty.release(given["service_id"])
            else:
                return given
        return None

    async def drain_and_back() -> None:
        for _ in range(3):
            await empty.keep("drain", pool="cgnat", span="192.0.2.16/28", note="under way")
            async with empty.database.read() as db:
                assert await badly_partitioned(db, tenant_id=empty.tenant_id) == []
            await empty.keep("undrain", pool="cgnat")
        await empty.keep("drain", pool="cgnat", span="192.0.2.16/28", note="for good")

    await asyncio.gather(drain_and_back(), *(come_and_go(customer) for customer in range(1, 9)))

    assert await empty.violations() == []
    left = {each["value"] for each in await empty.keep("left_behind", pool="cgnat")}
    given = [await empty.allocate(customer) for customer in range(100, 104)]
    assert not {each["ip_address"] for each in given} & left
    assert all(int(each["ip_address"].rsplit(".", 1)[1]) < 16 for each in given)
    with pytest.raises(EstateInUse):
        await empty.keep("exclude", pool="cgnat", span=given[0]["ip_address"], note="x")
