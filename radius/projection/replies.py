"""What FreeRADIUS replies with, row by row as its tables have it, for whoever compares or takes it over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import and_, exists, func, or_, select

from radius.ports import Begin
from radius.projection.freeradius_tables import radius_projection, radreply
from radius.projection.radius_database import radius_transaction

GIVING = (
    "Framed-IP-Address",
    "Framed-IPv6-Prefix",
    "Framed-IPv6-Address",
    "Delegated-IPv6-Prefix",
    "Framed-Route",
    "Framed-IPv6-Route",
)
"""The reply attributes that give a line addresses (RFC 2865, RFC 3162, RFC 4818, RFC 6911)."""
ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class ReplyRow:
    """One row of radreply."""

    username: str
    attribute: str
    op: str
    value: str


async def address_replies(radius_begin: Begin, *, tenant_id: str) -> AsyncIterator[ReplyRow]:
    """Every row that gives addresses, whoever wrote it, all rows of a name after one another; those of names that
    another tenant's subscribers have on the same server are theirs to look at.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    columns, ledger = radreply.c, radius_projection.c
    theirs = exists().where(ledger.kind == "subscriber", ledger.name == columns.username, ledger.tenant_id != tenant_id)
    giving = func.lower(columns.attribute).in_([name.lower() for name in GIVING])
    rows = (
        select(columns.username, columns.attribute, columns.op, columns.value, columns.id)
        .where(giving, ~theirs)
        .order_by(columns.username, columns.id)
        .limit(ROWS_AT_ONCE)
    )
    async with radius_transaction(radius_begin) as db:
        page = (await db.execute(rows)).all()
        while page:
            for row in page:
                yield ReplyRow(*row[:4])
            name, row_id = page[-1].username, page[-1].id
            after = or_(columns.username > name, and_(columns.username == name, columns.id > row_id))
            page = (await db.execute(rows.where(after))).all()
