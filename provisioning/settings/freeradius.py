"""The FreeRADIUS that runs beside the appliance: where it is, and how long what it writes down is kept."""

from __future__ import annotations

from pydantic import BaseModel, Field

from provisioning.settings.values import FilePath


class FreeRadius(BaseModel):
    """What the appliance needs to know of FreeRADIUS besides its database."""

    radius_auth_host: str = Field(
        default="127.0.0.1", min_length=1, max_length=253, description="Where FreeRADIUS takes logins."
    )
    radius_auth_port: int = Field(default=1812, ge=1, le=65535, description="The UDP port of that.")
    radius_config_dir: FilePath | None = Field(
        default=None,
        description="FreeRADIUS' configuration, for example `/etc/freeradius/3.0`, as `firstlight doctor` reads it.",
        json_schema_extra={
            "default": "unset: only what can be asked over the network and in the database is looked at"
        },
    )
    radius_log_file: FilePath | None = Field(
        default=None,
        description="FreeRADIUS' `radius.log`: the only place that says when a NAS has another secret, or who asks from"
        " outside of its network of NASes.",
        json_schema_extra={"default": "unset: that is not known"},
    )
    radius_login_dir: FilePath | None = Field(
        default=None,
        description="Where FreeRADIUS writes logins to files (its own `FIRSTLIGHT_FREERADIUS_LOGIN_DIR`), for a worker"
        " on this machine to carry them.",
        json_schema_extra={"default": "unset: it writes them to the database"},
    )
    radius_nas_lifetime_seconds: int = Field(
        default=60,
        ge=1,
        le=86400,
        description="How long FreeRADIUS remembers a NAS: its own `FIRSTLIGHT_FREERADIUS_NAS_LIFETIME_SECONDS`.",
    )
    login_keep_days: int = Field(
        default=30, ge=1, le=3650, description="How long it is kept who logged in and who was refused."
    )
    accounting_wait_minutes: int = Field(
        default=5,
        ge=1,
        le=1440,
        description="How long after a login its Accounting-Start may be missing before `subscribers diagnose` says so.",
    )
