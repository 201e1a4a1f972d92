"""The commercial tables: customers, site surveys, subscriptions (what is billed) and the outbox of mails.

A customer's number is the ISP's own, so it is unique per tenant, and what refers to a customer names the tenant too:
a row can't point across tenants. Unique rules are indexes, so that a repair may drop and rebuild them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.services import MailState, SurveyResult

SubscriptionState = Literal["active", "cancelled"]
AttemptOutcome = Literal["sent", "refused", "deferred", "unreachable", "untrusted", "unknown"]

OF_A_CUSTOMER = ("tenant_id", "customer_id"), ("customer.tenant_id", "customer.id")


class Customer(ProvisioningBase):
    """Who buys: a person or a firm, under the number the ISP knows them by."""

    __tablename__ = "customer"
    __table_args__ = (Index("uq_customer_request", "tenant_id", "request_id", unique=True),)

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    registered_at: Mapped[datetime]
    request_id: Mapped[str | None] = mapped_column(Text)


class SiteSurvey(ProvisioningBase):
    """A completed look at a place: can it be served, and what must the technician know?"""

    __tablename__ = "site_survey"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        CheckConstraint("result IN ('feasible', 'not_feasible')", name="result"),
        Index("ix_site_survey_newest", "tenant_id", "customer_id", "surveyed_at"),
        Index("uq_site_survey_request", "tenant_id", "request_id", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    service_location: Mapped[str] = mapped_column(Text)
    result: Mapped[SurveyResult] = mapped_column(Text)
    surveyed_at: Mapped[datetime]
    notes: Mapped[str] = mapped_column(Text, default="")
    request_id: Mapped[str | None] = mapped_column(Text)


class Subscription(ProvisioningBase):
    """A bill that runs, or ran: for which service, of whom, since when."""

    __tablename__ = "subscription"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        CheckConstraint("state IN ('active', 'cancelled')", name="state"),
        CheckConstraint("(state = 'active') = (billing_stopped_at IS NULL)", name="stopped_when_not_active"),
        # One running bill per service; what was cancelled stays as history.
        Index(
            "uq_subscription_live_service",
            "tenant_id",
            "service_id",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        Index("uq_subscription_request", "tenant_id", "request_id", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    service_id: Mapped[Reference]
    plan: Mapped[str | None] = mapped_column(Text)
    state: Mapped[SubscriptionState] = mapped_column(Text)
    billing_started_at: Mapped[datetime]
    billing_stopped_at: Mapped[datetime | None]
    stop_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)


class Mail(ProvisioningBase):
    """One mail of the outbox, rendered once and kept as it was written.

    ``unknown`` from the moment an attempt begins until the server's word is recorded: if that word never comes, or the
    process dies, the mail may have arrived.
    """

    __tablename__ = "mail"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'unknown', 'sent', 'refused', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_at_when_sent"),
        Index("uq_mail_request", "tenant_id", "request_id", unique=True),
        Index("uq_mail_message_id", "message_id", unique=True),
        Index("ix_mail_open", "tenant_id", "state", "queued_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    request_id: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str] = mapped_column(Text)
    template: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    recipient: Mapped[str] = mapped_column(Text)
    variables_digest: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    state: Mapped[MailState] = mapped_column(Text)
    queued_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    smtp_reply: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)


class MailAttempt(ProvisioningBase):
    """One try to hand a mail over: written before the connection is made, closed with what the server said.

    An attempt that was never closed is a process that died in it: its outcome is not known.
    """

    __tablename__ = "mail_attempt"
    __table_args__ = (
        ForeignKeyConstraint(("mail_id",), ("mail.id",)),
        Index("uq_mail_attempt_number", "mail_id", "number", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    mail_id: Mapped[Reference]
    number: Mapped[int]
    message_id: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[AttemptOutcome | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)
