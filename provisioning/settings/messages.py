"""Mails to customers and notices to teams: by which server, in whose name, by which channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from provisioning.settings.values import (
    IN_ANY_CASE,
    PREFIX,
    WORDS,
    FilePath,
    LanguageTag,
    MailAddress,
    WebAddress,
    read_line,
)

NOTICE_SCHEMAS: Final = (
    "discord",
    "gchat",
    "gotifys",
    "jsons",
    "mailtos",
    "matrixs",
    "mmosts",
    "ntfys",
    "opsgenie",
    "pagerduty",
    "pover",
    "rockets",
    "slack",
    "tgram",
    "workflows",
    "wxteams",
    "zulip",
)
"""Channels over TLS only, none that acts on this machine."""


class Messages(BaseModel):
    """The mail server, and what is written."""

    smtp_host: str = Field(default="localhost", min_length=1, description="The mail server that takes our mail.")
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Its port.")
    smtp_tls: Annotated[Literal["none", "starttls", "tls"], IN_ANY_CASE] = Field(
        default="none",
        description="`starttls` (587), `tls` from the first byte (465), `none` (a relay on this host).",
    )
    smtp_user: str | None = Field(
        default=None, description="Login at the mail server.", json_schema_extra={"default": "unset: no login"}
    )
    smtp_password_file: FilePath | None = Field(
        default=None,
        description="File that holds that login's password, and nothing else.",
        json_schema_extra={"default": "unset"},
    )
    smtp_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        le=200,
        description="How long the mail server may take for each reply until it is given the mail, 200 s in all.",
    )
    smtp_answer_timeout_seconds: float = Field(
        default=600.0,
        gt=0,
        le=600,
        description="How long it may look at a mail it was given; giving up earlier makes second copies"
        " (RFC 5321 section 4.5.3.2.6).",
    )
    mail_from: MailAddress = Field(default="noreply@isp.example", description="Sender of every mail to a customer.")
    mail_language: LanguageTag = Field(
        default="en",
        description="Language of a mail that asks for none, or for one there is none in, as BCP 47 writes it.",
    )
    isp_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="The name that mails are signed with, and customers' pages where no partner's stands.",
        json_schema_extra={"default": "the domain of the sender"},
    )
    customer_move_notice_hours: int = Field(
        default=24,
        ge=1,
        le=336,
        description="How long before it begins a visit can still be moved by its customer, and how soon the time may be"
        " that they choose.",
    )
    customer_moves: int = Field(
        default=3,
        ge=0,
        le=20,
        description="How often a customer may move a visit, or those of an order, by the links of their mails; 0: there"
        " are no such links.",
    )
    travel_kmh: float = Field(
        default=40.0,
        gt=0,
        le=200,
        description="How fast technicians get from one place to another, as the crow flies, where no router says it.",
    )
    routing_url: WebAddress | None = Field(
        default=None,
        description="Where an OSRM server tells how long ways take by road, with its profile:"
        " `http://127.0.0.1:5000/table/v1/driving`.",
        json_schema_extra={"default": "straight lines"},
    )
    notice_schemas: Annotated[tuple[str, ...], NoDecode, WORDS] = Field(
        default=NOTICE_SCHEMAS,
        min_length=1,
        description="Kinds of channels a team may have, as the first word of an Apprise address: `slack,tgram`.",
        json_schema_extra={"default": f"`{','.join(NOTICE_SCHEMAS)}`"},
    )

    @field_validator("smtp_user")
    @classmethod
    def _login_needs_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("smtp_tls") == "none":
            raise ValueError(f"would send its password in clear: set {PREFIX}SMTP_TLS to starttls or tls")
        return value

    @field_validator("smtp_password_file")
    @classmethod
    def _password_can_be_read(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("smtp_user") is not None:
            raise ValueError(f"is needed, since {PREFIX}SMTP_USER is set")
        if value is not None and not read_line(value):
            raise ValueError(f"names {value}, which is empty")
        return value

    def smtp_password(self) -> SecretStr | None:
        """The mail server's password, read from its file now; None without a login."""
        return None if self.smtp_password_file is None else SecretStr(read_line(self.smtp_password_file))
