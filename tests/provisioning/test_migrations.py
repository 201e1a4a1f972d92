"""The migrated schema is the one the models describe, on both databases."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, create_engine, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import provisioning.migrations
from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.allocation.serving_tables import SEEN_TABLES
from ipam.kept_ddl import POSTGRESQL_KEPT, SQLITE_KEPT
from ipam.tables import NatBlock, Pool
from provisioning.check_records import InvariantCheck
from provisioning.database import EVERY_TENANT, TENANT_SETTING, Database, sync_engine, sync_url
from provisioning.migrations import alembic_config, migrate
from provisioning.migrations.metadata import ALL_TABLES
from radius import PlanTerms
from radius.coa.former import kept
from radius.coa.tables import SessionChange
from radius.plans.history import FormerTerms
from radius.plans.terms import columns_of
from radius.tables import FormerPlanTerms, FormerUsername, Plan, Subscriber
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.both_databases

OTHERS = {"firstlight_schema", "dbos_migrations"}
AT_ONCE = 4
VERBS = ("update", "delete")


async def migrated(database: Database, folder: Path) -> Database:
    """The radius database that goes with it."""
    url = database.url.render_as_string(hide_password=False)
    radius = Database(url, schema="radius") if database.is_postgresql else Database(f"sqlite:///{folder}/radius.db")
    await migrate(database, radius)
    return radius


@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_the_migrated_schema_is_what_the_models_describe(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await radius.close()
    assert differences == []


GIVEN_BY = "13d1e1c70442b44c7d50f281fff34973b03dfbf78361ca65290236200f593657"


def test_a_function_that_databases_have_is_changed_by_a_new_migration() -> None:
    """Which creates it anew, and this then names the new body; else those that are migrated already keep the old."""
    assert sha256("".join(GIVE_AT_ONCE).encode()).hexdigest() == GIVEN_BY


async def test_triggers_and_exclusions_are_those_that_create_all_makes(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    async with database.begin() as db:
        if database.is_postgresql:
            found = await db.scalars(
                text(
                    "SELECT conname FROM pg_constraint WHERE contype = 'x' UNION "
                    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION "
                    "SELECT proname FROM pg_proc WHERE proname = 'ipam_give_at_once'"
                )
            )
            wanted = {"ipam_prefix_overlap", "ipam_allocation_event_append_only", "ex_visit_technician_once"}
            wanted |= {
                "ipam_service_move_append_only",
                "ipam_give_at_once",
                *(f"{table}_counted" for table in SEEN_TABLES),
            }
            wanted |= {"partner_pool_ledger_append_only", "audit_entry_append_only", "audit_entry_no_truncate"}
            wanted |= _triggers_in(POSTGRESQL_KEPT)
        else:
            found = await db.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            wanted = {"ipam_prefix_overlap_insert", "ipam_prefix_overlap_update", "visit_technician_once_on_insert"}
            wanted |= {"partner_pool_ledger_no_update", "partner_pool_ledger_no_delete"}
            wanted |= {f"ipam_{table}_no_{verb}" for table in ("allocation_event", "service_move") for verb in VERBS}
            wanted |= {"audit_entry_no_update", "audit_entry_no_delete", "audit_entry_no_replace"}
            wanted |= _triggers_in(SQLITE_KEPT)
        names = set(found)
    await radius.close()
    assert wanted <= names, names


def _triggers_in(kept: dict[str, tuple[str, ...]]) -> set[str]:
    return {name for statements in kept.values() for name in re.findall(r"CREATE TRIGGER (\w+)", " ".join(statements))}


async def test_every_table_of_tenants_is_walled_and_so_is_what_hangs_on_a_run(postgres: PostgresServer) -> None:
    database = Database(postgres.create_database())
    radius = await migrated(database, Path())
    async with database.begin() as db:
        walls = await db.execute(
            text(
                "SELECT relname, relrowsecurity AND relforcerowsecurity AND EXISTS"
                " (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) FROM pg_class"
                " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
            )
        )
        found = {name: walled for name, walled in walls}
    await radius.close()
    await database.close()
    ours = {table.name: table for metadata in ALL_TABLES for table in metadata.tables.values()}
    wanted = {name for name, table in ours.items() if "tenant_id" in table.c or "run_id" in table.c}
    assert {name for name, walled in found.items() if walled} == wanted
    assert set(ours) - wanted == {"run_worker"}


async def test_migrating_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    await migrate(database, radius)
    async with database.begin() as db:
        found = (await db.scalars(text("SELECT version_num FROM firstlight_schema"))).all()
    assert found == ScriptDirectory.from_config(alembic_config()).get_heads()
    await radius.close()


@pytest.mark.second_half
async def test_visits_are_their_orders_and_their_bookers_from_now_on_and_find_the_way_back(
    database: Database, tmp_path: Path
) -> None:
    moment, until = "'2026-01-01 10:00:00.000000'", "'2026-01-01 12:00:00.000000'"
    visit = "tenant_id, customer_id, technician_id, ends_at, address, booked_at"
    whose = f"'north', 42, 7, {until}, '1 High Street', {moment}"
    old = text("SELECT id, request_id, state FROM visit ORDER BY id")
    new = text(
        "SELECT visit_id, purpose, visit_booking.order_id, visit.order_id, request_id, released_at IS NULL"
        " FROM visit_booking JOIN visit ON visit.id = visit_id ORDER BY visit_id"
    )

    def there_and_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0016")
        for statement in (
            f"INSERT INTO customer (tenant_id, id, name, email, registered_at, state)"
            f" VALUES ('north', 42, 'Ada', 'ada@example.com', {moment}, 'active')",
            "INSERT INTO technician (tenant_id, id, name, skills) VALUES ('north', 7, 'Tom', '[]')",
            f"INSERT INTO visit ({visit}, id, request_id, state, starts_at, outcome_at) VALUES"
            f" ({whose}, 1, 'ticket/1', 'cancelled', {moment}, {moment}), ({whose}, 2, NULL, 'booked', {moment}, NULL)",
            "INSERT INTO deployment (tenant_id, order_id, customer_id, visit_id, priority, wanted, state, scheduled_at,"
            f" request_id) VALUES ('north', 9, 42, 2, 'normal', '2026-01-01', 'scheduled', {moment}, 'quote/1')",
        ):
            connection.exec_driver_sql(statement)
        seen = [connection.execute(old).all()]
        command.upgrade(config, "head")
        seen.append(connection.execute(new).all())
        command.downgrade(config, "0016")
        seen.append(connection.execute(old).all())
        command.upgrade(config, "head")
        seen.append(connection.execute(new).all())
        return seen

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        before, bookings, back, again = there_and_back(connection)
    engine.dispose()
    assert back == before == [(1, "ticket/1", "cancelled"), (2, None, "booked")]
    assert bookings == again == [(1, "installation", None, None, "ticket/1", 0), (2, "deployment", 9, 9, "quote/1", 1)]


@pytest.mark.second_half
async def test_plans_that_more_nases_are_told_are_carried_over_again_and_no_number_of_a_nas_comes_back(
    database: Database, tmp_path: Path
) -> None:
    moment = "'2026-01-01 10:00:00.000000'"
    plan = "tenant_id, name, download_kbps, upload_kbps, interim_interval_seconds, version, projected_version"
    nas = (
        "INSERT INTO radius_nas (tenant_id, name, address, dialect, coa_port, created_at, updated_at, version)"
        f" VALUES ('north', 'bng', '{{}}', 'cisco', 1, {moment}, {moment}, 1)"
    )

    def upgraded(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0072")
        for name, profile, vrf in (("a", "NULL", "NULL"), ("b", "'gold'", "NULL"), ("c", "NULL", "'home'")):
            connection.exec_driver_sql(
                f"INSERT INTO radius_plan ({plan}, qos_profile, vrf, created_at, updated_at)"
                f" VALUES ('north', '{name}', 1, 1, 300, 2, 2, {profile}, {vrf}, {moment}, {moment})"
            )
        connection.exec_driver_sql(nas.format("10.0.0.1"))
        command.upgrade(config, "head")
        numbers = [connection.scalar(text("SELECT id FROM radius_nas"))]
        connection.exec_driver_sql("DELETE FROM radius_nas")
        connection.exec_driver_sql(nas.format("10.0.0.2"))
        numbers.append(connection.scalar(text("SELECT id FROM radius_nas")))
        shown = connection.scalars(text("SELECT projected_version FROM radius_plan ORDER BY name")).all()
        command.downgrade(config, "0072")
        return [numbers, shown, connection.scalar(text("SELECT address FROM radius_nas"))]

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        found = upgraded(connection)
    engine.dispose()
    assert found == [[1, 2], [2, None, None], "10.0.0.2"]


@pytest.mark.second_half
async def test_no_visit_to_come_loses_whom_it_is_for_on_the_way_back(database: Database, tmp_path: Path) -> None:
    moment, until = "'2026-01-01 10:00:00.000000'", "'2026-01-01 12:00:00.000000'"

    def moved_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0045")
        for statement in (
            f"INSERT INTO customer (tenant_id, id, name, email, registered_at, state)"
            f" VALUES ('north', 42, 'Ada', 'ada@example.com', {moment}, 'active')",
            "INSERT INTO technician (tenant_id, id, name, skills) VALUES ('north', 7, 'Tom', '[]')",
            "INSERT INTO visit (id, tenant_id, customer_id, technician_id, starts_at, ends_at, address, booked_at,"
            f" state) VALUES (1, 'north', 42, 7, {moment}, {until}, '1 High Street', {moment}, 'booked')",
            "INSERT INTO visit_booking (tenant_id, visit_id, purpose, technician_id, starts_at, ends_at, booked_at)"
            f" VALUES ('north', 1, 'dispatch', 7, {moment}, {until}, {moment})",
        ):
            connection.exec_driver_sql(statement)
        with pytest.raises(CommandError, match="1 visits to come were booked by dispatch alone: cancel them"):
            command.downgrade(config, "0044")
        kept = connection.scalar(text("SELECT count(*) FROM visit_booking"))
        connection.execute(text(f"UPDATE visit SET state = 'cancelled', outcome_at = {moment}"))
        command.downgrade(config, "0044")
        return [kept, connection.scalar(text("SELECT count(*) FROM visit_booking"))]

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        counts = moved_back(connection)
    engine.dispose()
    assert counts == [1, 0]


@pytest.mark.second_half
async def test_checks_of_old_say_how_often_each_was_broken_as_far_as_it_was_kept(
    database: Database, tmp_path: Path
) -> None:
    found = [
        {"invariant": name, "subject": "s", "message": "m"} for name in ("ipam.leaked", "ipam.leaked", "bill.once")
    ]

    def migrated_from(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0040")
        for tenant, findings in (("north", found), ("south", [])):
            connection.execute(
                text(
                    "INSERT INTO invariant_check (tenant_id, checked_at, took_seconds, asked, failed, found, findings)"
                    f" VALUES ('{tenant}', '2026-01-01 10:00:00.000000', 1.5, 70, 3, 5000, :findings)"
                ),
                {"findings": json.dumps(findings)},
            )
        for direction, target in ((command.upgrade, "head"), (command.downgrade, "0040"), (command.upgrade, "head")):
            direction(config, target)
        return list(connection.scalars(select(InvariantCheck.counts).order_by(InvariantCheck.tenant_id)))

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        counts = migrated_from(connection)
    engine.dispose()
    assert counts == [{"ipam.leaked": 2, "bill.once": 1}, {}]


@pytest.mark.second_half
async def test_customers_of_old_are_found_by_what_they_are_called(database: Database, tmp_path: Path) -> None:
    moment = "'2026-01-01 10:00:00.000000'"

    def migrated_from(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0033")
        connection.exec_driver_sql(
            "INSERT INTO customer (tenant_id, id, name, email, phone, registered_at, state)"
            f" VALUES ('north', 42, 'Ada Müller', 'Ada@example.com', '+4930', {moment}, 'active')"
        )
        command.upgrade(config, "head")
        keys = "SELECT kind, key FROM customer_key WHERE tenant_id = 'north' AND customer_id = 42 ORDER BY kind, key"
        found = list(connection.execute(text(keys)))
        command.downgrade(config, "0033")
        command.upgrade(config, "head")
        assert list(connection.execute(text(keys))) == found
        return found

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        found = migrated_from(connection)
    engine.dispose()
    assert sorted(tuple(row) for row in found) == [
        ("email", "ada@example.com"),
        ("name", "ada"),
        ("name", "mueller"),
        ("name", "muller"),
        ("phone", "4930"),
        ("phone_end", "0394"),
    ]


@pytest.mark.second_half
async def test_lines_of_old_are_found_by_what_their_labels_end_with(database: Database, tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    plan = {"name": "fiber", "download_kbps": 1, "upload_kbps": 1, "interim_interval_seconds": 300}
    somebody = {"customer_id": 42, "state": "active", "request_fingerprint": ""}
    times = {"tenant_id": "north", "created_at": moment, "updated_at": moment}

    def there_and_back(connection: Connection) -> dict[str, str | None]:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        number = connection.scalar(insert(Plan).values(**plan, **times).returning(Plan.id))
        for name, station in (("anna", "a47b2c11223f"), ("bob", "olt-1 eth 0"), ("eve", None)):
            who = {"username": name, "plan_id": number, "bound_station": station}
            connection.execute(insert(Subscriber).values(**who, **somebody, **times))
        command.downgrade(config, "0062")
        command.upgrade(config, "head")
        found = connection.execute(select(Subscriber.username, Subscriber.bound_station_from_its_end))
        return {username: reversed_ for username, reversed_ in found}

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        found = there_and_back(connection)
    engine.dispose()
    assert found == {"anna": "f32211c2b74a", "bob": None, "eve": None}


@pytest.mark.second_half
async def test_terms_that_are_kept_are_read_by_the_release_before(database: Database, tmp_path: Path) -> None:
    """It knows no `where_untold`, and takes no term that it doesn't know."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    terms = PlanTerms(100_000, 20_000, where_untold="refuse_login")
    times = {"tenant_id": "north", "created_at": at, "updated_at": at}
    changed = {"act": "change_plan", "request_fingerprint": "", "must_end": False, "state": "pending", "attempts": 0}

    def back(connection: Connection) -> list[dict[str, Any]]:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        plan = connection.scalar(insert(Plan).values(name="business", **columns_of(terms), **times).returning(Plan.id))
        who = {"username": "anna", "plan_id": plan, "customer_id": 42, "state": "active", "request_fingerprint": ""}
        number = connection.scalar(insert(Subscriber).values(**who, **times).returning(Subscriber.id))
        said = {"tenant_id": "north", "terms": json.dumps(asdict(terms)), "since": at, "until": at}
        connection.execute(insert(FormerPlanTerms).values(plan_id=plan, version=1, **said))
        former = kept((FormerTerms(terms, at, None),))
        which = {"tenant_id": "north", "subscriber_id": number, "former": former, "due_at": at, "created_at": at}
        connection.execute(insert(SessionChange).values(**changed, **which))
        command.downgrade(config, "0069")
        one = json.loads(connection.scalar(select(FormerPlanTerms.terms)) or "")
        [other] = json.loads(connection.scalar(select(SessionChange.former)) or "")
        command.upgrade(config, "head")
        return [one, other["terms"]]

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        found = back(connection)
    engine.dispose()
    before = {name: value for name, value in asdict(terms).items() if name != "where_untold"}
    assert [{**each, "dns_ipv4": (), "dns_ipv6": ()} for each in found] == [before] * 2


