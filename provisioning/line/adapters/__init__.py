"""The ways to an OLT, as one explicit table. The recipe for another one stands in ``provisioning.line``."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from provisioning.line.adapters.manual import ManualAdapter
from provisioning.line.adapters.olt_http import OltHttpAdapter
from provisioning.line.ports import LineAdapter


def line_adapters(
    *,
    vendor: str,
    vendor_by_node: Mapping[str, str],
    http: httpx.AsyncClient,
    olt_http_url: str | None,
    olt_http_timeout_seconds: float,
) -> dict[str, LineAdapter]:
    """Every adapter that is set up, by the name that the setting and the line order have for it."""
    table: dict[str, LineAdapter] = {"manual": ManualAdapter(vendor=vendor, vendor_by_node=vendor_by_node)}
    if olt_http_url is not None:
        table["olt_http"] = OltHttpAdapter(http, url=olt_http_url, timeout_seconds=olt_http_timeout_seconds)
    return table
