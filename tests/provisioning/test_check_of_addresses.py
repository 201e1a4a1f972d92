"""``firstlight check`` on addresses and VLANs: each invariant catches the corruption it is there for."""

from __future__ import annotations

import pytest

from provisioning.bootstrap import Appliance
from tests.provisioning.corruptions import DONE, LONG_AGO, SERIAL, WAITING, Corruption, assert_caught

UNIT_OF_ANOTHER = (
    "UPDATE ipam_allocation SET unit = (SELECT other.unit FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
    " WHERE service_id = 2 AND pool_id = (SELECT pool_id FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
)
FORGED = (
    "nothing of ours writes history so, unless a machine's clock was set back by more than an hour: compare it with a"
    " backup (docs/running.md) before you tell anybody who had it"
)
POOL_ID = "(SELECT id FROM ipam_pool WHERE name = 'north-v4')"

CORRUPTIONS = (
    # -- addresses and VLANs -------------------------------------------------------------------------------------------
    Corruption(
        "an address given twice",
        (
            ("ipam.given_twice", "$v4_1 of pool north-v4", "$v4_1 of pool north-v4 is given twice."),
            (
                "radius.addresses_as_allocated",
                WAITING,
                f"{WAITING} is given $v4_2, $wan_2, $pd_2, but service 2 was allocated $v4_1, $wan_2, $pd_2.",
            ),
            (
                "ipam.history",
                "$v4_1 of pool north-v4",
                "$v4_1 of pool north-v4 is held by service 2, but its history says held by service 1;"
                " what to do: docs/invariants.md.",
            ),
            (
                "ipam.history",
                "$v4_2 of pool north-v4",
                "$v4_2 of pool north-v4 is nobody's, but its history says held by service 2;"
                " what to do: docs/invariants.md.",
            ),
        ),
        ours=(UNIT_OF_ANOTHER.format(kind="ipv4"),),
        strip=("ipam_allocation",),
    ),
    Corruption(
        "a VLAN given twice",
        (
            (
                "ipam.given_twice",
                "$cvlan_1 of pool aggregation-north/101",
                "$cvlan_1 of pool aggregation-north/101 is given twice.",
            ),
            (
                "ipam.history",
                "$cvlan_1 of pool aggregation-north/101",
                "$cvlan_1 of pool aggregation-north/101 is held by service 2, but its history says held by service 1;"
                " what to do: docs/invariants.md.",
            ),
            (
                "ipam.history",
                "$cvlan_2 of pool aggregation-north/101",
                "$cvlan_2 of pool aggregation-north/101 is nobody's, but its history says held by service 2;"
                " what to do: docs/invariants.md.",
            ),
        ),
        ours=(UNIT_OF_ANOTHER.format(kind="cvlan"),),
        strip=("ipam_allocation",),
    ),
    Corruption(
        "two prefixes that overlap",
        (
            (
                "ipam.overlapping",
                "prefix 192.0.2.0/30",
                "Prefix 192.0.2.0/30 overlaps 100.64.0.0/22 in VRF default.",
            ),
            (
                "ipam.as_written",
                "prefix 192.0.2.0/30",
                "Prefix 192.0.2.0/30 has other addresses in its row than its text says.",
            ),
        ),
        ours=(
            "UPDATE ipam_prefix SET first_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22'), last_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22') WHERE network = '192.0.2.0/30'",
        ),
        strip=("ipam_prefix",),
    ),
    Corruption(
        "a pool that reaches beyond its prefix",
        (
            (
                "ipam.as_written",
                "pool north-v4",
                "Pool north-v4 spans 2048 units, but 100.64.0.0/22 has 1024 of them.",
            ),
        ),
        ours=(
            "UPDATE ipam_pool SET span = 2048, size = size + 1024 WHERE name = 'north-v4'",
            "INSERT INTO ipam_free_range (tenant_id, pool_id, seq, next_unit, last_unit)"
            " SELECT tenant_id, id, 99, 1024, 2047 FROM ipam_pool WHERE name = 'north-v4'",
        ),
    ),
    Corruption(
        "a service that ended behind everybody's back",
        (
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $v4_1 of pool north-v4; what to do: docs/invariants.md.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $pd_1 of pool north-pd; what to do: docs/invariants.md.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $wan_1 of pool north-wan6; what to do: docs/invariants.md.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $cvlan_1 of pool aggregation-north/101; what to do:"
                " docs/invariants.md.",
            ),
            ("radius.subscribers_of_ended_services", DONE, f"{DONE} is active, but service 1 has ended."),
            (
                "acs.device_of_ended_service",
                SERIAL,
                f"CPE {SERIAL} is still bound to service 1 of customer 1001, which has ended. Withdraw it.",
            ),
            (
                "line.of_ended_service",
                "line order 1",
                f"Line order 1 keeps ONT {SERIAL} on OLT-3 (authorised), but its service 1 has ended.",
            ),
            (
                "billing.service_live",
                "subscription 1",
                "Customer 1001 is billed for service 1, which holds nothing in the network (subscription 1).",
            ),
        ),
        ours=("UPDATE ipam_service SET state = 'released', released_at = created_at WHERE service_id = 1",),
    ),
    Corruption(
        "a run that ended without giving anything back",
        (
            (
                "ipam.leaked",
                "service 2",
                f"Service 2 of customer 1002 ({WAITING}, request ticket/T-2/allocate_resources) holds its addresses,"
                " but no run and no subscriber wants it; release it:"
                " `firstlight addresses release 2 --reason WHY`.",
            ),
            (
                "radius.subscribers_nobody_wants",
                WAITING,
                f"{WAITING} is pending, but no open run will ever bring service 2 into service or take it back.",
            ),
            (
                "field.visit_of_ended_run",
                "visit 2",
                "Visit 2 keeps technician 7002 (booked), but run 2, which booked it, is cancelled.",
            ),
            ("runs.ended_whole", "run 2", "Run 2 is cancelled, but its step allocate_resources is completed."),
        ),
        ours=(
            "UPDATE run SET state = 'cancelled', finished_at = updated_at WHERE id = 2",
            "UPDATE run_step SET state = 'undone' WHERE run_id = 2 AND step <> 'allocate_resources'",
        ),
    ),
    Corruption(
        "a service without its delegated prefix",
        (
            (
                "ipam.incomplete",
                "service 2",
                "Service 2 is active on plan fiber-300 without a delegated prefix; `firstlight addresses move 2"
                " --to=LOC-20002 --reason WHY` gives it what it lacks.",
            ),
            (
                "ipam.partition",
                "pool north-pd",
                "Pool north-pd has 65532 never used and 3 used units, but should have 65536 in all; what to do:"
                " docs/invariants.md.",
            ),
            (
                "ipam.history",
                "$pd_2 of pool north-pd",
                "$pd_2 of pool north-pd is nobody's, but its history says held by service 2;"
                " what to do: docs/invariants.md.",
            ),
        ),
        ours=(
            "DELETE FROM ipam_allocation WHERE service_id = 2 AND pool_id ="
            " (SELECT id FROM ipam_pool WHERE name = 'north-pd')",
        ),
    ),
    Corruption(
        "a unit that got lost",
        (
            (
                "ipam.partition",
                "pool north-v4",
                "Pool north-v4 has 1017 never used and 4 used units, but should have 1022 in all; what to do:"
                " docs/invariants.md.",
            ),
        ),
        ours=(
            f"UPDATE ipam_free_range SET last_unit = last_unit - 1 WHERE pool_id = {POOL_ID}"
            f" AND seq = (SELECT seq FROM ipam_free_range WHERE pool_id = {POOL_ID}"
            " ORDER BY last_unit - next_unit DESC LIMIT 1)",
        ),
    ),
    Corruption(
        "an address that went on too early",
        (
            (
                "ipam.quarantine_kept",
                "100.64.3.132 of pool north-v4",
                "100.64.3.132 of pool north-v4 went from service 1 to service 2 before its quarantine was over.",
            ),
            (
                "ipam.history_in_order",
                "100.64.3.132 of pool north-v4",
                "100.64.3.132 of pool north-v4 was given back by service 1 at 2026-01-01 00:00:00 UTC by its history,"
                f" which says that nobody had it until then; {FORGED}.",
            ),
            (
                "ipam.history_in_order",
                "100.64.3.132 of pool north-v4",
                "100.64.3.132 of pool north-v4 was given to service 2 at 2026-01-01 00:00:00 UTC by its history, while"
                f" that had another of its kind; {FORGED}.",
            ),
        ),
        ours=tuple(
            "INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at, available_at)"
            f" SELECT tenant_id, id, 900, {service_id}, '{what}', {LONG_AGO}, {until} FROM ipam_pool"
            " WHERE name = 'north-v4'"
            for service_id, what, until in (
                (1, "released", "'2100-01-01 00:00:00.000000'"),
                (2, "assigned", "NULL"),
                (2, "released", LONG_AGO),
            )
        ),
    ),
    *(
        Corruption(
            f"a quarantine that ends {how}",
            (
                (
                    "ipam.history",
                    "$v4_cooling of pool north-v4",
                    f"$v4_cooling of pool north-v4 is in quarantine until {day} 00:00:00 UTC, but its history says"
                    " until $cools_until; what to do: docs/invariants.md.",
                ),
            ),
            ours=(
                f"UPDATE ipam_allocation SET available_at = '{day} 00:00:00.000000' WHERE state = 'quarantine'"
                f" AND pool_id = {POOL_ID}",
            ),
        )
        for how, day in (("in a hundred years", "2126-01-01"), ("before its time", "2020-01-01"))
    ),
    Corruption(
        "an address that somebody else is to get again",
        (
            (
                "ipam.rows_as_held",
                "$v4_1 of pool north-v4",
                "$v4_1 of pool north-v4 is had by service 1 of customer 1001, but 7@7 (customer@premise) is to get it"
                " again; what to do: docs/invariants.md.",
            ),
        ),
        ours=(f"UPDATE ipam_allocation SET subject = '7@7' WHERE service_id = 1 AND pool_id = {POOL_ID}",),
    ),
    Corruption(
        "an address of the network itself that may be handed out",
        (
            (
                "ipam.never_handed_out",
                "100.64.0.0 of pool north-v4",
                "100.64.0.0 of pool north-v4 is its network's own address, which no line may have, but isn't excluded:"
                " bring the network's description in again (`firstlight import ESTATE`).",
            ),
            (
                "ipam.partition",
                "pool north-v4",
                "Pool north-v4 has 1022 usable and 1 excluded units, but spans 1024; what to do: docs/invariants.md.",
            ),
        ),
        ours=(f"DELETE FROM ipam_exclusion WHERE pool_id = {POOL_ID} AND first_unit = 0",),
    ),
    Corruption(
        "a pool whose prefix others may overlap",
        (
            (
                "ipam.founded",
                "pool north-v4",
                "Pool north-v4 stands on 100.64.0.0/22, a container, which others may overlap: bring the network's"
                " description in again (`firstlight import ESTATE`).",
            ),
        ),
        ours=("UPDATE ipam_prefix SET role = 'container' WHERE network = '100.64.0.0/22'",),
    ),
    Corruption(
        "a history that anybody may rewrite",
        (
            (
                "ipam.guarded",
                "table ipam_pool",
                "Table ipam_pool may be rewritten by anybody: its trigger ipam_pool_kept is gone or disabled;"
                " make it again (`CREATE TRIGGER ipam_pool_kept`, as ipam/ddl.py or ipam/kept_ddl.py has it), and"
                " compare the table with a backup (docs/running.md).",
            ),
        ),
        strip=("ipam_pool",),
    ),
    Corruption(
        "a C-VLAN that doesn't follow from its port",
        tuple(
            (
                "ipam.cvlan_as_computed",
                f"service {service_id}",
                f"Service {service_id} has C-VLAN $cvlan_{service_id} in aggregation-north/101,"
                f" but 5000*onu at LOC-{20000 + service_id} is nothing.",
            )
            for service_id in (1, 2, 3)
        ),
        ours=("UPDATE ipam_svlan SET cvlan_formula = '5000*onu' WHERE vid = 101",),
    ),
    Corruption(
        "a place that is served by what is bound elsewhere",
        (
            (
                "ipam.serving_as_bound",
                "what is kept of who serves plan fiber-300 at OLT-3 0/0/1",
                "What is kept of who serves plan fiber-300 at OLT-3 0/0/1 isn't what is bound there.",
            ),
        ),
        ours=(
            "DELETE FROM ipam_serving",
            "DELETE FROM ipam_network_version",
            "INSERT INTO ipam_network_version (tenant_id, version) SELECT DISTINCT tenant_id, 7 FROM ipam_site",
            "INSERT INTO ipam_serving (tenant_id, node_id, port_id, plan, version, plan_id, wanted, kinds, standings,"
            " pools, reuses, last_seqs, svlans, firsts, hints, facts) SELECT n.tenant_id, n.id, o.id, p.name, 7,"
            " p.id, 4, '{ipv4}', '{4}', '{1}', '{f}', '{0}', '{NULL}', '{1}', '{0}', '{}'"
            " FROM ipam_access_node n JOIN ipam_access_port o ON o.node_id = n.id, ipam_address_plan p"
            " WHERE n.name = 'OLT-3' AND o.name = '0/0/1' AND p.name = 'fiber-300'",
        ),
    ),
    Corruption(
        "a port of the CGNAT that two had",
        (
            (
                "ipam.ports_of_one",
                "port 192.0.2.0:1024",
                "Port 192.0.2.0:1024 was given to two at one time, by cgn-1 and cgn-2.",
            ),
        ),
        ours=tuple(
            "INSERT INTO ipam_nat_block (tenant_id, outside, first_port, last_port, vrf_id, inside, began_at, source)"
            f" SELECT i.tenant_id, o.first_address, {first}, 2000, i.vrf_id, i.first_address, {LONG_AGO}, '{source}'"
            " FROM ipam_prefix i, ipam_prefix o WHERE i.network = '100.64.0.0/22' AND o.network = '192.0.2.0/30'"
            for first, source in ((1024, "cgn-1"), (1500, "cgn-2"))
        ),
    ),
    Corruption(
        "a port of the CGNAT that somebody has against its rule",
        (
            (
                "ipam.ports_as_ruled",
                "port blocks of pool north-v4",
                "Port blocks of pool north-v4 are not what log cgn-1 says: 192.0.2.0:1024-1100 is 100.64.3.255's since"
                " 2026-01-01T00:00:00Z, the rule gives it to 100.64.0.0; end the rule that the box doesn't map by, or"
                " read in the rest of its log.",
            ),
        ),
        ours=(
            "INSERT INTO ipam_nat_rule (tenant_id, name, pool_id, prefix_id, first_outside, last_outside, first_inside,"
            " inside_count, first_port, last_port, ports_per_subscriber, algorithm, since)"
            f" SELECT i.tenant_id, 'north-v4', {POOL_ID}, o.id, o.first_address, o.last_address, i.first_address, 1024,"
            f" 1024, 65535, 200, 'by_address', {LONG_AGO}"
            " FROM ipam_prefix i, ipam_prefix o WHERE i.network = '100.64.0.0/22' AND o.network = '192.0.2.0/30'",
            "INSERT INTO ipam_nat_block (tenant_id, outside, first_port, last_port, vrf_id, inside, began_at, source)"
            f" SELECT i.tenant_id, o.first_address, 1024, 1100, i.vrf_id, i.last_address, {LONG_AGO}, 'cgn-1'"
            " FROM ipam_prefix i, ipam_prefix o WHERE i.network = '100.64.0.0/22' AND o.network = '192.0.2.0/30'",
        ),
    ),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


PROVEN = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
