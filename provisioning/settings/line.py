"""The line's side: whoever drives the OLTs, and how they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from provisioning.settings.values import PREFIX, FilePath, WebAddress, read_lines
from provisioning.signatures import MOST_SECRETS, fault_of_secret

OltVendor = Literal["huawei", "nokia", "zte"]


class Line(BaseModel):
    """The adapter of the line, and what it needs."""

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
        description="File that holds the secret by which that system's messages and ours are signed: `whsec_...`;"
        " while it is replaced, the new one and below it the one before.",
        json_schema_extra={"default": "unset"},
    )
    line_webhook_timeout_seconds: float = Field(
        default=20.0, gt=0, le=300, description="How long that system may take to say that it has heard."
    )

    @field_validator("olt_vendor_by_node", mode="before")
    @classmethod
    def _split_vendor_pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(node.strip() and vendor.strip() for node, _, vendor in pairs):
            raise ValueError("must be written as OLT-3=zte,OLT-7=nokia")
        return {node.strip(): vendor.strip() for node, _, vendor in pairs}

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
        if value is None:
            return None
        secrets = read_lines(value) or ("",)
        if len(secrets) > MOST_SECRETS:
            raise ValueError(f"names {value}, which holds {len(secrets)} secrets; {MOST_SECRETS} at most count")
        for number, secret in enumerate(secrets, start=1):
            if (fault := fault_of_secret(secret)) is not None:
                whose = "content" if len(secrets) == 1 else f"line {number}"
                raise ValueError(f"names {value}, whose {whose} {fault}")
        return value

    def line_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets of the line's webhook, the one in force first, read from their file now; none without one."""
        if self.line_webhook_secret_file is None:
            return ()
        return tuple(SecretStr(secret) for secret in read_lines(self.line_webhook_secret_file))
