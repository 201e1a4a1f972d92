"""Tokens: told once, kept as a hash, narrowed, ended."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from provisioning.access import ROLES, TokenRefused, Tokens, TokenUnknown
from provisioning.database import Database
from provisioning.errors import InvalidRequest
from provisioning.tables import ProvisioningBase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def begin(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    return database


async def test_a_token_is_told_once_and_only_its_hash_is_kept(begin: Database) -> None:
    async with begin.begin() as db:
        made = await tokens(db).create(name="nora", role="noc", days=30)
    assert made.secret not in repr(made)
    random = made.secret.split("_", 2)[2]
    async with begin.read() as db:
        digest = await db.scalar(text("SELECT digest FROM api_token"))
        assert bytes(digest or b"") == hashlib.sha256(random.encode()).digest()
        caller = await tokens(db).caller(made.secret)
    assert (caller.name, caller.permissions) == ("nora", ROLES["noc"])
    assert len(random) == 43


async def test_a_token_ends_by_its_time_or_by_hand_and_is_no_other_tenant_s(begin: Database) -> None:
    async with begin.begin() as db:
        made = await tokens(db).create(name="nora", role="noc", days=30)
        other = await tokens(db).create(name="paul", role="admin", days=30)
        assert (await tokens(db).revoke(other.token.token_id)).revoked_at == NOW
        assert (await tokens(db, at=NOW + timedelta(days=1)).revoke(other.token.token_id)).revoked_at == NOW
        with pytest.raises(TokenUnknown):
            await tokens(db).revoke(99)
    async with begin.read() as db:
        last = NOW + timedelta(days=30) - timedelta(seconds=1)
        assert (await tokens(db, at=last).caller(made.secret)).token_id == made.token.token_id
        for door, token in (
            (tokens(db, at=NOW + timedelta(days=30)), made.secret),
            (tokens(db), other.secret),
            (Tokens(db, tenant_id="south", now=lambda: NOW), made.secret),
        ):
            with pytest.raises(TokenRefused):
                await door.caller(token)


async def test_every_fault_of_a_wish_for_a_token_is_named(begin: Database) -> None:
    async with begin.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await tokens(db).create(name=" ", role="king", days=0, scopes=["tea.make"], partner_id=3)
        assert {fault.field for fault in refused.value.faults} == {"name", "role", "days", "scope", "partner_id"}
        with pytest.raises(InvalidRequest) as refused:
            await tokens(db).create(name="Ann", role="partner", days=1, scopes=["audit.read"], technician_id=7)
        assert {fault.field for fault in refused.value.faults} == {"scope", "partner_id", "technician_id"}


def tokens(db: object, *, at: datetime = NOW) -> Tokens:
    return Tokens(db, tenant_id="north", now=lambda: at)  # type: ignore[arg-type]
