"""Many rows that are named at once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ipam.bulk import AT_ONCE, among, in_parts
from ipam.tables import LocationAlias, Pool
from tests.ipam.conftest import Network


def test_many_are_named_in_their_order_so_many_at_once_as_one_statement_takes() -> None:
    many = list(range(2 * AT_ONCE + 1))

    parts = list(in_parts(many))

    assert [len(part) for part in parts] == [AT_ONCE, AT_ONCE, 1]
    assert [each for part in parts for each in part] == many
    assert list(in_parts([])) == []


@pytest.mark.both_databases
async def test_rows_are_found_by_any_of_many_values_whatever_their_type(network: Network) -> None:
    async with network.database.read() as db:
        ids = {name: pool_id for name, pool_id in await db.execute(select(Pool.name, Pool.id))}
        named = select(Pool.name).where(among(db, Pool.id, [ids["cgnat"], ids["pd"], 10_000])).order_by(Pool.name)
        aliases = select(LocationAlias.alias).where(among(db, LocationAlias.alias, {"LOC-1", "it's {nobody's},\\"}))

        assert (await db.scalars(named)).all() == ["cgnat", "pd"]
        assert (await db.scalars(aliases)).all() == ["LOC-1"]
        assert (await db.scalars(select(Pool.name).where(among(db, Pool.name, [])))).all() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_thousand_values_are_one_parameter_whose_rows_are_joined(network: Network) -> None:
    async with network.database.read() as db:
        names = [f"LOC-{number}" for number in range(1000)]
        compiled = select(LocationAlias.id).where(among(db, LocationAlias.alias, names)).compile(db.get_bind())

        assert list(compiled.params.values()) == [names]
        assert "IN (SELECT unnest(" in str(compiled).replace("\n", "")
