"""How the documentation shows the types of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest

from ipam import StaticResources
from provisioning.contract_reference import render_contract, shown_type
from workflows.payloads import CustomerData, WhiteLabelConfig


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (int | None, "whole number or null"),
        (date | datetime, "day or moment"),
        (Literal["low", "high"], "`low` or `high`"),
        (list[Decimal], "list of decimal"),
        (Mapping[str, Any], "object"),
        (dict[str, str | int], "object (each text or whole number)"),
        (CustomerData, "`{name: text, email: text, phone?: text or null, language?: text or null}`"),
        (
            WhiteLabelConfig,
            "`{name: text, colours?: {primary?: text, on_primary?: text or null} or null, logo_url?: text or null, "
            "domain?: text or null}`",
        ),
        (
            StaticResources,
            "`{ip_address?: text or null, ipv6_wan_prefix?: text or null, delegated_prefix?: text or null, "
            "cvlan?: whole number or null, take_reserved?: true or false}`",
        ),
    ],
)
def test_a_type_reads_as_its_json(kind: Any, shown: str) -> None:
    assert shown_type(kind) == shown


def test_no_input_is_only_called_an_object() -> None:
    rows = [line for line in render_contract().splitlines() if line.startswith("| `")]
    bare = ("| object |", "| object or null |", "| object or null; may be left out |", "| object; may be left out |")
    assert [row for row in rows if row.endswith(bare)] == []
    assert "| `variables` | object: the variables that this mail asks for, see [mails](mails.md) |" in rows
    assert "| `renewal_term` | whole number: calendar months |" in rows
