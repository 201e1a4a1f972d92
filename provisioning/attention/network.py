"""What of the network needs a person: NASes, pools, CPEs, and messages to others that don't arrive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from acs import FleetTrouble, StoppedCampaign
from ipam import PoolOutlook
from provisioning.attention.items import Item, Target, Urgency, several
from provisioning.commercial import FailingMessages
from provisioning.days import minute
from provisioning.forecast import LONGEST
from provisioning.pool_levels import POOL_EVENTS
from provisioning.webhooks import FailingWebhook
from radius import NasGuard, RadiusDatabaseUnavailable, RadiusDatabaseUnfit, SessionsBehind, as_argument

SOON = timedelta(days=60)
"""A pool that lasts for longer is nobody's business yet, unless it is low."""
TODAY = timedelta(days=7)
BACKLOG_AFTER = timedelta(hours=1)
WAITING_STATES = {
    "queued": "have settings waiting for them at the ACS",
    "drifted": "have other settings than they should",
    "faulted": "have refused their settings",
}
PATIENT_CAUSES = ("nat", "busy")
"""Of these nothing need be done."""


def of_unread_radius(error: RadiusDatabaseUnavailable | RadiusDatabaseUnfit) -> Item:
    """The radius database can't be read, so that nobody knows what is down."""
    said = f"{error} Whether NASes are silent or lines are down is not known meanwhile."
    return Item(kind="radius_unread", urgency="now", sentence=said, target=Target("radius"))


def of_nases(guards: Sequence[NasGuard]) -> list[Item]:
    """NASes from which no accounting comes."""
    return [
        Item(
            kind="nas_silent",
            urgency="now",
            sentence=guard["sentence"],
            target=Target("nas", guard["nas"] or guard["nas_address"]),
            since=guard["silent_since"],
            count=guard["open_sessions"],
        )
        for guard in guards
        if guard["silent_since"] is not None
    ]


def of_sessions_behind(behind: Sequence[SessionsBehind], guards: Sequence[NasGuard]) -> list[Item]:
    """Sessions that go on as before a change, since their NAS refuses it or does not answer. One from which nothing
    comes at all is told as that."""
    silent = {guard["nas_address"] for guard in guards if guard["silent_since"] is not None}
    return [
        Item(
            kind="sessions_behind",
            urgency="today",
            sentence=f"{several(each['sessions'], 'session')} at NAS {each['nas'] or each['nas_address']} "
            + ("goes" if each["sessions"] == 1 else "go")
            + f" on as before a change; the first is that of {each['username']}"
            f" ({each['act'].replace('_', ' ')}): {each['reason']}. `firstlight subscribers diagnose"
            f" {as_argument(each['username'])}` says what to do, `subscribers changes --pending` lists all.",
            target=Target("nas", each["nas"] or each["nas_address"]),
            since=each["since"],
            count=each["sessions"],
        )
        for each in behind
        if each["nas_address"] not in silent
    ]


def of_pools(pools: Sequence[PoolOutlook], now: datetime, since: Mapping[str, datetime]) -> list[Item]:
    """Pools that are full, about to be, running low, or full within two months if it goes on like this; those that
    serve the same places in turn are one matter. ``since``: when each of them has come to its level, as far as that was
    written down."""
    items = []
    by_chain: dict[tuple[str, ...], list[PoolOutlook]] = defaultdict(list)
    for pool in pools:
        by_chain[tuple(pool["chain"])].append(pool)
    for in_turn in by_chain.values():
        pool = _of_all(in_turn)
        days = pool["days_to_exhaustion"]
        left = None if days is None else timedelta(days=min(days, 36_500))
        if pool["level"] == "ok" and (left is None or left > SOON):
            continue
        items.append(
            Item(
                kind="pool_running_dry",
                urgency=_urgency_of(pool["level"], left),
                sentence=f"{_how_full(pool)}{_until(pool, left, now)}",
                target=Target("pool", pool["pool"]),
                since=min((at for each in in_turn if (at := since.get(each["pool"]))), default=None),
                count=pool["chain_free"],
            )
        )
    return items


