"""What goes in is what a NAS gets, or it is refused: by the encoder, and by the tables for whoever goes around it."""

from __future__ import annotations

import asyncio
import itertools
import random
import string
from collections import Counter
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, insert, update
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from radius import AddressConflict, AttributeUnknown, FramedAddresses, SeveralRefused, ValueRefused
from radius.attributes import ATTRIBUTES, VENDORS
from radius.encoder import EncodedAttribute, Value, encode, encode_reply
from radius.projection.freeradius_tables import (
    SAFE_ROW,
    SAFE_USERNAME,
    radcheck,
    radgroupcheck,
    radgroupreply,
    radreply,
    radusergroup,
)
from tests.radius.conftest import Site

INJECTIONS = [
    "`%{sql:SELECT value FROM radcheck LIMIT 1}`",
    "`%{echo:/usr/bin/id -un}`",
    "`/usr/bin/id`",
    '"quoted"',
    "'quoted'",
    "' OR 1=1 --",
    '"%{User-Name}"',
    "%{User-Password}",
    "back\\slash",
    "a\\101b",
    "ends with \\",
    " in front",
    "behind ",
    "new\nline",
    "tab\tbed",
    "bell\x07",
    "del\x7f",
    "",
    "x" * 254,
    "ž" * 127,
]


@pytest.mark.parametrize("text", [*INJECTIONS, "zero\x00", "\udc80"])
def test_what_freeradius_would_expand_or_mangle_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        encode("Framed-Pool", text, place="reply")
    assert not text or text not in str(refused.value)


async def _refused(site: Site, table: Table, **columns: str) -> bool:
    try:
        async with site.radius_database.begin() as db:
            await db.execute(insert(table).values(columns))
    except IntegrityError:
        return True
    return False


async def test_what_freeradius_would_expand_or_mangle_is_refused_by_the_tables_too(site: Site) -> None:
    owners = {radcheck: "username", radreply: "username", radgroupcheck: "groupname", radgroupreply: "groupname"}
    let_in = [
        (table.name, text)
        for table, owner in owners.items()
        for text in INJECTIONS
        if not await _refused(site, table, **{owner: "victim", "attribute": "Framed-Pool", "op": ":=", "value": text})
    ]
    assert let_in == []


async def test_names_that_are_never_found_are_refused_by_the_tables(site: Site) -> None:
    attribute = {"attribute": "Framed-Pool", "op": ":=", "value": "x"}
    let_in = [
        (table.name, username)
        for table, columns in ((radcheck, attribute), (radreply, attribute), (radusergroup, {"groupname": "g"}))
        for username in ("o'brien", "a b", "a`b", "", "ž", 'a"', "a\n")
        if not await _refused(site, table, username=username, **columns)
    ]
    assert let_in == []


async def test_the_tables_let_in_each_character_where_it_may_stand_and_no_other(site: Site) -> None:
    dialect = "postgresql" if site.radius_database.is_postgresql else "sqlite"
    plain = set(string.ascii_letters + string.digits + "._:-")
    characters = list(map(chr, range(1, 0x250)))
    in_values = {one for one in characters if one not in "'\"`\\ \x7f" and one >= " "}
    expected = {
        "username": plain | set("@/"),
        "attribute": plain,
        "value": in_values,
        "inside": in_values | set(" '\"`"),
    }
    let_in = {place: set[str]() for place in expected}
    rule = f"SELECT ({SAFE_USERNAME[dialect]}) AND ({SAFE_ROW[dialect]})"
    columns = ", ".join(f"CAST(:{column} AS TEXT) {column}" for column in ("username", "attribute", "value"))
    row = f"(SELECT {columns}, ':=' op) asked"
    usual = {"username": "anna", "attribute": "Framed-Pool", "value": "x"}
    async with site.radius_database.read() as db:
        for place, character in itertools.product(expected, characters):
            changed = {"value": f"x{character}x"} if place == "inside" else {place: character}
            if await db.scalar(sql(f"{rule} FROM {row}"), usual | changed):
                let_in[place].add(character)
    assert let_in == expected


async def test_an_operator_that_would_reject_the_subscriber_is_refused_by_the_tables(site: Site) -> None:
    row = {"username": "victim", "attribute": "Cleartext-Password", "value": "x"}
    let_in = [op for op in ("==", "!=", "=~", "", "-=") if not await _refused(site, radcheck, op=op, **row)]
    assert let_in == []


