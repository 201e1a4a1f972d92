"""Many services go behind another BNG at once: each as if it went alone, and the database is asked for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import MovedService, NotServed
from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.stock import Stock
from ipam.answers import Held
from ipam.tables import FreeRange, Pool
from ipam.upkeep import rehoming
from ipam.upkeep.computed_cvlans import ComputedCvlans
from tests.ipam.conftest import Network, small

NEW: dict[str, Any] = {"access_nodes": ["OLT-1", "OLT-2"], "bng": "bng-2", "note": "BNG 1 is retired"}
ONUS = range(1, 61)
# Who lived there when the nodes were behind BNG 2, and left; most of them have come back since, the first before others
# have come, who else are given their addresses.
FORMER, FIRST, LAST = range(1, 9), range(3, 6), range(6, 9)


@contextmanager
def asked(network: Network, seen: list[str]) -> Iterator[None]:
    """What is asked of the database meanwhile; many rows that are told together are one."""

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(network.database.engine.sync_engine, "before_cursor_execute", note)
    yield
    event.remove(network.database.engine.sync_engine, "before_cursor_execute", note)


def two_bngs(v4: str = "100.65.0.0/24", behind: str = "bng-1") -> dict[str, Any]:
    """Each with pools of its own; OLT-1 shares its S-VLAN, and behind OLT-2 C-VLANs are computed."""
    described = small(plan=[{"name": "fiber-100", "access": "pppoe", "ipv6_pd": True}])
    described["bng"].append({"name": "bng-2"})
    for node in described["access_node"]:
        node["bng"] = behind
    described["location"] = [
        {"id": f"LOC-{node}-{onu}", "access_node": f"OLT-{node}", "port": port, "onu": onu}
        for node, port in ((1, "0/1/0"), (2, "0/2/0"))
        for onu in ONUS
    ]
    described["pool"] = [
        {"name": f"{name}-{bng}", "kind": kind, "network": network, "bindings": [{"bng": f"bng-{bng}"}]}
        for name, kind, bng, network in (
            ("v4", "ipv4", 1, "100.64.0.0/24"),
            ("v4", "ipv4", 2, v4),
            ("pd", "ipv6_pd", 1, "2001:db8:1000::/48"),
            ("pd", "ipv6_pd", 2, "2001:db8:2000::/48"),
        )
    ]
    described["svlan"] = [
        {"group": "metro", "vid": 110, "bindings": [{"access_node": "OLT-1"}]},
        *(
            {
                "group": "metro",
                "vid": 210 + bng,
                "cvlans": ["2-4094"],
                "cvlan_formula": f"{bng}*100 + onu",
                "bindings": [{"bng": f"bng-{bng}"}],
            }
            for bng in (1, 2)
        ),
    ]
    return described


def chained(behind: str = "bng-1") -> dict[str, Any]:
    """The same; of each kind there are several pools behind BNG 2, which are filled one after the other."""
    described = two_bngs("100.65.0.0/28", behind)
    described["svlan"][1:] = [
        {"group": "metro", "vid": 211, "cvlans": ["2-4094"], "bindings": [{"bng": "bng-1"}]},
        {"group": "metro", "vid": 212, "cvlans": ["2-9"], "bindings": [{"bng": "bng-2"}]},
        {"group": "metro", "vid": 213, "cvlans": ["2-400"], "bindings": [{"bng": "bng-2", "priority": 200}]},
    ]
    described["pool"][1] |= {"quarantine_seconds": 60, "sticky_seconds": 3600}
    more: dict[str, Any] = {"kind": "ipv4", "bindings": [{"bng": "bng-2", "priority": 200}]}
    described["pool"] += [
        {"name": "v4-more", "network": "100.66.0.0/28", "policy": "reuse_first", "quarantine_seconds": 60, **more},
        {"name": "v4-rest", "network": "100.67.0.0/24", **more, "bindings": [{"bng": "bng-2", "priority": 300}]},
    ]
    return described


async def give_and_take(network: Network) -> list[str]:
    """Behind BNG 2 some have been and gone, whose addresses rest and are theirs first; now all are behind BNG 1. The
    former addresses of those who have come back first."""
    await network.apply(chained("bng-2"))
    former = [await network.allocate(customer, f"LOC-1-{customer}") for customer in FORMER]
    others = [await network.allocate(customer, f"LOC-2-{customer - 100}") for customer in range(101, 113)]
    for line in (*others, *former):
        await network.release(line["service_id"])
    await network.keep("rehome", **{**NEW, "bng": "bng-1", "note": "BNG 2 is new"})
    network.clock.forward(minutes=5)
    for customer in (*FIRST, *range(20, 41), *LAST):
        await network.allocate(customer, f"LOC-1-{customer}")
    for customer in range(120, 141):
        await network.allocate(customer, f"LOC-2-{customer - 100}")
    for line in others[3:6]:
        await network.keep("drain", pool="v4-2", span=line["ip_address"], note="goes")
    return [str(line["ip_address"]) for customer, line in zip(FORMER, former, strict=True) if customer in FIRST]


async def rehomed_and_undone(network: Network) -> list[MovedService]:
    async with network.database.begin() as db:
        done = await network.upkeep(db).rehome(**NEW)
        assert done.refusal is None
        await db.rollback()
    return list(done.moved)


async def one_by_one(db: AsyncSession, each: rehoming._Going, stock: Stock, cvlans: ComputedCvlans) -> None:
    """As a service alone is given what it lacks: asked, and taken."""
    await rehoming._give_alone(db, each, stock, cvlans)


async def test_each_of_many_is_given_what_it_would_be_given_alone(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await give_and_take(empty)
    together = await rehomed_and_undone(empty)
    with monkeypatch.context() as patched:
        patched.setattr(rehoming, "_give", one_by_one)
        alone = await rehomed_and_undone(empty)

    async with empty.database.begin() as db:
        done = await empty.upkeep(db).rehome(**NEW)

    assert len(done.moved) == 48
    assert await empty.violations() == []
    if not empty.database.is_postgresql:  # there, where to begin in a pool is drawn by lot
        assert list(done.moved) == together == alone
    pools = [[pool_of(address) for address in each["given"]] for each in alone]
    assert [[pool_of(address) for address in each["given"]] for each in done.moved] == pools
    assert {pool for given in pools for pool in given} >= {"100.65.0", "100.66.0", "100.67.0", "C-VLAN"}
    assert [each["given"][0] for each in done.moved[:3]] == [each["given"][0] for each in alone[:3]] == own


def pool_of(value: str) -> str:
    if value.isdecimal():
        return "C-VLAN"
    return value[:13] if ":" in value else value.rpartition(".")[0]


async def rehome_so_many(network: Network, count: int, *, node: int = 1) -> tuple[int, list[MovedService]]:
    """How many statements it took, and what each of them has now."""
    for onu in ONUS[:count]:
        await network.allocate(onu, f"LOC-{node}-{onu}")
    seen: list[str] = []
    with asked(network, seen):
        async with network.database.begin() as db:
            done = await network.upkeep(db).rehome(**{**NEW, "access_nodes": [f"OLT-{node}"]})
    assert done.refusal is None
    return len(seen), list(done.moved)


async def test_the_database_is_asked_for_all_of_them_at_once(empty: Network) -> None:
    """A few more only for the free ranges of the pools: who takes more may have to lock more of them."""
    few, many = (Network(empty.database, empty.clock, tenant_id=tenant) for tenant in ("few", "many"))
    for network in (few, many):
        await network.apply(two_bngs())

    few_asked, few_moved = await rehome_so_many(few, 2)
    many_asked, many_moved = await rehome_so_many(many, 50)

    assert (len(few_moved), len(many_moved)) == (2, 50)
    assert many_asked <= few_asked + 10 <= 60
    assert len({value for each in many_moved for value in each["given"]}) == 100
    assert await many.violations() == []


async def test_a_refusal_in_the_midst_of_many_leaves_nothing_and_names_all_of_them(empty: Network) -> None:
    await empty.apply(two_bngs("100.65.0.0/27"))
    given = [await empty.allocate(onu, f"LOC-1-{onu}") for onu in ONUS[:50]]
    seen: list[str] = []

    with (
        pytest.raises(NotServed, match="20 things stand against the move, nothing was changed") as refused,
        asked(empty, seen),
    ):
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**NEW)
            assert done.refusal is not None
            raise done.refusal

    assert len(seen) < 100
    assert [fault.where for fault in refused.value.faults] == [f"service {each['service_id']}" for each in given[30:]]
    assert {fault.what.split(": ", 1)[1].split(". ")[0] for fault in refused.value.faults} == {
        "Pool v4-2 has too few: 50 are wanted, 30 of 30 are free, 0 assigned, 0 in quarantine"
    }
    [short] = refused.value.exhausted
    assert short.numbers == {
        **{"pool": "v4-2", "size": 30, "assigned": 0, "quarantined": 0, "reserved": 0, "draining": 0},
        **{"free": 30, "wanted": 50, "next_available_at": None},
    }
    for each in given:
        assert await empty.serve("resources", service_id=each["service_id"]) == each
    assert await empty.usage("v4-2") == {**await empty.usage("v4-2"), "assigned": 0, "quarantined": 0}
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_what_others_have_locked_is_passed_over_and_waited_for_where_nothing_else_is_left(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = two_bngs("100.65.0.0/29")
    described["access_node"].append({"name": "OLT-9", "site": "north", "bng": "bng-2"})
    described["location"].append({"id": "LOC-9", "access_node": "OLT-9"})
    described["svlan"].append({"group": "metro", "vid": 300, "bindings": [{"access_node": "OLT-9"}]})
    await empty.apply(described)
    for onu in ONUS[:6]:
        await empty.allocate(onu, f"LOC-1-{onu}")
    comes_again = asyncio.Event()
    give_alone = rehoming._give_alone

    async def noted(*given: Any) -> None:
        comes_again.set()
        await give_alone(*given)

    monkeypatch.setattr(rehoming, "_give_alone", noted)
    async with empty.database.begin() as db:
        allocate = partial(empty.service(db).allocate_resources, bandwidth_plan="fiber-100")
        await allocate(customer_id=9, service_location="LOC-9")
        task = asyncio.create_task(empty.keep("rehome", **NEW))
        await comes_again.wait()
        await db.rollback()
    done = await task

    assert done.refusal is None
    assert (len(done.moved), (await empty.usage("v4-2"))["assigned"]) == (6, 6)
    assert await empty.violations() == []


def with_overflow(behind: str = "bng-1") -> dict[str, Any]:
    """Behind BNG 2 there is a small pool, and one for who finds it full."""
    described = two_bngs("100.65.0.0/29", behind)
    described["pool"][1]["quarantine_seconds"] = 60
    bindings = [{"bng": "bng-2", "priority": 200}]
    described["pool"].append({"name": "v4-more", "kind": "ipv4", "network": "100.66.0.0/24", "bindings": bindings})
    return described


async def test_of_a_pool_that_is_full_the_database_is_asked_once_for_all_of_them(empty: Network) -> None:
    few, many = (Network(empty.database, empty.clock, tenant_id=tenant) for tenant in ("few", "many"))
    for network in (few, many):
        await network.apply(with_overflow("bng-2"))
        for onu in ONUS[:6]:
            await network.allocate(100 + onu, f"LOC-2-{onu}")
        await network.keep("rehome", **{**NEW, "access_nodes": ["OLT-1"], "bng": "bng-1"})

    few_asked, few_moved = await rehome_so_many(few, 2)
    many_asked, many_moved = await rehome_so_many(many, 50)

    assert (len(few_moved), len(many_moved)) == (2, 50)
    assert many_asked <= few_asked + 10 <= 70
    assert {pool_of(each["given"][0]) for each in (*few_moved, *many_moved)} == {"100.66.0"}


@asynccontextmanager
async def held_by_others(network: Network, *, but_for: int = 0) -> AsyncIterator[AsyncSession]:
    """Somebody has locked the free ranges of the small pool, all but the first so many, until it is rolled back."""
    of_pool = select(FreeRange.seq).join(Pool, Pool.id == FreeRange.pool_id).where(Pool.name == "v4-2")
    async with network.database.begin() as db:
        ranges = of_pool.where(FreeRange.seq >= but_for).with_for_update(of=FreeRange)
        assert len((await db.scalars(ranges)).all()) > 0
        yield db
        await db.rollback()


async def six_behind_bng_1(network: Network) -> None:
    """Who, when they go behind BNG 2, take all that its small pool has."""
    await network.apply(with_overflow())
    for onu in ONUS[:6]:
        await network.allocate(onu, f"LOC-1-{onu}")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize("but_for", [0, 1])
async def test_a_pool_of_which_others_hold_what_is_left_is_not_passed_over_for_the_next_one(
    empty: Network, monkeypatch: pytest.MonkeyPatch, but_for: int
) -> None:
    await six_behind_bng_1(empty)
    alone: list[int] = []
    give_alone = rehoming._give_alone
    async with held_by_others(empty, but_for=but_for) as others:

        async def let_go_then(db: AsyncSession, each: rehoming._Going, *stocks: Any) -> None:
            alone.append(each.line.service_id)
            await others.rollback()
            await give_alone(db, each, *stocks)

        monkeypatch.setattr(rehoming, "_give_alone", let_go_then)
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**NEW)

    assert len(alone) == 1
    assert [pool_of(each["given"][0]) for each in done.moved] == 6 * ["100.65.0"]
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_what_others_have_let_go_of_meanwhile_is_found_when_the_rest_is_taken(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await six_behind_bng_1(empty)
    take, give_alone = Stock.take, AsyncMock()
    monkeypatch.setattr(rehoming, "_give_alone", give_alone)
    async with held_by_others(empty, but_for=1) as others:

        async def take_then_let_go(stock: Stock, chosen: Iterable[Candidate], holder: Holder) -> list[Held]:
            taken = await take(stock, chosen, holder)
            await others.rollback()
            return taken

        monkeypatch.setattr(Stock, "take", take_then_let_go)
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**NEW)

    assert give_alone.await_count == 0
    assert [pool_of(each["given"][0]) for each in done.moved] == 6 * ["100.65.0"]
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_a_used_address_is_given_only_while_others_hold_the_never_used_ones(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(with_overflow("bng-2"))
    used = [await empty.allocate(100 + onu, f"LOC-2-{onu}") for onu in ONUS[:2]]
    for line in used:
        await empty.release(line["service_id"])
    empty.clock.forward(minutes=5)
    await empty.keep("rehome", **{**NEW, "bng": "bng-1"})
    for onu in ONUS[:4]:
        await empty.allocate(onu, f"LOC-1-{onu}")
    take = Stock.take
    async with held_by_others(empty) as others:

        async def take_then_let_go(stock: Stock, chosen: Iterable[Candidate], holder: Holder) -> list[Held]:
            taken = await take(stock, chosen, holder)
            await others.rollback()
            return taken

        monkeypatch.setattr(Stock, "take", take_then_let_go)
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**NEW)

    given = [each["given"][0] for each in done.moved]
    assert [address in {line["ip_address"] for line in used} for address in given] == [True, False, False, False]
    assert {pool_of(address) for address in given} == {"100.65.0"}
    assert await empty.violations() == []
