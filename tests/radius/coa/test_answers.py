"""Whatever comes in the place of a NAS' answer is dropped, unless it is from who has the secret."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius.coa.dynamic_authorization import NasReply, _verified
from radius.coa.wire import Request, request_of

SECRET = "a-lab-secret-of-24-chars"
KEYS = (("Acct-Session-Id", "80a0#1"),)
REQUEST = request_of(43, 7, SECRET, keys=KEYS, words=(), at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC))
CAUSE = bytes((101, 6)) + (503).to_bytes(4, "big")


def answer(code: int, attributes: bytes = b"", *, secret: str = SECRET, request: Request = REQUEST) -> bytes:
    """As RFC 5176 s2.3 has it."""
    head = bytes((code, request.identifier)) + (20 + len(attributes)).to_bytes(2, "big")
    return head + hashlib.md5(head + request.authenticator + attributes + secret.encode()).digest() + attributes


ACK, NAK = answer(44), answer(45, CAUSE)
BROKEN = {
    "a vendor's attribute with an inner length of 0": bytes((26, 8)) + (14122).to_bytes(4, "big") + bytes((8, 0)),
    "a vendor's attribute that ends in its head": bytes((26, 3, 0)),
    "an attribute of length 0": bytes((101, 0)),
    "an attribute longer than the packet": bytes((101, 200, 0, 0)),
    "a Message-Authenticator that is too short": bytes((80, 4, 0, 0)),
    "a Message-Authenticator that is a wrong one": bytes((80, 18)) + bytes(16),
    "a vendor's attribute of 31 octets": bytes((26, 11)) + (311).to_bytes(4, "big") + bytes((1, 0, 0, 0, 0)),
}


def test_what_a_nas_says_is_told_apart() -> None:
    assert _verified(REQUEST, ACK) == NasReply("ack")
    assert _verified(REQUEST, NAK) == NasReply("nak", "Session Context Not Found (503)", 503)


@pytest.mark.parametrize(("authenticator", "taken"), [(REQUEST.authenticator, True), (bytes(16), False)])
def test_a_signed_answer_is_taken_if_it_is_signed_over_the_request_s_authenticator(
    authenticator: bytes, taken: bool
) -> None:
    """RFC 5176 s3.4; FreeRADIUS 3.2.1 takes zeros for it (``test_real_answers.py``)."""
    unsigned = bytes((45, REQUEST.identifier, 0, 44)) + authenticator + CAUSE + bytes((80, 18)) + bytes(16)
    signature = hmac.digest(SECRET.encode(), unsigned, "md5")
    said = _verified(REQUEST, answer(45, CAUSE + bytes((80, 18)) + signature))
    assert said == (NasReply("nak", "Session Context Not Found (503)", 503) if taken else None)


@pytest.mark.parametrize("attributes", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_attribute_is_no_answer_whoever_signed_it_and_holds_up_nobody(attributes: bytes) -> None:
    for secret in (SECRET, "a-secret-that-was-guessed"):
        said = _verified(REQUEST, answer(45, attributes, secret=secret))
        assert said is None or (secret == SECRET and said.error_cause is None)


@given(st.binary(max_size=300))
def test_octets_of_anybody_are_no_answer(data: bytes) -> None:
    assert _verified(REQUEST, data) is None
    assert _verified(REQUEST, bytes((44, REQUEST.identifier)) + data) is None


@given(st.sampled_from([ACK, NAK]), st.data())
def test_an_answer_of_which_anything_was_changed_is_none(genuine: bytes, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(genuine) - 1))
    other = bytes((draw.draw(st.integers(0, 255).filter(lambda octet: octet != genuine[place])),))
    assert _verified(REQUEST, genuine[:place] + other + genuine[place + 1 :]) is None
    assert _verified(REQUEST, genuine[:place]) is None


@given(st.binary(max_size=200), st.sampled_from([44, 45]))
def test_attributes_of_any_kind_from_who_has_the_secret_do_no_harm(attributes: bytes, code: int) -> None:
    said = _verified(REQUEST, answer(code, attributes))
    assert said is None or said.heard == {44: "ack", 45: "nak"}[code]
