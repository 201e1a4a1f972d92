"""What an act on a campaign or a webhook would touch, in sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from acs import CampaignRecord, CampaignState
from provisioning.act_previews import (
    CAMPAIGN_VERBS,
    CampaignVerb,
    campaign_preview,
    campaign_verbs,
    webhook_preview,
    webhook_verbs,
)
from provisioning.webhooks import WebhookRecord

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)


def campaign(state: CampaignState, **devices: int) -> CampaignRecord:
    counts = {"waiting": 7, "under_way": 1, "done": 3, "failed": 2, "unreached": 0, "skipped": 0, **devices}
    terms: dict[str, Any] = {"canary": 5, "batch_size": 50, "most_failed_percent": 10, "window": None}
    return cast(CampaignRecord, {"name": "wifi", "state": state, "devices": counts, **terms})


def webhook(state: str) -> WebhookRecord:
    return cast(WebhookRecord, {"webhook_id": 1, "state": state})


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("planned", ["start", "cancel"]),
        ("running", ["pause", "cancel"]),
        ("paused", ["resume", "cancel"]),
        ("stopped", ["resume", "cancel"]),
        ("completed", []),
        ("cancelled", []),
    ],
)
def test_a_campaign_can_be_done_with_what_its_state_lets(state: CampaignState, verbs: list[CampaignVerb]) -> None:
    assert campaign_verbs(campaign(state)) == verbs
    for verb in CAMPAIGN_VERBS:
        assert (campaign_preview(campaign(state), verb).refused is None) == (verb in verbs)


def test_a_campaign_s_preview_counts_its_cpes() -> None:
    assert campaign_preview(campaign("running"), "pause").touches == [
        "None of 7 CPEs that wait is begun.",
        "1 CPE that is under way goes on to the end.",
    ]
    assert campaign_preview(campaign("stopped"), "resume").touches == [
        "It goes on with 7 CPEs that wait: 5 first, then 50 at a time.",
        "2 CPEs that have failed are not held against it again.",
        "It stops by itself when more than 10 % fail.",
    ]
    refused = campaign_preview(campaign("completed"), "resume").refused
    assert refused == "It is completed; resume is for one that is paused or stopped."


def test_a_webhook_can_be_enabled_when_it_is_disabled_and_told_again_when_it_is_not() -> None:
    assert webhook_verbs(webhook("disabled")) == ["enable"]
    assert webhook_verbs(webhook("enabled")) == ["disable", "replay"]
    assert webhook_preview(webhook("disabled"), "enable", queued=0, again=0).touches[0] == (
        "No messages that wait for it are sent at once."
    )
    assert webhook_preview(webhook("enabled"), "disable", queued=1, again=0).touches[1] == (
        "1 message that waits for it stays for when it is enabled."
    )
    assert webhook_preview(webhook("enabled"), "replay", queued=0, again=2).touches == [
        "2 messages are sent to it once more, by the same numbers: it may know some already."
    ]
    assert webhook_preview(webhook("enabled"), "enable", queued=0, again=0).refused is not None
