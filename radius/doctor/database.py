"""What hurts in the radius database: looked at by ``radius.doctor.examination``, only read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from radius.doctor.privileges import privilege_traps
from radius.doctor.traps import KNOWN_SECRETS, SHORTEST_SECRET, Trap
from radius.logins.late import late_logins
from radius.logins.tables import radius_login
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radacct, radpostauth
from radius.projection.radius_database import radius_transaction
from radius.projection_errors import RadiusDatabaseUnavailable, RadiusDatabaseUnfit

LOGIN_BEFORE_SESSION = timedelta(hours=1)
"""A session's Accounting-Start follows its login at once, by clocks that differ."""
LATEST = 5000
"""Logins that were carried from files may come behind later ones."""
NAMED = 5
"""So many NASes are named in one trap."""

_LEADING = (
    ("radcheck", "username"),
    ("radreply", "username"),
    ("radusergroup", "username"),
    ("radgroupcheck", "groupname"),
    ("radgroupreply", "groupname"),
    ("radacct", "acctuniqueid"),
    ("radacct", "username"),
    ("radacct", "nasipaddress"),
    ("radacct", "framedipaddress"),
)


_Look = tuple[str, Callable[[AsyncSession, datetime], Awaitable[list[Trap]]]]


async def database_traps(radius_read: Begin, unseen: list[str], *, oldest: datetime, now: datetime) -> list[Trap]:
    """Every trap of tables and rows; ``oldest``: before then no login is kept."""
    traps: list[Trap] = []
    looks: list[_Look] = [*_LOOKS, ("whether logins in files are carried", partial(_logins_late, now=now))]
    for what, look in looks:
        try:
            async with radius_transaction(radius_read) as db:
                traps += await look(db, oldest)
        except RadiusDatabaseUnavailable as error:
            unseen.append("the radius database: it does not answer")
            why = "With it down nobody logs in whom FreeRADIUS does not know by heart, and no accounting is kept."
            return [*traps, _broken("database_unavailable", str(error), why, "start it; look at its own log")]
        except RadiusDatabaseUnfit as error:
            unseen.append(f"{what}: a table or a grant is missing")
            why = "What is missing for us is missing for FreeRADIUS too, or is not ours to read."
            broken = _broken("database_unfit", str(error), why, "`firstlight migrate`, or grant our role what it lacks")
            traps += [broken] if broken not in traps else []
    return traps


def _broken(trap: str, what: str, why: str, fix: str) -> Trap:
    return Trap(trap=trap, what=what, why=why, fix=fix)


async def _of_tables(db: AsyncSession, _oldest: datetime) -> list[Trap]:
    live = db.get_bind().dialect.name == "postgresql"  # there, one without that word holds up every login meanwhile
    traps = [
        Trap(
            trap="index_missing",
            what=f"no index of {table} begins with {column}",
            why="Each login or accounting packet reads the whole table: 25 to 50 times slower at 100,000 subscribers.",
            fix=f"CREATE INDEX {'CONCURRENTLY ' * live}{table}_by_{column} ON {table} ({column});",
        )
        for table, column in await (await db.connection()).run_sync(_missing_indexes)
    ]
    if db.get_bind().dialect.name == "sqlite":
        mode = await db.scalar(text("PRAGMA journal_mode"))
        if mode != "wal":
            traps.append(
                Trap(
                    trap="sqlite_not_wal",
                    what=f"the radius database's journal mode is {mode}",
                    why="Whoever reads holds up whoever writes, and most accounting is lost while we write.",
                    fix="PRAGMA journal_mode=WAL;",
                )
            )
    return traps


def _missing_indexes(connection: Connection) -> list[tuple[str, str]]:
    look = inspect(connection)
    there = set(look.get_table_names())
    return [(table, column) for table, column in _LEADING if table in there and column not in _leading(look, table)]


def _leading(look: Any, table: str) -> Collection[str]:
    indexes = [index["column_names"] for index in look.get_indexes(table)]
    unique = [one["column_names"] for one in look.get_unique_constraints(table)]
    keys = [look.get_pk_constraint(table)["constrained_columns"]]
    return {columns[0] for columns in (*indexes, *unique, *keys) if columns}


async def _of_passwords(db: AsyncSession, _oldest: datetime) -> list[Trap]:
    """Whether there is one: to count them in a table of millions takes minutes."""
    kept = select(radpostauth.c.id).where(func.coalesce(radpostauth.c["pass"], "") != "")
    if await db.scalar(kept.limit(1)) is None:
        return []
    return [
        Trap(
            trap="passwords_kept",
            what="radpostauth holds passwords",
            why="Whoever reads that table or a backup of it has them.",
            fix="UPDATE radpostauth SET pass = '';",
        )
    ]


