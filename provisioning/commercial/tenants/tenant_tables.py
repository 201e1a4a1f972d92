"""The tables of what is delivered: customer pages that the appliance hosts, and deployments with their visit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId
from workflows.answers import DeploymentPriority, DeploymentState, DeploymentType, HostedState

LIVE = text("state = 'active'")
SCHEDULED = text("state = 'scheduled'")


class HostedTenant(ProvisioningBase):
    """A customer's page, answered at ``/t/<slug>`` and, where it has one, under its own domain.

    Slugs and domains name a page whichever ISP it belongs to, so they are unique over all of them.
    """

    __tablename__ = "hosted_tenant"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("tenant_id", "partner_id"), ("partner.tenant_id", "partner.id")),
        ForeignKeyConstraint(("license_id",), ("license.id",)),
        CheckConstraint("deployment_type IN ('hosted', 'white_label')", name="deployment_type"),
        CheckConstraint(
            "(deployment_type = 'white_label') = (partner_id IS NOT NULL)", name="partner_when_white_label"
        ),
        CheckConstraint("state IN ('active', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawn_at_when_withdrawn"),
        Index("uq_hosted_tenant_slug", "slug", unique=True),
        Index("uq_hosted_tenant_domain", "domain", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("uq_hosted_tenant_license", "license_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("uq_hosted_tenant_request", "tenant_id", "request_id", unique=True),
        Index("ix_hosted_tenant_customer", "tenant_id", "customer_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    slug: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[Reference]
    partner_id: Mapped[Reference | None]
    license_id: Mapped[Reference]
    deployment_type: Mapped[DeploymentType] = mapped_column(Text)
    white_label: Mapped[dict[str, Any]] = mapped_column(JSON)
    domain: Mapped[str | None] = mapped_column(Text)
    state: Mapped[HostedState] = mapped_column(Text)
    provisioned_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdraw_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)


class Deployment(ProvisioningBase):
    """What has to be done at a customer's place for an order, and the visit in which it is done.

    ``wanted`` is what was asked for: a day, or a moment in UTC (ISO 8601).
    """

    __tablename__ = "deployment"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="priority"),
        CheckConstraint("state IN ('scheduled', 'released')", name="state"),
        CheckConstraint("(state = 'released') = (released_at IS NOT NULL)", name="released_at_when_released"),
        Index(
            "uq_deployment_order",
            "tenant_id",
            "order_id",
            unique=True,
            sqlite_where=SCHEDULED,
            postgresql_where=SCHEDULED,
        ),
        Index(
            "uq_deployment_visit",
            "visit_id",
            unique=True,
            sqlite_where=SCHEDULED,
            postgresql_where=SCHEDULED,
        ),
        Index("uq_deployment_request", "tenant_id", "request_id", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    order_id: Mapped[Reference]
    customer_id: Mapped[Reference]
    visit_id: Mapped[Reference]
    priority: Mapped[DeploymentPriority] = mapped_column(Text)
    wanted: Mapped[str] = mapped_column(Text)
    state: Mapped[DeploymentState] = mapped_column(Text)
    scheduled_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
