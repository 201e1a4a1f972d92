"""Rows and digests: pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from radius import ValueRefused
from radius.projection.projection import Row, digest, nas_rows, plan_rows, rows_for
from radius.states import State
from radius.tables import Nas, Plan, Subscriber

COLUMNS: dict[str, Any] = {
    "tenant_id": "isp",
    "name": "fiber-100",
    "download_kbps": 100_000,
    "upload_kbps": 20_000,
    "session_timeout_seconds": None,
    "idle_timeout_seconds": 600,
    "interim_interval_seconds": 300,
    "access": "pppoe",
}
PLAN = Plan(**COLUMNS)
UNTIL = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def _subscriber(state: State, *, until: datetime | None = None) -> Subscriber:
    return Subscriber(
        id=7,
        tenant_id="isp",
        username="anna",
        state=state,
        testing_until=until,
        framed_ipv4="100.64.0.9",
        framed_routes="",
        framed_ipv6_routes="",
        plan_id=1,
    )


def _texts(rows: tuple[Row, ...]) -> set[str]:
    return {" ".join([row.table, row.owner, *(value for _, value in row.columns)]) for row in rows}


ADDRESS = {
    f"radreply anna Class := 0x{b'subscriber-7'.hex()}",
    "radreply anna Framed-IP-Address := 100.64.0.9",
    "radreply anna Framed-IP-Netmask := 255.255.255.255",
    "radusergroup anna isp/fiber-100 0",
}


@pytest.mark.parametrize(
    ("second_login", "row"),
    [
        ("replace", None),
        ("reject", "radgroupcheck isp/fiber-100 Simultaneous-Use := 1"),
        ("allow", "radgroupcheck isp/fiber-100:second-login Simultaneous-Use := 4294967295"),
    ],
)
def test_a_plan_says_what_becomes_of_a_second_login(second_login: str, row: str | None) -> None:
    columns = {column.name: getattr(PLAN, column.name) for column in Plan.__table__.columns}
    plan = Plan(**{**columns, "second_login": second_login})
    assert {text for text in _texts(plan_rows(plan)) if text.startswith("radgroupcheck")} == {row} - {None}


def test_pending_is_a_reject_without_any_password() -> None:
    assert _texts(rows_for(_subscriber("pending"), PLAN, None)) == ADDRESS | {
        "radcheck anna Auth-Type := Reject",
        "radreply anna Reply-Message := This line is not in service yet.",
    }


def test_suspended_is_a_reject_that_keeps_everything() -> None:
    assert _texts(rows_for(_subscriber("suspended"), PLAN, None)) == ADDRESS | {
        "radcheck anna Auth-Type := Reject",
        "radreply anna Reply-Message := This service is suspended.",
    }


def test_testing_is_everything_until_a_second_that_every_time_zone_agrees_on() -> None:
    assert _texts(rows_for(_subscriber("testing", until=UNTIL), PLAN, "sesame")) == ADDRESS | {
        "radcheck anna Cleartext-Password := sesame",
        f"radcheck anna Expiration := {int(UNTIL.timestamp())}",
    }


def test_active_is_everything() -> None:
    assert _texts(rows_for(_subscriber("active"), PLAN, "sesame")) == ADDRESS | {
        "radcheck anna Cleartext-Password := sesame"
    }


def test_terminated_is_nothing() -> None:
    assert rows_for(_subscriber("terminated"), PLAN, None) == ()


def test_nobody_is_let_in_without_a_password() -> None:
    with pytest.raises(ValueRefused):
        rows_for(_subscriber("active"), PLAN, None)


@pytest.mark.parametrize("password", ["'quoted'", "`%{sql:SELECT 1}`", "back\\slash", "tab\t", " blank", "", "x" * 254])
def test_a_password_freeradius_would_mangle_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        rows_for(_subscriber("active"), PLAN, password)
    assert not password or password not in str(refused.value)


def test_a_plan_is_a_group_and_one_group_for_each_dialect() -> None:
    assert _texts(plan_rows(PLAN)) == {
        "radgroupreply isp/fiber-100 Service-Type = Framed-User",
        "radgroupreply isp/fiber-100 Framed-Protocol = PPP",
        "radgroupreply isp/fiber-100 Acct-Interim-Interval = 300",
        "radgroupreply isp/fiber-100 Idle-Timeout = 600",
        "radgroupreply isp/fiber-100:chillispot ChilliSpot-Bandwidth-Max-Down = 100000",
        "radgroupreply isp/fiber-100:chillispot ChilliSpot-Bandwidth-Max-Up = 20000",
        "radgroupreply isp/fiber-100:cisco Cisco-AVPair += ip:sub-qos-policy-in=up-20000k",
        "radgroupreply isp/fiber-100:cisco Cisco-AVPair += ip:sub-qos-policy-out=down-100000k",
        "radgroupreply isp/fiber-100:huawei Huawei-Input-Average-Rate = 20000000",
        "radgroupreply isp/fiber-100:huawei Huawei-Input-Peak-Rate = 20000000",
        "radgroupreply isp/fiber-100:huawei Huawei-Output-Average-Rate = 100000000",
        "radgroupreply isp/fiber-100:huawei Huawei-Output-Peak-Rate = 100000000",
        "radgroupreply isp/fiber-100:juniper ERX-Service-Activate:1 += rate(20000k,100000k)",
        "radgroupreply isp/fiber-100:mikrotik Mikrotik-Rate-Limit = 20000k/100000k",
        "radgroupreply isp/fiber-100:nokia Alc-Subscriber-QoS-Override += e:r:rate=100000",
        "radgroupreply isp/fiber-100:nokia Alc-Subscriber-QoS-Override += i:q:1:pir=20000",
        "radgroupreply isp/fiber-100:wispr WISPr-Bandwidth-Max-Down = 100000000",
        "radgroupreply isp/fiber-100:wispr WISPr-Bandwidth-Max-Up = 20000000",
    }


def test_a_plan_has_no_group_of_a_dialect_that_cannot_say_it() -> None:
    fast = Plan(
        tenant_id="isp",
        name="xgs",
        download_kbps=10_000_000,
        upload_kbps=10_000_000,
        interim_interval_seconds=300,
        access="ipoe",
        vrf="home",
    )
    assert {row.owner for row in plan_rows(fast)} == {
        *("isp/xgs", "isp/xgs:cisco", "isp/xgs:juniper"),
        *("isp/xgs:vrf", "isp/xgs:vrf:cisco", "isp/xgs:vrf:juniper"),
    }
    assert not any("Framed-Protocol" in text for text in _texts(plan_rows(fast)))


def test_a_session_is_marked_with_its_service_whatever_its_name() -> None:
    subscriber = _subscriber("active")
    subscriber.service_id = 42
    before = {text for text in _texts(rows_for(subscriber, PLAN, "sesame")) if " Class " in text}
    subscriber.username = "berta"
    after = {
        text.replace("berta", "anna") for text in _texts(rows_for(subscriber, PLAN, "sesame")) if " Class " in text
    }
    assert before == after == {f"radreply anna Class := 0x{b'service-42'.hex()}"}


def test_the_digest_sees_every_column_and_no_order() -> None:
    rows = rows_for(_subscriber("active"), PLAN, "sesame")
    assert digest(rows) == digest(tuple(reversed(rows)))
    assert digest(rows) != digest(rows_for(_subscriber("active"), PLAN, "sesamE"))
    assert digest(rows) != digest(rows[1:])


def test_no_password_and_no_secret_is_in_a_repr() -> None:
    nas = Nas(tenant_id="isp", name="bng", address="10.0.0.1", dialect="mikrotik")
    shown = repr(rows_for(_subscriber("active"), PLAN, "sesame")) + repr(nas_rows(nas, "s3cret-of-the-nas"))
    assert "sesame" not in shown
    assert "s3cret-of-the-nas" not in shown
    assert "100.64.0.9" in shown


def test_each_routed_prefix_is_a_row_of_its_own_that_adds_to_the_others() -> None:
    subscriber = _subscriber("active")
    subscriber.framed_routes = "198.51.100.8/29 0.0.0.0 1\n203.0.113.0/28 0.0.0.0 1"
    subscriber.framed_ipv6_routes = "2001:db8:ff00::/48 :: 1"
    assert _texts(rows_for(subscriber, PLAN, "sesame")) == ADDRESS | {
        "radcheck anna Cleartext-Password := sesame",
        "radreply anna Framed-Route += 198.51.100.8/29 0.0.0.0 1",
        "radreply anna Framed-Route += 203.0.113.0/28 0.0.0.0 1",
        "radreply anna Framed-IPv6-Route += 2001:db8:ff00::/48 :: 1",
    }


def test_a_line_in_a_walled_garden_is_in_the_groups_of_what_its_plan_says_and_the_garden_does_not() -> None:
    subscriber = _subscriber("suspended")
    subscriber.garden_plan_id = 2
    plan = Plan(**{**COLUMNS, "vrf": "home", "dns_ipv6": "2001:db8::53", "ipv6_pool": "wan6"})
    own_dns = Plan(**{**COLUMNS, "name": "unpaid", "dns_ipv4": "192.0.2.53"})
    groups = {row.columns for row in rows_for(subscriber, plan, "sesame", garden=own_dns) if "group" in row.table}
    assert {tuple(value for _, value in columns) for columns in groups} == {
        ("isp/fiber-100:pools", "0"),
        ("isp/fiber-100:vrf", "1"),
        ("isp/unpaid", "2"),
    }
    assert {text for text in _texts(plan_rows(plan)) if ":pools" in text or ":vrf" in text or ":dns" in text} == {
        "radgroupreply isp/fiber-100:dns Fall-Through = Yes",
        "radgroupreply isp/fiber-100:dns:huawei Huawei-DNS-Server-IPv6-address = 2001:db8::53",
        "radgroupreply isp/fiber-100:pools:huawei Framed-IPv6-Pool = wan6",
        "radgroupreply isp/fiber-100:vrf:huawei Huawei-VPN-Instance = home",
        "radgroupreply isp/fiber-100:dns:juniper ERX-Ipv6-Primary-Dns = 2001:db8::53",
        "radgroupreply isp/fiber-100:pools Fall-Through = Yes",
        "radgroupreply isp/fiber-100:pools:juniper ERX-IPv6-NdRa-Pool-Name = wan6",
        "radgroupreply isp/fiber-100:vrf Fall-Through = Yes",
        "radgroupreply isp/fiber-100:vrf:juniper ERX-Virtual-Router-Name = home",
    }
