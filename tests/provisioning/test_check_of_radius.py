"""``firstlight check`` on subscribers and FreeRADIUS' rows: each invariant catches the corruption it is there for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from provisioning.bootstrap import Appliance
from provisioning.check import Finding
from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import nas, radacct, radius_projection, radpostauth
from radius.sessions.archive import make_partitions
from radius.sessions.tables import radius_nas_clock, radius_nas_heard, radius_session_archive
from tests.provisioning.corruptions import CANCELLED, DONE, HELD, WAITING, Corruption, assert_caught, check, differs
from tests.support.healthy_estate import vandal

NOT_PROJECTED = "has other rows in FreeRADIUS' tables than it should (its last change is not projected yet)"

CORRUPTIONS = (
    # -- RADIUS --------------------------------------------------------------------------------------------------------
    Corruption(
        "a subscriber with another address than its service",
        (
            (
                "radius.addresses_as_allocated",
                DONE,
                f"{DONE} is given 100.64.3.3, $wan_1, $pd_1, but service 1 was allocated $v4_1, $wan_1, $pd_1.",
            ),
        ),
        ours=(f"UPDATE radius_subscriber SET framed_ipv4 = '100.64.3.3' WHERE username = '{DONE}'",),
        radius=(
            f"UPDATE radreply SET value = '100.64.3.3' WHERE username = '{DONE}' AND attribute = 'Framed-IP-Address'",
        ),
    ),
    Corruption(
        "free service",
        (("radius.states_as_billed", DONE, f"{DONE} is active, but nobody is billed for service 1."),),
        ours=("UPDATE subscription SET state = 'cancelled', billing_stopped_at = billing_started_at",),
    ),
    Corruption(
        "a bill for a line that is only being tested",
        (
            ("radius.states_as_billed", DONE, f"{DONE} is active, but nobody is billed for service 1."),
            ("radius.states_as_billed", HELD, f"{HELD} is testing, but service 3 is being billed."),
        ),
        ours=("UPDATE subscription SET service_id = 3",),
    ),
    Corruption(
        "a bill for a service without a subscriber",
        (
            ("radius.states_as_billed", DONE, f"{DONE} is active, but nobody is billed for service 1."),
            ("radius.states_as_billed", "service 4", "Service 4 is being billed, but has no subscriber."),
            (
                "billing.service_live",
                "subscription 1",
                "Customer 1001 is billed for service 4, which holds nothing in the network (subscription 1).",
            ),
        ),
        ours=("UPDATE subscription SET service_id = 4",),
    ),
    Corruption(
        "a pending subscriber who is let in",
        (differs(WAITING),),
        radius=(f"DELETE FROM radcheck WHERE username = '{WAITING}' AND attribute = 'Auth-Type'",),
    ),
    Corruption(
        "a subscriber whom FreeRADIUS has lost",
        (differs(DONE, "is missing in FreeRADIUS' tables"),),
        radius=tuple(
            f"DELETE FROM {table} WHERE username = '{DONE}'" for table in ("radcheck", "radreply", "radusergroup")
        ),
    ),
    Corruption(
        "a cancelled subscriber who can still log in",
        (differs(CANCELLED, "still has rows in FreeRADIUS' tables and should have none"),),
        radius_clones=(("radcheck", f"username = '{DONE}'", {"username": f"'{CANCELLED}'", "id": "id + 1000"}),),
    ),
    Corruption(
        "a login that somebody put there by hand",
        (differs("mallory", "has rows in FreeRADIUS' tables that Firstlight did not write"),),
        radius_clones=(("radcheck", f"username = '{DONE}'", {"username": "'mallory'", "id": "id + 1000"}),),
    ),
    Corruption(
        "a partial run that an operator ended before FreeRADIUS knew of the activation",
        (differs(DONE, NOT_PROJECTED),),
        ours=(
            "UPDATE run SET state = 'partial', has_skips = true WHERE id = 1",
            "UPDATE run_step SET state = 'skipped', skipped_by = 'nora', result = NULL"
            " WHERE run_id = 1 AND step = 'project_active'",
            f"UPDATE radius_subscriber SET projected_version = version - 1 WHERE username = '{DONE}'",
        ),
        radius_clones=(
            (
                "radcheck",
                f"username = '{DONE}' AND attribute = 'Cleartext-Password'",
                {"id": "id + 1000", "attribute": "'Expiration'", "value": "'Mar 03 2036 09:00:00 UTC'"},
            ),
        ),
    ),
    Corruption(
        "a partial run that left a subscriber in testing",
        (
            (
                "radius.subscribers_nobody_wants",
                HELD,
                f"{HELD} is testing, but no open run will ever bring service 3 into service or take it back.",
            ),
        ),
        ours=(
            "UPDATE run SET state = 'partial', has_skips = true, finished_at = updated_at WHERE id = 3",
            "UPDATE run_step SET state = 'skipped', skipped_by = 'nora' WHERE run_id = 3 AND step = 'confirm_port'",
        ),
    ),
    Corruption(
        "a partial roll-back that left an account without a bill",
        (("radius.states_as_billed", DONE, f"{DONE} is active, but nobody is billed for service 1."),),
        ours=(
            "UPDATE run SET state = 'partial', has_skips = true, direction = 'undo' WHERE id = 1",
            "UPDATE subscription SET state = 'cancelled', billing_stopped_at = billing_started_at",
        ),
    ),
    Corruption(
        "a value that FreeRADIUS would mangle",
        (
            (
                "radius.mangled_values",
                DONE,
                f"radreply: the value of Framed-IP-Address for {DONE} does not reach a NAS as it is written.",
            ),
            differs(DONE),
        ),
        radius=(f"UPDATE radreply SET value = '`id`' WHERE username = '{DONE}' AND attribute = 'Framed-IP-Address'",),
        strip_radius=("radreply",),
    ),
    Corruption(
        "two addresses for one subscriber",
        (
            (
                "radius.repeated_single_values",
                DONE,
                f"radreply: {DONE} has 2 rows of Framed-IP-Address, and one is right.",
            ),
            differs(DONE),
        ),
        radius_clones=(
            (
                "radreply",
                f"username = '{DONE}' AND attribute = 'Framed-IP-Address'",
                {"value": "'100.64.3.3'", "id": "id + 1000"},
            ),
        ),
    ),
    Corruption(
        "one address for two subscribers",
        (
            ("radius.addresses_given_twice", "$v4_1", "radreply gives $v4_1 to 2 usernames."),
            differs(WAITING),
        ),
        radius=(
            f"UPDATE radreply SET value = '$v4_1' WHERE username = '{WAITING}' AND attribute = 'Framed-IP-Address'",
        ),
    ),
    Corruption(
        "one delegated prefix for two subscribers",
        (
            ("radius.addresses_given_twice", "$pd_1", "radreply gives $pd_1 to 2 usernames."),
            differs(WAITING),
        ),
        radius=(
            f"UPDATE radreply SET value = '$pd_1' WHERE username = '{WAITING}' AND attribute = 'Delegated-IPv6-Prefix'",
        ),
    ),
    Corruption(
        "a line that logs in by itself where no NAS tells of lines",
        (
            (
                "radius.lines_told",
                "lines",
                f"1 subscriber logs in by line ({DONE}), and no NAS tells of lines: none is let in. Let one tell of"
                " them: `firstlight nas change NAS --lines --reason ...`.",
            ),
            differs(DONE),
        ),
        ours=(
            "UPDATE radius_subscriber SET login_by_line = true, bound_station = '001a2b3c4d5e'"
            f" WHERE username = '{DONE}'",
        ),
    ),
    Corruption(
        "a NAS that nobody can tell a rate",
        (
            (
                "radius.nas_without_dialect",
                "127.0.0.1",
                "NAS 127.0.0.1 has type 'klingon', no dialect: its subscribers get no rate and are rejected.",
            ),
            (
                "radius.rows_as_wished",
                "127.0.0.1",
                "nas 127.0.0.1 has other rows in FreeRADIUS' tables than it should.",
            ),
        ),
        radius=("UPDATE nas SET type = 'klingon'",),
    ),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(spoilable: Appliance, corruption: Corruption) -> None:
    await assert_caught(spoilable, corruption)


@pytest.mark.both_databases
async def test_one_address_that_two_services_hold_in_two_vrfs_is_no_finding(spoilable: Appliance) -> None:
    async with spoilable.database.begin() as db:
        [address] = {
            each["ip_address"]
            for each in await spoilable.services(db).network_service.all_resources()
            if each["username"] == DONE
        }
        twin = {"name": "biz-v4", "kind": "ipv4", "network": f"{address}/32", "vrf": "biz"}
        await spoilable.network_estate(db).apply({"vrf": [{"name": "biz"}], "pool": [twin]})
    given = f"'{address}' WHERE username = '{WAITING}'"
    with vandal(spoilable.settings.radius_database_url, spoilable.settings.radius_database_schema) as hand:
        hand.execute(f"UPDATE radreply SET value = {given} AND attribute = 'Framed-IP-Address'")

    async def given_twice() -> list[str]:
        found = (await check(spoilable)).findings
        return [one.message for one in found if one.invariant == "radius.addresses_given_twice"]

    assert await given_twice() == [f"radreply gives {address} to 2 usernames."]  # it holds another one, in its VRF
    with vandal(str(spoilable.settings.database_url)) as hand:
        hand.execute(
            "UPDATE ipam_allocation SET unit = 0, pool_id = (SELECT id FROM ipam_pool WHERE name = 'biz-v4')"
            " WHERE pool_id = (SELECT id FROM ipam_pool WHERE name = 'north-v4')"
            f" AND service_id = (SELECT service_id FROM ipam_service WHERE username = '{WAITING}')"
        )
    assert await given_twice() == []


async def test_a_password_in_the_log_of_logins_is_found_and_not_repeated(spoilable: Appliance) -> None:
    async with spoilable.radius_database.begin() as db:
        await db.execute(
            insert(radpostauth).values(
                username=DONE, **{"pass": "hunter2"}, reply="Access-Accept", authdate=spoilable.clock()
            )
        )
    sentence = f"radpostauth holds 1 password(s) of {DONE} in clear."
    assert (await check(spoilable)).findings == [Finding("radius.passwords_in_login_log", DONE, sentence)]


@pytest.mark.parametrize(
    ("invariant", "whose", "what"),
    [
        ("radius.sessions_of_terminated", CANCELLED, "was terminated at"),
        ("radius.sessions_of_refused", WAITING, "is refused since"),
    ],
)
async def test_a_session_that_outlives_its_subscriber_or_its_right_to_log_in_is_found(
    spoilable: Appliance, invariant: str, whose: str, what: str
) -> None:
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    session = {"acctsessionid": "S-4", "acctuniqueid": "u-4", "username": whose, "nasipaddress": "10.0.0.1"}
    async with spoilable.radius_database.begin() as db:
        await db.execute(update(radius_projection).where(radius_projection.c.name == whose).values(projected_at=ended))
        await db.execute(insert(radacct).values(acctstarttime=ended, **session))
    sentence = (
        f"{whose} {what} 2026-01-01 00:00 UTC, but its session S-4 at NAS 10.0.0.1 is still open:"
        " end it there, or close it in radacct if that NAS does not know it."
    )
    assert (await check(spoilable)).findings == [Finding(invariant, whose, sentence)]


async def test_a_nas_from_which_no_accounting_comes_is_found(spoilable: Appliance) -> None:
    heard = datetime(2026, 1, 1, tzinfo=UTC)
    async with spoilable.radius_database.begin() as db:
        silent = {"nasipaddress": "10.0.0.1", "heard_at": heard, "changed_at": heard, "looked_at": spoilable.clock()}
        await db.execute(insert(radius_nas_heard).values(**silent, heard_since=None, open_sessions=7))
    [finding] = (await check(spoilable)).findings
    assert (finding.invariant, finding.subject) == ("radius.nas_heard", "10.0.0.1")
    assert " since 2026-01-01 00:00 UTC: its 7 open sessions stay open" in finding.message


async def test_a_nas_whose_clock_is_wrong_is_found(spoilable: Appliance) -> None:
    now = spoilable.clock()
    async with spoilable.radius_database.begin() as db:
        for address, since, seen_at in (
            ("10.0.0.1", now - timedelta(minutes=11), now),
            ("10.0.0.2", now - timedelta(hours=3), now - timedelta(hours=2)),  # set right since
            ("10.0.0.3", now - timedelta(minutes=1), now),  # a packet that was kept, perhaps
        ):
            noted = {"nasipaddress": address, "behind_seconds": 10_800, "since": since, "seen_at": seen_at}
            await db.execute(insert(radius_nas_clock).values(noted))
    [finding] = (await check(spoilable)).findings
    assert (finding.invariant, finding.subject) == ("radius.nas_clocks", "10.0.0.1")
    assert finding.message.startswith(
        f"The clock of NAS 10.0.0.1 is 3 hours behind ours (seen {now:%Y-%m-%d %H:%M} UTC)."
    )


async def test_a_nas_that_calls_itself_by_an_address_of_no_nas_is_found(spoilable: Appliance) -> None:
    now = spoilable.clock()
    async with spoilable.radius_database.begin() as db:
        [(source, name)] = (await db.execute(select(nas.c.nasname, nas.c.shortname).limit(1))).all()
        of_a_nas = {"username": DONE, "accepted": True, "method": "pap", "nas_address": source}
        for said, at in (
            ("10.255.0.1", now - timedelta(hours=1)),
            ("10.255.0.1", now),
            ("10.255.0.2", now - timedelta(days=2)),  # it does not say that any more
            (source, now),
        ):
            await db.execute(insert(radius_login).values(**of_a_nas, nas_said_address=said, happened_at=at))
        of_nobody = {**of_a_nas, "nas_address": "192.0.2.99", "nas_said_address": "10.255.0.3", "happened_at": now}
        await db.execute(insert(radius_login).values(of_nobody))
    [finding] = (await check(spoilable)).findings
    assert (finding.invariant, finding.subject) == ("radius.nas_called", source)
    assert finding.message.startswith(
        f"Logins from NAS {name} ({source}) come as those of 10.255.0.1, which is no NAS, so no request about"
    )
    assert "`firstlight nas change" in finding.message and "in the estate's file, if it stands there" in finding.message
    await told(spoilable, source, "10.255.0.1", at=now)
    assert await called(spoilable) == []


async def told(appliance: Appliance, address: str, *calls_itself: str, at: datetime) -> None:
    """As if that NAS had been told so at that moment."""
    named = select(nas.c.description).where(nas.c.nasname == address)
    mine = (radius_projection.c.kind == "nas") & (radius_projection.c.name == address)
    async with appliance.radius_database.begin() as db:
        plain = str(await db.scalar(named)).partition(" calls itself ")[0]
        wish = {"description": f"{plain} calls itself {' '.join(calls_itself)}"}
        await db.execute(update(nas).where(nas.c.nasname == address).values(wish))
        await db.execute(update(radius_projection).where(mine).values(projected_at=at))


async def called(appliance: Appliance) -> list[str]:
    findings = (await check(appliance)).findings
    return [one.message for one in findings if one.invariant == "radius.nas_called"]


async def a_login(appliance: Appliance, source: str, said: str) -> None:
    login = {"username": DONE, "accepted": True, "method": "pap", "nas_address": source, "nas_said_address": said}
    async with appliance.radius_database.begin() as db:
        await db.execute(insert(radius_login).values(**login, happened_at=appliance.clock()))


async def test_a_freeradius_that_does_not_go_by_what_it_is_told_a_nas_calls_itself_is_found(
    spoilable: Appliance,
) -> None:
    now = spoilable.clock()
    async with spoilable.radius_database.begin() as db:
        [(source, name)] = (await db.execute(select(nas.c.nasname, nas.c.shortname).limit(1))).all()
    await a_login(spoilable, source, "10.255.0.1")
    await told(spoilable, source, "10.255.0.1", "2001:db8::1", at=now - timedelta(hours=1))
    assert await called(spoilable) == [
        f"Logins from NAS {name} ({source}) count as those of 10.255.0.1, though FreeRADIUS is told that it calls"
        " itself so, and no request about their sessions finds one (CoA, Disconnect): take the new raddb (policy"
        " nas_as_known)."
    ]
    await told(spoilable, source, "10.255.0.1", at=now)  # since then nobody has logged in there
    assert await called(spoilable) == []
    await told(spoilable, source, "2001:db8::1", at=now - timedelta(hours=1))
    [message] = await called(spoilable)
    assert "--calls-itself 2001:db8::1 --calls-itself 10.255.0.1 --reason" in message  # and both from then on


async def test_a_nas_that_nobody_here_has_defined_or_that_hands_on_anothers_logins_is_told_nothing_wrong(
    spoilable: Appliance,
) -> None:
    async with spoilable.radius_database.begin() as db:
        [source] = (await db.scalars(select(nas.c.nasname).limit(1))).all()
        theirs = {"nasname": "192.0.2.44", "shortname": "hall", "type": "mikrotik", "secret": "theirs-since-2009"}
        await db.execute(insert(nas).values(theirs))
    await a_login(spoilable, "192.0.2.44", "10.255.0.1")
    [message] = await called(spoilable)
    assert "Nobody here has defined hall: `firstlight nas add`" in message and "nas change" not in message
    await told(spoilable, source, "10.255.0.1", at=spoilable.clock())  # it is that one's, and came by way of the other
    assert await called(spoilable) == []
    other = {"kind": "nas", "name": "192.0.2.44", "tenant_id": "another", "source_id": 1, "version": 1, "digest": "d"}
    async with spoilable.radius_database.begin() as db:
        await db.execute(insert(radius_projection).values(**other, projected_at=spoilable.clock()))
    await a_login(spoilable, "192.0.2.44", "10.255.0.2")
    [message] = await called(spoilable)
    assert message.startswith("Logins from NAS hall (192.0.2.44, of ISP another) come as those of 10.255.0.2")


async def test_a_session_that_is_in_the_archive_as_well_is_found(spoilable: Appliance) -> None:
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    session = {
        **{"radacctid": 900, "acctsessionid": "S-5", "acctuniqueid": "u-5", "username": DONE},
        **{"nasipaddress": "10.0.0.1", "acctstarttime": ended, "acctupdatetime": ended, "acctstoptime": ended},
    }
    async with spoilable.radius_database.begin() as db:
        await db.execute(insert(radacct).values(**session))
        if spoilable.radius_database.is_postgresql:
            await make_partitions(db, [ended.date()])
        await db.execute(insert(radius_session_archive).values(**session))
    [finding] = (await check(spoilable)).findings
    sentence = f"Session u-5 of {DONE} is in radacct and in radius_session_archive: delete it in radacct."
    assert finding == Finding("radius.sessions_twice", DONE, sentence)


async def test_a_change_that_its_run_is_about_to_carry_over_is_no_finding(spoilable: Appliance) -> None:
    change = "UPDATE radius_subscriber SET framed_ipv4 = NULL, version = version + 1 WHERE username = '{}'"
    with vandal(str(spoilable.settings.database_url)) as hand:
        hand.execute(change.format(WAITING))
    found = {(one.invariant, one.subject) for one in (await check(spoilable)).findings}
    assert ("radius.rows_as_wished", WAITING) not in found
    with vandal(str(spoilable.settings.database_url)) as hand:
        hand.execute(change.format(DONE), change.format(HELD))  # and nobody is about to
    messages = [one.message for one in (await check(spoilable)).findings if one.invariant == "radius.rows_as_wished"]
    assert messages == [f"subscriber {name} {NOT_PROJECTED}." for name in (DONE, HELD)]


PROVEN = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
PROVEN |= {"radius.passwords_in_login_log", "radius.sessions_of_terminated", "radius.sessions_of_refused"}
PROVEN |= {"radius.nas_heard", "radius.nas_clocks", "radius.nas_called", "radius.sessions_twice"}
