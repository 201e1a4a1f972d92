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
        (b"\xaa" * 80, b"Test Using Larger Than Block-Size Key - Hash Key First", "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
    ],
)
def test_a_message_authenticator_is_made_by_the_hmac_of_rfc_2202_section_2(
    key: bytes, said: bytes, digest: str
) -> None:
    assert hmac.digest(key, said, "md5").hex() == digest
