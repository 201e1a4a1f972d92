"""The only reader of the environment and of the files it names: every setting, its default, and what is wrong with it.

``load_settings()`` reads variables prefixed ``FIRSTLIGHT_``; its keyword arguments win over them (the lab uses that).
Everybody else is handed plain values. To add a setting: one field here, with its unit in the name and a description;
then ``make docs`` renews the table in ``docs/settings.md`` (a test compares the two).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url

from provisioning.errors import Fault, ProvisioningError
from provisioning.setting_values import (
    BaseAddress,
    DatabaseUrl,
    FilePath,
    LanguageTag,
    MailAddress,
    NetworkText,
    TimeZone,
    WebAddress,
    is_postgresql,
    read_line,
    sqlite_file,
    sqlite_url,
)
from provisioning.signatures import fault_of_secret
from workflows.answers import DeploymentPriority, PaymentMethod

PREFIX: Final = "FIRSTLIGHT_"
OTHERS_PREFIXES: Final = ("FIRSTLIGHT_FREERADIUS_", "FIRSTLIGHT_TEST_")
"""Variables that FreeRADIUS' own configuration and the test harness read; no setting begins like these."""

OltVendor = Literal["huawei", "nokia", "zte"]

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


class SettingsRefused(ProvisioningError):
    """The settings can't be used."""

    code = "provisioning.settings_refused"
    what = "The configuration"

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 setting is" if len(faults) == 1 else f"{len(faults)} settings are"
        super().__init__(f"{count} wrong, nothing was started: {'; '.join(f'{f.field}: {f.reason}' for f in faults)}.")


def _default_database(values: dict[str, Any]) -> str:
    return sqlite_url(values["data_dir"] / "firstlight.db")


def _default_radius_database(values: dict[str, Any]) -> str:
    """On SQLite a file of its own, or accounting would fight with the appliance for one lock."""
    url = make_url(values["database_url"])
    if url.get_backend_name() == "sqlite":
        return sqlite_url(Path(str(url.database)).absolute().with_name("radius.db"))
    return str(values["database_url"])


def _default_radius_schema(values: dict[str, Any]) -> str | None:
    shared = values["radius_database_url"] == values["database_url"]
    return "radius" if shared and is_postgresql(values["database_url"]) else None


