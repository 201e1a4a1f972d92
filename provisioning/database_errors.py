"""What a database's own errors mean to an operator. They leave the appliance as these, never as a driver's words alone.

DatabaseError
|-- DatabaseNotMigrated
|-- ChangesCollided (t)
`-- DatabaseUnreachable (t)
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from provisioning.errors import ProvisioningError

NOT_MIGRATED_SQLSTATES = frozenset({"42P01", "42703", "3F000"})  # undefined table, column, schema
NOT_MIGRATED_SQLITE = ("no such table", "no such column", "has no column named")
COLLIDED_SQLSTATES = frozenset({"40001", "40P01"})  # serialisation failure, deadlock
UNREACHABLE_SQLSTATES = ("08", "53", "57", "28", "3D")  # connection, resources, shutdown, login, no such database
UNREACHABLE_SQLITE = (
    *("unable to open", "database is locked", "disk i/o", "readonly", "read-only", "disk is full"),
    *("was rolled back", "interrupted", "connection closed"),
)


class DatabaseError(ProvisioningError):
    """The database refused. ``in_short`` has none of its words: they may name its host, its role and its files."""

    code = "provisioning.database_error"
    in_short: ClassVar[str] = "The database refused what was asked of it."


class DatabaseNotMigrated(DatabaseError):
    """The database hasn't this release's tables: run `firstlight migrate`."""

    code = "provisioning.database_not_migrated"
    in_short = "The database hasn't this release's tables: run `firstlight migrate`."

    def __init__(self, words: str) -> None:
        super().__init__(f"The database hasn't this release's tables ({words}): run `firstlight migrate`.")


class ChangesCollided(DatabaseError):
    """Two changes stood in each other's way, and the database took one back: it may be asked for again."""

    code = "provisioning.changes_collided"
    transient = True
    in_short = "Another change stood in the way, and nothing was changed: ask again."

    def __init__(self, words: str) -> None:
        super().__init__(f"Another change stood in the way, and nothing was changed: ask again ({words}).")


class DatabaseUnreachable(DatabaseError):
    """The database can't be reached."""

    code = "provisioning.database_unreachable"
    transient = True
    in_short = "The database can't be reached, nothing was changed."

    def __init__(self, words: str) -> None:
        super().__init__(f"The database can't be reached, nothing was changed: {words}.")


def as_database_error(error: SQLAlchemyError) -> DatabaseError:
    """The error as one sentence; parameters and statements, which hold customers' data, are left out."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnreachable("every connection is in use")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return DatabaseError(f"The database refused: {_first_line(error)}.")
    words = _first_line(error.orig)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate in NOT_MIGRATED_SQLSTATES or any(known in words.lower() for known in NOT_MIGRATED_SQLITE):
        return DatabaseNotMigrated(words)
    if sqlstate in COLLIDED_SQLSTATES:
        return ChangesCollided(words)
    lost = error.connection_invalidated or (sqlstate or "").startswith(UNREACHABLE_SQLSTATES)
    never_connected = sqlstate is None and isinstance(error, OperationalError) and "sqlite" not in _module(error.orig)
    if lost or never_connected or any(known in words.lower() for known in UNREACHABLE_SQLITE):
        return DatabaseUnreachable(words)
    return DatabaseError(f"The database refused: {words}.")


def _module(error: BaseException) -> str:
    return type(error).__module__


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