@pytest.mark.second_half
async def test_bills_of_the_first_shape_live_on_and_find_the_way_back(database: Database, tmp_path: Path) -> None:
    columns = "id, tenant_id, customer_id, service_id, plan, state, billing_started_at, billing_stopped_at"
    moment = "'2026-01-01 00:00:00.000000'"

    def there_and_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO customer (tenant_id, id, name, email, registered_at)"
            f" VALUES ('north', 42, 'Ada', 'ada@example.com', {moment})"
        )
        connection.exec_driver_sql(
            f"INSERT INTO subscription ({columns}) VALUES (1, 'north', 42, 7, 'fiber-300', 'active', {moment}, NULL),"
            f" (2, 'north', 42, 8, NULL, 'cancelled', {moment}, {moment})"
        )
        question = text(f"SELECT {columns} FROM subscription ORDER BY id")
        seen = [connection.execute(question).all()]
        command.upgrade(config, "head")
        seen.append(connection.execute(question).all())
        command.downgrade(config, "0001")
        seen.append(connection.execute(question).all())
        command.upgrade(config, "head")
        seen.append(connection.execute(question).all())
        return seen

    # As migrations have it: SQLite's rebuilt tables break no reference, and PostgreSQL shows every tenant's rows.
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        first, *later = there_and_back(connection)
    engine.dispose()
    assert [row[5] for row in first] == ["active", "cancelled"]
    assert later == [first] * 3
    with pytest.raises(IntegrityError):
        async with database.begin() as db:
            await db.execute(text("UPDATE subscription SET service_id = NULL WHERE id = 1"))
    with pytest.raises(IntegrityError):
        async with database.begin() as db:
            await db.execute(
                text("UPDATE subscription SET service_id = 7, state = 'active', billing_stopped_at = NULL")
            )


