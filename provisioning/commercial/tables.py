"""The commercial tables: customers, site surveys, subscriptions (what is billed) and the outbox of mails.

A customer's number is the ISP's own, so it is unique per tenant, and what refers to a customer names the tenant too:
a row can't point across tenants. Unique rules are indexes, so that a repair may drop and rebuild them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.answers import SubscriptionState
from workflows.services import MailState, SurveyResult

CustomerState = Literal["active", "withdrawn"]
AttemptOutcome = Literal["sent", "refused", "deferred", "unreachable", "untrusted", "unknown"]

OF_A_CUSTOMER = ("tenant_id", "customer_id"), ("customer.tenant_id", "customer.id")


class Customer(ProvisioningBase):
    """Who buys: a person or a firm, under the number the ISP knows them by.

    ``withdrawn``: made from a lead or for a partner, and taken back since; the number stays theirs.
    """

    __tablename__ = "customer"
    __table_args__ = (
        Index("ix_customer_email", "tenant_id", "email", "id"),
        CheckConstraint("state IN ('active', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawn_at_when_withdrawn"),
        Index("uq_customer_request", "tenant_id", "request_id", unique=True),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)  # as BCP 47 writes it; NULL: the ISP's own
    state: Mapped[CustomerState] = mapped_column(Text, default="active", server_default="active")
    lead_id: Mapped[int | None] = mapped_column(Identity)  # whom they were made from; the lead's row points here
    registered_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawal_reason: Mapped[str | None] = mapped_column(Text)
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
    """A bill that runs, ran, or waits for the line it is for.

    A bill of an installation alone has a service and a plan. One that was sold has an ``offer_id`` with its price, and
    a term where the offer has one. An offer without a network plan (``plan`` NULL) runs without a service. One with a
    plan is *pending_installation*, without service, start or term, until ``activate_service`` of that customer and plan
    adopts it: it gets the service, and its term begins. So whoever bought and was installed has one bill.

    ``ends_on`` is the first day that is not paid for: ``starts_on`` plus ``term_months`` plus the extensions in force.
    ``expiry_told_for`` is the end that the event of expiry was published for, ``expiry_round`` how often, and
    ``expiry_looked_at`` when it was last seen to. ``end_told_for`` is the end for which its service was told to end.
    ``to_end_on`` is the last day of a hosted one that somebody wants to end, ``to_end_because`` why.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        Index("ix_subscription_newest", "tenant_id", "id"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        CheckConstraint("state IN ('pending_installation', 'active', 'cancelled')", name="state"),
        CheckConstraint("(state = 'cancelled') = (billing_stopped_at IS NOT NULL)", name="stopped_when_cancelled"),
        CheckConstraint("state <> 'active' OR billing_started_at IS NOT NULL", name="started_when_active"),
        CheckConstraint(
            "state <> 'active' OR service_id IS NOT NULL OR (offer_id IS NOT NULL AND plan IS NULL)",
            name="of_something",
        ),
        CheckConstraint(
            "state <> 'pending_installation' OR (service_id IS NULL AND billing_started_at IS NULL"
            " AND starts_on IS NULL AND offer_id IS NOT NULL AND plan IS NOT NULL)",
            name="pending_before_its_line",
        ),
        CheckConstraint(
            "(offer_id IS NULL) = (price_minor IS NULL) AND (offer_id IS NULL) = (currency IS NULL)",
            name="price_of_offer",
        ),
        CheckConstraint("(starts_on IS NULL) = (anchor_day IS NULL)", name="anchor_of_start"),
        CheckConstraint(
            "ends_on IS NULL OR (starts_on IS NOT NULL AND term_months IS NOT NULL AND starts_on < ends_on)",
            name="term",
        ),
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
        Index("uq_subscription_activation_request", "tenant_id", "activation_request_id", unique=True),
        Index("ix_subscription_customer", "tenant_id", "customer_id"),
        Index("ix_subscription_ends_on", "tenant_id", "ends_on"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    service_id: Mapped[int | None] = mapped_column(Identity)
    plan: Mapped[str | None] = mapped_column(Text)
    state: Mapped[SubscriptionState] = mapped_column(Text)
    billing_started_at: Mapped[datetime | None]
    billing_stopped_at: Mapped[datetime | None]
    stop_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    activation_request_id: Mapped[str | None] = mapped_column(Text)
    offer_id: Mapped[int | None] = mapped_column(Identity)
    title: Mapped[str | None] = mapped_column(Text)
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    term_months: Mapped[int | None]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    anchor_day: Mapped[int | None]
    renewed_at: Mapped[datetime | None]
    expiry_told_for: Mapped[date | None]
    expiry_round: Mapped[int | None]
    expiry_looked_at: Mapped[datetime | None]
    end_told_for: Mapped[date | None]
    to_end_on: Mapped[date | None]
    to_end_because: Mapped[str | None] = mapped_column(Text)


class SubscriptionExtension(ProvisioningBase):
    """A term made longer, once per request: ``extended_from`` up to, not including, ``extended_to``.

    A withdrawn one stays as history; its request id, asked once more, extends anew.
    """

    __tablename__ = "subscription_extension"
    __table_args__ = (
        ForeignKeyConstraint(("subscription_id",), ("subscription.id",)),
        CheckConstraint("months > 0", name="months"),
        CheckConstraint("extended_from < extended_to", name="period"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawal_reason IS NULL)", name="reason_when_withdrawn"),
        Index(
            "uq_subscription_extension_request",
            "tenant_id",
            "request_id",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        # No day of a subscription is paid for twice.
        Index(
            "uq_subscription_extension_from",
            "subscription_id",
            "extended_from",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    subscription_id: Mapped[Reference]
    months: Mapped[int]
    extended_from: Mapped[date]
    extended_to: Mapped[date]
    request_id: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawal_reason: Mapped[str | None] = mapped_column(Text)


HAS_NEXT_TRY = text("next_try_at IS NOT NULL")


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
        Index("ix_mail_next_try", "tenant_id", "next_try_at", sqlite_where=HAS_NEXT_TRY, postgresql_where=HAS_NEXT_TRY),
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
    next_try_at: Mapped[datetime | None]  # by the worker; of a mail that a run delivers there is none
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
