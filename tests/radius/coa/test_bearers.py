"""Whose sessions bear a Class is looked up by number."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from radius.coa.namesakes import bearers_of
from tests.radius.conftest import PLAN, Site

pytestmark = pytest.mark.both_databases


async def test_whose_a_class_is_does_not_cost_a_look_at_all_subscribers(site: Site) -> None:
    alone = await site.create()
    async with site.database.begin() as db:
        served = await site.service(db).create_subscriber(
            customer_id=7, username=site.new_username(), bandwidth_profile=PLAN, service_id=7
        )
    engine = site.database.engine.sync_engine
    asked: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    number, other = alone["subscriber_id"], served["subscriber_id"]
    labels = [f"subscriber-{number}", f"subscriber-{other}", "subscriber-999", "service-7", "service-8", "else"]
    async with site.database.begin() as db:
        event.listen(engine, "before_cursor_execute", heard)
        found = await bearers_of(db, site.tenant_id, labels)
        event.remove(engine, "before_cursor_execute", heard)
    assert found == {f"subscriber-{number}": (number, alone["username"]), "service-7": (other, served["username"])}
    if site.database.is_postgresql:
        return  # it combines indexes
    plans = []
    async with site.database.engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row.detail for row in plan if "radius_subscriber" in row.detail]
    assert plans == [
        "SEARCH radius_subscriber USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH radius_subscriber USING INDEX ix_radius_subscriber_service (tenant_id=? AND service_id=?)",
    ]
