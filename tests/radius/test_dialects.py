"""The suite every dialect passes: its rows go through the real FreeRADIUS, and the NAS receives exactly this."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import delete, insert, select

from radius import (
    DialectUnknown,
    FramedAddresses,
    LoginLog,
    PlanTerms,
    RateNotExpressible,
    SeveralNotExpressible,
    TermsNotExpressible,
)
from radius import dialects as dialects_package
from radius.attributes import fact_of
from radius.dialects import DIALECTS, Rate, dialect_named
from radius.plans import wording
from radius.plans.terms import Option
from radius.projection.freeradius_tables import radgroupreply
from radius.testing import LoginReply
from tests.radius.conftest import ADDRESSES, PLAN, Site
from tests.radius.test_no_login_without_a_rate import UNKNOWN_RATE

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
"""What is told does not depend on the database; that the rows of a dialect are found in both is shown once."""

Told = dict[str, tuple[str, ...]]

EXPECTED: dict[str, Told] = {
    # kbit/s, named from the subscriber's side
    "chillispot": {"ChilliSpot-Bandwidth-Max-Up": ("20000",), "ChilliSpot-Bandwidth-Max-Down": ("100000",)},
    # "in" is what comes from the subscriber
    "cisco": {"Cisco-AVPair": ("ip:sub-qos-policy-in=up-20000k", "ip:sub-qos-policy-out=down-100000k")},
    # bit/s, "input" is what comes from the subscriber
    "huawei": {
        "Huawei-Input-Average-Rate": ("20000000",),
        "Huawei-Input-Peak-Rate": ("20000000",),
        "Huawei-Output-Average-Rate": ("100000000",),
        "Huawei-Output-Peak-Rate": ("100000000",),
    },
    # input first, k = 1000 bit/s
    "juniper": {"ERX-Service-Activate:1": ("rate(20000k,100000k)",)},
    # the router receives what the subscriber sends: upload first, k = 1000 bit/s
    "mikrotik": {"Mikrotik-Rate-Limit": ("20000k/100000k",)},
    # kbit/s, ingress is what comes from the subscriber
    "nokia": {"Alc-Subscriber-QoS-Override": ("e:r:rate=100000", "i:q:1:pir=20000")},
    # bit/s, named from the subscriber's side
    "wispr": {"WISPr-Bandwidth-Max-Up": ("20000000",), "WISPr-Bandwidth-Max-Down": ("100000000",)},
}
"""For 100 Mbit/s down and 20 Mbit/s up. Values of one attribute come in the order of their rows, which are sorted."""

BURST: dict[str, Any] = {"burst_download_kbps": 200_000, "burst_upload_kbps": 40_000, "burst_seconds": 16}
POOLS: dict[str, Any] = {"ipv6_pool": "wan-v6", "ipv6_delegated_pool": "pd-v6"}
DNS: dict[str, Any] = {"dns_ipv4": ("192.0.2.53", "198.51.100.53"), "dns_ipv6": ("2001:DB8::53", "2001:db8:1::53")}
GARDEN: dict[str, Any] = {"garden_filter": "unpaid", "garden_url": "https://pay.isp.example/"}

EVERYTHING: dict[str, tuple[dict[str, Any], Told]] = {
    "chillispot": (
        {"session_cap_megabytes": 4000, "garden_url": GARDEN["garden_url"]},
        {
            **EXPECTED["chillispot"],
            "ChilliSpot-Max-Total-Octets": ("4000000000",),
            "WISPr-Redirection-URL": ("https://pay.isp.example/",),
        },
    ),
    "cisco": (
        {
            **{"vrf": "home", "dns_ipv4": DNS["dns_ipv4"], "ipv6_pool": "wan-v6", "garden_filter": "unpaid"},
            **BURST,
            "priority": 3,
            "qos_profile": "gold",
        },
        {
            "Cisco-AVPair": (
                "ip:dns-servers=192.0.2.53 198.51.100.53",
                "ip:sub-qos-policy-in=gold-up",
                "ip:sub-qos-policy-out=gold-down",
                "ip:vrf-id=home",
            ),
            "Framed-IPv6-Pool": ("wan-v6",),
            "Filter-Id": ("unpaid.in",),
        },
    ),
    "huawei": (
        {**{"vrf": "home", **DNS, "dns_ipv6": ("2001:DB8::53",)}, **POOLS, **GARDEN, "qos_profile": "gold"},
        {
            **EXPECTED["huawei"],
            "Huawei-Qos-Profile-Name": ("gold",),
            "Huawei-DNS-Server-IPv6-address": ("2001:db8::53",),
            "Huawei-VPN-Instance": ("home",),
            "Huawei-Primary-DNS": ("192.0.2.53",),
            "Huawei-Secondary-DNS": ("198.51.100.53",),
            "Framed-IPv6-Pool": ("wan-v6",),
            "Huawei-Delegated-IPv6-Prefix-Pool": ("pd-v6",),
            "Filter-Id": ("unpaid",),
            "Huawei-PortalURL": ("https://pay.isp.example/",),
        },
    ),
    "juniper": (
        {"vrf": "home", **DNS, **POOLS, "garden_filter": "unpaid", "priority": 1, "qos_profile": "gold"},
        {
            "ERX-Service-Activate:1": ("gold(20000k,100000k)",),
            "ERX-Virtual-Router-Name": ("home",),
            "ERX-Ingress-Policy-Name": ("unpaid",),
            "ERX-IPv6-NdRa-Pool-Name": ("wan-v6",),
            "ERX-IPv6-Delegated-Pool-Name": ("pd-v6",),
            "ERX-Primary-Dns": ("192.0.2.53",),
            "ERX-Secondary-Dns": ("198.51.100.53",),
            "ERX-Ipv6-Primary-Dns": ("2001:db8::53",),
            "ERX-Ipv6-Secondary-Dns": ("2001:db8:1::53",),
        },
    ),
    "mikrotik": (
        {
            **BURST,
            **{"priority": 3, "session_cap_megabytes": 5000, "ipv6_delegated_pool": "pd-v6"},
            "garden_filter": "unpaid",
        },
        {
            "Mikrotik-Rate-Limit": ("20000k/100000k 40000k/200000k 20000k/100000k 16/16 3",),
            # 5 000 000 000 octets = 1 * 2^32 + 705 032 704
            "Mikrotik-Total-Limit": ("705032704",),
            "Mikrotik-Total-Limit-Gigawords": ("1",),
            "Mikrotik-Delegated-IPv6-Pool": ("pd-v6",),
            "Mikrotik-Address-List": ("unpaid",),
        },
    ),
    "nokia": (
        {
            **DNS,
            **POOLS,
            "vrf": "2001",
            "garden_filter": "20",
            "garden_url": GARDEN["garden_url"],
            **BURST,
            "qos_profile": "gold",
        },
        {
            **EXPECTED["nokia"],
            "Alc-Subsc-Prof-Str": ("gold",),
            "Alc-SLA-Prof-Str": ("gold",),
            "Alc-SLAAC-IPv6-Pool": ("wan-v6",),
            "Alc-Delegated-IPv6-Pool": ("pd-v6",),
            "Alc-Retail-Serv-Id": ("2001",),
            "Alc-Subscriber-Filter": ("Ingr-v4:20",),
            "Alc-Portal-Url": ("https://pay.isp.example/",),
            "Alc-Primary-Dns": ("192.0.2.53",),
            "Alc-Secondary-Dns": ("198.51.100.53",),
            "Alc-Ipv6-Primary-Dns": ("2001:db8::53",),
            "Alc-Ipv6-Secondary-Dns": ("2001:db8:1::53",),
        },
    ),
    "wispr": (
        {"garden_url": GARDEN["garden_url"]},
        {**EXPECTED["wispr"], "WISPr-Redirection-URL": ("https://pay.isp.example/",)},
    ),
}
"""A plan that says all that the dialect has words for, and what the NAS receives for it."""

ALIKE = {
    "Service-Type": ("Framed-User",),
    "Framed-Protocol": ("PPP",),
    "Session-Timeout": ("86400",),
    "Idle-Timeout": ("1200",),
    "Framed-Pool": ("cgnat",),
}


def _vendors(reply: LoginReply) -> Told:
    return {name: values for name, values in reply.attributes.items() if (fact := fact_of(name)) and fact.vendor}


async def _login(site: Site, dialect: str, addresses: FramedAddresses) -> LoginReply:
    subscriber = await site.active(addresses)
    nas = await site.nas(dialect)
    return await nas.login(subscriber["username"], await site.password(subscriber))


def test_every_dialect_is_expected_something() -> None:
    assert set(EXPECTED) == set(EVERYTHING) == set(DIALECTS)


async def test_each_nas_of_an_estate_receives_the_rate_in_its_own_words_and_no_other_vendors(site: Site) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    nases = await site.nases(sorted(DIALECTS))

    replies = await asyncio.gather(*(nas.login(subscriber["username"], password) for nas in nases))

    assert [reply.accepted for reply in replies] == [True] * len(DIALECTS)
    assert dict(zip(sorted(DIALECTS), map(_vendors, replies), strict=True)) == EXPECTED


@on_sqlite
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_nas_receives_all_that_a_plan_says(site: Site, dialect: str) -> None:
    terms, expected = EVERYTHING[dialect]
    limits: dict[str, Any] = {"session_timeout_seconds": 86_400, "idle_timeout_seconds": 1200, "ipv4_pool": "cgnat"}
    await site.define_plan(**terms, **limits)

    reply = await _login(site, dialect, FramedAddresses())

    told = dict(reply.attributes)
    every = told.pop("Acct-Interim-Interval")
    assert told.pop("Class")
    assert told.pop("Message-Authenticator")
    assert 270 <= int(every[0]) <= 300
    assert told == {**ALIKE, **expected}


def test_what_a_dialect_says_it_can_say_is_said_to_its_nas() -> None:
    for name, (terms, _) in EVERYTHING.items():
        plan = PlanTerms(download_kbps=100_000, upload_kbps=20_000, **terms)
        beyond = {"burst", "priority"} if plan.qos_profile else set()
        assert plan.options - beyond == DIALECTS[name].says - beyond, name


@on_sqlite
async def test_at_no_nas_anybody_is_let_in_without_the_rate_of_both_directions(site: Site) -> None:
    """Each row that tells one of them is taken away by itself."""
    subscriber = await site.active()
    password = await site.password(subscriber)
    let_in = []
    for dialect, nas in zip(sorted(DIALECTS), await site.nases(sorted(DIALECTS)), strict=True):
        for attribute, value in DIALECTS[dialect].rate_attributes(Rate(100_000, 20_000)):
            if "Peak" in attribute:  # more than the average for a moment is a rate all the same
                continue
            group = f"{site.tenant_id}/{PLAN}:{dialect}"
            row = {"groupname": group, "attribute": attribute, "op": "+=", "value": str(value)}
            column = radgroupreply.c
            this = (column.groupname == group, column.attribute == attribute, column.value == str(value))
            async with site.radius_database.begin() as db:
                row["op"] = (await db.scalars(select(column.op).where(*this))).one()
                await db.execute(delete(radgroupreply).where(*this))
            reply = await nas.login(subscriber["username"], password)
            if (reply.code, reply.first("Reply-Message")) != ("Access-Reject", UNKNOWN_RATE):
                let_in.append((dialect, attribute, value, reply.code))
            async with site.radius_database.begin() as db:
                await db.execute(insert(radgroupreply).values(row))
        assert (await nas.login(subscriber["username"], password)).accepted, dialect
    assert let_in == []


@on_sqlite
@pytest.mark.parametrize("dialect", ["cisco", "huawei", "juniper", "nokia", "mikrotik"])
async def test_an_address_and_prefixes_of_ones_own_take_the_place_of_the_plans_pools(site: Site, dialect: str) -> None:
    pools = {name: name.replace("_", "-") for name in ("ipv6_pool", "ipv6_delegated_pool")}
    said: dict[str, Any] = {name: pool for name, pool in pools.items() if name in DIALECTS[dialect].says}
    await site.define_plan(ipv4_pool="cgnat", **said)

    without = await _login(site, dialect, FramedAddresses())
    reply = await _login(site, dialect, ADDRESSES)

    assert {"cgnat", *said.values()} <= {value for values in without.attributes.values() for value in values}
    assert (reply.framed_ip_address, reply.ipv6_wan_prefix, reply.delegated_prefix) == (
        ADDRESSES.ipv4,
        ADDRESSES.ipv6_wan_prefix,
        ADDRESSES.delegated_prefix,
    )
    assert [name for name in reply.attributes if (fact := fact_of(name)) and fact.pool_of] == []


@on_sqlite
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_nas_receives_the_highest_rate_the_dialect_can_say(site: Site, dialect: str) -> None:
    limit = DIALECTS[dialect].max_kbps or 400_000_000
    await site.define_plan(download_kbps=limit, upload_kbps=limit)
    subscriber = await site.active()
    nas = await site.nas(dialect)

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    rendered = sorted((name, str(value)) for name, value in DIALECTS[dialect].rate_attributes(Rate(limit, limit)))
    assert sorted((name, value) for name, values in _vendors(reply).items() for value in values) == rendered


def test_an_unknown_dialect_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(DialectUnknown) as refused:
        dialect_named("cisco-from-1998")
    assert refused.value.known == tuple(sorted(DIALECTS))


@pytest.fixture
def zte(monkeypatch: pytest.MonkeyPatch) -> str:
    """A dialect that the recipe in docs/radius-dialects.md adds: its file, and its line in the list."""
    recipe = (Path(__file__).parents[2] / "docs" / "radius-dialects.md").read_text(encoding="utf-8")
    [file] = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)
    module: dict[str, Any] = {}
    exec(file, module)
    monkeypatch.setitem(dialects_package._BUILT_IN, "zte", module["ZTE"])
    return "zte"


@on_sqlite
async def test_a_vendor_is_one_more_small_file(site: Site, zte: str) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    nas, other = await site.nases([zte, "mikrotik"])

    reply = await nas.login(subscriber["username"], password)

    assert _vendors(reply) == {"ZTE-Rate-Ctrl-SCR-Up": ("20000",), "ZTE-Rate-Ctrl-SCR-Down": ("100000",)}
    assert _vendors(await other.login(subscriber["username"], password)) == EXPECTED["mikrotik"]


def _plan(**terms: Any) -> PlanTerms:
    return PlanTerms(download_kbps=100_000, upload_kbps=20_000, **terms)


@pytest.mark.both_databases
async def test_where_a_nas_cannot_be_told_a_plan_that_says_so_nobody_of_it_is_let_in(site: Site) -> None:
    plans: dict[str, Any] = {"vrf": "business", "where_untold": "refuse_login"}
    await site.define_plan(**plans)
    at_home, elsewhere = await site.nases(["cisco", "mikrotik"])
    await site.projector.project_plans()
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)

    assert "ip:vrf-id=business" in " ".join(_vendors(await at_home.login(name, password))["Cisco-AVPair"])
    refused = await elsewhere.login(name, password)

    assert (refused.code, refused.first("Reply-Message")) == (
        "Access-Reject",
        "No rate is known for this line at this NAS.",
    )
    log = LoginLog(site.radius_database.read, site.radius_database.begin)
    assert [each["reason"] for each in await log.logins_of(name)] == ["no_rate", None]
    with pytest.raises(TermsNotExpressible, match=r"cannot be told a VRF.*where_untold = refuse_login"):
        await site.define_plan(vrf="business")
    async with site.database.begin() as db:  # and a NAS may come later that can't be told it either
        await site.service(db).define_nas(name="hotspot", address="10.0.0.9", dialect="wispr")


@pytest.mark.both_databases
async def test_one_plan_with_a_burst_serves_nases_that_are_told_it_in_numbers_and_those_where_it_is_prepared(
    site: Site,
) -> None:
    """No vendor's name is in it, nor does who is moved from the one to the other need another plan."""
    await site.define_plan(**BURST, priority=3, qos_profile="gold")
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    dialects = ["mikrotik", "juniper", "cisco", "nokia"]

    replies = await asyncio.gather(*(nas.login(name, password) for nas in await site.nases(dialects)))

    assert [_vendors(reply) for reply in replies] == [
        {"Mikrotik-Rate-Limit": ("20000k/100000k 40000k/200000k 20000k/100000k 16/16 3",)},
        {"ERX-Service-Activate:1": ("gold(20000k,100000k)",)},
        {"Cisco-AVPair": ("ip:sub-qos-policy-in=gold-up", "ip:sub-qos-policy-out=gold-down")},
        {**EXPECTED["nokia"], "Alc-Subsc-Prof-Str": ("gold",), "Alc-SLA-Prof-Str": ("gold",)},
    ]


