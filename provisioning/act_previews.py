"""What an act on a campaign or a webhook would touch, in sentences, before it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from acs import CampaignRecord, CampaignState
from provisioning.webhooks import WebhookRecord, Webhooks

CampaignVerb = Literal["start", "pause", "resume", "cancel"]
WebhookVerb = Literal["enable", "disable", "replay"]
CAMPAIGN_VERBS: tuple[CampaignVerb, ...] = get_args(CampaignVerb)
WEBHOOK_VERBS: tuple[WebhookVerb, ...] = get_args(WebhookVerb)
USUAL_REPLAY = timedelta(days=1)
FROM: Mapping[CampaignVerb, Sequence[CampaignState]] = {
    "start": ("planned",),
    "pause": ("running",),
    "resume": ("paused", "stopped"),
    "cancel": ("planned", "running", "paused", "stopped"),
}
"""In which states of a campaign each verb changes anything."""


@dataclass(frozen=True)
class Touches:
    """What a verb would touch; ``refused`` says why it can't be taken now."""

    verb: str
    touches: list[str]
    refused: str | None


def campaign_verbs(campaign: CampaignRecord) -> list[CampaignVerb]:
    """What can be done with it as it stands."""
    return [verb for verb in CAMPAIGN_VERBS if campaign["state"] in FROM[verb]]


def campaign_preview(campaign: CampaignRecord, verb: CampaignVerb) -> Touches:
    """Of its CPEs how many are begun, go on, or are left alone by it."""
    state, devices = campaign["state"], campaign["devices"]
    if state not in FROM[verb]:
        return Touches(verb, [], f"It is {state}; {verb} is for one that is {' or '.join(FROM[verb])}.")
    waiting = f"{_cpes(devices['waiting'])} that {_verb(devices['waiting'], 'waits', 'wait')}"
    under_way = f"{_cpes(devices['under_way'])} that {_verb(devices['under_way'], 'is', 'are')} under way"
    goes_on = _verb(devices["under_way"], "goes on", "go on")
    when = f", between {campaign['window']} by the ISP's clock" if campaign["window"] else ""
    pace = f"{campaign['canary']} first, then {campaign['batch_size']} at a time{when}"
    touches: dict[CampaignVerb, list[str]] = {
        "start": [f"It begins with {waiting}: {pace}.", _stops(campaign)],
        "pause": [f"None of {waiting} is begun.", f"{_capital(under_way)} {goes_on} to the end."],
        "resume": [f"It goes on with {waiting}: {pace}.", *_pardoned(campaign), _stops(campaign)],
        "cancel": [
            f"It ends for good: {waiting} {_verb(devices['waiting'], 'is', 'are')} left alone.",
            _begun(campaign),
        ],
    }
    return Touches(verb, touches[verb], None)


def webhook_verbs(webhook: WebhookRecord) -> list[WebhookVerb]:
    """What can be done with it as it stands."""
    return ["enable"] if webhook["state"] == "disabled" else ["disable", "replay"]


def webhook_preview(webhook: WebhookRecord, verb: WebhookVerb, *, queued: int, again: int) -> Touches:
    """``queued``: how many messages wait for it; ``again``: how many a replay would send."""
    if verb not in webhook_verbs(webhook):
        return Touches(verb, [], f"It is {webhook['state']}; {verb} is not for one that is so.")
    touches: dict[WebhookVerb, list[str]] = {
        "enable": [
            f"{_capital(_messages(queued))} that {_verb(queued, 'waits', 'wait')} for it {_verb(queued, 'is', 'are')}"
            " sent at once.",
            "What happens from now on is sent; what happened meanwhile is not: replay it afterwards.",
        ],
        "disable": [
            "Nothing is sent to it from now on.",
            f"{_capital(_messages(queued))} that {_verb(queued, 'waits', 'wait')} for it"
            f" {_verb(queued, 'stays', 'stay')} for when it is enabled.",
        ],
        "replay": [
            f"{_capital(_messages(again))} {_verb(again, 'is', 'are')} sent to it once more, by the same"
            f" {_verb(again, 'number', 'numbers')}: it may know {_verb(again, 'it', 'some')} already.",
        ],
    }
    return Touches(verb, touches[verb], None)


async def previewed_webhook(
    desk: Webhooks, webhook_id: int, verb: WebhookVerb, *, since: datetime | None, only_failed: bool, now: datetime
) -> Touches:
    """The same, counted now; a replay without ``since`` is of the last day. Raises: WebhookUnknown."""
    webhook, again = await desk.webhook(webhook_id=webhook_id), 0
    if verb == "replay":
        began = now - USUAL_REPLAY if since is None else since
        again = await desk.would_replay(webhook_id=webhook_id, since=began, only_failed=only_failed)
    return webhook_preview(webhook, verb, queued=await desk.waiting(webhook_id=webhook_id), again=again)


def _stops(campaign: CampaignRecord) -> str:
    return f"It stops by itself when more than {campaign['most_failed_percent']} % fail."


def _pardoned(campaign: CampaignRecord) -> list[str]:
    failed = campaign["devices"]["failed"]
    if campaign["state"] != "stopped" or not failed:
        return []
    return [
        f"{_capital(_cpes(failed))} that {_verb(failed, 'has', 'have')} failed {_verb(failed, 'is', 'are')} not held"
        " against it again."
    ]


def _begun(campaign: CampaignRecord) -> str:
    if campaign["state"] == "stopped":
        return "What was not sent by the time it stopped is not sent."
    under_way = campaign["devices"]["under_way"]
    goes_on = _verb(under_way, "goes on by itself", "go on by themselves")
    return f"{_capital(_cpes(under_way))} that {_verb(under_way, 'is', 'are')} under way {goes_on}."


def _cpes(number: int) -> str:
    return f"{number or 'no'} CPE{'' if number == 1 else 's'}"


def _messages(number: int) -> str:
    return f"{number or 'no'} message{'' if number == 1 else 's'}"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
