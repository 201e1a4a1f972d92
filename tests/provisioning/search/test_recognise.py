"""What a text may mean: every spelling of a thing is one clue, and a text that may mean several things is several."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from provisioning.errors import InvalidRequest
from provisioning.search import Clue, ClueKind, recognise


def of_kind(text: str, kind: ClueKind) -> list[str]:
    return [clue.value for clue in recognise(text) if clue.kind == kind]


@pytest.mark.parametrize(
    "text",
    ["a4:7b:2c:11:22:3f", "A4-7B-2C-11-22-3F", "a47b.2c11.223f", "A47B-2C11-223F", "a47b2c-11223f", "A47B2C11223F"],
)
def test_a_mac_address_is_the_same_in_every_spelling(text: str) -> None:
    assert of_kind(text, "mac") == ["a47b2c11223f"]
    assert recognise(f" {text}\t")[0] == Clue("mac", "a47b2c11223f")


@pytest.mark.parametrize(
    ("text", "digits"),
    [("a4:7b:2c", "a47b2c"), ("a4:7b:2", "a47b2"), ("a4:7b:", "a47b"), ("11-22-3f", "11223f"), ("a47b.2c", "a47b2c")],
)
def test_half_of_a_mac_address_is_one(text: str, digits: str) -> None:
    assert of_kind(text, "mac") == [digits]


@pytest.mark.parametrize("text", ["a4", "a4:7b:2c:11:22:3f:aa", "anna", "a4:7g:2c", "10.0.0.1", "2001:db8::1"])
def test_what_is_no_mac_address_is_not_looked_for_as_one(text: str) -> None:
    assert of_kind(text, "mac") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("100.64.12.9", "100.64.12.9"),
        ("100.64.12.9/22", "100.64.12.0/22"),
        ("100.64.12.", "100.64.12.0/24"),
        ("100.64", "100.64.0.0/16"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:198.51.100.10", "198.51.100.10"),
        ("2001:db8:7900::/56", "2001:db8:7900::/56"),
    ],
)
def test_an_address_or_prefix_means_nothing_else(text: str, address: str) -> None:
    assert recognise(text) == (Clue("address", address),)


def test_a_port_of_an_address_is_asked_about_now_or_at_the_time_after_it() -> None:
    then = datetime(2026, 3, 2, 21, 14, tzinfo=UTC)
    port = "203.0.113.7:40112"
    named = tuple(Clue(kind, port) for kind in ("username", "external_id", "run_key", "reference"))
    assert recognise(port) == (Clue("port", port), Clue("address", "203.0.113.7", beside_port=True), *named)
    for at in ("2026-03-02T21:14Z", "2026-03-02 22:14+01:00"):
        assert recognise(f" {port}  {at}") == (Clue("port", port, at=then),), at


@pytest.mark.parametrize("text", ["203.0.113.7:0", "203.0.113.7:65536", "203.0.113:80", "203.0.113.700:80", "1.2:34"])
def test_what_is_no_port_of_an_address_is_not_looked_for_as_one(text: str) -> None:
    assert of_kind(text, "port") == []


@pytest.mark.parametrize("at", ["yesterday", "2026-03-02 21:14", "21:14Z", "0001-01-01T00:00+14:00"])
def test_a_port_at_what_is_no_moment_is_refused_with_one(at: str) -> None:
    with pytest.raises(InvalidRequest, match="is no moment with its zone, such as 2026-"):
        recognise(f"203.0.113.7:40112 {at}")


@pytest.mark.parametrize("text", ["100.64.12.900", "300.1", "fe80::1%eth0", "1.2.3.4.5"])
def test_what_looks_like_an_address_and_is_none_is_not_looked_for_as_one(text: str) -> None:
    assert of_kind(text, "address") == []


@pytest.mark.parametrize(
    ("text", "beginnings"),
    [
        ("HWTC1A2B3C4D", ["HWTC1A2B3C4D"]),
        ("hwtc1a2b", ["HWTC1A2B"]),
        ("485754431A2B3C4D", ["HWTC1A2B3C4D"]),
        ("48 57 54 43 1a 2b", ["HWTC1A2B", "485754431A2B"]),
        ("HWTC-1A2B", ["HWTC-1A2B", "HWTC1A2B"]),
        ("0102030405060708", ["0102030405060708"]),
        ("HWTC", []),
    ],
)
def test_a_serial_number_is_found_in_hexadecimal_and_with_its_vendor(text: str, beginnings: list[str]) -> None:
    assert of_kind(text, "serial") == beginnings


@pytest.mark.parametrize("text", ["+49 (0)30 12 34 567", "0049-30-1234567", "030/1234567", "0301234567"])
def test_a_telephone_number_may_be_written_in_many_ways(text: str) -> None:
    assert of_kind(text, "phone") == [text]


@pytest.mark.parametrize(
    ("text", "clue"),
    [
        ("17", Clue("number", "17")),
        ("#0017", Clue("number", "17")),
        ("order 17", Clue("number", "17", "order")),
        ("line order 17", Clue("number", "17", "line order")),
        ("Line-Order #17", Clue("number", "17", "line order")),
        ("Run #7", Clue("number", "7", "run")),
        ("customer/1001", Clue("number", "1001", "customer")),
        ("ticket:9", Clue("number", "9", "ticket")),
        ("7", Clue("number", "7")),
    ],
)
def test_a_number_may_say_what_it_is_a_number_of(text: str, clue: Clue) -> None:
    assert recognise(text)[0] == clue


def test_a_name_is_its_words_and_a_mail_address_is_none() -> None:
    assert of_kind("  Anna   Müller-Lüdenscheidt ", "name") == ["Anna Müller Lüdenscheidt"]
    assert of_kind("Łukasz", "name") == ["Łukasz"]
    assert (of_kind("Anna@Example.net", "email"), of_kind("anna@example.net", "name")) == (["anna@example.net"], [])
    assert of_kind("C7-S7@isp", "username") == ["c7-s7@isp"]


def test_what_may_name_a_pool_or_a_nas_or_a_payment_is_looked_for_as_that() -> None:
    assert of_kind("Line-Order #17", "pool_or_nas") == ["Line-Order #17"]
    assert (of_kind("north-v", "pool_or_nas"), of_kind("north-v", "reference")) == (["north-v"], [])
    assert of_kind("SEPA 2026/77", "reference") == ["SEPA 2026/77"]
    assert of_kind("a4:7b:2c:11", "pool_or_nas") == of_kind("100.64.0.1", "pool_or_nas") == []
    assert recognise("quote 5")[0] == Clue("number", "5", "quote")
    assert recognise("Payment #5")[0] == Clue("number", "5", "payment")


@pytest.mark.parametrize("text", ["", " ", "a", "\x00\x07", "\u200b", "0"])
def test_what_is_too_short_means_nothing(text: str) -> None:
    assert recognise(text) == ()


def test_a_text_of_any_kind_is_read_without_an_error() -> None:
    for text in (
        "%",
        "''--",
        "\\",
        "a" * 5_000,
        "\U0010ffff\U0010ffff",
        "\uff19\uff19",
        "²²",
        "::",
        "1/2",
        "@",
        "a@",
        "🦊🦊",
    ):
        recognise(text)