IPAM_OF_OLD = (
    "INSERT INTO ipam_vrf (id, tenant_id, name) VALUES (1, 'north', 'default')",
    "INSERT INTO ipam_bng (id, tenant_id, name) VALUES (1, 'north', 'bng')",
    "INSERT INTO ipam_site (id, tenant_id, name) VALUES (1, 'north', 'site')",
    "INSERT INTO ipam_access_node (id, tenant_id, name, kind, site_id, bng_id, vlan_model)"
    " VALUES (1, 'north', 'OLT-1', 'olt', 1, 1, 'n1')",
    "INSERT INTO ipam_location (id, tenant_id, name, node_id) VALUES (1, 'north', 'LOC-1', 1)",
    "INSERT INTO ipam_address_plan (id, tenant_id, name, access, addressing, ipv4, ipv6_wan, ipv6_pd, cvlan)"
    " VALUES (1, 'north', 'fiber', 'pppoe', 'sticky', '1', '0', '0', 'never')",
    "INSERT INTO ipam_vlan_group (id, tenant_id, name, vids) VALUES (1, 'north', 'metro', '100-200')",
    "INSERT INTO ipam_svlan (id, tenant_id, group_id, vid) VALUES (1, 'north', 1, 110)",
    "INSERT INTO ipam_pool (id, tenant_id, name, kind, svlan_id, span, size, quarantine_seconds, defined_at)"
    " VALUES (1, 'north', 'metro/110', 'cvlan', 1, 4096, 3, 60, {moment})",
    "INSERT INTO ipam_service (service_id, tenant_id, customer_id, location_id, plan_id, username, state, created_at)"
    " VALUES (1, 'north', 42, 1, 1, 'c42-s1', 'active', {moment})",
    "INSERT INTO ipam_allocation (id, tenant_id, pool_id, unit, state, service_id, subject, assigned_at, available_at)"
    " VALUES (1, 'north', 1, 5, 'assigned', 1, '42@1', {moment}, NULL),"
    " (2, 'north', 1, 6, 'quarantine', NULL, '42@1', {moment}, {moment})",
    "INSERT INTO ipam_allocation_event (id, tenant_id, pool_id, unit, service_id, what, at, available_at)"
    " VALUES (1, 'north', 1, 6, 1, 'assigned', {moment}, NULL), (2, 'north', 1, 6, 1, 'released', {moment}, {moment}),"
    " (3, 'north', 1, 5, 1, 'assigned', {moment}, NULL)",
)


