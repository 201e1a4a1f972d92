"""``firstlight check``: silent on an estate in good health, and every invariant catches the corruption it is there for.

The corruption is done by SQL behind everybody's back, on a copy of an estate with a completed, a waiting, a held and a
cancelled installation. Of each it is asserted what an operator reads, and that nothing else is reported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from acs.tables import AcsDevice
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.check import CheckResult, Finding, check_everything, every_invariant
from provisioning.commercial.communications import message_id_of
from radius.freeradius_tables import radacct, radius_projection, radpostauth
from tests.support.healthy_estate import HealthyEstate, vandal

DONE, WAITING, HELD = "c1001-s1@isp.example", "c1002-s2@isp.example", "c1003-s3@isp.example"
CANCELLED = "c1004-s4@isp.example"
SERIAL = "HWTC00000001"
LONG_AGO = "'2026-01-01 00:00:00.000000'"
MAIL_KEY = "ticket/T-1/send_template_email"


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An appliance on a copy that may be spoilt."""
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        yield opened


@dataclass(frozen=True)
class Corruption:
    """What is done to the rows, and all that must be found then: (invariant, subject, sentence)."""

    what: str
    found: tuple[tuple[str, str, str], ...]
    ours: tuple[str, ...] = ()
    radius: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    strip_radius: tuple[str, ...] = ()
    clones: tuple[tuple[str, str, dict[str, str]], ...] = field(default=(), hash=False)
    radius_clones: tuple[tuple[str, str, dict[str, str]], ...] = field(default=(), hash=False)

    def __str__(self) -> str:
        return self.what.replace(" ", "-")


def differs(username: str, reason: str = "has other rows in FreeRADIUS' tables than it should") -> tuple[str, str, str]:
    return "radius.rows_as_wished", username, f"subscriber {username} {reason}."


UNIT_OF_ANOTHER = (
    "UPDATE ipam_allocation SET unit = (SELECT other.unit FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
    " WHERE service_id = 2 AND pool_id = (SELECT pool_id FROM ipam_allocation other JOIN ipam_pool ON"
    " ipam_pool.id = other.pool_id WHERE other.service_id = 1 AND ipam_pool.kind = '{kind}')"
)
POOL_ID = "(SELECT id FROM ipam_pool WHERE name = 'north-v4')"

