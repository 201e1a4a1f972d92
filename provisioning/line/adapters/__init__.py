"""The ways to an OLT, as one explicit table. The recipe for another one stands in ``provisioning.line``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from provisioning.line.adapters.manual import ManualAdapter
from provisioning.line.adapters.olt_http import OltHttpAdapter
from provisioning.line.adapters.webhook import ANSWER_PATH, LineWebhookAdapter, LineWebhookSettings
from provisioning.line.ports import LineAdapter

__all__ = ["ANSWER_PATH", "LineWebhookSettings", "line_adapters"]


def line_adapters(
    *,
    vendor: str,
    vendor_by_node: Mapping[str, str],
    http: httpx.AsyncClient,
    olt_http_url: str | None,
    olt_http_timeout_seconds: float,
    webhook: LineWebhookSettings | None,
    now: Callable[[], datetime],
) -> dict[str, LineAdapter]:
    """Every adapter that is set up, by the name that the setting and the line order have for it."""
    table: dict[str, LineAdapter] = {"manual": ManualAdapter(vendor=vendor, vendor_by_node=vendor_by_node)}
    if olt_http_url is not None:
        table["olt_http"] = OltHttpAdapter(http, url=olt_http_url, timeout_seconds=olt_http_timeout_seconds)
    if webhook is not None:
        table["webhook"] = LineWebhookAdapter(http, webhook, now=now)
    return table