def of_cpes(fleet: FleetTrouble, now: datetime) -> list[Item]:
    """CPEs that wait for an hour, were handed over to a person, or cannot be reached."""
    items = []
    if fleet["handed_over"]:
        sentence = f"{several(fleet['handed_over'], 'CPE')} went wrong again and again and is left to a person."
        if fleet["handed_over"] > 1:
            sentence = f"{fleet['handed_over']} CPEs went wrong again and again and are left to a person."
        target = Target("devices", "handed_over")
        since = fleet["handed_over_since"]
        items.append(Item("cpes_handed_over", "today", sentence, target, since, fleet["handed_over"]))
    for each in fleet["states"]:
        words = WAITING_STATES.get(each["state"])
        if words is not None and now - each["oldest_since"] >= BACKLOG_AFTER:
            sentence = (
                f"CPEs that {words}: {each['devices']}; the first, {each['oldest_serial']}, since"
                f" {minute(each['oldest_since'])}."
            )
            target = Target("devices", each["state"])
            items.append(Item("acs_backlog", "today", sentence, target, each["oldest_since"], each["devices"]))
    for cause in fleet["unreached"]:
        if cause["why"] not in PATIENT_CAUSES:
            sentence = f"CPEs that cannot be reached: {cause['devices']}; {cause['words']}. {cause['remedy']}"
            target = Target("devices", cause["why"])
            items.append(Item("cpes_unreached", "soon", sentence, target, cause["oldest_since"], cause["devices"]))
    return items


def of_campaigns(stopped: Sequence[StoppedCampaign]) -> list[Item]:
    """Campaigns that have stopped by themselves: what they have not begun waits for a person."""
    items = []
    for each in stopped:
        left, since = each["waiting"], each["stopped_at"]
        alone = f" {several(left, 'CPE is', 'CPEs are')} left alone." if left else ""
        sentence = f"Campaign {each['name']} has stopped: {each['reason']}{alone}"
        target = Target("campaign", each["name"])
        items.append(Item("campaign_stopped", "today", sentence, target, since, count=max(left, 1)))
    return items


def of_webhooks(failing: Sequence[FailingWebhook]) -> list[Item]:
    """Webhooks that don't hear what they should."""
    return [
        Item(
            kind="webhook_failing",
            urgency="today",
            sentence=f"Webhook {each.webhook_id} at {each.host} {each.reason}.{each.besides}",
            target=Target("webhook", str(each.webhook_id)),
            since=each.since,
            count=max(each.given_up + each.waiting, 1),
        )
        for each in failing
    ]


def of_messages(failing: Sequence[FailingMessages]) -> list[Item]:
    """Mails and notices that have not arrived."""
    words = {
        "refused": "refused by their server",
        "unknown": "of which nobody knows whether they arrived",
        "queued": "still queued after a quarter of an hour",
        "failed": "given up",
    }
    items = []
    for each in failing:
        why = f": {each.why}" if each.why else "."
        told = f"{several(each.count, each.kind)} {words[each.state]}; the last, {each.kind} {each.last}{why}"
        items.append(
            Item(
                kind="mail_failing" if each.kind == "mail" else "notice_failing",
                urgency="today",
                sentence=told,
                target=Target("mails" if each.kind == "mail" else "notices", each.state),
                since=each.since,
                count=each.count,
            )
        )
    return items


def _of_all(in_turn: Sequence[PoolOutlook]) -> PoolOutlook:
    """The first of them, at the worst level of all, with the first unit that comes back to any."""
    back = [each["next_available_at"] for each in in_turn if each["next_available_at"] is not None]
    worst = max((each["level"] for each in in_turn), key=list(POOL_EVENTS).index)
    return {**in_turn[0], "level": worst, "next_available_at": min(back, default=None)}


def _urgency_of(level: str, left: timedelta | None) -> Urgency:
    if level == "exhausted":
        return "now"
    return "today" if level == "critical" or (left is not None and left <= TODAY) else "soon"


def _how_full(pool: PoolOutlook) -> str:
    pools, many = " and ".join(pool["chain"]), len(pool["chain"]) > 1
    whole = f"Pools {pools}, which serve in turn," if many else f"Pool {pools}"
    drained = "" if many or not pool["draining"] else f", {pool['draining']} are being drained"
    if pool["chain_free"] > 0:
        return f"{whole} {'have' if many else 'has'} {pool['chain_free']} of {pool['chain_size']} free{drained}"
    full = "have nothing left" if many else "has nothing left" if drained else "is full"
    return f"{whole} {full}: 0 of {pool['chain_size']} are free{drained}"


def _until(pool: PoolOutlook, left: timedelta | None, now: datetime) -> str:
    if pool["chain_free"] <= 0:
        soonest = pool["next_available_at"]
        return "." if soonest is None else f"; the next one is free again at {minute(soonest)}."
    if left is None or left > LONGEST:
        return "."
    verb = "are" if len(pool["chain"]) > 1 else "is"
    return f", and {verb} full on {now + left:%Y-%m-%d} if it goes on like this."