CORRUPTIONS = (
    # -- addresses and VLANs -------------------------------------------------------------------------------------------
    Corruption(
        "an address given twice",
        (
            ("ipam.given_twice", "$v4_1 of pool north-v4", "$v4_1 of pool north-v4 is given twice."),
            (
                "radius.addresses_as_allocated",
                WAITING,
                f"{WAITING} is given $v4_2, $wan_2, $pd_2, but service 2 was allocated $v4_1, $wan_2, $pd_2.",
            ),
        ),
        ours=(UNIT_OF_ANOTHER.format(kind="ipv4"),),
        strip=("ipam_allocation",),
    ),
    Corruption(
        "a VLAN given twice",
        (
            (
                "ipam.given_twice",
                "$cvlan_1 of pool aggregation-north/101",
                "$cvlan_1 of pool aggregation-north/101 is given twice.",
            ),
        ),
        ours=(UNIT_OF_ANOTHER.format(kind="cvlan"),),
        strip=("ipam_allocation",),
    ),
    Corruption(
        "two prefixes that overlap",
        (
            (
                "ipam.overlapping",
                "prefix 192.0.2.0/30",
                "Prefix 192.0.2.0/30 overlaps 100.64.0.0/22 in VRF default.",
            ),
        ),
        ours=(
            "UPDATE ipam_prefix SET first_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22'), last_address = (SELECT first_address FROM ipam_prefix other"
            " WHERE other.network = '100.64.0.0/22') WHERE network = '192.0.2.0/30'",
        ),
        strip=("ipam_prefix",),
    ),
    Corruption(
        "a service that ended behind everybody's back",
        (
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $v4_1 of pool north-v4.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $pd_1 of pool north-pd.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $wan_1 of pool north-wan6.",
            ),
            (
                "ipam.held_after_release",
                "service 1",
                "Service 1 is released but still holds $cvlan_1 of pool aggregation-north/101.",
            ),
            ("radius.subscribers_of_ended_services", DONE, f"{DONE} is active, but service 1 has ended."),
            (
                "acs.device_of_ended_service",
                SERIAL,
                f"CPE {SERIAL} is still bound to service 1 of customer 1001, which has ended. Withdraw it.",
            ),
            (
                "line.of_ended_service",
                "line order 1",
                f"Line order 1 keeps ONT {SERIAL} on OLT-3 (authorised), but its service 1 has ended.",
            ),
            (
                "billing.service_live",
                "subscription 1",
                "Customer 1001 is billed for service 1, which holds nothing in the network (subscription 1).",
            ),
        ),
        ours=("UPDATE ipam_service SET state = 'released', released_at = created_at WHERE service_id = 1",),
    ),
    Corruption(
        "a run that ended without giving anything back",
        (
            (
                "ipam.leaked",
                "service 2",
                f"Service 2 of customer 1002 ({WAITING}, request ticket/T-2/allocate_resources) holds its addresses,"
                " but no run and no subscriber wants it; release it.",
            ),
            (
                "radius.subscribers_nobody_wants",
                WAITING,
                f"{WAITING} is pending, but no open run will ever bring service 2 into service or take it back.",
            ),
            (
                "field.visit_of_ended_run",
                "visit 2",
                "Visit 2 keeps technician 7002 (booked), but run 2, which booked it, is cancelled.",
            ),
            ("runs.ended_whole", "run 2", "Run 2 is cancelled, but its step allocate_resources is completed."),
        ),
        ours=(
            "UPDATE run SET state = 'cancelled', finished_at = updated_at WHERE id = 2",
            "UPDATE run_step SET state = 'undone' WHERE run_id = 2 AND step <> 'allocate_resources'",
        ),
    ),
    Corruption(
        "a service without its delegated prefix",
        (
            (
                "ipam.incomplete",
                "service 2",
                "Service 2 is active on plan fiber-300 without a pool of delegated prefixes.",
            ),
            (
                "ipam.partition",
                "pool north-pd",
                "Pool north-pd has 65532 never used and 3 used units, but should have 65536 in all.",
            ),
        ),
        ours=(
            "DELETE FROM ipam_allocation WHERE service_id = 2 AND pool_id ="
            " (SELECT id FROM ipam_pool WHERE name = 'north-pd')",
        ),
    ),
    Corruption(
        "a unit that got lost",
        (
            (
                "ipam.partition",
                "pool north-v4",
                "Pool north-v4 has 1017 never used and 4 used units, but should have 1022 in all.",
            ),
        ),
        ours=(
            f"UPDATE ipam_free_range SET last_unit = last_unit - 1 WHERE pool_id = {POOL_ID}"
            f" AND seq = (SELECT max(seq) FROM ipam_free_range WHERE pool_id = {POOL_ID})",
        ),
    ),
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
        "a NAS that nobody can tell a rate",
        (
            (
                "radius.nas_without_dialect",
                "127.0.0.1",
                "NAS 127.0.0.1 has type 'cisco', no dialect: its subscribers get no rate and are rejected.",
            ),
            (
                "radius.rows_as_wished",
                "127.0.0.1",
                "nas 127.0.0.1 has other rows in FreeRADIUS' tables than it should.",
            ),
        ),
        radius=("UPDATE nas SET type = 'cisco'",),
    ),
    # -- CPEs and lines ------------------------------------------------------------------------------------------------
    Corruption(
        "a CPE that serves two",
        (
            (
                "acs.serial_bound_twice",
                SERIAL,
                f"CPE {SERIAL} is bound to service 1 of tenant default and to service 3 of tenant default.",
            ),
        ),
        strip=("acs_device",),
        clones=(("acs_device", f"serial = '{SERIAL}'", {"id": "id + 1000", "service_id": "3"}),),
    ),
    Corruption(
        "a CPE that was never read back",
        (
            (
                "acs.claim_without_proof",
                SERIAL,
                f"CPE {SERIAL} is called accepted_unverifiable with $revision, but it was never read back.",
            ),
        ),
        ours=("UPDATE acs_device SET verified_at = NULL",),
        strip=("acs_device",),
    ),
    Corruption(
        "a revision that is not its settings'",
        (
            (
                "acs.revision_does_not_fit",
                SERIAL,
                f"The settings of CPE {SERIAL} were changed without a new revision (fedcba9876543210).",
            ),
        ),
        ours=("UPDATE acs_device SET revision = 'fedcba9876543210', applied_revision = 'fedcba9876543210'",),
    ),
    Corruption(
        "something left at the ACS",
        (
            (
                "acs.traces_left",
                SERIAL,
                f"CPE {SERIAL} was withdrawn from service 1, and what was queued for it at the ACS was never taken"
                " back.",
            ),
        ),
        ours=(f"UPDATE acs_device SET state = 'withdrawn', withdrawn_at = {LONG_AGO}, cleared_at = NULL",),
    ),
    Corruption(
        "a line in another VLAN than its service",
        (
            (
                "line.as_allocated",
                "line order 1",
                f"Line order 1 puts ONT {SERIAL} into VLAN 101.77, but service 1 was allocated 101.$cvlan_1.",
            ),
        ),
        ours=("UPDATE line_order SET cvlan = 77 WHERE service_id = 1",),
    ),
    Corruption(
        "two lines in one VLAN",
        (
            (
                "line.vlan_given_twice",
                "VLAN 101.$cvlan_1 of OLT-3",
                "VLAN 101.$cvlan_1 of OLT-3 is given to 2 lines at once.",
            ),
            (
                "line.as_allocated",
                "line order 2",
                "Line order 2 puts ONT HWTC00000003 into VLAN 101.$cvlan_1, but service 3 was allocated 101.$cvlan_3.",
            ),
        ),
        ours=("UPDATE line_order SET cvlan = $cvlan_1 WHERE service_id = 3",),
    ),
    # -- people, bills, mails ------------------------------------------------------------------------------------------
    Corruption(
        "one request that made two mails",
        (
            (
                "mail.one_per_request",
                f"request {MAIL_KEY}",
                f"Request {MAIL_KEY} made 2 mails (1, 1001) instead of one.",
            ),
        ),
        strip=("mail",),
        clones=(("mail", "id = 1", {"id": "id + 1000"}),),
    ),
    Corruption(
        "a run that wrote twice",
        (("mail.one_per_run", "run 1", "Run 1 has written to its customer twice (mails 1, 1001)."),),
        clones=(
            (
                "mail",
                "id = 1",
                {
                    "id": "id + 1000",
                    "request_id": f"'{MAIL_KEY}/2'",
                    "message_id": f"'{message_id_of('default', f'{MAIL_KEY}/2', 'isp.example')}'",
                },
            ),
            ("run_step", "run_id = 1 AND step = 'send_template_email'", {"round": "2", "key": f"'{MAIL_KEY}/2'"}),
        ),
    ),
    Corruption(
        "a completed run whose mail is gone",
        (("mail.one_per_run", "run 1", "Run 1 is completed, but its mail is gone."),),
        ours=("DELETE FROM mail_attempt", "DELETE FROM mail"),
    ),
    Corruption(
        "a completed run whose mail was not sent",
        (
            ("mail.one_per_run", "run 1", "Run 1 is completed, but mail 1 is unknown."),
            (
                "mail.not_stuck",
                "mail 1",
                "Mail 1 to customer1@example.net is unknown since 2026-01-01 00:00 UTC, after 1 attempt(s).",
            ),
        ),
        ours=(f"UPDATE mail SET state = 'unknown', sent_at = NULL, queued_at = {LONG_AGO}",),
    ),
    Corruption(
        "a mail under another's Message-ID",
        (
            (
                "mail.one_message_id",
                "mail 1",
                f"Mail 1 carries, or was tried under, a Message-ID that isn't its own"
                f" ({message_id_of('default', MAIL_KEY, 'isp.example')}, <x@isp.example>): its recipient can't tell a"
                " second copy from a second mail.",
            ),
        ),
        ours=("UPDATE mail_attempt SET message_id = '<x@isp.example>'",),
    ),
    Corruption(
        "a notice that nobody tries",
        (
            (
                "notice.not_stuck",
                "notice 1",
                "Notice 1 to team noc should have been tried at 2026-01-01 00:00 UTC (attempts so far: 0): no worker"
                " seems to be at work.",
            ),
        ),
        ours=(
            "INSERT INTO team (tenant_id, name) VALUES ('default', 'noc')",
            "INSERT INTO notice (id, tenant_id, request_id, team, channel, subject, message, metadata, state,"
            " queued_at, attempts, next_try_at)"
            f" VALUES (1, 'default', 'r', 'noc', 'email', 's', 'm', '{{}}', 'queued', {LONG_AGO}, 0, {LONG_AGO})",
        ),
    ),
    Corruption(
        "a ticket that was overdue when it was opened",
        (
            (
                "ticket.due_after_opened",
                "ticket 1",
                "Ticket 1 was opened at 2026-01-01 00:00 UTC and was due at 2026-01-01 00:00 UTC already.",
            ),
        ),
        strip=("ticket",),
        ours=(
            "INSERT INTO ticket (id, tenant_id, request_digest, title, description, priority, assigned_team, state,"
            " created_at, due_at, version) VALUES (1, 'default', 'd', 't', 'd', 'high', 'noc', 'open',"
            f" {LONG_AGO}, {LONG_AGO}, 1)",
        ),
    ),
    Corruption(
        "a link that was used twice",
        (("link.used_once", "accept_quote 17", "A one-time link to accept_quote of 17 was used 2 times."),),
        strip=("one_time_link_use",),
        ours=tuple(
            "INSERT INTO one_time_link_use (id, tenant_id, purpose, subject, nonce, used_at)"
            f" VALUES ({number}, 'default', 'accept_quote', '17', 'n', {LONG_AGO})"
            for number in (1, 2)
        ),
    ),
    Corruption(
        "a technician in two places",
        (
            (
                "field.no_technician_twice",
                "technician 7002",
                "Technician 7002 is booked for visits 2 and 3 at once.",
            ),
        ),
        ours=(
            "UPDATE visit SET technician_id = 7002, starts_at = (SELECT starts_at FROM visit other WHERE id = 2),"
            " ends_at = (SELECT ends_at FROM visit other WHERE id = 2) WHERE id = 3",
        ),
        strip=("visit",),
    ),
    Corruption(
        "a service billed twice",
        (("billing.one_bill_per_service", "service 1", "Service 1 is billed 2 times (subscriptions 1, 1001)."),),
        strip=("subscription",),
        clones=(("subscription", "id = 1", {"id": "id + 1000"}),),
    ),
    Corruption(
        "a bill of nobody",
        (
            (
                "billing.customer_known",
                "subscription 1",
                "Subscription 1 bills customer 99, whom nobody has registered.",
            ),
        ),
        ours=("UPDATE subscription SET customer_id = 99",),
    ),
    # -- secrets -------------------------------------------------------------------------------------------------------
    Corruption(
        "a secret in another's place",
        (
            (
                "vault.secrets_open",
                "secret:subscriber/1",
                "What is kept under secret:subscriber/1 doesn't open: the row was changed or moved; set a new value.",
            ),
            (
                "radius.rows_as_wished",
                "secrets",
                "The rows can't be compared: What is kept under secret:subscriber/1 doesn't open: the row was changed"
                " or moved; set a new value.",
            ),
        ),
        ours=(
            "UPDATE secret SET sealed = (SELECT sealed FROM secret other WHERE other.ref = 'secret:nas/1')"
            " WHERE ref = 'secret:subscriber/1'",
        ),
    ),
    Corruption(
        "a secret that is gone",
        (
            (
                "radius.rows_as_wished",
                "secrets",
                "The rows can't be compared: Nothing is kept under secret:subscriber/1: it was never sealed, or has"
                " been discarded.",
            ),
        ),
        ours=("DELETE FROM secret WHERE ref = 'secret:subscriber/1'",),
    ),
    # -- runs ----------------------------------------------------------------------------------------------------------
    Corruption(
        "a held run without a reason",
        (("runs.at_rest", "run 3", "Run 3 is held and does not say why."),),
        ours=("UPDATE run SET reason = NULL WHERE id = 3",),
    ),
    Corruption(
        "a run that waits for nothing",
        (("runs.at_rest", "run 2", "Run 2 is pending but waits for nothing, so nothing will ever move it."),),
        ours=("UPDATE run SET waiting_for = NULL, wake_at = NULL WHERE id = 2",),
    ),
    Corruption(
        "a run that should have moved",
        (("runs.at_rest", "run 2", "Run 2 is inProgress but has not moved since 2026-01-01 00:00 UTC."),),
        ours=(f"UPDATE run SET state = 'inProgress', updated_at = {LONG_AGO} WHERE id = 2",),
    ),
    Corruption(
        "a run that should have woken",
        (("runs.at_rest", "run 2", "Run 2 should have woken at 2026-01-01 00:00 UTC: no worker seems to be at work."),),
        ours=(f"UPDATE run SET wake_at = {LONG_AGO} WHERE id = 2",),
    ),
    Corruption(
        "a run in no known state",
        (("runs.at_rest", "run 2", "Run 2 is in the state asleep, which there is not."),),
        ours=("UPDATE run SET state = 'asleep' WHERE id = 2",),
    ),
    Corruption(
        "a run that ended nobody knows when",
        (("runs.at_rest", "run 1", "Run 1 is completed, but nobody knows since when."),),
        ours=("UPDATE run SET finished_at = NULL WHERE id = 1",),
    ),
    Corruption(
        "a completed run that left a step out",
        (("runs.ended_whole", "run 1", "Run 1 is completed, but its step verify_device is planned."),),
        ours=("DELETE FROM run_step WHERE run_id = 1 AND step = 'verify_device'",),
    ),
    Corruption(
        "an outcome nobody knows",
        (
            (
                "runs.unknown_outcome",
                "run 1",
                "Run 1 is completed, and nobody knows whether its step deliver_email took effect.",
            ),
            ("runs.ended_whole", "run 1", "Run 1 is completed, but its step deliver_email is unknown."),
        ),
        ours=("UPDATE run_step SET state = 'unknown' WHERE run_id = 1 AND step = 'deliver_email'",),
    ),
)