@pytest.mark.second_half
async def test_addresses_and_their_history_live_on_and_find_the_way_back(database: Database, tmp_path: Path) -> None:
    questions = (
        "SELECT id, unit, state, service_id, subject, available_at FROM ipam_allocation ORDER BY id",
        "SELECT id, unit, service_id, what, at, available_at FROM ipam_allocation_event ORDER BY id",
        "SELECT id, name, kind, size, quarantine_seconds FROM ipam_pool ORDER BY id",
    )

    def there_and_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0010")
        for statement in IPAM_OF_OLD:
            connection.exec_driver_sql(statement.format(moment="'2026-01-01 00:00:00.000000'"))
        seen = []
        for move, where in ((command.upgrade, "head"), (command.downgrade, "0010"), (command.upgrade, "head")):
            seen.append([list(connection.execute(text(question)).all()) for question in questions])
            move(config, where)
        return [*seen, [list(connection.execute(text(question)).all()) for question in questions]]

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        first, *later = there_and_back(connection)
    engine.dispose()
    assert [len(rows) for rows in first] == [2, 3, 1]
    assert later == [first] * 3
    async with database.begin() as db:
        pool = (
            await db.execute(text("SELECT policy, sticky_seconds, warn_percent, crit_percent FROM ipam_pool"))
        ).one()
    assert tuple(pool) == ("fresh_first", None, 80, 95)
    for refused in (
        "UPDATE ipam_allocation_event SET unit = 7",
        "DELETE FROM ipam_allocation_event",
        "UPDATE ipam_service SET customer_id = 43",
        "UPDATE ipam_allocation SET note = 'x'",
        "UPDATE ipam_allocation SET state = 'reserved', service_id = NULL, available_at = NULL",
        "UPDATE ipam_allocation SET ordinal = 2 WHERE state = 'quarantine'",
        "UPDATE ipam_allocation SET ordinal = 0",
        "INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, what, at)"
        " VALUES ('north', 1, 9, 'assigned', '2026-01-01 00:00:00')",
        "UPDATE ipam_pool SET warn_percent = 99",
        "UPDATE ipam_pool SET kind = 'ipv5'",
    ):
        with pytest.raises(IntegrityError):
            async with database.begin() as db:
                await db.execute(text(refused))


