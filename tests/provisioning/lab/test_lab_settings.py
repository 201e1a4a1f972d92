"""The laboratory's settings: what the environment of a real ISP names is neither written into, opened nor paid with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning.lab.demo import lab_settings, set_aside
from provisioning.lab.world import LabWorld, open_world

ISPS_RADIUS = "postgresql+psycopg://radius@db.isp.example/radius"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LabWorld]:
    async with open_world(tmp_path / "lab") as opened:
        yield opened


@pytest.fixture
def an_isps_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk_live_1234567890")
    values = {
        "RADIUS_DATABASE_URL": ISPS_RADIUS,
        "RADIUS_DATABASE_SCHEMA": "freeradius",
        "SEALING_KEY_FILE": str(tmp_path / "isp-key.json"),
        "SMTP_HOST": "mail.isp.example",
        "SMTP_TLS": "starttls",
        "SMTP_USER": "firstlight",
        "SMTP_PASSWORD_FILE": str(secret),
        "STRIPE_API_KEY_FILE": str(secret),
        "STRIPE_WEBHOOK_SECRET_FILE": str(secret),
        "ISP_NAME": "Nordnetz",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"FIRSTLIGHT_{name}", value)


@pytest.mark.usefixtures("an_isps_shell")
async def test_an_isps_own_databases_keys_and_accounts_are_left_alone(tmp_path: Path, world: LabWorld) -> None:
    home = tmp_path / "lab"
    settings = lab_settings(home, world)
    assert settings.radius_database_url == f"sqlite:///{home}/radius.db"
    assert settings.radius_database_schema is None
    assert settings.sealing_key_file == home / "sealing-key.json"
    assert (settings.smtp_host, settings.smtp_user, settings.smtp_password_file) == ("127.0.0.1", None, None)
    assert (settings.stripe_api_key_file, settings.stripe_webhook_secret_file) == (None, None)
    assert settings.isp_name == "Nordnetz"
    assert set_aside(settings) == [
        "FIRSTLIGHT_RADIUS_DATABASE_SCHEMA",
        "FIRSTLIGHT_RADIUS_DATABASE_URL",
        "FIRSTLIGHT_SEALING_KEY_FILE",
        "FIRSTLIGHT_SMTP_HOST",
        "FIRSTLIGHT_SMTP_PASSWORD_FILE",
        "FIRSTLIGHT_SMTP_TLS",
        "FIRSTLIGHT_SMTP_USER",
        "FIRSTLIGHT_STRIPE_API_KEY_FILE",
        "FIRSTLIGHT_STRIPE_WEBHOOK_SECRET_FILE",
    ]


@pytest.mark.usefixtures("an_isps_shell")
async def test_radius_stands_beside_the_laboratorys_own_tables(
    tmp_path: Path, world: LabWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "postgresql+psycopg://lab@localhost/lab"
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", own)
    settings = lab_settings(tmp_path / "lab", world)
    assert (settings.database_url, settings.radius_database_url, settings.radius_database_schema) == (
        own,
        own,
        "radius",
    )


async def test_what_is_given_by_hand_wins_and_a_clean_shell_has_nothing_to_set_aside(
    tmp_path: Path, world: LabWorld
) -> None:
    elsewhere = "postgresql+psycopg://lab@localhost/radius"
    settings = lab_settings(
        tmp_path / "lab",
        world,
        database_url="postgresql+psycopg://lab@localhost/lab",
        radius_database_url=elsewhere,
        stripe_api_key_file=None,
    )
    assert (settings.radius_database_url, settings.radius_database_schema) == (elsewhere, None)
    assert set_aside(settings) == []
