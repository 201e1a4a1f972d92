"""A secret is told only with a name and a reason, and both are kept in the same transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.errors import InvalidRequest
from provisioning.reveals import SecretReveal, reveal_with_reason
from provisioning.vault import OnlyHashKept, SecretMissing
from radius.tables import password_hash_ref_of, password_ref_of
from tests.support.appliances import Original

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
REF = "secret:nas/1"


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated.copy(tmp_path)) as opened:
        async with opened.database.begin() as db:
            await opened.vault.seal(db, REF, "hunter2")
        yield opened


async def tell(
    appliance: Appliance, db: AsyncSession, *, ref: str = REF, by: str = "nora", why: str = "new BNG"
) -> str:
    return await reveal_with_reason(db, appliance.vault, ref, tenant_id=appliance.tenant_id, by=by, reason=why, at=AT)


async def kept(appliance: Appliance) -> list[tuple[str, str, str, str, datetime]]:
    async with appliance.database.begin() as db:
        found = await db.scalars(select(SecretReveal).order_by(SecretReveal.id))
        return [(one.tenant_id, one.ref, one.revealed_to, one.reason, one.revealed_at) for one in found]


async def test_who_asked_when_and_why_is_kept_and_the_value_is_not(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        assert await tell(appliance, db) == "hunter2"
    assert await kept(appliance) == [("default", REF, "nora", "new BNG", AT)]


async def test_every_telling_is_kept(appliance: Appliance) -> None:
    for _ in range(2):
        async with appliance.database.begin() as db:
            await tell(appliance, db)
    assert len(await kept(appliance)) == 2


async def test_a_name_and_a_reason_are_needed_and_both_are_missed_at_once(appliance: Appliance) -> None:
    with pytest.raises(InvalidRequest) as refused:
        async with appliance.database.begin() as db:
            await tell(appliance, db, by=" ", why="a\nb")
    assert [fault.field for fault in refused.value.faults] == ["by", "reason"]
    assert await kept(appliance) == []


async def test_what_is_not_there_is_not_noted_as_told(appliance: Appliance) -> None:
    with pytest.raises(SecretMissing):
        async with appliance.database.begin() as db:
            await tell(appliance, db, ref="secret:nas/2")
    assert await kept(appliance) == []


async def test_a_password_of_which_a_hash_alone_is_known_is_told_to_be_that(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await appliance.vault.seal(db, password_hash_ref_of(7), "44ebba8d")
        with pytest.raises(OnlyHashKept, match="with a hash of it") as refused:
            await tell(appliance, db, ref=password_ref_of(7))
        assert "44ebba8d" not in str(refused.value)
        with pytest.raises(SecretMissing, match="Nothing is kept"):
            await tell(appliance, db, ref=password_ref_of(8))
        assert await tell(appliance, db, ref=password_hash_ref_of(7)) == "44ebba8d"
