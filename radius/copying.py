"""Many rows at once into PostgreSQL, by its COPY: the quickest way in that it has."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession


async def copy_text(db: AsyncSession, statement: str, text: str) -> None:
    """``text`` in COPY's own text format, by ``statement`` (``COPY table (columns) FROM STDIN``), in the transaction of
    ``db``.

    Raises:
        DBAPIError: as any other statement.
    """
    driver: Any = (await (await db.connection()).get_raw_connection()).driver_connection
    try:
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(text)
    except psycopg.Error as exc:
        dialect = db.get_bind().dialect
        raise DBAPIError.instance(statement, None, exc, psycopg.Error, hide_parameters=True, dialect=dialect) from exc
