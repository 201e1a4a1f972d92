"""Requests about sessions as octets: as pyrad writes them, and an answer that is plain is told from any other."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad import packet as pyrad_packet

from radius.coa.wire import Request, Words, request_of
from radius.nas.packets import dictionary

SECRET = "a-lab-secret-of-24-chars"
AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
KEYS = (
    ("User-Name", "müller@isp.example"),
    ("NAS-IP-Address", "192.0.2.7"),
    ("Acct-Session-Id", "80a0#1"),
    ("Framed-IP-Address", "100.64.0.9"),
)
WORDS: Words = (
    ("Cisco-AVPair", "ip:sub-qos-policy-in=up-50000k"),
    ("ERX-Service-Activate:1", "rate(250000,50000)"),
    ("Session-Timeout", 3600),
)


def by_pyrad(code: int, identifier: int, keys: tuple[tuple[str, str], ...], words: Words) -> Any:
    request = pyrad_packet.CoAPacket(code=code, id=identifier, secret=SECRET.encode(), dict=dictionary())
    request.add_message_authenticator()
    for name, value in keys:
        request[name] = value
    request["Event-Timestamp"] = int(AT.timestamp())
    for name, said in words:
        request.AddAttribute(name, said)
    return request.RequestPacket()


def asked(**more: Any) -> Request:
    return request_of(43, 7, SECRET, **{"keys": KEYS, "words": WORDS, "at": AT, **more})


@given(
    code=st.sampled_from([40, 43]),
    identifier=st.integers(0, 255),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60),
    address=st.ip_addresses(v=4).map(str),
)
def test_a_request_is_octet_for_octet_what_pyrad_makes_of_it(
    code: int, identifier: int, name: str, address: str
) -> None:
    keys = (("User-Name", name), ("NAS-IP-Address", "192.0.2.7"), ("Framed-IP-Address", address))
    ours = request_of(code, identifier, SECRET, keys=keys, words=WORDS, at=AT)
    assert ours.packet == by_pyrad(code, identifier, keys, WORDS)


def test_a_value_that_goes_into_no_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="User-Name of a session has 254 octets"):
        asked(keys=(("User-Name", "x" * 254),))
    with pytest.raises(ValueError, match="not-an-address"):
        asked(keys=(("NAS-IP-Address", "not-an-address"),))


def test_an_ack_without_attributes_is_one_from_who_has_the_secret_alone() -> None:
    request = asked()
    head = bytes((44, 7, 0, 20))
    genuine = head + hashlib.md5(head + request.authenticator + SECRET.encode()).digest()
    assert request.is_answered_plainly(genuine)
    assert not any(
        request.is_answered_plainly(each)
        for each in (
            genuine[:-1] + bytes((genuine[-1] ^ 1,)),
            bytes((45,)) + genuine[1:],
            genuine[:1] + bytes((8,)) + genuine[2:],
            genuine + b"\x00",
            genuine[:19],
            b"",
        )
    )
    assert SECRET not in repr(request)
