"""The packets that the standards print: made and read octet for octet as they stand there."""

from __future__ import annotations

import hmac

import pytest
from pyrad import packet as pyrad_packet

from radius.nas.packets import dictionary

NAS_PORT = 5
SECRET = b"xyzzy5461"
REQUEST = bytes.fromhex(
    "01000038 0f403f94739780 57bd83d5cb98f4227a 0106 6e656d6f 0212 0dbe708d93d413ce3196e43f782a0aee"
    "0406 c0a80110 0506 00000003"
)
"""RFC 2865 s7.1: nemo, whose password is arctangent, logs in from port 3 of 192.168.1.16."""
ACCEPT = bytes.fromhex("02000026 86fe220e7624ba2a1005f6bf9b55e0b2 0606 00000001 0f06 00000000 0e06 c0a80103")


def _asked() -> pyrad_packet.AuthPacket:
    return pyrad_packet.AuthPacket(packet=REQUEST, secret=SECRET, dict=dictionary())


def test_the_login_of_rfc_2865_section_7_1_is_read_as_it_was_meant() -> None:
    asked = _asked()
    assert asked["User-Name"] == ["nemo"]
    assert asked.PwDecrypt(asked[2][0]) == "arctangent"
    assert (asked["NAS-IP-Address"], asked[NAS_PORT]) == (["192.168.1.16"], [bytes((0, 0, 0, 3))])


def test_the_login_of_rfc_2865_section_7_1_is_written_as_it_stands_there() -> None:
    made = pyrad_packet.AuthPacket(
        code=1, id=0, secret=SECRET, authenticator=REQUEST[4:20], message_authenticator=False, dict=dictionary()
    )
    made["User-Name"] = "nemo"
    made["User-Password"] = made.PwCrypt("arctangent")
    made["NAS-IP-Address"] = "192.168.1.16"
    made[NAS_PORT] = [bytes((0, 0, 0, 3))]
    assert made.RequestPacket() == REQUEST


def test_the_answer_of_rfc_2865_section_7_1_is_believed_and_none_with_another_bit() -> None:
    asked = _asked()
    assert asked.VerifyReply(asked.CreateReply(packet=ACCEPT), ACCEPT)
    for place in (4, 19, 25, 37):
        other = ACCEPT[:place] + bytes((ACCEPT[place] ^ 1,)) + ACCEPT[place + 1 :]
        assert not asked.VerifyReply(asked.CreateReply(packet=other), other), place


@pytest.mark.parametrize(
    ("key", "said", "digest"),
    [
        (b"\x0b" * 16, b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
        (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
        (b"\xaa" * 16, b"\xdd" * 50, "56be34521d144c88dbb8c733f0e8b3f6"),
        (bytes(range(1, 26)), b"\xcd" * 50, "697eaf0aca3a3aea3a75164746ffaa79"),
        (b"\x0c" * 16, b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
        (b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First", "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
        (
            b"\xaa" * 80,
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
            "6f630fad67cda0ee1fb1f562db3aa53e",
        ),
    ],
)
def test_a_message_authenticator_is_made_by_the_hmac_of_rfc_2202_section_2(
    key: bytes, said: bytes, digest: str
) -> None:
    assert hmac.digest(key, said, "md5").hex() == digest


CHAP_REQUEST = bytes.fromhex(
    "01010047 2aee86f08d0d55969ca5978e0d3367a2 0108 666c6f707379 0313 16e97557c316185895f293ff63440772 75"
    "0406 c0a80110 0506 00000014 0606 00000002 0706 00000001"
)
"""RFC 2865 s7.2: flopsy logs in with CHAP from port 20; the Request Authenticator is the challenge."""
CHAP_ACCEPT = bytes.fromhex(
    "02010038 15efbc7dab26cfa3dc34d9c03c8601a4 0606 00000002 0706 00000001 0806 fffffffe 0a06 00000002"
    "0d06 00000001 0c06 000005dc"
)
CARD_REQUEST = bytes.fromhex(
    "01020039 f3a47a1f6a6d76710b947ab93041a039 0107 6d6f707379 0212 33657573778289b570885e15084825c5"
    "0406 c0a80110 0506 00000007"
)
"""RFC 2865 s7.3: mopsy is asked for what a card of his answers to 32769430."""
CARD_CHALLENGE = bytes.fromhex(
    "0b02004e 36f3c8764ae8c71157403c0c71ff9c45 1230"
    "4368616c6c656e67652033323736393433302e2020456e74657220726573706f6e73652061742070726f6d70742e"
    "180a 3332373639343330"
)


@pytest.mark.parametrize(
    ("request_", "reply", "code"),
    [(REQUEST, ACCEPT, 2), (CHAP_REQUEST, CHAP_ACCEPT, 2), (CARD_REQUEST, CARD_CHALLENGE, 11)],
)
def test_each_answer_of_rfc_2865_section_7_is_believed_by_who_asked_alone(
    request_: bytes, reply: bytes, code: int
) -> None:
    asked = pyrad_packet.AuthPacket(packet=request_, secret=SECRET, dict=dictionary())
    answer = asked.CreateReply(packet=reply)
    assert (answer.code, asked.VerifyReply(answer, reply)) == (code, True)
    for other in (REQUEST, CHAP_REQUEST, CARD_REQUEST):
        if other != request_:
            another = pyrad_packet.AuthPacket(packet=other, secret=SECRET, dict=dictionary())
            assert not another.VerifyReply(another.CreateReply(packet=reply), reply)


def test_what_a_framed_user_is_told_in_rfc_2865_section_7_2_is_read_as_it_was_meant() -> None:
    asked = pyrad_packet.AuthPacket(packet=CHAP_REQUEST, secret=SECRET, dict=dictionary())
    told = asked.CreateReply(packet=CHAP_ACCEPT)
    assert (told["Service-Type"], told["Framed-Protocol"]) == (["Framed-User"], ["PPP"])
    assert told["Framed-IP-Address"] == ["255.255.255.254"]
