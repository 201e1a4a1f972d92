"""The audit: kept for ever, on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from provisioning.access import Deed, keep_deed, list_audit
from provisioning.database import Database
from provisioning.tables import ProvisioningBase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


REPLACING = (
    "INSERT OR REPLACE INTO audit_entry (id, tenant_id, at, door, actor, action)"
    " VALUES (1, 'north', '2026-03-02', 'api', 'nobody', 'runs retry')"
)


@pytest.mark.parametrize("rewriting", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry", "at once"])
async def test_the_database_refuses_to_rewrite_it(database: Database, rewriting: str) -> None:
    if rewriting == "at once":
        rewriting = "TRUNCATE audit_entry" if database.is_postgresql else REPLACING
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    async with database.begin() as db:
        deed = Deed("runs retry", "nora", "api", subject="run/7", run_id=7, before={"state": "held"}, after={"b": 1})
        await keep_deed(db, deed, tenant_id="north", at=NOW)
    with pytest.raises(DBAPIError, match="audit_entry is append-only"):
        async with database.begin() as db:
            await db.execute(text(rewriting))
    if not database.is_postgresql:  # which deletes without a trigger's being asked, unless a connection wants it
        with closing(sqlite3.connect(str(database.url.database))) as anothers, pytest.raises(sqlite3.IntegrityError):
            anothers.execute(REPLACING)
    async with database.read() as db:
        [entry] = await list_audit(db, tenant_id="north", subject="run/7", actor="nora")
        assert (entry.before, entry.after, entry.at) == ({"state": "held"}, {"b": 1}, NOW)
        assert await list_audit(db, tenant_id="south") == []
        assert await list_audit(db, tenant_id="north", run_id=8) == []
