"""The suite every dialect passes: its rows go through the real FreeRADIUS, and the NAS receives exactly this."""

from __future__ import annotations

import pytest

from radius import DialectUnknown
from radius.attributes import ATTRIBUTES
from radius.dialects import DIALECTS, Rate, dialect_named
from tests.radius.conftest import Site

EXPECTED = {
    # the router receives what the subscriber sends: upload first, k = 1000 bit/s
    "mikrotik": {"Mikrotik-Rate-Limit": "20000k/100000k"},
    # bit/s, named from the subscriber's side
    "wispr": {"WISPr-Bandwidth-Max-Up": "20000000", "WISPr-Bandwidth-Max-Down": "100000000"},
}
"""For 100 Mbit/s down and 20 Mbit/s up."""

VENDOR_ATTRIBUTES = {name for name, fact in ATTRIBUTES.items() if fact.vendor}


def test_every_dialect_is_expected_something() -> None:
    assert set(EXPECTED) == set(DIALECTS)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_nas_receives_the_rate_in_its_own_words_and_no_other_vendors(site: Site, dialect: str) -> None:
    subscriber = await site.active()
    nas = await site.nas(dialect)

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    vendors = {name: value for name, (value,) in reply.attributes.items() if name in VENDOR_ATTRIBUTES}
    assert reply.accepted
    assert vendors == EXPECTED[dialect]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_nas_receives_the_highest_rate_the_dialect_can_say(site: Site, dialect: str) -> None:
    limit = DIALECTS[dialect].max_kbps or 400_000_000
    await site.define_plan(download_kbps=limit, upload_kbps=limit)
    subscriber = await site.active()
    nas = await site.nas(dialect)

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    rendered = {name: str(value) for name, value in DIALECTS[dialect].rate_attributes(Rate(limit, limit))}
    assert {name: reply.first(name) for name in rendered} == rendered


def test_an_unknown_dialect_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(DialectUnknown) as refused:
        dialect_named("cisco-from-1998")
    assert refused.value.known == ("mikrotik", "wispr")
