"""Changing a session at its NAS: what each vendor's is told, and what each of its answers means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from radius import PlanTerms, Retransmission
from radius.coa.coa import CoaAnswer, ask_to_change, coa_words
from radius.coa.dynamic_authorization import NasDoor, SessionIdentity
from radius.coa.wire import Words
from radius.dialects import DIALECTS
from radius.testing import LabNas
from tests.radius.coa.test_disconnect import ANNA, SECRET, listening_nas

FORMER = PlanTerms(download_kbps=100_000, upload_kbps=20_000, session_timeout_seconds=3600)
WANTED = PlanTerms(download_kbps=250_000, upload_kbps=50_000, session_timeout_seconds=3600)
QUICKLY = Retransmission(sends=3, first_wait_seconds=0.05)
RATE: Words = (("Mikrotik-Rate-Limit", "50000k/250000k"),)

TIMEOUT = ("Session-Timeout", 3600)
EXPECTED: dict[str, Words] = {
    "mikrotik": (*RATE, TIMEOUT),
    "wispr": (("WISPr-Bandwidth-Max-Up", 50_000_000), ("WISPr-Bandwidth-Max-Down", 250_000_000), TIMEOUT),
    "chillispot": (("ChilliSpot-Bandwidth-Max-Up", 50_000), ("ChilliSpot-Bandwidth-Max-Down", 250_000), TIMEOUT),
    "cisco": (
        ("Cisco-AVPair", "ip:sub-qos-policy-in=up-50000k"),
        ("Cisco-AVPair", "ip:sub-qos-policy-out=down-250000k"),
        TIMEOUT,
    ),
    "juniper": (
        ("ERX-Service-Deactivate", "rate(20000k,100000k)"),
        ("ERX-Service-Activate:1", "rate(50000k,250000k)"),
    ),
    "huawei": (
        ("Huawei-Input-Average-Rate", 50_000_000),
        ("Huawei-Input-Peak-Rate", 50_000_000),
        ("Huawei-Output-Average-Rate", 250_000_000),
        ("Huawei-Output-Peak-Rate", 250_000_000),
        TIMEOUT,
    ),
    "nokia": (
        ("Alc-Subscriber-QoS-Override", "i:q:1:pir=50000"),
        ("Alc-Subscriber-QoS-Override", "e:r:rate=250000"),
        TIMEOUT,
    ),
}


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_each_nas_is_told_the_whole_new_plan_by_the_keys_of_its_vendor(dialect: str) -> None:
    words = coa_words(DIALECTS[dialect], [FORMER], WANTED)
    assert words == EXPECTED[dialect]
    live = DIALECTS[dialect].live
    assert words is not None and live is not None
    async with listening_nas() as nas:
        assert (await change(nas, words, keys=live.keys)).said == "changed"
        [request] = nas.disconnects.requests
    assert (request.code, request.signed, request.genuine) == (43, True, True)
    assert abs(request.attributes["Event-Timestamp"] - datetime.now(UTC).timestamp()) < 60
    sent = dict(request.values)
    del sent["Event-Timestamp"], sent["Message-Authenticator"]
    assert set(sent) == {*live.keys, *(name.partition(":")[0] for name, _ in words)}
    for name, _ in words:
        assert sent[name.partition(":")[0]] == [value for other, value in words if other == name]


@pytest.mark.parametrize(
    ("dialect", "former", "wanted", "why"),
    [
        ("mikrotik", {}, {"ipv4_pool": "garden"}, "an address does not change under way"),
        ("mikrotik", {"garden_filter": "unpaid"}, {}, "nothing is taken away by leaving it out"),
        ("juniper", {}, {"garden_filter": "unpaid"}, "not one of those it obeys under way"),
        ("cisco", {}, {"vrf": "red"}, "a VRF does not change under way, a policy does"),
    ],
)
def test_what_a_nas_cannot_be_told_under_way_needs_a_new_session(
    dialect: str, former: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    rate: dict[str, Any] = {"download_kbps": 1000, "upload_kbps": 500}
    assert coa_words(DIALECTS[dialect], [PlanTerms(**rate, **former)], PlanTerms(**rate, **wanted)) is None, why


def test_who_has_it_all_is_told_nothing_and_each_former_service_is_withdrawn() -> None:
    assert coa_words(DIALECTS["juniper"], [WANTED], WANTED) == ()
    other = PlanTerms(download_kbps=10_000, upload_kbps=2_000, session_timeout_seconds=3600)
    words = coa_words(DIALECTS["juniper"], [FORMER, other, FORMER], WANTED)
    assert words is not None
    assert [value for name, value in words if name == "ERX-Service-Deactivate"] == [
        "rate(20000k,100000k)",
        "rate(2000k,10000k)",
    ]


async def change(nas: LabNas, words: Words = RATE, **door: Any) -> CoaAnswer:
    where = NasDoor(name=nas.name, address=nas.source_address, port=nas.disconnects.port, secret=SECRET, **door)
    identity = SessionIdentity(ANNA.username, ANNA.session_id, nas.source_address, ANNA.framed_ip_address)
    return await ask_to_change(where, identity, words, now=datetime.now(UTC), retransmission=QUICKLY)


@pytest.mark.parametrize("cause", [401, 402, 403, 404, 405, 406, 407, 501, 502, 504, 505, 506, 507, 508])
async def test_every_refusal_says_why(cause: int) -> None:
    async with listening_nas() as nas:
        nas.disconnects.mood.refuses_changes = cause
        answer = await change(nas)
        assert (answer.said, answer.error_cause, len(nas.disconnects.requests)) == ("refused", cause, 1)
        assert answer.reason.endswith(f"({cause})")


async def test_a_session_is_asked_for_by_its_id_alone_before_it_is_believed_gone() -> None:
    async with listening_nas() as nas:
        nas.disconnects.mood.one_key = True
        assert (await change(nas)).said == "changed"
        full, single = nas.disconnects.requests
        assert {"User-Name", "Framed-IP-Address", "NAS-IP-Address"} <= full.attributes.keys()
        assert {"User-Name", "Framed-IP-Address", "NAS-IP-Address"}.isdisjoint(single.attributes)
        assert single.attributes["Mikrotik-Rate-Limit"] == "50000k/250000k"
        nas.disconnects.mood.forgetful = True
        assert await change(nas) == CoaAnswer("unknown_to_nas", "NAS bng knows of no such session", 503)


async def test_late_double_and_forged_answers_change_nothing_of_the_outcome() -> None:
    async with listening_nas() as nas:
        nas.disconnects.mood.twice = nas.disconnects.mood.forged = True
        nas.disconnects.mood.late_seconds = 0.08  # behind the second sending
        assert (await change(nas)).said == "changed"
        assert len({str(request.values) for request in nas.disconnects.requests}) == 1
        nas.disconnects.mood.silent = True
        silent = await change(nas)
    assert silent.said == "unanswered"
    assert silent.reason == f"NAS bng at 127.0.0.1 port {nas.disconnects.port} did not answer 3 CoA-Requests"


async def test_a_nas_that_takes_no_event_timestamp_is_sent_none() -> None:
    async with listening_nas() as nas:
        assert (await change(nas, event_timestamp=False)).said == "changed"
        [request] = nas.disconnects.requests
        assert "Event-Timestamp" not in request.attributes
        assert request.signed


def test_a_session_that_may_have_a_plan_s_earlier_terms_is_told_all_or_ended_where_those_would_be_withdrawn() -> None:
    plain = PlanTerms(download_kbps=100_000, upload_kbps=20_000)
    assert coa_words(DIALECTS["mikrotik"], [plain], plain) == ()
    assert dict(coa_words(DIALECTS["mikrotik"], [plain], plain, in_doubt=True) or ())["Mikrotik-Rate-Limit"]
    plan = replace(plain, qos_profile="gold")
    assert coa_words(DIALECTS["juniper"], [plan], plan) == ()
    assert coa_words(DIALECTS["juniper"], [plan], plan, in_doubt=True) is None


def test_a_repeat_of_what_was_acknowledged_withdraws_nothing() -> None:
    first = coa_words(DIALECTS["juniper"], [FORMER], WANTED)
    again = coa_words(DIALECTS["juniper"], [FORMER], WANTED, again=True)
    assert first is not None
    assert again == tuple(pair for pair in first if not pair[0].startswith("ERX-Service-Deactivate"))
    assert len(again) < len(first)