@pytest.mark.second_half
async def test_no_way_back_is_taken_on_which_a_routed_prefix_would_be_lost(database: Database, tmp_path: Path) -> None:
    second = (
        "INSERT INTO ipam_allocation (id, tenant_id, pool_id, unit, state, service_id, subject, assigned_at, ordinal)"
        " VALUES (3, 'north', 1, 7, 'assigned', 1, '42@1', '2026-01-01 00:00:00.000000', 2)"
    )
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "0010")
        for statement in IPAM_OF_OLD:
            connection.exec_driver_sql(statement.format(moment="'2026-01-01 00:00:00.000000'"))
        command.upgrade(config, "head")
        connection.exec_driver_sql(second)
        with pytest.raises(RuntimeError, match="Service 1 has 2 routed prefixes of pool metro/110"):
            command.downgrade(config, "0070")
        connection.exec_driver_sql("DELETE FROM ipam_allocation WHERE id = 1")  # the second one is left
        command.downgrade(config, "0070")
    engine.dispose()


@pytest.mark.second_half
async def test_a_pool_retired_by_the_release_before_is_known_as_retired_and_two_of_one_prefix_can_not_go_back(
    database: Database, tmp_path: Path
) -> None:
    prefix = "'10.9.0.0/30', {}, {}".format(*(_sixteen_octets(each, database) for each in (0, 3)))
    pool = "INSERT INTO ipam_pool (id, tenant_id, name, kind, prefix_id, unit_length, span, size, quarantine_seconds"
    until = "'2026-02-01 00:00:00.000000'"
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "0073")
        for statement in (
            "INSERT INTO ipam_vrf (id, tenant_id, name) VALUES (1, 'north', 'default')",
            "INSERT INTO ipam_prefix (id, tenant_id, vrf_id, family, network, first_address, last_address, length,"
            f" role) VALUES (1, 'north', 1, 4, {prefix}, 30, 'container')",
            f"{pool}, defined_at) VALUES (1, 'north', 'sold', 'ipv4', 1, 32, 4, 0, 60, '2026-01-01 00:00:00.000000')",
            "INSERT INTO ipam_former_prefix (id, tenant_id, pool_id, vrf_id, network, first_address, last_address,"
            f" until, note) VALUES (1, 'north', 1, 1, {prefix}, {until}, 'sold')",
        ):
            connection.exec_driver_sql(statement)
        command.upgrade(config, "head")
        retired = select(Pool.name, Pool.retired_at)
        assert connection.execute(retired).all() == [("sold", datetime(2026, 2, 1, tzinfo=UTC))]
        connection.exec_driver_sql(
            f"{pool}, defined_at, retired_at) VALUES (2, 'north', 'next', 'ipv4', 1, 32, 4, 0, 60, {until}, {until})"
        )
        with pytest.raises(RuntimeError, match="Pools next and sold were retired on one prefix"):
            command.downgrade(config, "0073")
        connection.exec_driver_sql("DELETE FROM ipam_pool WHERE id = 2")
        command.downgrade(config, "0073")
        command.upgrade(config, "head")
        assert connection.execute(retired).all() == [("sold", datetime(2026, 2, 1, tzinfo=UTC))]
    engine.dispose()


