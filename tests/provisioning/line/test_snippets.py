"""What an operator pastes: each vendor's commands, with gaps where we don't know."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from provisioning.line.ports import LineRequest
from provisioning.line.snippets import VENDORS, render_snippet
from provisioning.settings import OltVendor
from tests.provisioning.line.test_adapters import LINE

KNOWN = dataclasses.replace(LINE, onu_id=5, actual_port="0/1/3")


def test_the_setting_offers_each_vendor_that_has_a_file() -> None:
    assert get_args(OltVendor) == VENDORS


@pytest.mark.parametrize(
    ("vendor", "line", "commands"),
    [
        (
            "huawei",
            LINE,
            ['ont add 3 sn-auth "4857544312345678"', "service-port vlan 200 gpon 0/1/3", "inner-vlan 1203"],
        ),
        ("zte", LINE, ["interface gpon-olt_0/1/3", "sn HWTC12345678", "vlan 1203 svlan 200"]),
        (
            "nokia",
            LINE,
            ["sernum HWTC:12345678", "network-vlan stacked:200:1203", "bandwidth-profile name:fiber_1gbps"],
        ),
        ("huawei", KNOWN, ["gpon 0/1/3 ont 5 gemport"]),
        ("zte", KNOWN, ["onu 5 type <ONU type>", "interface gpon-onu_0/1/3:5"]),
        ("nokia", KNOWN, ["configure equipment ont interface 1/0/1/3/5 admin-state up"]),
    ],
)
def test_the_commands_name_the_lines_own_facts(vendor: str, line: LineRequest, commands: list[str]) -> None:
    snippet = render_snippet(vendor, "authorise", line)
    assert [command for command in commands if command not in snippet] == []


@pytest.mark.parametrize(
    ("vendor", "command"),
    [
        ("huawei", "ont delete 3 5"),
        ("zte", "no onu 5"),
        ("nokia", "configure equipment ont no interface 1/0/1/3/5"),
    ],
)
def test_a_withdrawal_removes_the_onu_that_was_answered(vendor: str, command: str) -> None:
    assert command in render_snippet(vendor, "withdraw", KNOWN)


@pytest.mark.parametrize(
    ("port", "interface"),
    [("1/3", "0/1"), ("0/1/3", "0/1"), ("OLT-1/2/3", "0/2"), ("OLT-1/1/2/3", "1/2"), ("9/8/1/2/3", "1/2")],
)
def test_a_port_is_read_from_its_last_numbers(port: str, interface: str) -> None:
    assert f"interface gpon {interface}\n" in render_snippet(
        "huawei", "authorise", dataclasses.replace(LINE, port=port)
    )


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_not_known_is_a_gap_and_never_guessed(vendor: str) -> None:
    line = dataclasses.replace(LINE, port=None, device_serial="CPE-0001")
    snippet = render_snippet(vendor, "authorise", line)
    assert "# fill in what stands in <angle brackets>" in snippet
    assert "<slot>" in snippet
    assert "<ONU id>" in snippet
    assert "<PON serial of CPE-0001>" in snippet
    assert "None" not in snippet


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_shared_vlan_needs_no_customer_vlan(vendor: str) -> None:
    snippet = render_snippet(vendor, "authorise", dataclasses.replace(KNOWN, cvlan=None, management_vlan=None))
    assert "1203" not in snippet
    assert "200" in snippet
    assert "None" not in snippet


def test_an_unknown_vendor_is_named() -> None:
    with pytest.raises(ValueError, match="no snippets for 'acme'"):
        render_snippet("acme", "authorise", LINE)