async def test_a_second_password_is_refused_by_the_tables(site: Site) -> None:
    username = site.new_username()
    with pytest.raises(IntegrityError):
        async with site.radius_database.begin() as db:
            for password in ("first", "second"):
                row = {"username": username, "attribute": "Cleartext-Password", "op": ":=", "value": password}
                await db.execute(insert(radcheck).values(row))


async def test_every_text_that_is_accepted_reaches_the_nas_unchanged(site: Site) -> None:
    dice = random.Random(20261122)
    alphabet = "ab'\"`%{}\\ \t#=:;,$&|<>()[]~^!?*@/-_.+0žé漢"
    candidates = {"".join(dice.choices(alphabet, k=dice.randint(1, 12))) for _ in range(600)} | {"x" * 253}
    accepted = []
    for text in sorted(candidates):
        try:
            accepted.append(encode("Framed-Pool", text, place="reply").value)
        except ValueRefused:
            continue
    assert len(accepted) > 60
    nas = await site.nas()
    subscriber = await site.active(FramedAddresses(ipv4_pool="any"))
    password = await site.password(subscriber)
    pool = (radreply.c.username == subscriber["username"]) & (radreply.c.attribute == "Framed-Pool")
    received = []
    for text in accepted:
        async with site.radius_database.begin() as db:
            await db.execute(update(radreply).where(pool).values(value=text))
        received.append((await nas.login(subscriber["username"], password)).first("Framed-Pool"))
    assert received == accepted


TEXTS = st.text("ab'\"`%{}\\ \t#=:;,$&|<>()[]~^!?*@/-_.+0žé漢", min_size=1, max_size=20) | st.text(max_size=260)
PREFIXES = st.ip_addresses(v=6).flatmap(
    lambda address: st.integers(1, 128).map(lambda length: IPv6Network((address, length), strict=False))
)
DRAWN: dict[str, st.SearchStrategy[Value]] = {
    **dict.fromkeys(
        ("Framed-Pool", "Filter-Id", "Cisco-AVPair", "ERX-Virtual-Router-Name", "Huawei-VPN-Instance"), TEXTS
    ),
    **dict.fromkeys(("Session-Timeout", "Idle-Timeout", "Huawei-Input-Average-Rate"), st.integers(0, 2**32 - 1)),
    **dict.fromkeys(("Framed-IP-Address", "ERX-Primary-Dns"), st.ip_addresses(v=4)),
    "ERX-Ipv6-Primary-Dns": st.ip_addresses(v=6),
    **dict.fromkeys(("Framed-IPv6-Prefix", "Delegated-IPv6-Prefix"), PREFIXES),
}
"""Attributes of each type and several vendors."""


async def test_whatever_is_accepted_of_any_type_is_what_the_nas_gets(site: Site) -> None:
    nas, subscriber = await site.nas(), await site.active(FramedAddresses())
    password, loop = await site.password(subscriber), asyncio.get_running_loop()
    mine = radreply.c.username == subscriber["username"]
    told = Counter[str]()

    async def received(encoded: EncodedAttribute) -> str | None:
        row = {"username": subscriber["username"], "attribute": encoded.attribute, "op": "+=", "value": encoded.value}
        async with site.radius_database.begin() as db:
            await db.execute(delete(radreply).where(mine))
            await db.execute(insert(radreply).values(row))
        return (await nas.login(subscriber["username"], password)).first(encoded.attribute)

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(DRAWN)).flatmap(lambda name: st.tuples(st.just(name), DRAWN[name])))
    def holds(drawn: tuple[str, Value]) -> None:
        name, value = drawn
        try:
            encoded = encode(name, value, place="reply")
        except ValueRefused:
            return
        assert asyncio.run_coroutine_threadsafe(received(encoded), loop).result() == encoded.value
        told[name] += 1

    await asyncio.to_thread(holds)
    assert told.total() > 60


