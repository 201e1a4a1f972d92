"""``firstlight check`` on addresses and VLANs: each invariant catches the corruption it is there for."""

from __future__ import annotations

import pytest

from provisioning.bootstrap import Appliance
from tests.provisioning.corruptions import DONE, SERIAL, WAITING, Corruption, assert_caught

UNIT_OF_ANOTHER = (
    "UPDATE ipam_allocation SET unit = (SELECT other.unit FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
    " WHERE service_id = 2 AND pool_id = (SELECT pool_id FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
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
        ),
        ours=(
            "UPDATE ipam_prefix SET first_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22'), last_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22') WHERE network = '192.0.2.0/30'",
        ),
        strip=("ipam_prefix",),
    ),
    Corruption(
        "a service that ended behind everybody's back",
        (
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $v4_1 of pool north-v4.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $pd_1 of pool north-pd.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $wan_1 of pool north-wan6.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $cvlan_1 of pool aggregation-north/101.",
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
                " but no run and no subscriber wants it; release it.",
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
                "Service 2 is active on plan fiber-300 without a pool of delegated prefixes.",
            ),
            (
                "ipam.partition",
                "pool north-pd",
                "Pool north-pd has 65532 never used and 3 used units, but should have 65536 in all.",
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
                "Pool north-v4 has 1017 never used and 4 used units, but should have 1022 in all.",
            ),
        ),
        ours=(
            f"UPDATE ipam_free_range SET last_unit = last_unit - 1 WHERE pool_id = {POOL_ID}"
            f" AND seq = (SELECT max(seq) FROM ipam_free_range WHERE pool_id = {POOL_ID})",
        ),
    ),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


PROVEN = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
