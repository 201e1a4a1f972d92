"""Serial numbers: many spellings of a label, one plain form."""

from __future__ import annotations

import pytest

from provisioning.field import normalise_serial


@pytest.mark.parametrize(
    "scanned",
    [
        "HWTC12345678",
        "hwtc12345678",
        " HWTC 1234 5678\t",
        "HWTC-12345678",
        "SN:HWTC12345678",
        "S/N: hwtc12345678",
        "sn HWTC12345678",
        "4857544312345678",
        "48:57:54:43:12:34:56:78",
        "SN=4857-5443-1234-5678",
    ],
)
def test_every_spelling_of_a_gpon_serial_is_one_serial(scanned: str) -> None:
    assert normalise_serial(scanned) == "HWTC12345678"


@pytest.mark.parametrize(
    "serial", ["ONT-181-00a7", "a%2D0", "aB12cD34", "SN12345678901", "1234567890ABCDEF", "A.b_c~d"]
)
def test_any_other_serial_keeps_its_spelling(serial: str) -> None:
    assert normalise_serial(f" {serial} ") == serial


@pytest.mark.parametrize(
    "scanned", ["", "*", "abc", "HWTC1234567*", "/.*/", "a b c d e", "-abcd", "x" * 65, "SN:", "ÄBCD1234"]
)
def test_what_cannot_be_a_serial_is_none(scanned: str) -> None:
    assert normalise_serial(scanned) is None
