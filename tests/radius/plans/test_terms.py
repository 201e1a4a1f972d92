"""The terms of a plan: every fault in a phrase, and what has none is told to a NAS or refused, whatever it is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radius import PlanTerms, RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.attributes import fact_of
from radius.dialects import DIALECTS
from radius.plans.terms import Burst, Rate, columns_of, terms_of
from radius.plans.wording import common_words, words_of
from radius.tables import Plan


def _terms(**terms: Any) -> PlanTerms:
    return PlanTerms(**{"download_kbps": 100_000, "upload_kbps": 20_000, **terms})


@pytest.mark.parametrize(
    ("terms", "phrases"),
    [
        ({}, []),
        ({"download_kbps": 0, "priority": 9}, ["download_kbps is 0", "priority is 9"]),
        ({"burst_seconds": 16}, ["a burst needs"]),
        (
            {"burst_download_kbps": 90_000, "burst_upload_kbps": 40_000, "burst_seconds": 0},
            ["burst_seconds is 0", "burst_download_kbps is 90000, less than the 100000"],
        ),
        ({"access": "wifi"}, ["access is 'wifi', not pppoe or ipoe"]),
        ({"where_untold": "shrug"}, ["where_untold is 'shrug', not refuse_plan or refuse_login"]),
        ({"second_login": "maybe"}, ["second_login is 'maybe', not replace, reject, allow"]),
        ({"vrf": "a b", "qos_profile": "g(1)", "garden_filter": "x" * 33}, ["qos_profile", "vrf", "garden_filter"]),
        (
            {"ipv4_pool": "`id`", "ipv6_pool": "p,q", "ipv6_delegated_pool": ""},
            ["ipv6_pool", "ipv6_deleg", "ipv4_pool"],
        ),
        ({"garden_url": "javascript:alert(1)"}, ["garden_url"]),
        ({"garden_url": "https://pay.isp.example/a b"}, ["garden_url"]),
        ({"dns_ipv4": ("192.0.2.1", "192.0.2.2", "192.0.2.3")}, ["dns_ipv4 has 3 servers"]),
        ({"dns_ipv4": ("2001:db8::1",), "dns_ipv6": ("192.0.2.1",)}, ["dns_ipv4: it must be", "dns_ipv6: it must be"]),
        ({"dns_ipv6": ("2001:db8::1", "2001:DB8:0::1")}, ["dns_ipv6 has the same server twice"]),
    ],
)
def test_every_fault_of_the_terms_is_named_at_once(terms: dict[str, Any], phrases: list[str]) -> None:
    faults = _terms(**terms).faults()
    assert len(faults) == len(phrases)
    assert all(phrase in fault for phrase, fault in zip(phrases, faults, strict=True))


def test_whether_terms_go_together_is_not_said_of_those_that_nobody_could_read() -> None:
    terms = _terms(burst_seconds=16, at_cap="garden", priority=9)
    assert len(terms.faults()) == 4
    assert terms.faults(unknown=["burst_upload_kbps", "cap_plan"]) == ["priority is 9, not between 1 and 8"]
    assert len(terms.faults(unknown=["upload_kbps"])) == 4


def test_terms_are_kept_as_they_are() -> None:
    terms = _terms(
        dns_ipv4=("192.0.2.53", "198.51.100.53"), burst_seconds=5, vrf="home", access="ipoe", second_login="reject"
    )
    assert terms_of(Plan(**columns_of(terms))) == terms
    assert terms_of(Plan(**columns_of(_terms()))) == _terms()


def test_a_plan_without_a_whole_burst_has_none() -> None:
    burst = {"burst_download_kbps": 200_000, "burst_upload_kbps": 40_000, "burst_seconds": 16}
    assert _terms(**burst).rate == Rate(100_000, 20_000, Burst(200_000, 40_000, 16))
    assert _terms(burst_seconds=16).options == frozenset()
    assert _terms(**burst, vrf="home").options == {"burst", "vrf"}


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


_NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")
_RATES = st.integers(1, 400_000_000)
_GOOD_TERMS = st.builds(
    PlanTerms,
    download_kbps=_RATES,
    upload_kbps=_RATES,
    priority=_maybe(st.integers(1, 8)),
    session_timeout_seconds=_maybe(st.integers(60, 2**32 - 1)),
    session_cap_megabytes=_maybe(st.integers(1, 1_000_000_000)),
    access=st.sampled_from(["pppoe", "ipoe"]),
    ipv4_pool=st.one_of(st.none(), _NAMES, st.text(max_size=260)),
    **{name: _maybe(_NAMES) for name in ("qos_profile", "ipv6_pool", "ipv6_delegated_pool", "vrf", "garden_filter")},
    garden_url=_maybe(st.from_regex(r"\Ahttps?://[!-~]{1,230}\Z")),
    dns_ipv4=st.lists(st.ip_addresses(v=4).map(str), max_size=2, unique=True).map(tuple),
    dns_ipv6=st.lists(st.ip_addresses(v=6).map(str), max_size=2, unique=True).map(tuple),
)
_TERMS = st.builds(
    lambda terms, burst: replace(
        terms,
        burst_download_kbps=400_000_000 if burst else None,
        burst_upload_kbps=400_000_000 if burst else None,
        burst_seconds=burst,
    ),
    _GOOD_TERMS,
    _maybe(st.integers(1, 3600)),
)


@settings(max_examples=150)
@given(_TERMS)
def test_whatever_a_plan_says_it_is_refused_in_words_or_told_by_values_a_nas_can_read(terms: PlanTerms) -> None:
    faults = terms.faults()
    if faults:
        assert all(fault.startswith("ipv4_pool: ") for fault in faults)
        return
    words = list(common_words("plan", terms))
    for dialect in DIALECTS.values():
        try:
            words += words_of(dialect, "plan", terms)
        except (RateNotExpressible, TermsNotExpressible, SeveralNotExpressible):
            continue
    for word in words:
        fact = fact_of(word.attribute)
        assert fact is not None
        assert 0 < len(word.value.encode()) <= fact.value_octets
        assert word.value.isprintable()
        assert word.value[0] not in "'\"`"


@given(st.integers(1, 4_294_967), st.integers(1, 4_294_967))
def test_upload_and_download_stay_apart_in_every_dialect(download_kbps: int, upload_kbps: int) -> None:
    """Read back as a NAS reads it: the numbers of each direction, in kbit/s."""
    terms = PlanTerms(download_kbps=download_kbps, upload_kbps=upload_kbps)
    read: dict[str, tuple[int, int]] = {}
    for name, dialect in DIALECTS.items():
        numbers = {
            item.attribute + item.value.partition("=")[0] * ("=" in item.value): [
                int(number) for number in re.findall(r"\d{1,}", item.value.rpartition("=")[2])
            ]
            for item in words_of(dialect, "plan", terms)
        }
        read[name] = _READ[name](numbers)
    assert read == dict.fromkeys(DIALECTS, (download_kbps, upload_kbps))


_READ = {
    "chillispot": lambda n: (n["ChilliSpot-Bandwidth-Max-Down"][0], n["ChilliSpot-Bandwidth-Max-Up"][0]),
    "cisco": lambda n: (n["Cisco-AVPairip:sub-qos-policy-out"][0], n["Cisco-AVPairip:sub-qos-policy-in"][0]),
    "huawei": lambda n: (n["Huawei-Output-Average-Rate"][0] // 1000, n["Huawei-Input-Average-Rate"][0] // 1000),
    "juniper": lambda n: (n["ERX-Service-Activate:1"][1], n["ERX-Service-Activate:1"][0]),
    "mikrotik": lambda n: (n["Mikrotik-Rate-Limit"][1], n["Mikrotik-Rate-Limit"][0]),
    "nokia": lambda n: (n["Alc-Subscriber-QoS-Overridee:r:rate"][0], n["Alc-Subscriber-QoS-Overridei:q:1:pir"][0]),
    "wispr": lambda n: (n["WISPr-Bandwidth-Max-Down"][0] // 1000, n["WISPr-Bandwidth-Max-Up"][0] // 1000),
}
