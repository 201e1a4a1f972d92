"""``firstlight sessions``, as the NOC types it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from provisioning.database import Database
from provisioning.settings import Settings
from radius.projection.projection import class_label
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import just_heard_of, vandal
from tests.support.silent_nas import silent_nas

ANNA = "c1001-s1@isp.example"
NOW = datetime.now(UTC).replace(microsecond=0)


def test_a_session_is_listed_shown_counted_and_found_by_its_address(any_isp: Settings, type_: Type) -> None:
    began, heard = NOW - timedelta(minutes=40), NOW - timedelta(minutes=30)
    on_postgresql = any_isp.radius_database_url.startswith("postgresql")
    moments = [
        f"to_timestamp({at.timestamp()})" if on_postgresql else str(int(at.timestamp())) for at in (began, heard)
    ]
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(
            "DELETE FROM radacct",
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, framedipaddress, acctstarttime,"
            " acctupdatetime, acctinputoctets, acctoutputoctets)"
            f" VALUES ('S-1', 'u-1', '{ANNA}', '10.0.0.1', '100.64.9.1', {', '.join(moments)}, 7, 4294967296)",
        )
    [heading, line, *below] = type_("sessions", "list").out.splitlines()
    assert heading.split() == ["number", "state", "username", "nas", "since"]
    assert (line.split()[1:4], line.rstrip()[-1]) == (["?", "doubtful", ANNA], "Z")
    assert "100.64.9.1; 4,294,967,296 octets down, 7 up; last heard of" in " ".join(each.strip() for each in below)
    [listed] = type_("sessions", "list", "--doubtful", "--json").json
    assert (listed["session_id"], listed["state"], listed["interval_seconds"]) == ("S-1", "doubtful", 300)
    assert type_("sessions", "show", ANNA, "--json").json == [listed]
    [nas] = type_("nas", "list", "--json").json
    for where in (nas["name"], nas["address"]):
        assert type_("sessions", "list", "--nas", where, "--plan", "fiber-300").out == "no such session\n"
    assert type_("sessions", "list", "--nas", "10.0.0.1", "--json").json == [listed]
    nowhere = type_("sessions", "list", "--nas", "bng-9")
    assert (nowhere.status, nowhere.err) == (2, "refused: There is no NAS 'bng-9'; known are: bng-north.\n")
    assert type_("sessions", "list", "--plan", "gold").status == 2
    assert type_("sessions", "show", "nobody@isp.example").out == "no session of nobody@isp.example is known\n"
    whose = {"subscriber_id": type_("subscribers", "show", ANNA, "--json").json["subscriber_id"], "username": ANNA}
    assert type_("sessions", "who-had", "100.64.9.1", "--json").json == [{**listed, "subscriber": whose}]
    early = (began - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%MZ")
    assert type_("sessions", "who-had", "100.64.9.200").out.startswith("100.64.9.200: no session has it now; --at TIME")
    assert type_("sessions", "who-had", "100.64.9.1", "--at", early).out == "100.64.9.1: no session had it\n"
    days = ("--from", (NOW - timedelta(days=1)).date(), "--to", NOW.date())
    assert "octets down, 7 up" in type_("sessions", "usage", ANNA, *days).out
    assert type_("sessions", "usage", ANNA, *days, "--json").json["output_octets"] == 2**32
    assert "the worker does that every minute" in type_("sessions", "guard").out


def test_who_had_an_address_is_said_with_the_name_that_it_has_now(any_isp: Settings, type_: Type) -> None:
    known = type_("subscribers", "show", ANNA, "--json").json
    label = class_label(known["subscriber_id"], known["service_id"])
    with vandal(any_isp.radius_database_url, any_isp.radius_database_schema) as hand:
        hand.execute(f"UPDATE radacct SET class = '{label}', framedipaddress = '100.64.9.1' WHERE username = '{ANNA}'")
    told = " ".join(type_("sessions", "who-had", "100.64.9.1").out.split())
    assert told.endswith(f"; of subscriber {known['subscriber_id']}")
    why = ("--cpe-by-hand", "--reason", "married")
    assert type_("subscribers", "rename", ANNA, "anna@isp.example", *why).status == 0
    told = " ".join(type_("sessions", "who-had", "100.64.9.1").out.split())
    assert told.endswith(f"; of subscriber {known['subscriber_id']}, who is anna@isp.example now")


def test_what_is_no_address_or_span_is_refused(isp: Settings, type_: Type) -> None:
    refused = type_("sessions", "who-had", "bng-1")
    assert (refused.status, refused.err.splitlines()[-1]) == (2, "  'bng-1' is no address or prefix")
    span = type_("sessions", "usage", ANNA, "--from", "2026-11-02", "--to", "2026-11-01")
    assert span.status == 2
    just_heard_of(isp)
    assert type_("sessions", "list", "--doubtful").out == "no such session\n"


def test_what_is_open_at_a_nas_that_is_gone_is_closed_and_told_in_the_audit(any_isp: Settings, type_: Type) -> None:
    async def fall_silent() -> None:
        database = Database(any_isp.radius_database_url, schema=any_isp.radius_database_schema)
        try:
            await silent_nas(database, "192.0.2.44", ANNA, now=datetime.now(UTC))
        finally:
            await database.close()

    asyncio.run(fall_silent())
    why = ("--reason", "taken out")
    assert type_("sessions", "close", "192.0.2.44", *why).out == (
        "1 session closed at 192.0.2.44, as of the last sign of life\n"
    )
    assert type_("sessions", "close", "192.0.2.44", *why, "--json").json == {"nas_address": "192.0.2.44", "closed": 0}
    assert type_("sessions", "show", ANNA, "--json").json[0]["terminate_cause"] == "Lost-Carrier-Reaped"
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "sessions close"]
    assert (entry["subject"], entry["reason"]) == ("nas_address/192.0.2.44", "taken out")
    assert (entry["before"], entry["after"]["closed"]) == ({"open_sessions": 1}, 1)
    refused = type_("sessions", "close", "192.0.2.45", *why)
    assert (refused.status, "`firstlight sessions guard`" in refused.err) == (2, True)