async def check(appliance: Appliance) -> CheckResult:
    result = await check_everything(appliance)
    assert result.asked == len(every_invariant())
    assert result.failed == len({finding.invariant for finding in result.findings})
    return result


async def test_an_estate_in_good_health_has_nothing_to_say(appliance: Appliance) -> None:
    assert (await check(appliance)).findings == []


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_corruption_is_found_and_told_in_a_sentence(appliance: Appliance, corruption: Corruption) -> None:
    facts = await _facts(appliance)
    spoil(appliance, corruption, facts)
    found = (await check(appliance)).findings
    expected = [Finding(*(Template(part).substitute(facts) for part in one)) for one in corruption.found]
    assert _sorted(found) == _sorted(expected)


async def test_a_secret_in_clear_is_found_and_not_repeated(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        row = (await db.scalars(select(AcsDevice))).one()
        row.parameters = [_in_clear(setting) for setting in row.parameters]
    result = await check(appliance)
    assert {finding.invariant for finding in result.findings} == {"acs.secret_in_clear", "acs.revision_does_not_fit"}
    in_clear = next(finding for finding in result.findings if finding.invariant == "acs.secret_in_clear")
    assert in_clear.message.endswith(f"Password of CPE {SERIAL} is stored in clear.")
    assert not any("hunter2" in str(finding) for finding in result.findings)


async def test_a_password_in_the_log_of_logins_is_found_and_not_repeated(appliance: Appliance) -> None:
    async with appliance.radius_database.begin() as db:
        await db.execute(
            insert(radpostauth).values(
                username=DONE, **{"pass": "hunter2"}, reply="Access-Accept", authdate=appliance.clock()
            )
        )
    sentence = f"radpostauth holds 1 password(s) of {DONE} in clear."
    assert (await check(appliance)).findings == [Finding("radius.passwords_in_login_log", DONE, sentence)]


async def test_a_session_that_outlives_its_subscriber_is_found(appliance: Appliance) -> None:
    ended = datetime(2026, 1, 1, tzinfo=UTC)
    session = {"acctsessionid": "S-4", "acctuniqueid": "u-4", "username": CANCELLED, "nasipaddress": "10.0.0.1"}
    async with appliance.radius_database.begin() as db:
        await db.execute(
            update(radius_projection).where(radius_projection.c.name == CANCELLED).values(projected_at=ended)
        )
        await db.execute(insert(radacct).values(acctstarttime=ended, **session))
    sentence = (
        f"{CANCELLED} was terminated at 2026-01-01 00:00 UTC, but its session S-4 at NAS 10.0.0.1 is still open:"
        " end it there, or close it in radacct if that NAS does not know it."
    )
    assert (await check(appliance)).findings == [Finding("radius.sessions_of_terminated", CANCELLED, sentence)]


async def test_a_change_that_its_run_is_about_to_carry_over_is_no_finding(appliance: Appliance) -> None:
    change = "UPDATE radius_subscriber SET framed_ipv4 = NULL, version = version + 1 WHERE username = '{}'"
    with vandal(str(appliance.settings.database_url)) as hand:
        hand.execute(change.format(WAITING))
    found = {(one.invariant, one.subject) for one in (await check(appliance)).findings}
    assert ("radius.rows_as_wished", WAITING) not in found
    with vandal(str(appliance.settings.database_url)) as hand:
        hand.execute(change.format(DONE))
    messages = [one.message for one in (await check(appliance)).findings if one.invariant == "radius.rows_as_wished"]
    assert messages == [
        f"subscriber {DONE} has other rows in FreeRADIUS' tables than it should (its last change is not projected yet)."
    ]


def test_every_invariant_is_proven_here() -> None:
    proven = {invariant for corruption in CORRUPTIONS for invariant, _, _ in corruption.found}
    proven |= {"acs.secret_in_clear", "radius.passwords_in_login_log", "radius.sessions_of_terminated"}
    assert proven == {name for name, _ in every_invariant()}


def spoil(appliance: Appliance, corruption: Corruption, facts: dict[str, str]) -> None:
    settings = appliance.settings
    with vandal(settings.database_url) as hand:
        for table in corruption.strip:
            hand.strip(table)
        hand.execute(*(Template(statement).substitute(facts) for statement in corruption.ours))
        for table, where, changes in corruption.clones:
            hand.clone(table, where, **changes)
    with vandal(settings.radius_database_url, settings.radius_database_schema) as hand:
        for table in corruption.strip_radius:
            hand.strip(table)
        hand.execute(*(Template(statement).substitute(facts) for statement in corruption.radius))
        for table, where, changes in corruption.radius_clones:
            hand.clone(table, where, **changes)


async def _facts(appliance: Appliance) -> dict[str, str]:
    """What differs from laboratory to laboratory: PostgreSQL spreads what it hands out over its pools."""
    facts: dict[str, str] = {}
    async with appliance.database.begin() as db:
        for service in await appliance.services(db).network_service.all_resources():
            number = service["service_id"]
            facts[f"v4_{number}"] = service["ip_address"]
            facts[f"wan_{number}"] = str(service["ipv6_wan_prefix"])
            facts[f"pd_{number}"] = str(service["delegated_prefix"])
            facts[f"cvlan_{number}"] = str(service["cvlan"])
        facts["revision"] = (await db.scalars(select(AcsDevice.revision))).one()
    return facts


def _in_clear(setting: list[Any]) -> list[Any]:
    return ["hunter2" if str(part).startswith("secret:subscriber") else part for part in setting]


def _sorted(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return sorted((one.invariant, one.subject, one.message) for one in findings)
