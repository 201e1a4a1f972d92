"""Reading requests: what is kept, what is refused, and that nothing unprintable gets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults


def refused(faults: Faults) -> list[Fault]:
    with pytest.raises(InvalidRequest) as raised:
        faults.refuse_if_any()
    return list(raised.value.faults)


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "a da@example.com",
        "ada@exa mple.com",
        "ada@example..com",
        ".ada@example.com",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        '"ada"@example.com',
        "ada@-example.com",
        "ada@example.com.",
        "jörg@example.com",
        "x" * 65 + "@example.com",
        "ada@" + "x" * 64 + ".com",
        "ada@" + ".".join(["x" * 60] * 5),
        "ada@example.com\x00",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@exam\u2028ple.com",
        "",
        None,
        7,
    ],
)
def test_what_is_no_mail_address_is_refused(email: object) -> None:
    faults = Faults("The mail")
    assert faults.email("email", email) == ""
    assert [fault.field for fault in refused(faults)] == ["email"]


@pytest.mark.parametrize(
    ("email", "kept"),
    [
        (" ada.b+isp@Mail.Example.com ", "ada.b+isp@mail.example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("o'neil_{1}@example.co.uk", "o'neil_{1}@example.co.uk"),
    ],
)
def test_unusual_mail_addresses_are_kept(email: str, kept: str) -> None:
    faults = Faults("The mail")
    assert faults.email("email", email) == kept
    faults.refuse_if_any()


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x1b[31mb", "a\x85b", "a\u2029b", "a\ud800b", "x" * 201])
def test_text_that_forges_lines_or_cannot_be_stored_is_refused(text: str) -> None:
    faults = Faults("The note")
    assert faults.optional_line("note", text) is None
    assert len(refused(faults)) == 1


@pytest.mark.parametrize("number", [0, -1, True, "7", 7.0, None, 2**63])
def test_what_names_nothing_is_no_number(number: object) -> None:
    faults = Faults("The visit")
    assert faults.number("customer_id", number) == 0
    assert refused(faults) == [Fault("customer_id", "is not a positive whole number")]


def test_a_time_must_say_its_zone() -> None:
    faults = Faults("The visit")
    assert faults.moment("at", datetime(2026, 3, 2, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)
    assert faults.moment("last", datetime(2199, 12, 31, tzinfo=UTC)) is not None
    faults.moment("edge", datetime.max.replace(tzinfo=timezone(timedelta(hours=-10))))
    faults.moment("naive", datetime(2026, 3, 2))  # noqa: DTZ001 - the fault under test
    faults.moment("text", "2026-03-02")
    assert refused(faults) == [
        Fault("edge", "is in the year 9999, not in 1970 to 2199"),
        Fault("naive", "has no time zone"),
        Fault("text", "is not a date and time"),
    ]


@pytest.mark.parametrize(
    ("phone", "kept"), [("+49 (30) 123-45/6", "+4930123456"), ("0301 2345", "03012345"), ("", None)]
)
def test_a_telephone_number_is_kept_without_its_punctuation(phone: str, kept: str | None) -> None:
    faults = Faults("The customer")
    assert faults.phone("phone", phone) == kept
    faults.refuse_if_any()


def test_all_faults_stand_in_one_sentence() -> None:
    faults = Faults("The visit")
    faults.line("installation_address", "")
    faults.number("customer_id", 0)
    with pytest.raises(InvalidRequest) as raised:
        faults.refuse_if_any()
    assert raised.value.message == (
        "The visit was refused, nothing was written: installation_address is missing; "
        "customer_id is not a positive whole number."
    )
    assert (raised.value.code, raised.value.transient) == ("provisioning.invalid_request", False)


def test_a_text_keeps_its_lines_and_nothing_that_a_screen_would_act_on() -> None:
    faults = Faults("The ticket")
    assert (
        faults.text("description", "  Call Ada.\r\n\tShe has asked about IPv6.\n")
        == "Call Ada.\n\tShe has asked about IPv6."
    )
    assert faults.count == 0
    for wrong in (None, " \n", 7, "a\x1b[2Jb", "a\rb", "x" * 11):
        assert faults.text("description", wrong, longest=10) == ""
    assert [fault.reason for fault in refused(faults)] == [
        "is missing",
        "is missing",
        "is not text",
        "holds a control character",
        "holds a control character",
        "is longer than 10 characters",
    ]