class Settings(BaseSettings):
    """Everything an operator can set, checked. Plain values only; a file named here has been found readable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data_dir: FilePath = Field(
        default=Path("~/.local/share/firstlight"),
        description="Folder of everything the appliance keeps: the SQLite files and the sealing key.",
    )
    database_url: DatabaseUrl = Field(
        default_factory=_default_database,
        repr=False,
        description="The appliance's database, SQLite or PostgreSQL 15+.",
        json_schema_extra={"default": "`firstlight.db` (SQLite) in the data folder"},
    )
    radius_database_url: DatabaseUrl = Field(
        default_factory=_default_radius_database,
        repr=False,
        description="The database that FreeRADIUS reads and accounts into.",
        json_schema_extra={"default": "SQLite: `radius.db` beside the appliance's file; PostgreSQL: the same database"},
    )
    radius_database_schema: str | None = Field(
        default_factory=_default_radius_schema,
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="PostgreSQL schema of the RADIUS tables.",
        json_schema_extra={"default": "`radius` in a shared database, else the server's search path"},
    )
    tenant_id: str = Field(
        default="default",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="The ISP whose rows this process reads and writes.",
    )
    username_realm: str = Field(
        default="isp.example",
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
        max_length=40,
        description="What follows the @ in every RADIUS username; never change it while subscribers exist.",
    )
    sealing_key_file: FilePath = Field(
        default_factory=lambda values: values["data_dir"] / "sealing-key.json",
        description="The keyring that seals secrets; see [the sealing key](sealing-key.md).",
        json_schema_extra={"default": "`sealing-key.json` in the data folder"},
    )

    public_url: BaseAddress | None = Field(
        default=None,
        description="Where the appliance answers from outside, for example https://isp.example: the base of customers'"
        " pages and of links in mails.",
        json_schema_extra={"default": "unset: no customer page, and a mail that needs a link is refused"},
    )
    time_zone: TimeZone = Field(
        default="UTC",
        description="The ISP's time zone, in which mails tell times and technicians work from 8 to 18 o'clock, for"
        " example `Europe/Berlin`.",
    )

    genieacs_nbi_url: WebAddress | None = Field(
        default=None,
        description="GenieACS' NBI, for example http://127.0.0.1:7557. Unset: the demo starts its lab ACS.",
        json_schema_extra={"default": "unset"},
    )

    line_adapter: Literal["manual", "olt_http", "webhook"] = Field(
        default="manual",
        description="Who puts a line on the OLT: an operator with a rendered snippet, the OLT itself over HTTP,"
        " or a system that is told by a signed webhook and answers later.",
    )
    olt_vendor: OltVendor = Field(
        default="huawei", description="Dialect of the rendered snippet, unless the node is listed below."
    )
    olt_vendor_by_node: Annotated[dict[str, OltVendor], NoDecode] = Field(
        default_factory=dict,
        description="Dialects of single access nodes, written as `OLT-3=zte,OLT-7=nokia`.",
        json_schema_extra={"default": "none"},
    )
    olt_http_url: WebAddress | None = Field(
        default=None,
        description="Where the OLT of the adapter `olt_http` answers.",
        json_schema_extra={"default": "unset"},
    )
    olt_http_timeout_seconds: float = Field(
        default=20.0, gt=0, le=300, description="How long that OLT may take before its outcome counts as unknown."
    )

    line_webhook_url: WebAddress | None = Field(
        default=None,
        description="Where the system of the adapter `webhook` takes messages; see [the line's webhook]"
        "(line-webhook.md).",
        json_schema_extra={"default": "unset"},
    )
    line_webhook_secret_file: FilePath | None = Field(
        default=None,
        description="File that holds the secret by which that system's messages and ours are signed: `whsec_...`.",
        json_schema_extra={"default": "unset"},
    )
    line_webhook_timeout_seconds: float = Field(
        default=20.0, gt=0, le=300, description="How long that system may take to say that it has heard."
    )

    smtp_host: str = Field(default="localhost", min_length=1, description="The mail server that takes our mail.")
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Its port.")
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
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
    notice_schemas: Annotated[tuple[str, ...], NoDecode] = Field(
        default=NOTICE_SCHEMAS,
        min_length=1,
        description="Kinds of channels a team may have, as the first word of an Apprise address: `slack,tgram`.",
        json_schema_extra={"default": f"`{','.join(NOTICE_SCHEMAS)}`"},
    )

    webhook_private_networks: Annotated[tuple[NetworkText, ...], NoDecode] = Field(
        default=(),
        description="Networks inside of which webhooks may lead, also by http, for example `10.20.0.0/16,127.0.0.0/8`;"
        " otherwise only to public addresses, by https.",
        json_schema_extra={"default": "none"},
    )
    webhook_keep_days: int = Field(
        default=30, ge=7, le=365, description="How long what webhooks were told is kept, so that it can be replayed."
    )

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
    order_team: str | None = Field(
        default=None,
        min_length=1,
        description="The team of the estate that is told of every order.",
        json_schema_extra={"default": "unset: nobody is told"},
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
    stripe_api_key_file: FilePath | None = Field(
        default=None,
        description="File that holds the secret key of the Stripe account that takes cards, and nothing else.",
        json_schema_extra={"default": "unset: no cards"},
    )
    stripe_webhook_secret_file: FilePath | None = Field(
        default=None,
        description="File that holds the signing secret of that account's webhook; goes with the key.",
        json_schema_extra={"default": "unset"},
    )
    stripe_url: WebAddress = Field(
        default="https://api.stripe.com",
        description="Where Stripe's API answers; another address only for a double of it.",
    )
    stripe_timeout_seconds: float = Field(
        default=30.0, gt=0, le=120, description="How long Stripe may take before a payment's outcome counts as unknown."
    )

    visit_hold_hours: int = Field(
        default=336,
        ge=1,
        le=8760,
        description="How long addresses and VLANs are kept while no visit succeeds; then the run is undone.",
    )
    line_wait_hours: int = Field(
        default=24, ge=1, le=720, description="How long the OLT's answer is waited for before an operator is asked."
    )
    inform_wait_minutes: int = Field(
        default=120, ge=1, le=43200, description="How long the CPE's Inform is waited for before an operator is asked."
    )
    session_wait_minutes: int = Field(
        default=60, ge=1, le=43200, description="How long the first login is waited for before an operator is asked."
    )
    testing_hours: int = Field(
        default=24, ge=1, le=720, description="How long a line that is being installed carries the full plan unbilled."
    )
    cpe_reset_hours: int = Field(
        default=24,
        ge=1,
        le=720,
        description="How long a CPE whose service has ended is waited for to be reset, before it is left as it is.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least urgent thing worth a log line."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="`console` for eyes, `json` (one object a line) for a collector."
    )

    @field_validator("olt_vendor_by_node", mode="before")
    @classmethod
    def _split_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(node.strip() and vendor.strip() for node, _, vendor in pairs):
            raise ValueError("must be written as OLT-3=zte,OLT-7=nokia")
        return {node.strip(): vendor.strip() for node, _, vendor in pairs}

    @field_validator("notice_schemas", "webhook_private_networks", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(word.strip().lower() for word in value.split(",") if word.strip()))

    @field_validator("log_level", "log_format", "smtp_tls", mode="before")
    @classmethod
    def _ignore_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("radius_database_url")
    @classmethod
    def _radius_has_its_own_file(cls, value: str, info: ValidationInfo) -> str:
        ours = info.data.get("database_url")
        if ours is not None and not is_postgresql(value) and sqlite_file(value) == sqlite_file(ours):
            raise ValueError("must be another SQLite file than the appliance's: the two would fight for its lock")
        return value

    @field_validator("radius_database_schema")
    @classmethod
    def _schema_needs_postgresql(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("radius_database_url")
        if value is not None and url is not None and not is_postgresql(url):
            raise ValueError("has a meaning on PostgreSQL only")
        return value

    @field_validator("olt_http_url")
    @classmethod
    def _adapter_has_its_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("line_adapter") == "olt_http":
            raise ValueError(f"is needed, since {PREFIX}LINE_ADAPTER is olt_http")
        return value

    @field_validator("line_webhook_url")
    @classmethod
    def _line_webhook_has_its_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("line_adapter") == "webhook":
            raise ValueError(f"is needed, since {PREFIX}LINE_ADAPTER is webhook")
        return value

    @field_validator("line_webhook_secret_file")
    @classmethod
    def _line_webhook_has_its_secret(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("line_webhook_url") is not None:
            raise ValueError(f"is needed, since {PREFIX}LINE_WEBHOOK_URL is set")
        if value is not None and (fault := fault_of_secret(read_line(value))) is not None:
            raise ValueError(f"names {value}, whose content {fault}")
        return value

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

    @field_validator("stripe_api_key_file", "stripe_webhook_secret_file")
    @classmethod
    def _secret_can_be_read(cls, value: Path | None) -> Path | None:
        if value is not None and not read_line(value):
            raise ValueError(f"names {value}, which is empty")
        return value

    @field_validator("stripe_webhook_secret_file")
    @classmethod
    def _stripe_needs_both(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "stripe_api_key_file" in info.data and (value is None) != (info.data["stripe_api_key_file"] is None):
            raise ValueError(f"and {PREFIX}STRIPE_API_KEY_FILE go together: set both, or none")
        return value

    def stripe_secrets(self) -> tuple[SecretStr, SecretStr] | None:
        """The key and the webhook's signing secret, read from their files now; None without an account."""
        if self.stripe_api_key_file is None or self.stripe_webhook_secret_file is None:
            return None
        return SecretStr(read_line(self.stripe_api_key_file)), SecretStr(read_line(self.stripe_webhook_secret_file))

    def line_webhook_secret(self) -> SecretStr | None:
        """The secret of the line's webhook, read from its file now; None without one."""
        return None if self.line_webhook_secret_file is None else SecretStr(read_line(self.line_webhook_secret_file))

    def smtp_password(self) -> SecretStr | None:
        """The mail server's password, read from its file now; None without a login."""
        return None if self.smtp_password_file is None else SecretStr(read_line(self.smtp_password_file))

    def shown(self) -> dict[str, str]:
        """Each variable and its value in force, with passwords of database addresses hidden."""
        values = {_variable(name): getattr(self, name) for name in type(self).model_fields}
        for name in ("database_url", "radius_database_url"):
            values[_variable(name)] = make_url(getattr(self, name)).render_as_string(hide_password=True)
        return {variable: "" if value is None else str(value) for variable, value in values.items()}


