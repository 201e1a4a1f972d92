"""Rows by the thousand are written and found as they are one by one, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Table, select

from radius.coa.tables import SessionChange
from radius.lists import among, insert_rows, update_rows
from tests.radius.conftest import Site

pytestmark = pytest.mark.both_databases

CHANGES = cast(Table, SessionChange.__table__)
AT = datetime(2026, 3, 10, 9, 0, 0, 123456, tzinfo=UTC)


def row(subscriber_id: int, tenant_id: str, former: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "subscriber_id": subscriber_id,
        "act": "apply_plan",
        "request_fingerprint": "f",
        "former": former,
        "must_end": subscriber_id % 2 == 0,
        "state": "pending",
        "attempts": 0,
        "due_at": AT,
        "created_at": AT,
    }


async def test_every_value_comes_back_as_it_was_said(site: Site) -> None:
    one, two = [(await site.create())["subscriber_id"] for _ in range(2)]
    nasty = "é\"\\{},\n\t'%s :x"
    async with site.database.begin() as db:
        await insert_rows(db, CHANGES, [row(one, site.tenant_id, nasty), row(two, site.tenant_id, "[]")])
        await insert_rows(db, CHANGES, [])
    async with site.database.begin() as db:
        mine = select(SessionChange).where(among(db, SessionChange.subscriber_id, [one, two]))
        first, second = list(await db.scalars(mine.order_by(SessionChange.id)))
    assert (first.former, first.due_at, first.leased_until) == (nasty, AT, None)
    assert {first.subscriber_id: first.must_end, second.subscriber_id: second.must_end} == {
        one: one % 2 == 0,
        two: two % 2 == 0,
    }
    later = AT + timedelta(microseconds=7)
    async with site.database.begin() as db:
        said = [
            {"id": first.id, "attempts": 3, "due_at": later, "settled_at": None, "state": "pending"},
            {"id": second.id, "attempts": 0, "due_at": AT, "settled_at": later, "state": "confirmed"},
        ]
        await update_rows(db, CHANGES, said)
        await update_rows(db, CHANGES, [])
    async with site.database.begin() as db:
        mine = select(SessionChange).where(among(db, SessionChange.former, [nasty, "[]"]))
        first, second = list(await db.scalars(mine.order_by(SessionChange.id)))
        assert list(await db.scalars(select(SessionChange.id).where(among(db, SessionChange.id, ())))) == []
    assert (first.attempts, first.due_at, first.settled_at) == (3, later, None)
    assert (second.attempts, second.settled_at, second.state) == (0, later, "confirmed")
