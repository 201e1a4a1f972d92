"""Signed messages from other systems: who made them, when, and nothing else is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from provisioning.signatures import SignatureRefused, fault_of_secret, new_secret, sign, verified_id

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BODY = b'{"line": 7}'
SECRET = new_secret()


def test_a_message_is_what_its_sender_signed() -> None:
    headers = sign("msg_1", BODY, [SECRET], now=NOW)
    assert verified_id(headers, BODY, [new_secret(), SECRET], now=NOW + timedelta(minutes=5)) == "msg_1"


@pytest.mark.parametrize(
    ("changed", "body", "now", "reason"),
    [
        ({"webhook-id": "msg_2"}, BODY, NOW, "no signature"),
        ({}, BODY + b" ", NOW, "no signature"),
        ({}, b"\xff", NOW, "no text"),
        ({"webhook-timestamp": "1772442001"}, BODY, NOW, "no signature"),
        ({}, BODY, NOW + timedelta(seconds=301), "more than five minutes"),
        ({}, BODY, NOW - timedelta(seconds=301), "more than five minutes"),
        ({"webhook-signature": "v1,AAAA"}, BODY, NOW, "no signature"),
        ({"webhook-signature": "nonsense"}, BODY, NOW, "no signature"),
        ({"webhook-signature": "v1,\xff\xfe"}, BODY, NOW, "no signature"),
        ({"webhook-signature": ""}, BODY, NOW, "it needs the headers"),
        ({"webhook-timestamp": "soon"}, BODY, NOW, "it needs the headers"),
        ({"webhook-timestamp": "-1"}, BODY, NOW, "it needs the headers"),
        ({"webhook-timestamp": "999999999999"}, BODY, NOW, "it needs the headers"),
        ({"webhook-timestamp": "9999999999"}, BODY, NOW, "more than five minutes"),
        ({"webhook-id": ""}, BODY, NOW, "it needs the headers"),
    ],
)
def test_whatever_else_is_refused_in_words(changed: dict[str, str], body: bytes, now: datetime, reason: str) -> None:
    headers = {**sign("msg_1", BODY, [SECRET], now=NOW), **changed}
    with pytest.raises(SignatureRefused, match=reason):
        verified_id(headers, body, [SECRET], now=now)


def test_a_secret_has_its_form_and_no_fault_repeats_it() -> None:
    assert fault_of_secret(SECRET) is None
    for wrong in ("", "hunter2hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", SECRET.removeprefix("whsec_")):
        assert fault_of_secret(wrong) == "is not whsec_ and then 24 to 64 bytes in base64"