@pytest.mark.second_half
async def test_names_that_were_taken_back_are_forgotten_on_the_way_back(database: Database, tmp_path: Path) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    given_up = select(FormerUsername.username, FormerUsername.taken_back_at).order_by(FormerUsername.id)
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        plan = Plan(
            tenant_id="north",
            name="fiber",
            download_kbps=1000,
            upload_kbps=1000,
            interim_interval_seconds=300,
            idle_timeout_seconds=0,
            version=1,
            created_at=at,
            updated_at=at,
        )
        with Session(connection) as db:
            db.add(plan)
            db.flush()
            anna = Subscriber(
                tenant_id="north",
                customer_id=1,
                username="anna@isp",
                plan_id=plan.id,
                state="active",
                request_fingerprint="anna",
                version=1,
                created_at=at,
                updated_at=at,
            )
            db.add(anna)
            db.flush()
            whose = {"tenant_id": "north", "subscriber_id": anna.id, "given_up_at": at, "free_at": at}
            db.add_all(
                [
                    FormerUsername(**whose, username="anna@isp", taken_back_at=at),
                    FormerUsername(**whose, username="ann@isp"),
                ]
            )
            db.flush()
        assert connection.execute(given_up).all() == [("anna@isp", at), ("ann@isp", None)]
        command.downgrade(config, "0077")
        assert connection.exec_driver_sql("SELECT username FROM radius_former_username").all() == [("ann@isp",)]
        command.upgrade(config, "head")
        assert connection.execute(given_up).all() == [("ann@isp", None)]
    engine.dispose()


