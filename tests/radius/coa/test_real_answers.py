"""What a real server answers to requests about sessions, and what comes of it: FreeRADIUS 3.2.1 as the receiver.

It makes a NAK of a request that its ``recv-coa`` rejects, and puts no Message-Authenticator into its answers. When told
to, it signs them over sixteen zeros where RFC 5176 s3.4 wants the request's Authenticator.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from radius.coa.coa import CoaAnswer
from radius.coa.disconnect import DisconnectAnswer
from radius.coa.dynamic_authorization import EVERY_KEY, ONE_KEY
from tests.radius.coa.asking import QUICKLY, RATE, change, disconnect, door, keys_of
from tests.support.coa_receiver import CoaReceiver

# as FreeRADIUS' dictionaries have them (RFC 5176 s3.5); below 300 it is a success
CAUSES = {
    "Residual-Context-Removed": 201,
    "Invalid-EAP-Packet": 202,
    "Unsupported-Attribute": 401,
    "Missing-Attribute": 402,
    "NAS-Identification-Mismatch": 403,
    "Invalid-Request": 404,
    "Unsupported-Service": 405,
    "Unsupported-Extension": 406,
    "Invalid-Attribute-Value": 407,
    "Administratively-Prohibited": 501,
    "Proxy-Request-Not-Routable": 502,
    "Session-Context-Not-Found": 503,
    "Session-Context-Not-Removable": 504,
    "Proxy-Processing-Error": 505,
    "Resources-Unavailable": 506,
    "Request-Initiated": 507,
    "Multiple-Session-Selection-Unsupported": 508,
}
REFUSALS = {name: number for name, number in CAUSES.items() if number > 400 and number != 503}


@pytest.mark.parametrize("name", REFUSALS)
async def test_every_refusal_that_freeradius_has_a_name_for_comes_out_by_its_number(
    receiver: CoaReceiver, name: str
) -> None:
    named, number = f"nak-with-{name}", CAUSES[name]
    ended, changed = await disconnect(door(receiver), named), await change(door(receiver), named)
    assert (ended.said, ended.error_cause) == ("refused", number)
    assert (changed.said, changed.error_cause) == ("refused", number)
    assert ended.reason.endswith(f"({number})")
    assert changed.reason.endswith(f"({number})")
    assert [request.kind for request in receiver.received(named)] == ["Disconnect-Request", "CoA-Request"]


async def test_a_session_it_does_not_know_is_asked_for_by_its_id_alone_as_well(receiver: CoaReceiver) -> None:
    gone, at = "nak-with-Session-Context-Not-Found", door(receiver)
    assert await disconnect(at, gone) == DisconnectAnswer("unknown_to_nas", "NAS bng knows of no such session", 503)
    assert await change(at, gone) == CoaAnswer("unknown_to_nas", "NAS bng knows of no such session", 503)
    assert (await disconnect(at, "alone#1")).said == "disconnected"
    assert (await change(at, "alone#1")).said == "changed"
    for named in (gone, "alone#1"):
        full, single, full_change, single_change = receiver.received(named)
        assert full.attributes == keys_of(named, EVERY_KEY)
        assert single.attributes == keys_of(named, ONE_KEY)
        assert full_change.attributes == [*keys_of(named, EVERY_KEY), *RATE]
        assert single_change.attributes == [*keys_of(named, ONE_KEY), *RATE]


async def test_a_cause_of_its_own_none_at_all_and_a_success_with_a_remark_are_told_apart(
    receiver: CoaReceiver,
) -> None:
    at = door(receiver)
    assert await change(at, "nak-with-999") == CoaAnswer(
        "refused", "NAS bng refused to change it: a cause of its own (999)", 999
    )
    assert await change(at, "nak") == CoaAnswer("refused", "NAS bng refused to change it: without a reason")
    for name in ("Residual-Context-Removed", "Invalid-EAP-Packet"):
        ended, changed = await disconnect(at, f"ack-with-{name}"), await change(at, f"ack-with-{name}")
        assert (ended.said, ended.error_cause) == ("disconnected", CAUSES[name])
        assert (changed.said, changed.error_cause) == ("changed", CAUSES[name])


def test_these_are_all_the_causes_that_freeradius_has_a_name_for() -> None:
    texts = [Path(f"/usr/share/freeradius/dictionary.rfc{rfc}").read_text() for rfc in (3576, 5176)]
    found = re.findall(r"^VALUE\s+Error-Cause\s+(\S+)\s+(\d+)", "\n".join(texts), re.MULTILINE)
    assert {name: int(number) for name, number in found} == CAUSES


@pytest.mark.parametrize("answer", ["ack", "nak"])
async def test_an_answer_that_is_not_signed_as_the_rfc_says_is_silence(receiver: CoaReceiver, answer: str) -> None:
    """FreeRADIUS 3.2.1 signs its answers over sixteen zeros, and its own radclient drops them too."""
    named = f"signed-{answer}"
    for told in (
        await disconnect(door(receiver), named, QUICKLY),
        await change(door(receiver), named, how_often=QUICKLY),
    ):
        assert told.said == "unanswered"
        assert re.search(r"; it sent \d answers that are not signed as they must be", told.reason)
    assert (await disconnect(door(receiver), "past#1")).said == "disconnected"  # so it has come through with all before
    assert [request.kind for request in receiver.received(named)] == ["Disconnect-Request", "CoA-Request"]
