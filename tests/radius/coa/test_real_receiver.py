"""What is sent about sessions, as an independent implementation reads it: FreeRADIUS 3.2.1 as the receiver.

It drops requests of either kind that have no Message-Authenticator, when it is told to require one.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radius import PlanTerms
from radius.coa.coa import CoaAnswer, coa_words
from radius.coa.disconnect import DisconnectAnswer
from radius.coa.dynamic_authorization import ONE_KEY
from radius.coa.wire import request_of
from radius.dialects import DIALECTS
from radius.nas.packets import send_until_answered
from tests.radius.coa.asking import QUICKLY, SAID, assert_fresh, change, disconnect, door, keys_of
from tests.radius.coa.test_coa import EXPECTED, FORMER, WANTED
from tests.support.coa_receiver import SECRET, CoaReceiver, coa_receiver

LIVE = {name: dialect.live for name, dialect in DIALECTS.items() if dialect.live is not None}
# all that each is told of a session that is up, at the ends of what it can say
PLAIN: dict[str, Any] = {"download_kbps": 100_000, "upload_kbps": 20_000}
MOST = {"download_kbps": 4_294_967, "upload_kbps": 4_294_967}
TIMES = {"session_timeout_seconds": 86_400, "idle_timeout_seconds": 600}
TIMED = [("Session-Timeout", "86400"), ("Idle-Timeout", "600")]
FULLEST: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "mikrotik": (
        {
            **TIMES,
            "burst_download_kbps": 200_000,
            "burst_upload_kbps": 40_000,
            "burst_seconds": 10,
            "priority": 3,
            "session_cap_megabytes": 5000,
            "garden_filter": "unpaid",
        },
        [
            ("Mikrotik-Rate-Limit", "20000k/100000k 40000k/200000k 20000k/100000k 10/10 3"),
            ("Mikrotik-Total-Limit", "705032704"),
            ("Mikrotik-Total-Limit-Gigawords", "1"),
            ("Mikrotik-Address-List", "unpaid"),
            *TIMED,
        ],
    ),
    "chillispot": (
        {**TIMES, "session_cap_megabytes": 4294},
        [
            ("ChilliSpot-Bandwidth-Max-Up", "20000"),
            ("ChilliSpot-Bandwidth-Max-Down", "100000"),
            ("ChilliSpot-Max-Total-Octets", "4294000000"),
            *TIMED,
        ],
    ),
    "wispr": (
        {**TIMES, **MOST},
        [("WISPr-Bandwidth-Max-Up", "4294967000"), ("WISPr-Bandwidth-Max-Down", "4294967000"), *TIMED],
    ),
    "huawei": (
        {**TIMES, **MOST, "upload_kbps": 2_500_000},
        [
            ("Huawei-Input-Average-Rate", "2500000000"),
            ("Huawei-Input-Peak-Rate", "2500000000"),
            ("Huawei-Output-Average-Rate", "4294967000"),
            ("Huawei-Output-Peak-Rate", "4294967000"),
            *TIMED,
        ],
    ),
    "cisco": (
        {**TIMES, "qos_profile": "gold"},
        [
            ("Cisco-AVPair", "ip:sub-qos-policy-in=gold-up"),
            ("Cisco-AVPair", "ip:sub-qos-policy-out=gold-down"),
            *TIMED,
        ],
    ),
    "juniper": (
        {"qos_profile": "gold"},
        [
            ("ERX-Service-Deactivate", "rate(20000k,100000k)"),
            ("ERX-Service-Activate:1", "gold(20000k,100000k)"),
        ],
    ),
    "nokia": (
        {**TIMES, "qos_profile": "gold", "garden_filter": "7"},
        [
            ("Alc-Subscriber-QoS-Override", "i:q:1:pir=20000"),
            ("Alc-Subscriber-QoS-Override", "e:r:rate=100000"),
            ("Alc-Subsc-Prof-Str", "gold"),
            ("Alc-SLA-Prof-Str", "gold"),
            ("Alc-Subscriber-Filter", "Ingr-v4:7"),
            *TIMED,
        ],
    ),
}


@pytest.mark.parametrize("dialect", sorted(LIVE))
async def test_a_disconnect_names_the_session_by_the_keys_of_the_vendor(receiver: CoaReceiver, dialect: str) -> None:
    named, keys = f"end-{dialect}#1", LIVE[dialect].keys
    answer = await disconnect(door(receiver, keys=keys), named)
    assert answer == DisconnectAnswer("disconnected", "NAS bng has ended it")
    [request] = receiver.received(named)
    assert_fresh(request, "Disconnect-Request")
    assert request.attributes == keys_of(named, keys)


async def test_all_keys_are_read_and_no_time_where_none_is_told(receiver: CoaReceiver) -> None:
    assert (await disconnect(door(receiver, event_timestamp=False), SAID["Acct-Session-Id"])).said == "disconnected"
    [request] = receiver.received(SAID["Acct-Session-Id"])
    assert (request.signed, request.at, request.attributes) == (True, None, list(SAID.items()))


@pytest.mark.parametrize("dialect", sorted(LIVE))
async def test_a_new_rate_is_read_under_the_vendor_s_names_as_it_was_meant(receiver: CoaReceiver, dialect: str) -> None:
    named, keys = f"rate-{dialect}#1", LIVE[dialect].keys
    words = coa_words(DIALECTS[dialect], [FORMER], WANTED)
    assert words is not None
    answer = await change(door(receiver, keys=keys), named, words)
    assert answer == CoaAnswer("changed", "NAS bng says that it has changed it")
    [request] = receiver.received(named)
    assert_fresh(request, "CoA-Request")
    meant = [(name, str(value)) for name, value in EXPECTED[dialect]]
    assert request.attributes == [*keys_of(named, keys), *meant]


@pytest.mark.parametrize("dialect", sorted(LIVE))
async def test_all_that_a_plan_can_say_to_a_session_is_read_attribute_for_attribute(
    receiver: CoaReceiver, dialect: str
) -> None:
    named = f"all-{dialect}#1"
    wanted, meant = FULLEST[dialect]
    words = coa_words(DIALECTS[dialect], [PlanTerms(**PLAIN)], PlanTerms(**{**PLAIN, **wanted}))
    assert words is not None
    assert (await change(door(receiver, keys=ONE_KEY), named, words)).said == "changed"
    [request] = receiver.received(named)
    assert request.attributes == [("Acct-Session-Id", named), *meant]


async def test_every_former_service_is_withdrawn_before_the_new_one_and_not_again(receiver: CoaReceiver) -> None:
    juniper, other = DIALECTS["juniper"], replace(FORMER, download_kbps=10_000, upload_kbps=2_000)
    for again in (False, True):
        words = coa_words(juniper, [FORMER, other], WANTED, again=again)
        assert words is not None
        assert (await change(door(receiver, keys=ONE_KEY), "services#1", words)).said == "changed"
    first, second = receiver.received("services#1")
    assert first.attributes[1:] == [
        ("ERX-Service-Deactivate", "rate(20000k,100000k)"),
        ("ERX-Service-Deactivate", "rate(2000k,10000k)"),
        ("ERX-Service-Activate:1", "rate(50000k,250000k)"),
    ]
    assert second.attributes[1:] == first.attributes[-1:]


async def test_a_wrong_secret_is_silence_and_nothing_of_it_is_done(receiver: CoaReceiver) -> None:
    wrong = door(receiver, secret="another-secret-of-24-char")
    ended, changed = await disconnect(wrong, "wrong#1", QUICKLY), await change(wrong, "wrong#1", how_often=QUICKLY)
    where = f"NAS bng at {receiver.address} port {receiver.port} did not answer 3"
    assert ended == DisconnectAnswer("unanswered", f"{where} Disconnect-Requests")
    assert changed == CoaAnswer("unanswered", f"{where} CoA-Requests")
    assert (await disconnect(door(receiver), "wrong#1")).said == "disconnected"  # it has come through with all before
    assert len(receiver.received("wrong#1")) == 1
    assert "invalid Message-Authenticator!  (Shared secret is incorrect.)" in receiver.log()


@pytest.mark.parametrize("code", [40, 43])
async def test_the_signature_is_what_it_is_taken_for(receiver: CoaReceiver, code: int, tmp_path: Path) -> None:
    named = f"bare-{code}#1"
    whole = request_of(code, 7, SECRET, keys=[("Acct-Session-Id", named)], words=(), at=None).packet
    said = whole[38:]  # behind the Message-Authenticator
    head = bytes((code, 7)) + (20 + len(said)).to_bytes(2, "big")
    unsigned = head + hashlib.md5(head + bytes(16) + said + SECRET.encode()).digest() + said

    async def first_octet(at: CoaReceiver, waits: list[float]) -> int | None:
        return await send_until_answered(unsigned, lambda data: data[0], server=at.address, port=at.port, waits=waits)

    assert await first_octet(receiver, [0.05, 0.1]) is None
    assert (await disconnect(door(receiver), named)).said == "disconnected"
    assert [request.signed for request in receiver.received(named)] == [True]
    with coa_receiver(tmp_path / "run", message_authenticator=False) as careless:
        assert await first_octet(careless, [3.0, 6.0]) == code + 1
        assert [request.signed for request in careless.received(named)] == [False]