@pytest.mark.second_half
async def test_of_port_blocks_of_old_nobody_knows_whether_their_end_was_told(
    database: Database, tmp_path: Path
) -> None:
    began, ended = "'2026-02-01 00:00:00.000000'", "'2026-02-01 06:00:00.000000'"
    block = f"'north', {_sixteen_octets(9, database)}, 1024, 2047, 1, {_sixteen_octets(1, database)}, 'cgn-1'"
    known = select(NatBlock.began_at, NatBlock.ended_at, NatBlock.end_told).order_by(NatBlock.began_at)
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "0075")
        connection.exec_driver_sql("INSERT INTO ipam_vrf (id, tenant_id, name) VALUES (1, 'north', 'default')")
        connection.exec_driver_sql(
            "INSERT INTO ipam_nat_block (tenant_id, outside, first_port, last_port, vrf_id, inside, source, began_at,"
            f" ended_at) VALUES ({block}, {began}, {ended}), ({block}, {ended}, NULL)"
        )
        command.upgrade(config, "head")
        first = datetime(2026, 2, 1, tzinfo=UTC)
        six = first + timedelta(hours=6)
        assert connection.execute(known).all() == [(first, six, None), (six, None, None)]
        connection.execute(update(NatBlock).where(NatBlock.began_at == first).values(end_told=True))
        command.downgrade(config, "0075")
        command.upgrade(config, "head")
        assert connection.execute(known).all() == [(first, six, None), (six, None, None)]
    engine.dispose()


@pytest.mark.second_half
async def test_a_way_back_that_is_refused_half_way_leaves_every_table_as_it_was(
    database: Database, tmp_path: Path
) -> None:
    prefix = "'10.9.0.0/30', {}, {}".format(*(_sixteen_octets(each, database) for each in (0, 3)))
    moment = "'2026-02-01 00:00:00.000000'"
    retired = f"'ipv4', 1, 32, 4, 0, 60, {moment}, {moment}"
    rows = (
        "INSERT INTO ipam_vrf (id, tenant_id, name) VALUES (1, 'north', 'default')",
        "INSERT INTO ipam_prefix (id, tenant_id, vrf_id, family, network, first_address, last_address, length, role)"
        f" VALUES (1, 'north', 1, 4, {prefix}, 30, 'container')",
        "INSERT INTO ipam_pool (id, tenant_id, name, kind, prefix_id, unit_length, span, size, quarantine_seconds,"
        f" defined_at, retired_at) VALUES (1, 'north', 'one', {retired}), (2, 'north', 'two', {retired})",
    )
    await (await migrated(database, tmp_path)).close()
    engine = sync_engine(database.url)
    setting = text(f"SELECT set_config('{TENANT_SETTING}', '{EVERY_TENANT}', true)")
    with engine.begin() as connection:
        if database.is_postgresql:
            connection.execute(setting)
        for statement in rows:
            connection.exec_driver_sql(statement)
    with pytest.raises(RuntimeError, match="Pools one and two were retired"), engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0073")
    with engine.connect() as connection:
        assert "described" in {column["name"] for column in inspect(connection).get_columns("ipam_nat_rule")}
        newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
        assert connection.scalar(text("SELECT version_num FROM firstlight_schema")) == newest
    engine.dispose()


def _sixteen_octets(last: int, database: Database) -> str:
    octets = f"00000000000000000000ffff0a0900{last:02x}"
    return f"'\\x{octets}'" if database.is_postgresql else f"x'{octets}'"


