"""One row a line order: what the OLT was asked for, and what it said."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from sqlalchemy import CheckConstraint, Float, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId
from workflows.services import LineOrder, LineState

LIVE_STATES: tuple[LineState, ...] = ("requested", "handed_over", "authorised")


def _sql_list(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)


_LIVE = text(f"state IN ({_sql_list(LIVE_STATES)})")
_NOT_WITHDRAWN = text("state <> 'withdrawn'")


class LineOrderRecord(LineOrder):
    """All we know of a line order. Received power in dBm, VLANs 1..4094; None: not known (yet)."""

    customer_id: int
    service_id: int
    svlan: int
    cvlan: int | None
    management_vlan: int | None
    line_profile: str
    actual_port: str | None
    onu_id: int | None
    received_power_dbm: float | None
    refusal: str | None
    requested_at: datetime
    handed_over_at: datetime | None
    answered_at: datetime | None
    withdrawn_at: datetime | None


class LineOrderRow(ProvisioningBase):
    """A line order.

    ``adapter`` is who was asked. From ``removal_asked_at`` on it is not handed over any more; since ``removed_at`` the
    OLT is known not to have it. A serial and a service have one live order each. A request id answers until its order
    is withdrawn: asked once more after that, a line is wanted anew.
    """

    __tablename__ = "line_order"
    __table_args__ = (
        Index(
            "uq_line_order_live_serial",
            "tenant_id",
            "device_serial",
            unique=True,
            postgresql_where=_LIVE,
            sqlite_where=_LIVE,
        ),
        Index(
            "uq_line_order_live_service",
            "tenant_id",
            "service_id",
            unique=True,
            postgresql_where=_LIVE,
            sqlite_where=_LIVE,
        ),
        Index(
            "uq_line_order_request",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=_NOT_WITHDRAWN,
            sqlite_where=_NOT_WITHDRAWN,
        ),
        CheckConstraint(f"state IN ({_sql_list(get_args(LineState))})", name="state"),
        CheckConstraint("svlan BETWEEN 1 AND 4094", name="svlan"),
        CheckConstraint("cvlan BETWEEN 1 AND 4094", name="cvlan"),
        CheckConstraint("management_vlan BETWEEN 1 AND 4094", name="management_vlan"),
        CheckConstraint(
            "state <> 'authorised' OR (actual_port IS NOT NULL AND answered_at IS NOT NULL)", name="answer"
        ),
        CheckConstraint("state <> 'refused' OR (refusal IS NOT NULL AND answered_at IS NOT NULL)", name="refusal"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    request_id: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    customer_id: Mapped[Reference]
    service_id: Mapped[Reference]
    device_serial: Mapped[str] = mapped_column(String(64))
    access_node: Mapped[str] = mapped_column(String(64))
    port: Mapped[str | None] = mapped_column(String(64))
    svlan: Mapped[int]
    cvlan: Mapped[int | None]
    management_vlan: Mapped[int | None]
    line_profile: Mapped[str] = mapped_column(String(64))
    adapter: Mapped[str | None] = mapped_column(String(32))
    actual_port: Mapped[str | None] = mapped_column(String(64))
    onu_id: Mapped[int | None]
    received_power_dbm: Mapped[float | None] = mapped_column(Float(53))
    refusal: Mapped[str | None] = mapped_column(String(500))
    requested_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    removal_asked_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