async def _of_old_logins(db: AsyncSession, oldest: datetime) -> list[Trap]:
    fix = "start a worker (`firstlight worker`): it forgets what is old"
    return await _never_forgotten(db, radius_login.c.id, radius_login.c.happened_at, oldest, fix)


async def _of_old_answers(db: AsyncSession, oldest: datetime) -> list[Trap]:
    fix = "nightly: DELETE FROM radpostauth WHERE authdate < now() - interval '30 days';"
    return await _never_forgotten(db, radpostauth.c.id, radpostauth.c.authdate, oldest, fix)


async def _never_forgotten(
    db: AsyncSession, number: Column[int], at: Column[datetime], oldest: datetime, fix: str
) -> list[Trap]:
    first = await db.scalar(select(at).order_by(number).limit(1))
    if first is None or first >= oldest - timedelta(days=1):
        return []
    return [
        Trap(
            trap="never_forgotten",
            what=f"{number.table.name} holds rows since {first:%Y-%m-%d}",
            why="The log of logins fills the disk, and it tells of people: who was online when and where.",
            fix=fix,
        )
    ]


async def _of_secrets(db: AsyncSession, _oldest: datetime) -> list[Trap]:
    """Secrets of NASes that are short, known or shared: named by their NASes alone."""
    having: dict[str, list[str]] = {}
    rows = select(nas.c.shortname, nas.c.nasname, nas.c.secret).order_by(nas.c.shortname, nas.c.nasname)
    for name, address, secret in await db.execute(rows):
        having.setdefault(secret, []).append(name or address)  # a row of others needs no name
    traps = []
    for secret, names in having.items():
        if len(secret) < SHORTEST_SECRET or secret in KNOWN_SECRETS:
            what, why = "is short or known", "Whoever sees a packet finds it out, and with it every password."
            traps.append(_secret_trap("weak_secret", names, what, why))
        if len(names) > 1:
            why = "Who has it of one of them can speak for the others, and open the passwords that they send."
            traps.append(_secret_trap("shared_secret", names, "is the same", why))
    return traps


def _secret_trap(trap: str, names: list[str], what: str, why: str) -> Trap:
    named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    fix = (
        "firstlight nas rotate-secret NAME --reason ...; what Firstlight did not write is defined first (the estate, or"
        " `firstlight nas add ...`) and then taken over (`firstlight nas adopt NAME --reason ...`)"
    )
    return Trap(trap=trap, what=f"table nas: the secret of {named} {what}", why=why, fix=fix)


async def _logins_late(db: AsyncSession, _oldest: datetime, *, now: datetime) -> list[Trap]:
    forget = "DELETE FROM radius_login_folder WHERE place = "
    return [
        Trap(
            trap="logins_not_carried",
            what=f"{each['place']}: no login was carried from there since {each['since']:%Y-%m-%d %H:%M} UTC",
            why="Who was refused since then is told nowhere, and the files grow; they are carried when somebody does.",
            fix="start `firstlight worker` or `firstlight carry-logins` there; if FreeRADIUS writes no more there:"
            f" {forget}'{each['place']}';",
        )
        for each in await late_logins(db, now)
        if not each["is_carried"]
    ]


async def _log_not_written(db: AsyncSession, oldest: datetime) -> list[Trap]:
    """Sessions that begin without a login: the newest of each. Of one before ``oldest`` no login is kept."""
    started, logged = radacct.c.acctstarttime, radius_login.c.happened_at
    session = await db.scalar(select(started).order_by(radacct.c.radacctid.desc()).limit(1))
    latest = select(logged).order_by(radius_login.c.id.desc()).limit(LATEST).subquery()
    login = await db.scalar(select(func.max(latest.c.happened_at)))
    if session is None or session < oldest or (login is not None and login >= session - LOGIN_BEFORE_SESSION):
        return []
    return [
        Trap(
            trap="login_log_not_written",
            what=f"a session began {session:%Y-%m-%d %H:%M} UTC, and radius_login has "
            + ("no login" if login is None else f"none since {login:%Y-%m-%d %H:%M} UTC"),
            why="Who is refused is told nowhere: FreeRADIUS lets in as ever, and each INSERT fails without a word.",
            fix="grant it what docs/radius-logins.md says; call log_the_login and log_the_refusal in post-auth;"
            " where it writes logins to files, start who carries them",
        )
    ]


_LOOKS: Sequence[_Look] = (
    ("indexes", _of_tables),
    ("what the server's role may do", privilege_traps),
    ("passwords in radpostauth", _of_passwords),
    ("secrets in table nas", _of_secrets),
    ("how long logins are kept", _of_old_logins),
    ("how long radpostauth is kept", _of_old_answers),
    ("whether logins are written down", _log_not_written),
)
