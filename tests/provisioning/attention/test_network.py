"""What is told of NASes, pools, CPEs and messages: a sentence with a date, and no more alarm than it deserves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from acs import StoppedCampaign
from ipam import PoolOutlook
from provisioning.attention import Target, network
from provisioning.commercial import FailingMessages
from provisioning.webhooks import FailingWebhook

NOW = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)


def a_pool(**said: Any) -> PoolOutlook:
    usual = {"pool": "north-1", "kind": "ipv4", "role": "cgnat", "network": "100.64.0.0/22", "size": 1022}
    counts = {"assigned": 900, "quarantined": 0, "reserved": 0, "draining": 0, "free": 122, "used_percent": 88.1}
    outlook = {"next_available_at": None, "level": "low", "units_per_day": 10.0, "days_to_exhaustion": 12.2}
    numbers = {**usual, **counts, **outlook, **said}
    alone = {"chain": [numbers["pool"]], "chain_size": numbers["size"], "chain_free": numbers["free"]}
    return PoolOutlook(**{**alone, **numbers})  # type: ignore[typeddict-item]


def test_a_pool_that_runs_dry_is_told_with_the_date() -> None:
    [item] = network.of_pools([a_pool()], NOW, {"north-1": NOW - timedelta(days=2)})
    assert item.sentence == ("Pool north-1 has 122 of 1022 free, and is full on 2026-03-22 if it goes on like this.")
    assert (item.urgency, item.target.noun, item.target.id) == ("soon", "pool", "north-1")
    assert item.since == NOW - timedelta(days=2)


def test_how_urgent_a_pool_is_follows_from_its_level_and_its_date() -> None:
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"level": "ok", "days_to_exhaustion": None}, []),
        ({"level": "ok", "days_to_exhaustion": 400.0}, []),
        ({"level": "ok", "days_to_exhaustion": 30.0}, ["soon"]),
        ({"level": "low", "days_to_exhaustion": None}, ["soon"]),
        ({"level": "low", "days_to_exhaustion": 3.0}, ["today"]),
        ({"level": "critical", "days_to_exhaustion": None}, ["today"]),
        ({"level": "exhausted", "free": 0, "days_to_exhaustion": 0.0}, ["now"]),
    ]
    for said, urgencies in cases:
        assert [item.urgency for item in network.of_pools([a_pool(**said)], NOW, {})] == urgencies, said
    [full] = network.of_pools([a_pool(level="exhausted", free=0, next_available_at=NOW + timedelta(hours=1))], NOW, {})
    assert full.sentence == (
        "Pool north-1 is full: 0 of 1022 are free; the next one is free again at 2026-03-10 04:00 UTC."
    )
    [late] = network.of_pools([a_pool(days_to_exhaustion=1e12)], NOW, {})
    assert late.sentence == "Pool north-1 has 122 of 1022 free."  # no year is meant in earnest


def test_pools_that_serve_in_turn_are_one_matter_by_what_they_have_left_together() -> None:
    chain = {"chain": ["north-1", "north-2"], "chain_size": 2044, "chain_free": 4, "level": "critical"}
    both = [
        a_pool(**chain, free=0),
        a_pool(**chain, pool="north-2", free=4),
        a_pool(pool="south", level="ok", free=500),
    ]
    [first, second] = network.of_pools(both, NOW, {})
    assert [(item.target.id, item.count) for item in (first, second)] == [("north-1", 4), ("south", 500)]
    assert first.sentence.startswith(
        "Pools north-1 and north-2, which serve in turn, have 4 of 2044 free, and are full"
    )
    full = a_pool(**{**chain, "chain_free": 0, "level": "exhausted"})
    [item] = network.of_pools([full], NOW, {})
    assert item.sentence == "Pools north-1 and north-2, which serve in turn, have nothing left: 0 of 2044 are free."
    soon = NOW + timedelta(hours=1)
    worse = [
        a_pool(**{**chain, "level": "low"}),
        a_pool(**{**chain, "level": "exhausted", "chain_free": 0}, pool="north-2", next_available_at=soon),
    ]
    worse[0]["chain_free"] = 0
    [item] = network.of_pools(worse, NOW, {"north-1": NOW, "north-2": NOW - timedelta(days=1)})
    assert (item.urgency, item.since) == ("now", NOW - timedelta(days=1))
    assert item.sentence.endswith("0 of 2044 are free; the next one is free again at 2026-03-10 04:00 UTC.")
    enough = {**chain, "chain_free": 900, "level": "ok", "days_to_exhaustion": None}
    assert network.of_pools([a_pool(**enough, free=0)], NOW, {}) == []


def test_of_a_pool_that_is_drained_it_is_said_that_it_is() -> None:
    drained = a_pool(level="exhausted", assigned=1, draining=1021, free=0)
    [item] = network.of_pools([drained], NOW, {})
    assert item.sentence == "Pool north-1 has nothing left: 0 of 1022 are free, 1021 are being drained."


def test_cpes_that_wait_or_are_left_to_a_person_are_counted() -> None:
    hours = [NOW - timedelta(hours=count) for count in (0, 2)]
    states = [
        {"state": "queued", "devices": 3, "oldest_serial": "HWTC1", "oldest_since": hours[1]},
        {"state": "drifted", "devices": 1, "oldest_serial": "HWTC2", "oldest_since": hours[0]},
        {"state": "verified", "devices": 900, "oldest_serial": "HWTC3", "oldest_since": hours[1]},
    ]
    cause = {"words": "it is off", "remedy": "Look.", "oldest_serial": "HWTC4", "oldest_since": hours[1]}
    unreached = [{"why": "offline", "devices": 2, **cause}, {"why": "nat", "devices": 5, **cause}]
    fleet: Any = {"states": states, "unreached": unreached, "handed_over": 1, "handed_over_since": hours[1]}
    told = network.of_cpes(fleet, NOW)
    assert [item.since for item in told] == [hours[1]] * 3
    assert [(item.kind, item.sentence, item.count) for item in told] == [
        ("cpes_handed_over", "1 CPE went wrong again and again and is left to a person.", 1),
        (
            "acs_backlog",
            "CPEs that have settings waiting for them at the ACS: 3; the first, HWTC1, since 2026-03-10 01:00 UTC.",
            3,
        ),
        ("cpes_unreached", "CPEs that cannot be reached: 2; it is off. Look.", 2),
    ]


def test_messages_that_do_not_arrive_say_why_the_last_one_has_not() -> None:
    failing = [
        FailingMessages("mail", "refused", 2, NOW, 17, "550 no such user"),
        FailingMessages("notice", "queued", 1, NOW, 4, None),
    ]
    assert [item.sentence for item in network.of_messages(failing)] == [
        "2 mails refused by their server; the last, mail 17: 550 no such user",
        "1 notice still queued after a quarter of an hour; the last, notice 4.",
    ]
    [hook] = network.of_webhooks([FailingWebhook(3, "crm.example", "is disabled: 410 Gone", NOW, 2)])
    assert hook.sentence == "Webhook 3 at crm.example is disabled: 410 Gone. 2 messages were given up within a day."
    assert (hook.since, hook.count) == (NOW, 2)


def test_a_campaign_that_has_stopped_says_why_and_how_many_it_has_left_alone() -> None:
    why = "1 of 20 CPEs failed, which is more than 3 %."
    campaign = StoppedCampaign(name="wifi", reason=why, stopped_at=NOW, waiting=40)
    over = StoppedCampaign(name="wifi", reason=why, stopped_at=NOW, waiting=0)
    left, none_left = network.of_campaigns([campaign, over])
    assert left.sentence == f"Campaign wifi has stopped: {why} 40 CPEs are left alone."
    assert (left.urgency, left.target, left.count, left.since) == ("today", Target("campaign", "wifi"), 40, NOW)
    assert (none_left.sentence, none_left.count) == (f"Campaign wifi has stopped: {why}", 1)