@given(st.text(max_size=300))
def test_a_text_is_either_refused_or_kept_as_it_is(text: str) -> None:
    try:
        assert encode("Framed-Pool", text, place="reply").value == text
    except ValueRefused:
        return
    assert 0 < len(text.encode()) <= 253
    assert text[0] not in "'\"`"


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("Framed-IP-Address", "100.64.0.9", "100.64.0.9"),
        ("Framed-IP-Address", "100.64.0.255", "100.64.0.255"),
        ("Framed-IP-Netmask", "255.255.255.255", "255.255.255.255"),
        ("Framed-IP-Address", IPv4Address("100.64.0.9"), "100.64.0.9"),
        ("Delegated-IPv6-Prefix", "2001:DB8:0:0::/56", "2001:db8::/56"),
        ("Framed-IPv6-Prefix", IPv6Network("2001:db8::/64"), "2001:db8::/64"),
        ("Framed-Route", "198.51.100.8/29 0.0.0.0 1", "198.51.100.8/29 0.0.0.0 1"),
        ("Framed-Route", "203.0.113.70/32 0.0.0.0 1", "203.0.113.70/32 0.0.0.0 1"),
        ("Framed-IPv6-Route", "2001:DB8:FF00:0::/48 0:0::0 1", "2001:db8:ff00::/48 :: 1"),
        ("Session-Timeout", 86_400, "86400"),
        ("Service-Type", "Framed-User", "Framed-User"),
        ("WISPr-Bandwidth-Max-Up", 2**32 - 1, "4294967295"),
        ("ERX-Ipv6-Primary-Dns", "2001:DB8:0::53", "2001:db8::53"),
        ("ERX-Ipv6-Primary-Dns", IPv6Address("2001:db8::53"), "2001:db8::53"),
        ("ERX-Service-Activate:31", "rate(20000k,100000k)", "rate(20000k,100000k)"),
        ("ERX-IPv6-NdRa-Pool-Name", "p" * 247, "p" * 247),
        ("Alc-SLA-Prof-Str", "s" * 16, "s" * 16),
        ("Class", "service-42", "0x736572766963652d3432"),
        ("Acct-Interim-Interval", 60, "60"),
    ],
)
def test_a_value_of_the_right_type_has_one_spelling(attribute: str, value: Value, text: str) -> None:
    assert encode(attribute, value, place="reply").value == text


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("Framed-IP-Address", "not-an-ip"),
        ("Framed-IP-Address", "100.64.0.9/32"),
        ("Framed-IP-Address", 1_681_915_913),
        ("Framed-IP-Address", "255.255.255.255"),
        ("Delegated-IPv6-Prefix", "2001:db8::1/56"),
        ("Delegated-IPv6-Prefix", "2001:db8::"),
        ("Framed-Route", "198.51.100.9/29 0.0.0.0 1"),
        ("Framed-Route", "198.51.100.8/29"),
        ("Framed-Route", "198.51.100.8 0.0.0.0 1"),
        ("Framed-Route", "198.51.100.8/255.255.255.248 0.0.0.0 1"),
        ("Framed-Route", "198.51.100.8/29 0.0.0.0 -1"),
        ("Framed-Route", "198.51.100.8/29  0.0.0.0 1"),
        ("Framed-Route", "2001:db8:ff00::/48 :: 1"),
        ("Framed-IPv6-Route", "198.51.100.8/29 0.0.0.0 1"),
        ("Framed-IPv6-Route", "2001:db8:ff00::/48 0.0.0.0 1"),
        ("Framed-IPv6-Route", "2001:db8:ff00::/48 fe80::1%eth0 1"),
        ("Session-Timeout", "86400"),
        ("Session-Timeout", -1),
        ("Session-Timeout", 2**32),
        ("Session-Timeout", True),
        ("Service-Type", "Administrative-User"),
        ("Service-Type", 6),
        ("Reply-Message", 7),
        ("ERX-Ipv6-Primary-Dns", "192.0.2.53"),
        ("ERX-Ipv6-Primary-Dns", "fe80::53%eth0"),
        ("ERX-Service-Activate", "rate(20000k,100000k)"),
        ("ERX-Service-Activate:0", "rate(20000k,100000k)"),
        ("ERX-Service-Activate:32", "rate(20000k,100000k)"),
        ("ERX-Service-Activate:01", "rate(20000k,100000k)"),
        ("ERX-Service-Activate:1", "rate(20000k"),
        ("ERX-IPv6-NdRa-Pool-Name:1", "pool"),
        ("ERX-IPv6-NdRa-Pool-Name", "p" * 248),
        ("Alc-SLA-Prof-Str", "s" * 17),
        ("Alc-Subscriber-Filter", "Ingr-v4:unpaid"),
        ("Mikrotik-Rate-Limit", "20M/100M"),
        ("Cisco-AVPair", "sub-qos-policy-in=gold"),
        ("Acct-Interim-Interval", 59),
        ("Class", "s" * 126),
        ("Class", "žluť"),
    ],
)
def test_a_value_of_another_type_is_refused(attribute: str, value: Value) -> None:
    with pytest.raises(ValueRefused):
        encode(attribute, value, place="reply")


