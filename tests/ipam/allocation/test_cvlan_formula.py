"""C-VLANs that follow from the port and the ONU, and their numbers on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import (
    CvlanNotComputable,
    EstateInUse,
    StaticResources,
    UnitDraining,
    UnitElsewhere,
    UnitExcluded,
    UnitTaken,
)
from ipam.allocation.cvlan_formula import parse_formula
from tests.ipam.conftest import Network, small


@pytest.mark.parametrize(
    ("formula", "port", "onu", "vid"),
    [
        ("256*port + onu + 2", "0/1/3", 7, 777),
        ("port*256+2+onu", "0/1/3", 7, 777),
        ("slot*1000 + 64 * port + onu + 1", "0/2/5", 63, 2384),
        ("1024*frame + slot + port + 2", "xpon 1/4/9", None, 1039),
    ],
)
def test_a_formula_is_a_sum_of_products(formula: str, port: str, onu: int | None, vid: int) -> None:
    parsed = parse_formula(formula)

    assert parsed.missing(port=port, onu=onu) == []
    assert parsed.vid(port=port, onu=onu) == vid


def test_what_a_formula_needs_and_a_premise_lacks_is_named() -> None:
    formula = parse_formula("64*slot + port + onu")

    assert formula.missing(port=None, onu=None) == ["slot", "port", "onu"]
    assert formula.missing(port="12", onu=0) == ["slot"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "nothing is neither"),
        ("256**port", "nothing is neither"),
        ("port - 1", "port - 1 is neither"),
        ("card*8 + onu", "card is neither"),
        ("4094", "gives every line the same C-VLAN"),
        ("99999*port", "99999 is neither"),
    ],
)
def test_what_is_no_formula_is_told(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.replace("*", r"\*")):
        parse_formula(text)


def computed(formula: str = "1000*port + onu + 2", **onus: int | None) -> dict[str, Any]:
    described = small()
    described["access_node"][1]["ports"] = ["0/2/0", "0/2/4"]
    described["location"] = [
        {"id": place.replace("_", "-"), "access_node": "OLT-2", "port": "0/2/0", "onu": onu}
        for place, onu in onus.items()
    ]
    described["svlan"][1] |= {"cvlan_formula": formula, "bindings": [{"access_node": "OLT-2"}]}
    return described


async def test_a_line_gets_the_c_vlan_of_its_port(empty: Network) -> None:
    await empty.apply(computed(LOC_1=7, LOC_2=8))

    first, second = await empty.allocate(1, "LOC-1"), await empty.allocate(2, "LOC-2")
    await empty.release(first["service_id"])
    again = await empty.allocate(1, "LOC-1")

    assert (first["svlan"], first["cvlan"], second["cvlan"], again["cvlan"]) == (210, 9, 10, 9)
    assert await empty.violations() == []


async def test_a_c_vlan_that_another_line_holds_is_refused_and_nothing_is_taken(empty: Network) -> None:
    await empty.apply(computed(LOC_1=7, LOC_2=7))
    first = await empty.allocate(1, "LOC-1")

    with pytest.raises(UnitTaken) as taken:
        await empty.allocate(2, "LOC-2")

    assert (taken.value.value, taken.value.pool, taken.value.service_id) == ("9", "metro/210", first["service_id"])
    assert str(taken.value) == (
        f"9 of pool metro/210 is held by service {first['service_id']}; nothing was changed. It is the C-VLAN that"
        " follows from 1000*port + onu + 2 (port 0/2/0, ONU 7) there. Correct the port or ONU of the premise, or the"
        " formula; where one can be named (cvlan), name another one, or release or move that service first."
    )
    assert (await empty.usage("cgnat"))["assigned"] == 1
    assert await empty.violations() == []


async def test_a_premise_without_its_onu_and_numbers_out_of_bounds_are_refused(empty: Network) -> None:
    await empty.apply(computed("1000*slot + 110*onu + 2", LOC_1=None, LOC_2=40, LOC_3=0))
    with pytest.raises(CvlanNotComputable, match=r"LOC-1 in S-VLAN metro/210 is 1000.* its onu is not known"):
        await empty.allocate(1, "LOC-1")
    with pytest.raises(UnitElsewhere) as nowhere:
        await empty.allocate(1, "LOC-2")
    assert str(nowhere.value) == (
        "C-VLAN 6402 can't be given at LOC-2 on plan fiber-100, in S-VLAN metro/210: 1000*slot + 110*onu + 2 (port"
        " 0/2/0, ONU 40) comes to 6402, which is no VLAN number 2..4094; correct the port or ONU of the premise, or the"
        " formula."
    )
    await empty.apply(computed("onu + 102", LOC_1=0))
    with pytest.raises(UnitExcluded) as excluded:
        await empty.allocate(1, "LOC-1")
    with pytest.raises(UnitExcluded) as previewed:
        async with empty.database.read() as db:
            await empty.service(db).preview(customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100")
    assert str(previewed.value) == str(excluded.value)
    assert str(excluded.value) == (
        "102 of pool metro/210 is never handed out: reserved. It is the C-VLAN that follows from onu + 102 (ONU 0)"
        " there. Correct the port or ONU of the premise, or the formula; where one can be named (cvlan), name another"
        " one."
    )

    assert await empty.violations() == []


async def test_a_computed_c_vlan_that_is_being_drained_is_left_for_one_that_is_named(empty: Network) -> None:
    await empty.apply(computed(LOC_1=7, LOC_2=8))
    given = await empty.allocate(1, "LOC-1")
    await empty.keep("drain", pool="metro/210", span="2-30", note="for others")
    to = {"service_id": given["service_id"], "service_location": "LOC-1", "note": "out of the drain"}

    with pytest.raises(UnitDraining):
        await empty.serve("move_service", **to)
    after = await empty.serve("move_service", **to, static=StaticResources(cvlan=77))

    assert (given["cvlan"], after["cvlan"], after["ip_address"]) == (9, 77, given["ip_address"])
    assert [each["state"] for each in await empty.keep("left_behind", pool="metro/210")] == ["quarantine"]
    assert await empty.violations() == []


async def test_a_computed_c_vlan_of_an_s_vlan_that_is_drained_is_left_for_another_s_vlan(empty: Network) -> None:
    described = computed(LOC_1=7)
    await empty.apply(described)
    given = await empty.allocate(1, "LOC-1")
    await empty.keep("drain", pool="metro/210", note="goes away")
    other = {**described["svlan"][1], "vid": 211, "bindings": [{"access_node": "OLT-2"}]}
    described["svlan"][1]["bindings"] = []
    await empty.apply({**described, "svlan": [*described["svlan"], other]})
    to = {"service_id": given["service_id"], "service_location": "LOC-1", "note": "out of the drain"}

    after = await empty.serve("move_service", **to)

    assert (given["svlan"], after["svlan"], after["cvlan"]) == (210, 211, 9)
    assert await empty.violations() == []


async def test_under_live_lines_neither_formula_nor_onu_changes(empty: Network) -> None:
    await empty.apply(computed(LOC_1=7, LOC_2=8))
    given = await empty.allocate(1, "LOC-1")

    with pytest.raises(EstateInUse, match="S-VLAN metro/210"):
        await empty.apply(computed("onu + 2000", LOC_1=7, LOC_2=8))
    with pytest.raises(EstateInUse, match=r"LOC-1 can't be changed \(onu, while 1 live"):
        await empty.apply(computed(LOC_1=9, LOC_2=8))
    await empty.release(given["service_id"])

    assert "svlan metro/210 changed" in await empty.apply(computed("onu + 2000", LOC_1=9, LOC_2=8))
