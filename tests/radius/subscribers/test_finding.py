"""Subscribers are found by what is printed on a CPE."""

from __future__ import annotations

from radius import LineIdentity, SubscriberSearch, SubscriberVerbs
from tests.radius.conftest import Site

OF_A_VENDOR = [f"a4:7b:00:00:00:{each:02x}" for each in range(4)]
BY_ITS_END = "00:11:22:33:a4:7b"


async def test_the_end_of_a_label_is_found_though_many_begin_with_the_same_digits(site: Site) -> None:
    bound: dict[str, int] = {}
    for station in (BY_ITS_END, *OF_A_VENDOR):
        bound[station] = (await site.active())["subscriber_id"]
        async with site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
            await verbs.bind(subscriber_id=bound[station], line=LineIdentity(station=station))
    async with site.database.read() as db:
        search = SubscriberSearch(db, tenant_id=site.tenant_id)
        some = [each["subscriber_id"] for each in await search.bound_to("a47b", limit=3)]
        every = {each["subscriber_id"] for each in await search.bound_to("a47b", limit=10)}
        one = [each["subscriber_id"] for each in await search.bound_to("33a47b", limit=1)]
    assert (len(some), bound[BY_ITS_END] in some) == (3, True)
    assert (every, one) == (set(bound.values()), [bound[BY_ITS_END]])
