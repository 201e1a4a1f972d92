"""``firstlight webhooks``, as operators type it."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

URL = "https://hooks.example/firstlight"


def test_a_webhook_from_its_first_day_to_its_last(isp: Settings, type_: Type) -> None:
    added = type_("webhooks", "add", URL, "--type", "run.state_changed")
    said, secret = added.out.splitlines()
    assert said == "webhook 1 is added; keep it now, it is not shown again:"
    assert secret.startswith("whsec_")
    listed = type_("webhooks", "list").out
    assert URL in listed and "is told of run.state_changed" in listed and secret not in listed
    rotated = type_("webhooks", "rotate", 1, "--keep-hours", 0, "--json").json
    assert rotated["secret"] not in ("", secret) and rotated["previous_secret_until"] is None
    assert type_("webhooks", "disable", 1, "--reason", "moved").out == (
        "webhook 1 is disabled: moved; what it is not told is kept for 30 days\n"
    )
    refused = type_("webhooks", "replay", 1, "--since", "2026-01-01")
    assert (refused.status, "enable it first" in refused.err) == (2, True)
    assert "--since" in type_("webhooks", "enable", 1).out
    assert type_("webhooks", "replay", 1, "--since", "2026-01-01").out == "0 messages queued for webhook 1\n"
    assert type_("webhooks", "show", 1).out.endswith("no messages\n")
    assert type_("webhooks", "messages", "--state", "failed", "--json").json == []


def test_what_cannot_be_a_webhook_is_refused_with_every_fault(isp: Settings, type_: Type) -> None:
    refused = type_("webhooks", "add", "http://10.0.0.1/in")
    assert refused.status == 2
    assert "url: is not https" in refused.err and "event_types: names none" in refused.err
