"""Where everything is kept, whose it is, and which key seals its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from sqlalchemy.engine import make_url

from provisioning.settings.values import PREFIX, DatabaseUrl, FilePath, is_postgresql, sqlite_file, sqlite_url


def _default_database(values: dict[str, Any]) -> str:
    return sqlite_url(values["data_dir"] / "firstlight.db")


def default_radius_database(values: dict[str, Any]) -> str:
    """On SQLite a file of its own, or accounting would fight with the appliance for one lock."""
    url = make_url(values["database_url"])
    if url.get_backend_name() == "sqlite":
        return sqlite_url(Path(str(url.database)).absolute().with_name("radius.db"))
    return str(values["database_url"])


def default_radius_schema(values: dict[str, Any]) -> str | None:
    shared = values["radius_database_url"] == values["database_url"]
    return "radius" if shared and is_postgresql(values["database_url"]) else None


class Storage(BaseModel):
    """Databases, tenant and keyring."""

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
        default_factory=default_radius_database,
        repr=False,
        description="The database that FreeRADIUS reads and accounts into.",
        json_schema_extra={"default": "SQLite: `radius.db` beside the appliance's file; PostgreSQL: the same database"},
    )
    radius_database_schema: str | None = Field(
        default_factory=default_radius_schema,
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
    photo_dir: FilePath = Field(
        default_factory=lambda values: values["data_dir"] / "photos",
        description="Where the photos of visits are kept as files; a backup of the database needs it beside.",
        json_schema_extra={"default": "`photos` in the data folder"},
    )

    session_hot_days: int = Field(
        default=35,
        ge=7,
        le=366,
        description="For how many days after its end a session stays in `radacct`; then it goes into the archive.",
    )
    session_archive_days: int | None = Field(
        default=None,
        ge=8,
        le=36500,
        description="For how many days after its end a session stays in that archive.",
        json_schema_extra={"default": "unset: for ever"},
    )

    @field_validator("radius_database_url")
    @classmethod
    def _radius_has_its_own_file(cls, value: str, info: ValidationInfo) -> str:
        ours = info.data.get("database_url")
        if ours is not None and not is_postgresql(value) and sqlite_file(value) == sqlite_file(ours):
            raise ValueError("must be another SQLite file than the appliance's: the two would fight for its lock")
        return value

    @field_validator("session_archive_days")
    @classmethod
    def _archive_keeps_longer(cls, value: int | None, info: ValidationInfo) -> int | None:
        hot = info.data.get("session_hot_days")
        if value is not None and hot is not None and value <= hot:
            raise ValueError(f"must be more than the {hot} days of {PREFIX}SESSION_HOT_DAYS")
        return value

    @field_validator("radius_database_schema")
    @classmethod
    def _schema_needs_postgresql(cls, value: str | None, info: ValidationInfo) -> str | None:
        url = info.data.get("radius_database_url")
        if value is not None and url is not None and not is_postgresql(url):
            raise ValueError("has a meaning on PostgreSQL only")
        return value