@on_sqlite
@pytest.mark.parametrize("dialect", ["chillispot", "mikrotik", "wispr"])
async def test_a_nas_that_has_no_profiles_is_told_the_rate_in_the_place_of_ones_name(site: Site, dialect: str) -> None:
    await site.define_plan(qos_profile="gold")
    assert _vendors(await _login(site, dialect, FramedAddresses())) == EXPECTED[dialect]


@on_sqlite
async def test_a_burst_is_refused_where_it_can_be_told_neither_in_numbers_nor_by_a_profile(site: Site) -> None:
    said = []
    async with site.database.begin() as db:
        service = site.service(db)
        for terms in (_plan(**BURST), _plan(**BURST, priority=3, qos_profile="gold")):
            await service.define_plan(name="odd", terms=terms)
            for dialect in sorted(DIALECTS):
                try:
                    await service.define_nas(name="bng", address="10.0.0.9", dialect=dialect)
                except TermsNotExpressible as refused:
                    said.append((dialect, [fault.partition(" cannot be told ")[2] for fault in refused.faults]))
            await service.remove_nas(name="bng")
    burst, both = ["a burst"], ["a burst", "a priority"]
    assert said == [
        *[(dialect, burst) for dialect in ("chillispot", "cisco", "huawei", "juniper", "nokia", "wispr")],
        *[(dialect, both) for dialect in ("chillispot", "huawei", "wispr")],
    ]


