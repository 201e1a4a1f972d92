"""Selling: who is told of it, how it is paid, when a term is renewed, which account takes cards, whose names count."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from provisioning.settings.values import PREFIX, FilePath, WebAddress, read_line, read_lines
from provisioning.signatures import MOST_SECRETS
from workflows.answers import DeploymentPriority, PaymentMethod


class Selling(BaseModel):
    """Teams, payments and renewals."""

    onboarding_team: str = Field(
        default="onboarding",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="The team of the estate that gets a ticket for every new customer.",
    )
    termination_team: str = Field(
        default="noc",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="The team of the estate that gets a ticket for a CPE that could not be reset when its service"
        " ended.",
    )
    order_payment_method: PaymentMethod = Field(
        default="invoice",
        description="How an order that is paid in advance is paid, unless its acceptance says otherwise: `invoice`,"
        " `cash`, `bank` or `card` (the customer's card on file).",
    )
    order_priority: DeploymentPriority = Field(
        default="normal",
        description="How urgent an order's visit is for dispatch, unless its acceptance says otherwise: `low`,"
        " `normal`, `high` or `urgent`.",
    )
    order_team: str = Field(
        default="dispatch",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="The team of the estate that is told of every order, unless its acceptance says otherwise.",
    )
    order_channel: str = Field(
        default="email", min_length=1, description="By which of its channels that team is told of them."
    )
    payment_wait_days: int = Field(
        default=14,
        ge=1,
        le=365,
        description="How long money that a person or the customer has to see to is waited for before an operator is"
        " asked.",
    )
    renewal_reminder_days: int = Field(
        default=10,
        ge=1,
        le=60,
        description="How many days after the last mail a customer is reminded of a renewal that is still open.",
    )
    renewal_notice_days: int = Field(
        default=30,
        ge=1,
        le=60,
        description="How many days before its term ends a subscription counts as expiring, which starts its renewal.",
    )
    host_name_look_hours: int = Field(
        default=24,
        ge=1,
        le=168,
        description="How often the DNS is asked whether it still holds the proof of a partner's host name; every hour"
        " while it is missing or the DNS does not answer.",
    )
    host_name_grace_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description="How long the proof of a partner's host name may be missing before it is withdrawn, and no page"
        " answers there any more.",
    )
    stripe_api_key_file: FilePath | None = Field(
        default=None,
        description="File that holds the secret key of the Stripe account that takes cards, and nothing else.",
        json_schema_extra={"default": "unset: no cards"},
    )
    stripe_webhook_secret_file: FilePath | None = Field(
        default=None,
        description="File that holds the signing secret of that account's webhook; while it is replaced, the new one"
        " and below it the one before. Goes with the key.",
        json_schema_extra={"default": "unset"},
    )
    stripe_url: WebAddress = Field(
        default="https://api.stripe.com",
        description="Where Stripe's API answers; another address only for a double of it.",
    )
    stripe_timeout_seconds: float = Field(
        default=30.0, gt=0, le=120, description="How long Stripe may take before a payment's outcome counts as unknown."
    )

    @field_validator("stripe_api_key_file", "stripe_webhook_secret_file")
    @classmethod
    def _secret_can_be_read(cls, value: Path | None) -> Path | None:
        if value is not None and not read_lines(value):
            raise ValueError(f"names {value}, which is empty")
        return value

    @field_validator("stripe_webhook_secret_file")
    @classmethod
    def _few_secrets(cls, value: Path | None) -> Path | None:
        if value is not None and (count := len(read_lines(value))) > MOST_SECRETS:
            raise ValueError(f"names {value}, which holds {count} secrets; {MOST_SECRETS} at most count")
        return value

    @field_validator("stripe_webhook_secret_file")
    @classmethod
    def _stripe_needs_both(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "stripe_api_key_file" in info.data and (value is None) != (info.data["stripe_api_key_file"] is None):
            raise ValueError(f"and {PREFIX}STRIPE_API_KEY_FILE go together: set both, or none")
        return value

    def stripe_secrets(self) -> tuple[SecretStr, tuple[SecretStr, ...]] | None:
        """The key and the webhook's signing secrets, the one in force first, read from their files now; None without
        an account."""
        if self.stripe_api_key_file is None or self.stripe_webhook_secret_file is None:
            return None
        signing = tuple(SecretStr(secret) for secret in read_lines(self.stripe_webhook_secret_file))
        return SecretStr(read_line(self.stripe_api_key_file)), signing
