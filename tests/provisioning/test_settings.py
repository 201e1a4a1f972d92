"""Settings: derived defaults, every fault at once, nothing secret shown, and a documentation that is true."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioning.settings import PREFIX, Settings, SettingsRefused, load_settings, render_settings_table
from provisioning.signatures import new_secret

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def _faults(**overrides: object) -> dict[str, str]:
    with pytest.raises(SettingsRefused) as refused:
        load_settings(**overrides)
    return {fault.field: fault.reason for fault in refused.value.faults}


def test_without_any_variable_everything_lives_in_the_data_folder() -> None:
    settings = load_settings()
    home = Path.home() / ".local/share/firstlight"
    assert settings.data_dir == home
    assert settings.database_url == f"sqlite:///{home}/firstlight.db"
    assert settings.sealing_key_file == home / "sealing-key.json"


def test_the_default_does_not_depend_on_the_folder_one_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = load_settings()
    monkeypatch.chdir(tmp_path)
    assert load_settings() == before


def test_on_sqlite_radius_gets_a_file_of_its_own_beside_the_appliances(tmp_path: Path) -> None:
    settings = load_settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/isp.db")
    assert settings.radius_database_url == f"sqlite:///{tmp_path}/radius.db"
    assert settings.radius_database_schema is None


def test_on_postgresql_radius_gets_a_schema_of_the_same_database() -> None:
    url = "postgresql://isp:pw@db.example/isp"
    settings = load_settings(database_url=url)
    assert settings.radius_database_url == url
    assert settings.radius_database_schema == "radius"


def test_an_existing_radius_database_keeps_its_own_search_path() -> None:
    settings = load_settings(
        database_url="postgresql://isp@db.example/isp", radius_database_url="postgresql://isp@radius.example/radius"
    )
    assert settings.radius_database_schema is None


def test_the_environment_is_read_and_an_argument_wins_over_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIRSTLIGHT_TENANT_ID", "north")
    monkeypatch.setenv("FIRSTLIGHT_TESTING_HOURS", "6")
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_NBI_URL", "http://127.0.0.1:7557/")
    monkeypatch.setenv("FIRSTLIGHT_OLT_VENDOR_BY_NODE", "OLT-3=zte, OLT-7=nokia")
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_NBI_URLS", "south=http://10.2.0.5:7557, west=http://10.3.0.5:7557/")
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_BY_NODE", "OLT-7=south")
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_FIRST_SESSION", "default, south")
    settings = load_settings(tenant_id="south", data_dir=tmp_path)
    assert settings.tenant_id == "south"
    assert settings.testing_hours == 6
    assert settings.genieacs_nbi_url == "http://127.0.0.1:7557"
    assert settings.olt_vendor_by_node == {"OLT-3": "zte", "OLT-7": "nokia"}
    assert settings.genieacs_nbi_urls == {"south": "http://10.2.0.5:7557", "west": "http://10.3.0.5:7557"}
    assert (settings.genieacs_by_node, settings.genieacs_first_session) == (
        {"OLT-7": "south"},
        frozenset({"default", "south"}),
    )


def test_no_part_of_the_settings_hides_a_rule_of_another_one() -> None:
    """The whole is made of classes, and of two methods with one name only the first would be asked."""
    rules = [name for part in Settings.__bases__ for name in vars(part)["__pydantic_decorators__"].field_validators]
    assert len(rules) == len(set(rules))


def test_variables_that_freeradius_reads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_FREERADIUS_AUTH_PORT", "18120")
    assert load_settings() == Settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_NBI_URL", "")
    assert load_settings().genieacs_nbi_url is None


def test_stripe_takes_both_of_its_secrets_or_none(tmp_path: Path) -> None:
    assert load_settings().stripe_secrets() is None
    key, secret, empty = tmp_path / "key", tmp_path / "secret", tmp_path / "empty"
    key.write_text("sk_live_1\n")
    secret.write_text("whsec_1\n")
    empty.touch()
    settings = load_settings(stripe_api_key_file=key, stripe_webhook_secret_file=secret)
    read = settings.stripe_secrets()
    assert read is not None
    key_read, signing = read
    assert (key_read.get_secret_value(), [each.get_secret_value() for each in signing]) == ("sk_live_1", ["whsec_1"])
    assert "sk_live" not in repr(settings) + str(settings.shown())
    together = {
        "FIRSTLIGHT_STRIPE_WEBHOOK_SECRET_FILE": "and FIRSTLIGHT_STRIPE_API_KEY_FILE go together: set both, or none"
    }
    assert _faults(stripe_api_key_file=key) == together == _faults(stripe_webhook_secret_file=secret)
    assert _faults(stripe_api_key_file=empty, stripe_webhook_secret_file=tmp_path / "gone") == {
        "FIRSTLIGHT_STRIPE_API_KEY_FILE": f"names {empty}, which is empty",
        "FIRSTLIGHT_STRIPE_WEBHOOK_SECRET_FILE": f"names {tmp_path / 'gone'}, which can't be read",
    }


def test_a_signing_secret_that_is_replaced_stands_above_the_one_before(tmp_path: Path) -> None:
    key, stripe, line = tmp_path / "key", tmp_path / "stripe", tmp_path / "line"
    key.write_text("sk_live_1\n")
    stripe.write_text("whsec_2\nwhsec_1\n")
    new, before = new_secret(), new_secret()
    line.write_text(f"{new}\n\n{before}\n")
    settings = load_settings(
        stripe_api_key_file=key,
        stripe_webhook_secret_file=stripe,
        line_adapter="webhook",
        line_webhook_url="https://olt.isp.example/lines",
        line_webhook_secret_file=line,
    )
    read = settings.stripe_secrets()
    assert read is not None
    assert [each.get_secret_value() for each in read[1]] == ["whsec_2", "whsec_1"]
    assert [each.get_secret_value() for each in settings.line_webhook_secrets()] == [new, before]
    line.write_text(f"{new}\nwhsec_short\n")
    stripe.write_text("a\nb\nc\nd\n")
    assert _faults(stripe_api_key_file=key, stripe_webhook_secret_file=stripe, line_webhook_secret_file=line) == {
        "FIRSTLIGHT_LINE_WEBHOOK_SECRET_FILE": f"names {line}, whose line 2 is not whsec_ and then 24 to 64 bytes in"
        " base64",
        "FIRSTLIGHT_STRIPE_WEBHOOK_SECRET_FILE": f"names {stripe}, which holds 4 secrets; 3 at most count",
    }


def test_all_faults_are_named_at_once_by_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", "mysql://isp:hunter2@db.example/isp")
    monkeypatch.setenv("FIRSTLIGHT_SMTP_PORT", "70000")
    monkeypatch.setenv("FIRSTLIGHT_MAIL_FROM", "nobody")
    monkeypatch.setenv("FIRSTLIGHT_LINE_ADAPTER", "olt_http")
    monkeypatch.setenv("FIRSTLIGHT_OLT_VENDOR_BY_NODE", "OLT-3=acme")
    monkeypatch.setenv("FIRSTLIGHT_TENNANT_ID", "north")
    monkeypatch.setenv("FIRSTLIGHT_DB_URL", "sqlite:///isp.db")
    faults = _faults()
    near = faults.pop("FIRSTLIGHT_DB_URL")
    assert near.startswith("is not a setting; known are: FIRSTLIGHT_")
    assert "FIRSTLIGHT_DATABASE_URL," in near
    assert faults == {
        "FIRSTLIGHT_TENNANT_ID": "is not a setting; did you mean FIRSTLIGHT_TENANT_ID?",
        "FIRSTLIGHT_DATABASE_URL": "names 'mysql', but only sqlite and postgresql are supported",
        "FIRSTLIGHT_SMTP_PORT": "must be less than or equal to 65535",
        "FIRSTLIGHT_MAIL_FROM": "must be one plain mail address such as noreply@isp.example",
        "FIRSTLIGHT_OLT_HTTP_URL": "is needed, since FIRSTLIGHT_LINE_ADAPTER is olt_http",
        "FIRSTLIGHT_OLT_VENDOR_BY_NODE": "OLT-3: must be 'huawei', 'nokia' or 'zte'",
    }


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("DATABASE_URL", "sqlite://", "must name a file: a database in memory is lost with the process"),
        ("DATABASE_URL", "no address", "must be sqlite:////folder/file.db or postgresql://user:password@host/name"),
        ("GENIEACS_NBI_URL", "127.0.0.1:7557", "must be an address such as http://127.0.0.1:7557"),
        (
            "GENIEACS_NBI_URL",
            "http://me:hunter2@acs.example",
            "must not carry a user or password, since addresses are written to the log",
        ),
        ("PUBLIC_URL", "isp.example", "must be an address such as http://127.0.0.1:7557"),
        (
            "PUBLIC_URL",
            "https://isp.example/portal",
            "must not carry a path: pages and links stand directly below it",
        ),
        ("TIME_ZONE", "Berlin", "must be a time zone of the IANA database such as Europe/Berlin"),
        ("TIME_ZONE", "../etc/passwd", "must be a time zone of the IANA database such as Europe/Berlin"),
        ("TIME_ZONE", "Europe", "must be a time zone of the IANA database such as Europe/Berlin"),
        ("RADIUS_DATABASE_SCHEMA", "radius", "has a meaning on PostgreSQL only"),
        ("SMTP_USER", "isp", "would send its password in clear: set FIRSTLIGHT_SMTP_TLS to starttls or tls"),
        ("SMTP_PASSWORD_FILE", "/nowhere/at/all", "names /nowhere/at/all, which can't be read"),
        ("MAIL_FROM", "a@b.example\r\nBcc: c@d.example", "must be one plain mail address such as noreply@isp.example"),
        ("OLT_VENDOR_BY_NODE", "OLT-3", "must be written as OLT-3=zte,OLT-7=nokia"),
    ],
)
def test_a_wrong_value_says_what_would_do(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    assert _faults() == {PREFIX + variable: reason}


def test_radius_and_the_appliance_never_share_an_sqlite_file(tmp_path: Path) -> None:
    faults = _faults(database_url=f"sqlite:///{tmp_path}/radius.db")
    assert list(faults) == ["FIRSTLIGHT_RADIUS_DATABASE_URL"]


def test_a_mail_login_needs_its_password_file(tmp_path: Path) -> None:
    login = {"smtp_user": "isp", "smtp_tls": "starttls"}
    assert _faults(**login) == {"FIRSTLIGHT_SMTP_PASSWORD_FILE": "is needed, since FIRSTLIGHT_SMTP_USER is set"}
    file = tmp_path / "smtp-password"
    file.write_text("hunter2\n")
    password = load_settings(**login, smtp_password_file=file).smtp_password()
    assert password is not None
    assert password.get_secret_value() == "hunter2"


def test_no_password_is_in_what_is_shown_printed_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", "postgresql://isp:hunter2@db.example/isp")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert settings.shown()["FIRSTLIGHT_DATABASE_URL"] == "postgresql://isp:***@db.example/isp"
    assert "hunter2" not in str(settings.shown())
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", "oracle://isp:hunter2@db.example/isp")
    with pytest.raises(SettingsRefused) as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


def test_every_setting_has_a_meaning_and_stands_in_the_documentation() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    document = DOCUMENT.read_text(encoding="utf-8")
    assert render_settings_table() in document, "docs/settings.md is out of date: run `make docs`"


def test_proxies_are_believed_by_address_or_network_and_nobody_is_by_default_but_this_machine() -> None:
    assert load_settings().trusted_proxies == ("127.0.0.1/32", "::1/128")
    assert load_settings(trusted_proxies="10.0.0.5, 2001:db8::/48").trusted_proxies == ("10.0.0.5/32", "2001:db8::/48")
    for wrong in ("*", "proxy.example", "10.0.0.5/8"):
        assert "must be networks" in next(iter(_faults(trusted_proxies=wrong).values()))