@pytest.mark.second_half
async def test_what_a_plan_says_and_how_passwords_are_kept_is_wished_anew_there_and_back(
    database: Database, tmp_path: Path
) -> None:
    """FreeRADIUS' rows of a plan and of who may log in are others after it, and others again after the way back."""
    moment = "'2026-01-01 00:00:00.000000'"
    times = "created_at, updated_at"
    versions = text(
        "SELECT name, version FROM radius_plan UNION ALL SELECT state, version FROM radius_subscriber ORDER BY 1"
    )

    def there_and_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0017")
        for statement in (
            f"INSERT INTO radius_plan (id, tenant_id, name, version, download_kbps, upload_kbps,"
            f" interim_interval_seconds, {times}) VALUES (1, 'north', 'fiber', 4, 5000, 1000, 300, {moment}, {moment})",
            "INSERT INTO radius_subscriber (id, tenant_id, customer_id, username, plan_id, state, version,"
            f" request_fingerprint, {times}) VALUES (1, 'north', 42, 'ada', 1, 'active', 7, '', {moment}, {moment}),"
            f" (2, 'north', 42, 'bob', 1, 'terminated', 9, '', {moment}, {moment})",
            f"INSERT INTO radius_nas (id, tenant_id, name, address, dialect, coa_port, version, {times})"
            f" VALUES (1, 'north', 'bng', '10.0.0.1', 'mikrotik', 3799, 2, {moment}, {moment})",
        ):
            connection.exec_driver_sql(statement)
        seen: list[Any] = [connection.execute(versions).all()]
        command.upgrade(config, "0019")
        seen.append(connection.execute(versions).all())
        connection.exec_driver_sql(
            f"INSERT INTO radius_estate (tenant_id, password_storage, updated_at) VALUES ('north', 'nt', {moment})"
        )
        said = "SELECT access, dns_ipv4, dns_ipv6, vrf, login_methods, radius_nas.version FROM radius_plan, radius_nas"
        seen.append(connection.execute(text(said)).all())
        command.downgrade(config, "0017")
        seen.append(connection.execute(versions).all())
        command.upgrade(config, "head")
        return seen

    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        before, after, said, back = there_and_back(connection)
    engine.dispose()
    assert before == [("active", 7), ("fiber", 4), ("terminated", 9)]
    assert after == [("active", 8), ("fiber", 5), ("terminated", 9)]
    assert said == [("pppoe", "", "", None, "pap chap mschapv2", 2)]
    # the subscriber's twice: its password is clear again, and its rows are the former ones
    assert back == [("active", 10), ("fiber", 6), ("terminated", 9)]


async def test_several_that_migrate_one_empty_database_at_once_all_succeed(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    others = [Database(url) for _ in range(AT_ONCE)]
    for radius in await asyncio.gather(*(migrated(other, tmp_path) for other in others)):
        async with radius.begin() as db:
            assert await db.scalar(text("SELECT count(*) FROM radacct")) == 0
        await radius.close()
    async with database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert {"run", "line_order", "firstlight_schema"} <= set(tables)
    for other in others:
        await other.close()


async def test_whatever_tables_are_being_made_another_process_waits(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres.create_database())
    watched = ("_migrate_ours", "prepare_queue_tables", "ensure_freeradius_tables")
    found: dict[str, str] = {}

    def watch(name: str, make: Any) -> None:
        def making(*args: Any) -> None:
            found[name] = _migration_lock(sync_url(database.url))
            make(*args)

        monkeypatch.setattr(provisioning.migrations, name, making)

    for name in watched:
        watch(name, getattr(provisioning.migrations, name))
    radius = await migrated(database, Path())
    assert found == dict.fromkeys(watched, "taken")
    assert _migration_lock(sync_url(database.url)) == "free"
    await radius.close()
    await database.close()


def _migration_lock(url: URL) -> str:
    """As another process finds it."""
    engine = create_engine(url)
    with engine.connect() as connection:
        key = {"key": 0x4D696772617465}
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key)
    engine.dispose()
    return "free" if taken else "taken"


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": ALL_TABLES})
    tables = set(inspect(connection).get_table_names()) - OTHERS
    known = {name for metadata in ALL_TABLES for name in metadata.tables}
    found: list[object] = [*sorted(known - tables)]
    for metadata in ALL_TABLES:
        context.opts["include_object"] = partial(_is_in, frozenset(metadata.tables))
        found += compare_metadata(context, metadata)
    return found


def _is_in(tables: frozenset[str], _object: object, name: str, kind: str, _reflected: bool, _compared: object) -> bool:
    return kind != "table" or name in tables
