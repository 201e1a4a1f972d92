"""Accounting rows for the console's bench, made by SQL: years of sessions of every customer, the last of each open."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, text

from provisioning.bootstrap import Appliance
from radius.sessions.tables import radius_nas_heard

VENDORS = ("a47b2c", "001e10", "48575a", "acde48", "f0761c", "2c94d8", "d8c771", "509a4c")
NASES = 10
HOUR = 3_600
LOST = 300
INTERIM, SILENT_OF = 300, 1_000
"""What is open accounts every five minutes, in turn; one of a thousand was last heard of when it began."""


def mac_of(customer: int) -> str:
    """A customer's CPE, of one of eight makers."""
    return f"{VENDORS[customer % len(VENDORS)]}{customer:06x}"


def spelt_as(digits: str, separator: str) -> str:
    return separator.join(digits[at : at + 2] for at in range(0, len(digits), 2))


async def fill_sessions(appliance: Appliance, *, rows: int, customers: int) -> None:
    """``rows`` sessions, an hour each, of one customer after the other; some were lost a moment ago, and some that are
    open are silent."""
    now = int(appliance.clock().timestamp())
    makers = " ".join(f"WHEN {number} THEN '{maker}'" for number, maker in enumerate(VENDORS))
    is_postgresql = appliance.radius_database.is_postgresql
    digits = "lpad(to_hex(c), 6, '0')" if is_postgresql else "printf('%06x', c)"
    began, ended = f"({now} - ({rows} - n) * 2 - {HOUR})", f"({now} - ({rows} - n) * 2)"
    stop = f"CASE WHEN n <= {rows} - {customers} OR n > {rows} - {LOST} THEN {ended} END"
    is_open = f"n > {rows} - {customers} AND n <= {rows} - {LOST}"
    heard = f"CASE WHEN {is_open} AND c % {SILENT_OF} <> 0 THEN {now} - n % {INTERIM} ELSE {began} END"
    if is_postgresql:
        began, heard, stop = (f"to_timestamp({moment})" for moment in (began, heard, stop))
        numbers = f"SELECT n, n % {customers} + 1 AS c FROM generate_series(1, {rows}) n"
        address, nas = "'100.64.0.0'::inet + c", f"'10.0.0.1'::inet + c % {NASES}"
    else:
        numbers = f"SELECT value AS n, value % {customers} + 1 AS c FROM series"
        address = "'100.' || (64 + (c >> 16)) || '.' || (c >> 8 & 255) || '.' || (c & 255)"
        nas = f"'10.0.0.' || (1 + c % {NASES})"
    series = f"WITH RECURSIVE series(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < {rows}) "
    statement = (
        "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, nasportid, callingstationid,"
        " acctstarttime, acctupdatetime, acctinterval, acctstoptime, acctterminatecause, acctsessiontime,"
        " framedipaddress)"
        f" {'' if is_postgresql else series}"
        f" SELECT 's' || n, 'u' || n, 'c' || c || '-s' || c || '@isp.example', {nas}, 'olt-1 0/1',"
        f" CASE c % {len(VENDORS)} {makers} END || {digits}, {began}, {heard}, {INTERIM}, {stop}, 'Lost-Carrier',"
        f" {HOUR}, {address} FROM ({numbers}) made"
    )
    async with appliance.radius_database.engine.begin() as connection:
        await connection.exec_driver_sql(statement.replace("%", "%%") if is_postgresql else statement)
    await _hear(appliance)


async def _hear(appliance: Appliance) -> None:
    """Accounting comes from every NAS but one."""
    now = appliance.clock()
    heard = {"heard_at": now, "looked_at": now, "changed_at": now - timedelta(minutes=30), "open_sessions": 1_000}
    nases = [{**heard, "nasipaddress": f"10.0.0.{last + 1}", "heard_since": now} for last in range(1, NASES)]
    async with appliance.radius_database.begin() as db:
        await db.execute(insert(radius_nas_heard), [*nases, {**heard, "nasipaddress": "10.0.0.1", "heard_since": None}])
        assert await db.scalar(text("SELECT count(*) FROM radius_nas_heard")) == NASES