@on_sqlite
async def test_a_plan_that_nases_in_use_cannot_be_told_is_refused_with_every_fault(site: Site) -> None:
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_nas(name="hotspot", address="10.0.0.9", dialect="wispr")
        with pytest.raises(TermsNotExpressible) as refused:
            await service.define_plan(name="gold", terms=_plan(**BURST, priority=2, vrf="home"))
        await service.define_nas(name="bng", address="10.0.0.10", dialect="cisco")
        with pytest.raises(SeveralNotExpressible) as by_two:
            await service.define_plan(name="gold", terms=_plan(priority=2, session_cap_megabytes=10))
        fast = PlanTerms(download_kbps=10_000_000, upload_kbps=10_000_000, priority=2)
        with pytest.raises(SeveralNotExpressible) as at_once:
            await service.define_plan(name="gold", terms=fast)
    assert refused.value.faults == (
        "a NAS of dialect wispr cannot be told a burst",
        "a NAS of dialect wispr cannot be told a priority",
        "a NAS of dialect wispr cannot be told a VRF",
    )
    assert [type(one).__name__ for one in by_two.value.refused] == ["TermsNotExpressible"] * 2
    assert [type(one) for one in at_once.value.refused] == [
        TermsNotExpressible,
        RateNotExpressible,
        TermsNotExpressible,
    ]


