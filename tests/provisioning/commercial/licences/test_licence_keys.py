"""A licence key proves what it says to anybody who has the public key, and nothing else does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provisioning.commercial import LicenseExpired, LicenseKeyInvalid, LicenseSignerUnknown, PublicKeyUnusable
from provisioning.commercial.licences.licence_keys import (
    LicenseClaims,
    LicenseSigner,
    decode_bytes,
    encode_bytes,
    end_of,
    key_id,
    public_key_pem,
    read_public_keys,
    verify_license_key,
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key()
SIGNER = LicenseSigner(key_id(PUBLIC), PRIVATE)
KEYS = {SIGNER.kid: PUBLIC}
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLAIMS = LicenseClaims(
    license=7,
    tenant="north",
    customer=42,
    template=1,
    seats=10,
    iat=int(NOW.timestamp()),
    exp=end_of(date(2027, 3, 2)),
    kid=SIGNER.kid,
)
KEY = SIGNER.sign(CLAIMS)


def signed(payload: bytes, private: Ed25519PrivateKey = PRIVATE) -> str:
    text = f"FL1.{encode_bytes(payload)}"
    return f"{text}.{encode_bytes(private.sign(text.encode()))}"


def test_a_key_says_whose_it_is_and_how_long_to_whoever_has_the_public_key() -> None:
    assert KEY.startswith("FL1.")
    assert json.loads(decode_bytes(KEY.split(".")[1])) == {
        "v": 1,
        "license": 7,
        "tenant": "north",
        "customer": 42,
        "template": 1,
        "seats": 10,
        "iat": 1772442000,
        "exp": 1804032000,
        "kid": SIGNER.kid,
    }
    file = "proves licences of north\n" + public_key_pem(PUBLIC)
    assert verify_license_key(KEY, read_public_keys(file), now=NOW) == CLAIMS
    assert SIGNER.sign(CLAIMS) == KEY
    assert "PrivateKey" not in repr(SIGNER)


def test_no_character_of_a_key_can_be_changed_added_or_taken() -> None:
    for position in range(len(KEY)):
        other = "A" if KEY[position] != "A" else "B"
        for forged in (KEY[:position] + other + KEY[position + 1 :], KEY[:position] + KEY[position + 1 :]):
            with pytest.raises((LicenseKeyInvalid, LicenseSignerUnknown)):
                verify_license_key(forged, KEYS, now=NOW)
    for forged in (KEY + "A", KEY + "=", KEY + ".", " " + KEY, KEY.replace("FL1", "FL2"), "", "FL1..", "x" * 5000):
        with pytest.raises(LicenseKeyInvalid):
            verify_license_key(forged, KEYS, now=NOW)


def test_another_signer_is_not_believed_even_under_our_keys_name() -> None:
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(LicenseKeyInvalid, match="its signature does not fit"):
        verify_license_key(signed(CLAIMS.model_dump_json().encode(), stranger), KEYS, now=NOW)
    own_name = CLAIMS.model_copy(update={"kid": key_id(stranger.public_key())})
    with pytest.raises(LicenseSignerUnknown, match=own_name.kid):
        verify_license_key(LicenseSigner(own_name.kid, stranger).sign(own_name), KEYS, now=NOW)


@pytest.mark.parametrize(
    "change", [{"v": 2}, {"seats": 0}, {"seats": "10"}, {"admin": True}, {"exp": -1}, {"kid": "lk-1"}, {"tenant": ""}]
)
def test_even_what_we_signed_must_be_a_licence(change: dict[str, object]) -> None:
    payload = json.dumps({**CLAIMS.model_dump(), **change}).encode()
    with pytest.raises(LicenseKeyInvalid):
        verify_license_key(signed(payload), KEYS, now=NOW)


def test_a_licence_is_valid_to_the_end_of_its_last_day() -> None:
    last = datetime(2027, 3, 2, 23, 59, 59, tzinfo=UTC)
    assert verify_license_key(KEY, KEYS, now=last).valid_until == date(2027, 3, 2)
    with pytest.raises(LicenseExpired, match="Licence 7 was valid until 2027-03-02"):
        verify_license_key(KEY, KEYS, now=last + timedelta(seconds=1))
    endless = SIGNER.sign(CLAIMS.model_copy(update={"exp": None}))
    assert verify_license_key(endless, KEYS, now=datetime(2999, 1, 1, tzinfo=UTC)).valid_until is None


def test_a_file_of_public_keys_may_hold_several_and_nothing_else() -> None:
    other = Ed25519PrivateKey.generate().public_key()
    assert list(read_public_keys(public_key_pem(PUBLIC) + public_key_pem(other))) == [SIGNER.kid, key_id(other)]
    elliptic = generate_private_key(SECP256R1()).public_key()
    pem = elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text, reason in (
        ("", "There is no block"),
        (pem, "none of Ed25519"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "can't be read"),
    ):
        with pytest.raises(PublicKeyUnusable, match=reason):
            read_public_keys(text)
