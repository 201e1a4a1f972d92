"""The ACSes: which one serves which access node, and how we show them who we are."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from provisioning.settings.values import FilePath, WebAddress, read_line

DEFAULT = "default"


class Acs(BaseModel):
    """Several GenieACS, and the proxy before each."""

    genieacs_nbi_urls: Annotated[dict[str, WebAddress], NoDecode] = Field(
        default_factory=dict,
        description="Further GenieACS by name, written as `south=https://10.2.0.5:7557,north=https://10.3.0.5:7557`;"
        " the one of `FIRSTLIGHT_GENIEACS_NBI_URL` is `default`.",
        json_schema_extra={"default": "none"},
    )
    genieacs_by_node: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Which of them the CPEs behind an access node report to, written as `OLT-3=south,OLT-7=north`; all"
        " others to `default`. A CPE stays bound to the one that it was bound to.",
        json_schema_extra={"default": "none"},
    )
    genieacs_first_session: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="The ACSes that ask for a CPE's settings in its very first session, written as `default,south`;"
        " each needs our extension beside it (docs/acs.md).",
        json_schema_extra={"default": "none: CPEs get them by a task, some seconds later"},
    )
    genieacs_token_file: FilePath | None = Field(
        default=None,
        description="File that holds the token which the proxies before the NBIs ask for (`Authorization: Bearer`).",
        json_schema_extra={"default": "unset"},
    )
    genieacs_certificate_file: FilePath | None = Field(
        default=None,
        description="PEM file with our certificate and its key, for proxies that ask for one (mTLS).",
        json_schema_extra={"default": "unset"},
    )
    genieacs_authority_file: FilePath | None = Field(
        default=None,
        description="PEM file with the authority that signed the proxies' certificates.",
        json_schema_extra={"default": "unset: those that this machine trusts"},
    )

    @field_validator("genieacs_nbi_urls", "genieacs_by_node", mode="before")
    @classmethod
    def _split_acs_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(key.strip() and other.strip() for key, _, other in pairs):
            raise ValueError("must be written as name=value,name=value")
        return {key.strip(): other.strip() for key, _, other in pairs}

    @field_validator("genieacs_nbi_urls")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = sorted(name for name in value if name == DEFAULT or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name))
        if wrong:
            raise ValueError(f"names ACSes {', '.join(wrong)}: a name is of a-z, 0-9 and -, and not {DEFAULT!r}")
        return value

    @field_validator("genieacs_by_node")
    @classmethod
    def _named(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        unknown = sorted({*value.values()} - {DEFAULT, *info.data.get("genieacs_nbi_urls", {})})
        if unknown:
            raise ValueError(f"names {', '.join(unknown)}, which FIRSTLIGHT_GENIEACS_NBI_URLS does not")
        return value

    @field_validator("genieacs_first_session", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value

    @field_validator("genieacs_first_session")
    @classmethod
    def _known(cls, value: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        unknown = sorted(value - {DEFAULT, *info.data.get("genieacs_nbi_urls", {})})
        if unknown:
            raise ValueError(f"names {', '.join(unknown)}, which FIRSTLIGHT_GENIEACS_NBI_URLS does not")
        return value

    @field_validator("genieacs_token_file", "genieacs_certificate_file", "genieacs_authority_file")
    @classmethod
    def _can_be_read(cls, value: FilePath | None) -> FilePath | None:
        if value is not None and not read_line(value):
            raise ValueError(f"names {value}, which is empty")
        return value