def load_settings(**overrides: Any) -> Settings:
    """The settings in force: keyword arguments, else the environment, else the defaults.

    Raises:
        SettingsRefused: with every wrong value and every unknown ``FIRSTLIGHT_`` variable at once.
    """
    faults = list(_unknown_variables())
    try:
        settings = Settings(**overrides)
    except ValidationError as exc:
        # A default that is derived from a wrong value is not a second fault.
        derived = "default_factory_not_called"
        faults += [_fault(error["loc"], error["msg"]) for error in exc.errors() if error["type"] != derived]
        raise SettingsRefused(faults) from None  # its text could hold a password
    if faults:
        raise SettingsRefused(faults)
    return settings


def render_settings_table() -> str:
    """The Markdown table of ``docs/settings.md``: variable, meaning, default."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = extra.get("default", f"`{field.default}`")
        rows.append(f"| `{_variable(name)}` | {field.description} | {default} |")
    return "\n".join(rows) + "\n"


def _unknown_variables() -> Iterator[Fault]:
    known = {_variable(name) for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and not name.startswith(OTHERS_PREFIXES) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            yield Fault(name, f"is not a setting; did you mean {close[0]}?" if close else "is not a setting")


def _fault(where: tuple[int | str, ...], message: str) -> Fault:
    inner = "".join(f"{part}: " for part in where[1:])
    reason = re.sub(r"^Value error, ", "", message).replace("Input should", "must", 1)
    return Fault(_variable(str(where[0])), inner + reason)


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
