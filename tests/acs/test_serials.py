"""One CPE, however its serial number is spelt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acs import SerialMalformed, canonical_serial, pon_serial, same_serial
from acs.nbi.requests import query_target
from acs.serials import spellings


@pytest.mark.parametrize(
    ("spelt", "canonical"),
    [
        ("HWTC12345678", "HWTC12345678"),
        ("4857544312345678", "HWTC12345678"),
        ("hwtc12ab34cd", "HWTC12AB34CD"),
        ("4857544312ab34cd", "HWTC12AB34CD"),
        (" HWTC12345678 ", "HWTC12345678"),
        ("0012345678901234", "0012345678901234"),  # sixteen hex digits, and no letters in front
        ("SN-000.1~x%2D", "SN-000.1~X%2D"),
    ],
)
def test_the_spellings_of_a_serial_have_one_canonical_form(spelt: str, canonical: str) -> None:
    assert canonical_serial(spelt) == canonical
    assert same_serial(spelt, canonical)


@pytest.mark.parametrize("serial", ["", " ", "*", "/x/", "HWTC*", "a b", "a\nb", "ä", "x" * 65, 'x"', "x'", "<x>"])
def test_what_no_cpe_can_have_is_malformed(serial: str) -> None:
    with pytest.raises(SerialMalformed):
        canonical_serial(serial)
    assert not same_serial(serial, serial)


def test_a_gpon_serial_is_looked_for_as_labels_and_as_cpes_write_it() -> None:
    assert spellings("hwtc12AB34cd") == (
        "HWTC12AB34CD",
        "hwtc12AB34cd",
        "hwtc12ab34cd",
        "4857544312AB34CD",
        "4857544312ab34cd",
        "HWTC12ab34cd",
    )


@pytest.mark.parametrize(
    ("serial", "pon"),
    [
        (" hwtc12ab34cd", "HWTC12AB34CD"),
        ("4857544312ab34cd", "HWTC12AB34CD"),
        ("0012345678901234", None),
        ("CPE-0001", None),
        ("HWTC12345678 x", None),
        ("", None),
    ],
)
def test_only_a_serial_of_vendor_and_four_bytes_is_one_of_the_pon(serial: str, pon: str | None) -> None:
    assert pon_serial(serial) == pon


@given(st.text(max_size=70))
def test_every_spelling_is_the_same_serial_and_safe_to_ask_for(serial: str) -> None:
    try:
        spelt = spellings(serial)
    except SerialMalformed:
        return
    assert all(same_serial(each, serial) for each in spelt)
    query_target("devices", {"_deviceId._SerialNumber": {"$in": list(spelt)}}, ("_id",))