def test_an_expiration_needs_its_zone() -> None:
    until = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
    assert encode("Expiration", until, place="check").value == "1795377600"
    with pytest.raises(ValueRefused):
        encode("Expiration", until.replace(tzinfo=None), place="check")
    with pytest.raises(ValueRefused):
        encode("Expiration", "Nov 22 2026", place="check")


def test_an_attribute_is_written_only_where_it_belongs() -> None:
    for attribute in ("Cleartext-Password", "User-Name", "Exec-Program-Wait", "Framed-Ip-Address"):
        with pytest.raises(AttributeUnknown):
            encode(attribute, "x", place="reply")
    with pytest.raises(AttributeUnknown):
        encode("Framed-IP-Address", "10.0.0.1", place="check")


@pytest.mark.parametrize(
    ("own", "value", "pool"),
    [
        ("Framed-IP-Address", "10.0.0.1", "Framed-Pool"),
        ("Framed-IPv6-Prefix", "2001:db8::/64", "Framed-IPv6-Pool"),
        ("Framed-IPv6-Prefix", "2001:db8::/64", "Alc-SLAAC-IPv6-Pool"),
        ("Delegated-IPv6-Prefix", "2001:db8::/56", "Mikrotik-Delegated-IPv6-Pool"),
    ],
)
def test_an_address_or_prefix_and_a_pool_of_the_same_are_refused(own: str, value: str, pool: str) -> None:
    with pytest.raises(AddressConflict) as refused:
        encode_reply("anna", [(own, value), (pool, "p")])
    assert refused.value.attributes == (own, pool)


def test_an_address_goes_with_a_pool_of_the_other_family() -> None:
    given: list[tuple[str, Value]] = [("Framed-IP-Address", "10.0.0.1"), ("Framed-IPv6-Pool", "p")]
    assert len(encode_reply("anna", given)) == 2


def test_all_that_is_wrong_with_a_reply_is_named_at_once() -> None:
    with pytest.raises(SeveralRefused) as refused:
        encode_reply(
            "anna",
            [
                ("Framed-IP-Address", "10.0.0.1"),
                ("Framed-Pool", "p"),
                ("Session-Timeout", -1),
                ("Frames-Pool", "p"),
                ("Idle-Timeout", 60),
                ("Idle-Timeout", 61),
            ],
        )
    kinds = [type(one) for one in refused.value.refused]
    assert kinds == [ValueRefused, AttributeUnknown, ValueRefused, AddressConflict]
    assert len(refused.value.faults) == 4


def test_an_attribute_comes_once_but_for_routes_that_differ() -> None:
    with pytest.raises(ValueRefused):
        encode_reply("anna", [("Session-Timeout", 60), ("Session-Timeout", 61)])
    routes: list[tuple[str, Value]] = [("Framed-Route", f"198.51.100.{last}/29 0.0.0.0 1") for last in (8, 16, 8)]
    assert [item.value for item in encode_reply("anna", routes[:2])] == [value for _, value in routes[:2]]
    with pytest.raises(ValueRefused, match="same value twice"):
        encode_reply("anna", routes)


def test_a_secret_value_is_not_in_a_repr() -> None:
    assert "sesame" not in repr(encode("Cleartext-Password", "sesame", place="check"))
    assert "10.0.0.1" in repr(encode("Framed-IP-Address", "10.0.0.1", place="reply"))


def test_every_fact_names_its_source_and_every_wire_attribute_its_number() -> None:
    for fact in ATTRIBUTES.values():
        assert fact.source
        assert (fact.number is None) == (fact.source in ("server", "ours"))
        assert fact.vendor is None or fact.vendor in VENDORS
