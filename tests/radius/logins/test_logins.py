"""What a NAS is told about a subscriber in each state: the real FreeRADIUS, asked as a BNG asks it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from radius import FramedAddresses
from radius.tables import Subscriber
from tests.radius.conftest import ADDRESSES, Site, soon

pytestmark = pytest.mark.both_databases


async def test_a_pending_subscriber_is_refused_with_a_reason_and_nothing_else(site: Site) -> None:
    subscriber = await site.create()
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    nas = await site.nas()

    for method in ("pap", "chap"):
        reply = await nas.login(subscriber["username"], await site.password(subscriber), method=method)
        assert reply.code == "Access-Reject"
        assert set(reply.attributes) == {"Message-Authenticator", "Reply-Message"}
        assert reply.first("Reply-Message") == "This line is not in service yet."


@pytest.mark.parametrize("method", ["pap", "chap"])
async def test_a_subscriber_under_test_gets_address_prefixes_rate_and_the_time_that_is_left(
    site: Site, method: str
) -> None:
    subscriber = await site.create()
    await site.test_until(subscriber["subscriber_id"], soon())
    nas = await site.nas()

    reply = await nas.login(
        subscriber["username"], await site.password(subscriber), method="chap" if method == "chap" else "pap"
    )

    assert reply.code == "Access-Accept"
    assert reply.framed_ip_address == ADDRESSES.ipv4
    assert reply.first("Framed-IP-Netmask") == "255.255.255.255"
    assert reply.ipv6_wan_prefix == ADDRESSES.ipv6_wan_prefix
    assert reply.delegated_prefix == ADDRESSES.delegated_prefix
    assert reply.rate_limit == "20000k/100000k"
    assert reply.first("Acct-Interim-Interval") == interval_of(subscriber["username"], 300)
    assert bytes.fromhex(reply.first("Class") or "") == f"subscriber-{subscriber['subscriber_id']}".encode()
    assert (reply.first("Service-Type"), reply.first("Framed-Protocol")) == ("Framed-User", "PPP")
    seconds_left = int(reply.first("Session-Timeout") or 0)
    assert 4 * 3600 - 60 < seconds_left <= 4 * 3600


def interval_of(username: str, plans_seconds: int) -> str:
    """The plan's interval less up to a tenth of it, by the first octet of the name's MD5, and a minute at least."""
    octet = hashlib.md5(username.encode()).digest()[0]
    return str(max(60, plans_seconds - plans_seconds * octet // 2560))


async def test_each_subscriber_reports_at_an_interval_of_its_own_and_never_below_a_minute(site: Site) -> None:
    subscribers = [await site.active(FramedAddresses()) for _ in range(4)]
    nas = await site.nas()
    said = {}
    for seconds in (3600, 60):
        await site.define_plan(interim_interval_seconds=seconds)
        await site.projector.project_plans()
        for subscriber in subscribers:
            reply = await nas.login(subscriber["username"], await site.password(subscriber))
            said[subscriber["username"], seconds] = reply.first("Acct-Interim-Interval")
    assert said == {(name, seconds): interval_of(name, seconds) for name, seconds in said}
    assert {interval for (_, seconds), interval in said.items() if seconds == 60} == {"60"}


async def test_a_test_that_is_over_is_refused_by_itself(site: Site) -> None:
    subscriber = await site.create()
    past = datetime.now(UTC) - timedelta(seconds=2)
    async with site.database.begin() as db:
        view = await site.service(db).begin_testing(subscriber_id=subscriber["subscriber_id"], until=soon())
    assert view["state"] == "testing"
    async with site.database.begin() as db:  # the appliance is asleep while the hours pass
        row = await db.get_one(Subscriber, subscriber["subscriber_id"])
        row.testing_until = past
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    nas = await site.nas()

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    assert reply.code == "Access-Reject"
    assert reply.framed_ip_address is None


async def test_an_active_subscriber_gets_everything_without_an_end(site: Site) -> None:
    subscriber = await site.create()
    await site.test_until(subscriber["subscriber_id"], soon())
    await site.activate(subscriber["subscriber_id"])
    nas = await site.nas()

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    assert reply.accepted
    assert reply.framed_ip_address == ADDRESSES.ipv4
    assert reply.rate_limit == "20000k/100000k"
    assert reply.first("Session-Timeout") is None


async def test_a_wrong_password_is_rejected_and_no_address_is_shown(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()

    reply = await nas.login(subscriber["username"], "not-the-password")

    assert reply.code == "Access-Reject"
    assert reply.framed_ip_address is None


async def test_an_unknown_username_is_rejected(site: Site) -> None:
    nas = await site.nas()
    assert (await nas.login(site.new_username(), "whatever")).code == "Access-Reject"


async def test_a_withdrawn_subscriber_is_refused_and_has_no_rows(site: Site) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    withdrawn = await site.projector.withdraw_subscriber(subscriber["subscriber_id"])
    nas = await site.nas()

    assert withdrawn["state"] == "terminated"
    assert (await nas.login(subscriber["username"], password)).code == "Access-Reject"
    assert await site.projector.drift() == []


async def test_a_subscriber_sent_back_to_pending_is_refused_again(site: Site) -> None:
    subscriber = await site.active()
    async with site.database.begin() as db:
        await site.service(db).return_to_pending(subscriber_id=subscriber["subscriber_id"])
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    nas = await site.nas()

    assert (await nas.login(subscriber["username"], await site.password(subscriber))).code == "Access-Reject"


async def test_a_pool_is_named_when_the_bng_gives_the_address(site: Site) -> None:
    subscriber = await site.active(FramedAddresses(ipv4_pool="cgnat-1"))
    nas = await site.nas()

    reply = await nas.login(subscriber["username"], await site.password(subscriber))

    assert reply.first("Framed-Pool") == "cgnat-1"
    assert reply.framed_ip_address is None


async def test_a_changed_rate_is_told_at_the_next_login_after_the_plans_are_projected(site: Site) -> None:
    subscriber = await site.active()
    password = await site.password(subscriber)
    nas = await site.nas()
    before = await nas.login(subscriber["username"], password)

    await site.define_plan(download_kbps=500_000, upload_kbps=250_000)
    still = await nas.login(subscriber["username"], password)
    await site.projector.project_plans()
    after = await nas.login(subscriber["username"], password)

    assert [reply.rate_limit for reply in (before, still, after)] == [
        "20000k/100000k",
        "20000k/100000k",
        "250000k/500000k",
    ]


async def test_routed_prefixes_reach_the_nas_each_and_again_others_after_a_change(site: Site) -> None:
    routes, more = ("198.51.100.8/29 0.0.0.0 1", "203.0.113.0/28 0.0.0.0 1"), ("2001:db8:ff00::/48 :: 1",)
    addresses = FramedAddresses(ipv4="100.64.7.11", routes=routes, ipv6_routes=more)
    subscriber = await site.active(addresses)
    password, nas = await site.password(subscriber), await site.nas()

    reply = await nas.login(subscriber["username"], password)
    async with site.database.begin() as db:
        changed = await site.service(db).give_addresses(
            subscriber_id=subscriber["subscriber_id"],
            addresses=FramedAddresses(ipv4="100.64.7.12", routes=routes[:1]),
        )
        again = await site.service(db).give_addresses(
            subscriber_id=subscriber["subscriber_id"],
            addresses=FramedAddresses(ipv4="100.64.7.12", routes=routes[:1]),
        )
    await site.projector.project_subscriber(subscriber["subscriber_id"])
    after = await nas.login(subscriber["username"], password)

    assert sorted(reply.attributes["Framed-Route"]) == sorted(routes)
    assert list(reply.attributes["Framed-IPv6-Route"]) == list(more)
    assert (changed["projected"], changed["routes"], again["version"]) == (False, list(routes[:1]), changed["version"])
    assert after.framed_ip_address == "100.64.7.12"
    assert (list(after.attributes["Framed-Route"]), after.first("Framed-IPv6-Route")) == (list(routes[:1]), None)
    assert await site.projector.drift() == []
