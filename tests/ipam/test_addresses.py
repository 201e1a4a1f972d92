"""Prefixes, addresses and VLAN numbers as people write them and as the tables hold them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.addresses import (
    Family,
    format_address,
    format_span,
    format_unit,
    format_vids,
    from_bytes,
    parse_address,
    parse_network,
    parse_span,
    parse_vids,
    to_bytes,
)


@pytest.mark.parametrize(
    ("written", "family", "length", "canonical"),
    [
        ("100.64.0.0/22", 4, 22, "100.64.0.0/22"),
        ("10.0.0.0/255.255.255.0", 4, 24, "10.0.0.0/24"),
        ("0.0.0.0/0", 4, 0, "0.0.0.0/0"),
        ("192.0.2.7/32", 4, 32, "192.0.2.7/32"),
        ("2001:DB8:0:0::/40", 6, 40, "2001:db8::/40"),
    ],
)
def test_a_prefix_is_read_and_written_canonically(written: str, family: Family, length: int, canonical: str) -> None:
    network = parse_network(written)

    assert (network.family, network.length, str(network)) == (family, length, canonical)
    assert network.last - network.first + 1 == 2 ** (network.bits - length)


@pytest.mark.parametrize(
    "written", ["10.0.0.0", "10.0.0.1/24", "10/8", "010.0.0.0/8", " 10.0.0.0/24", "10.0.0.0/33", "::1/64", "pool", ""]
)
def test_what_is_no_prefix_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|host bits"):
        parse_network(written)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("2001:db8:aaaa::77", "write for example 2001:db8:aaaa::/64, or 2001:db8:aaaa::77/128 for that address alone"),
        ("2001:db8:aaaa::", "write for example 2001:db8:aaaa::/64"),
        ("203.0.113.70", "write for example 203.0.113.0/24, or 203.0.113.70/32 for that address alone"),
        ("203.0.113.0", "write for example 203.0.113.0/24"),
    ],
)
def test_what_is_proposed_instead_of_an_address_is_a_prefix_of_its_family(written: str, fault: str) -> None:
    with pytest.raises(ValueError, match="has no prefix length") as refused:
        parse_network(written)
    assert str(refused.value) == f"{written!r} has no prefix length; {fault}"


@pytest.mark.parametrize("written", ["192.0.2.0/0.0.0.255", "10.0.0.0/0.255.255.255", "2001:db8::/::ffff"])
def test_a_wildcard_mask_is_no_prefix_length(written: str) -> None:
    with pytest.raises(ValueError, match="has a wildcard mask, but a prefix length is meant"):
        parse_network(written)


@pytest.mark.parametrize("written", ["10.0.0", "10.0.0.256", "0x0a000001", "10.0.0.1/32", "fe80::1%eth0", "1"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not an IPv4 or IPv6 address"):
        parse_address(written)


def test_spans_are_written_in_three_ways() -> None:
    assert parse_span("0.0.0.9") == (4, 9, 9)
    assert parse_span("0.0.0.9-0.0.0.12") == (4, 9, 12)
    assert parse_span("0.0.0.9 - 0.0.0.12") == (4, 9, 12)
    assert parse_span("0.0.0.16/28") == (4, 16, 31)
    assert parse_span("::1-::f") == (6, 1, 15)
    with pytest.raises(ValueError, match="of one family"):
        parse_span("0.0.0.9-::f")


@pytest.mark.parametrize("written", ["0.0.0.9-", "0.0.0.9 - ", "-0.0.0.9", "-"])
def test_a_span_without_one_of_its_ends_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="lacks one of its ends"):
        parse_span(written)


@pytest.mark.parametrize("text", ["0.0.0.9-0.0.0.12", "0.0.0.16/28", "0.0.0.9/32", "::1-::f", "2001:db8::/33"])
def test_a_span_is_written_as_it_is_read(text: str) -> None:
    assert format_span(*parse_span(text)) == text


def test_vlan_numbers_are_merged_and_written_back() -> None:
    spans = parse_vids(["300", "100-199", " 200 - 210 "])

    assert spans == [(100, 210), (300, 300)]
    assert format_vids(spans) == "100-210,300"
    assert parse_vids([]) == []


@pytest.mark.parametrize("never", ["0", "1", "4095", "1-10", "4000-4095", "-5", "100-", "9-3", "x", "99999", "٢"])
def test_vlan_numbers_that_can_not_be_used_are_refused(never: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_vids([never])


@given(st.sampled_from([(4, 2**32 - 1), (6, 2**128 - 1)]), st.data())
@settings(max_examples=80)
def test_addresses_survive_their_sixteen_bytes(family_and_last: tuple[Family, int], data: st.DataObject) -> None:
    family, last = family_and_last
    number = data.draw(st.integers(0, last))
    stored = to_bytes(family, number)

    assert len(stored) == 16
    if family == 4 or not 0xFFFF << 32 <= number <= 0xFFFFFFFFFFFF:
        assert from_bytes(stored) == (family, number)
        assert parse_address(format_address(stored)) == (family, number)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_bytes_sort_as_numbers(one: int, other: int) -> None:
    assert (to_bytes(4, one) < to_bytes(4, other)) == (one < other)


def test_units_are_hosts_or_prefixes() -> None:
    v4 = to_bytes(*parse_address("100.64.0.0"))
    v6 = to_bytes(*parse_address("2001:db8::"))

    assert format_unit(v4, 32, 259) == "100.64.1.3"
    assert format_unit(v6, 56, 0) == "2001:db8::/56"
    assert format_unit(v6, 56, 65_535) == "2001:db8:ff:ff00::/56"
    assert format_unit(v6, 128, 16) == "2001:db8::10"


@pytest.mark.parametrize("spelt", ["10.0.0.0/24 ", "10.0.0.0/ 24", "10.0.0.0/+24", "10.0.0.0/255.255.255.0"])
def test_a_length_is_read_in_any_spelling(spelt: str) -> None:
    assert str(parse_network(spelt)) == "10.0.0.0/24"
