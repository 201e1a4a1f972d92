"""Where the appliance stands: its address and time, the systems around it, its log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode

from provisioning.settings.values import IN_ANY_CASE, WORDS, BaseAddress, NetworkText, TimeZone, WebAddress


class Surroundings(BaseModel):
    """The world as the appliance meets it."""

    public_url: BaseAddress | None = Field(
        default=None,
        description="Where the appliance answers from outside, for example https://isp.example: the base of customers'"
        " pages and of links in mails.",
        json_schema_extra={"default": "unset: no customer page, and a mail that needs a link is refused"},
    )
    trusted_proxies: Annotated[tuple[NetworkText, ...], NoDecode, WORDS] = Field(
        default=("127.0.0.1/32", "::1/128"),
        description="Addresses or networks of the proxies before `firstlight serve`, for example"
        " `10.0.0.5,10.1.0.0/24`; nobody else is believed who asks (`X-Forwarded-For`) and whether by TLS"
        " (`X-Forwarded-Proto`).",
        json_schema_extra={"default": "`127.0.0.1,::1`"},
    )
    time_zone: TimeZone = Field(
        default="UTC",
        description="The ISP's time zone, in which mails tell times, technicians work from 8 to 18 o'clock, and the"
        " days of terms begin and end, for example `Europe/Berlin`.",
    )
    genieacs_nbi_url: WebAddress | None = Field(
        default=None,
        description="GenieACS' NBI, for example http://127.0.0.1:7557. Unset: the demo starts its lab ACS.",
        json_schema_extra={"default": "unset"},
    )
    acs_cwmp_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many genieacs-cwmp workers there are: 8 to 16 CPEs are called at once for each.",
    )
    acs_inform_interval_seconds: int = Field(
        default=300,
        ge=30,
        le=604_800,
        description="How often a CPE informs of which neither its settings nor GenieACS say it; after three intervals"
        " it counts as silent.",
    )
    acs_repairs: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a CPE that has lost its settings gets them again by itself, within the window.",
    )
    acs_repair_window_hours: int = Field(
        default=24, ge=1, le=720, description="The window; then the CPE is handed over to a person."
    )
    acs_reread_hours: int = Field(
        default=24,
        ge=1,
        le=720,
        description="Within how many hours every verified CPE is read back once more, so that a change that nobody"
        " reported is noticed.",
    )
    webhook_private_networks: Annotated[tuple[NetworkText, ...], NoDecode, WORDS] = Field(
        default=(),
        description="Networks inside of which webhooks may lead, also by http, for example `10.20.0.0/16,127.0.0.0/8`;"
        " otherwise only to public addresses, by https.",
        json_schema_extra={"default": "none"},
    )
    webhook_keep_days: int = Field(
        default=30, ge=7, le=365, description="How long what webhooks were told is kept, so that it can be replayed."
    )
    check_every_minutes: int = Field(
        default=60,
        ge=5,
        le=10_080,
        description="How often the worker asks whether everything that must hold does, as `firstlight check` does.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], IN_ANY_CASE] = Field(
        default="info", description="The least urgent thing worth a log line."
    )
    log_format: Annotated[Literal["console", "json"], IN_ANY_CASE] = Field(
        default="console", description="`console` for eyes, `json` (one object a line) for a collector."
    )