@on_sqlite
async def test_a_value_that_a_dialect_cannot_carry_is_refused_from_both_sides_by_the_plans_own_word(site: Site) -> None:
    """A cap of 32 bits at a ChilliSpot, a filter that is a number at a Nokia, one IPv6 name server at a Huawei."""
    said = []
    async with site.database.begin() as db:
        service = site.service(db)
        for terms, dialect in (
            (_plan(session_cap_megabytes=4295), "chillispot"),
            (_plan(garden_filter="65536", qos_profile="a-name-of-18-bytes"), "nokia"),
            (_plan(vrf="home"), "nokia"),
            (_plan(vrf="0"), "nokia"),
            (_plan(qos_profile="Gold", **DNS), "huawei"),
        ):
            await service.define_plan(name="odd", terms=terms)
            with pytest.raises(TermsNotExpressible) as refused:
                await service.define_nas(name="bng", address="10.0.0.9", dialect=dialect)
            assert ".." not in str(refused.value)
            said += [
                fault.removeprefix(f"a NAS of dialect {dialect} cannot be told ") for fault in refused.value.faults
            ]
        await service.define_plan(name="odd", terms=_plan(garden_filter="65535", session_cap_megabytes=None))
        await service.define_nas(name="bng", address="10.0.0.9", dialect="nokia")
        with pytest.raises(TermsNotExpressible, match="garden_filter as it is"):
            await service.define_plan(name="odd", terms=_plan(garden_filter="unpaid"))
    assert said == [
        "session_cap_megabytes of 4295: 4294 is the highest",
        "qos_profile as it is (Alc-Subsc-Prof-Str: it has 18 bytes, and a NAS takes 16)",
        "qos_profile as it is (Alc-SLA-Prof-Str: it has 18 bytes, and a NAS takes 16)",
        "garden_filter as it is (Alc-Subscriber-Filter: a NAS reads nothing but the number of an IPv4 filter, 1 to"
        " 65535)",
        *["vrf as it is (Alc-Retail-Serv-Id: it must be a whole number from 1 to 2147483647)"] * 2,
        "qos_profile as it is (Huawei-Qos-Profile-Name: a NAS reads nothing but lower-case letters)",
        "dns_ipv6 as it is (Huawei-DNS-Server-IPv6-address: it can have one value only and was given several)",
    ]


@on_sqlite
async def test_a_name_server_in_another_spelling_is_the_same_plan(site: Site) -> None:
    views = []
    for server in ("2001:DB8:0::53", "2001:db8::53"):
        async with site.database.begin() as db:
            views.append(await site.service(db).define_plan(name="gold", terms=_plan(dns_ipv6=(server,))))
    assert [view["version"] for view in views] == [1, 1]
    assert views[0]["terms"].dns_ipv6 == ("2001:db8::53",)


def test_the_options_in_words_are_all_of_them() -> None:
    assert set(wording._IN_WORDS) | wording._IN_NUMBERS == set(get_args(Option))
    assert not set(wording._IN_WORDS) & wording._IN_NUMBERS
    assert {"burst", "session_cap"} == set(get_args(Option)) - {field.name for field in fields(PlanTerms)}
