"""What was so stays written: nobody empties, replaces or alters the tables by which it is told who had what, and when.

DELETE and UPDATE of history are refused by ``ipam.ddl``. There are other ways to the same end: PostgreSQL's TRUNCATE
fires no trigger of a row and heeds no row-level security, SQLite's REPLACE deletes without a trigger's being asked
(unless a connection wants it, as ours do), and what history is joined to could be altered. What the appliance itself
changes stays possible: a service's username, place and state, a rule's end, a port block's end until a log tells it.

The statements are constants so that a migration executes exactly these.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import MetaData

from ipam.ddl import after_create

_REFUSE = (
    "CREATE OR REPLACE FUNCTION ipam_refuse_it() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'restrict_violation'; END $$"
)


def _refused(name: str, when: str, said: str, rows: str = "FOR EACH ROW") -> str:
    """A trigger of PostgreSQL; ``when`` ends with its table, ``rows`` with its WHEN."""
    return f"CREATE TRIGGER {name} BEFORE {when} {rows} EXECUTE FUNCTION ipam_refuse_it('{said}')"


def _aborted(name: str, when: str, said: str, only: str = "") -> str:
    """A trigger of SQLite; ``only``: its WHEN."""
    return f"CREATE TRIGGER {name} BEFORE {when} {only} BEGIN SELECT RAISE(ABORT, '{said}'); END"


def _not_emptied(table: str, said: str) -> str:
    return _refused(f"{table}_no_truncate", f"TRUNCATE ON {table}", said, "FOR EACH STATEMENT")


def _not_replaced(table: str, key: str, said: str) -> str:
    """Without a number of its own the row is a new one: what NEW says of it then is nobody's."""
    # One test after the other: a row that comes without a number, as events do, costs no look into the table.
    same = f"NEW.{key} > 0 AND EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608 - no value
    return _aborted(f"{table}_no_replace", f"INSERT ON {table}", said, f"WHEN {same}")


def _not_displaced(table: str, name: str, columns: Iterable[str], only: str = "", *, verb: str = "INSERT") -> str:
    """Who has the same in ``columns`` isn't made way. It is told as SQLite tells it itself."""
    names = [*columns]
    same = " AND ".join(f"{column} = NEW.{column}" for column in names)
    said = "UNIQUE constraint failed: " + ", ".join(f"{table}.{column}" for column in names)
    found = f"EXISTS (SELECT 1 FROM {table} WHERE {same}{only})"  # noqa: S608 - no value
    return _aborted(f"{table}_{name}", f"{verb} ON {table}", said, f"WHEN {found}")


def _altered(columns: str, *, differs: str) -> str:
    """Whether one of ``columns`` is another; ``differs``: as the database says so."""
    old, new = (", ".join(f"{row}.{column}" for column in columns.split(", ")) for row in ("OLD", "NEW"))
    return f"({old}) {differs} ({new})"


def _unaltered(table: str, columns: str, said: str, *, name: str = "unaltered", only: str = "") -> tuple[str, str]:
    """A trigger of PostgreSQL and one of SQLite; ``only``: of which rows, with AND at its end."""
    of_table, trigger = f"UPDATE OF {columns} ON {table}", f"{table}_{name}"
    ours, theirs = (f"WHEN ({only}{_altered(columns, differs=word)})" for word in ("IS DISTINCT FROM", "IS NOT"))
    return _refused(trigger, of_table, said, f"FOR EACH ROW {ours}"), _aborted(trigger, of_table, said, theirs)


_EVENTS = "ipam_allocation_event is append-only"
_MOVES = "ipam_service_move is append-only"
_FORMER = "ipam_former_prefix is append-only"
_SERVICES = "a row of ipam_service is kept for good"
_WHOSE = "a row of ipam_service stays whose it is: history is told by it"
_RULES = "a row of ipam_nat_rule is kept for good: it tells who had a port"
_TERMS = "the terms of a row of ipam_nat_rule stay as they were: end the rule, and say another one"
_HELD = "the time of a row of ipam_nat_rule that has ended stays as it was: it tells who had a port"
_BLOCKS = "a row of ipam_nat_block of which a log has told the end is kept for good: it tells who had a port"
_PORTS = "a row of ipam_nat_block stays as a log has told it: it tells who had a port"

_SERVICE_WHOSE = _unaltered("ipam_service", "service_id, tenant_id, customer_id, request_id, created_at", _WHOSE)
_RULE_TERMS = _unaltered(
    "ipam_nat_rule",
    "id, tenant_id, name, pool_id, first_outside, last_outside, first_inside, inside_count, first_port, last_port,"
    " ports_per_subscriber, algorithm",
    _TERMS,
)
_RULE_HELD = _unaltered("ipam_nat_rule", "since, until", _HELD, name="ended", only="OLD.until IS NOT NULL AND ")
_BLOCK_PORTS = _unaltered(
    "ipam_nat_block",
    "id, tenant_id, outside, first_port, last_port, vrf_id, inside, began_at, source",
    _PORTS,
)
_BLOCK_END = _unaltered("ipam_nat_block", "ended_at, end_told", _PORTS, name="end_kept", only="OLD.end_told AND ")

POSTGRESQL_KEPT: dict[str, tuple[str, ...]] = {
    "ipam_allocation_event": (_REFUSE, _not_emptied("ipam_allocation_event", _EVENTS)),
    "ipam_service": (_REFUSE, _not_emptied("ipam_service", _SERVICES), _SERVICE_WHOSE[0]),
    "ipam_service_move": (_REFUSE, _not_emptied("ipam_service_move", _MOVES)),
    "ipam_former_prefix": (
        _REFUSE,
        _not_emptied("ipam_former_prefix", _FORMER),
        _refused("ipam_former_prefix_append_only", "UPDATE OR DELETE ON ipam_former_prefix", _FORMER),
    ),
    "ipam_nat_rule": (
        _REFUSE,
        _not_emptied("ipam_nat_rule", _RULES),
        _refused("ipam_nat_rule_kept", "DELETE ON ipam_nat_rule", _RULES),
        _RULE_TERMS[0],
        _RULE_HELD[0],
    ),
    "ipam_nat_block": (
        _REFUSE,
        _not_emptied("ipam_nat_block", _BLOCKS),
        _refused("ipam_nat_block_kept", "DELETE ON ipam_nat_block", _BLOCKS, "FOR EACH ROW WHEN (OLD.end_told)"),
        _BLOCK_PORTS[0],
        _BLOCK_END[0],
    ),
}
"""By table. None asks anything of a row that is added: allocations go past them."""

SQLITE_KEPT: dict[str, tuple[str, ...]] = {
    "ipam_allocation_event": (_not_replaced("ipam_allocation_event", "id", _EVENTS),),
    "ipam_service": (
        # None when one is added: with such a trigger SQLite looks through all allocations for each new service, since
        # they refer to it. So a connection that doesn't want its triggers asked can replace one.
        _not_displaced(
            "ipam_service",
            "username_kept",
            ("username",),
            " AND service_id <> OLD.service_id",
            verb="UPDATE OF username",
        ),
        _SERVICE_WHOSE[1],
    ),
    "ipam_service_move": (
        _not_replaced("ipam_service_move", "id", _MOVES),
        _not_displaced("ipam_service_move", "request_kept", ("tenant_id", "request_id")),
    ),
    "ipam_former_prefix": (
        _not_replaced("ipam_former_prefix", "id", _FORMER),
        *(
            _aborted(f"ipam_former_prefix_no_{verb.lower()}", f"{verb} ON ipam_former_prefix", _FORMER)
            for verb in ("UPDATE", "DELETE")
        ),
    ),
    "ipam_nat_rule": (
        _not_replaced("ipam_nat_rule", "id", _RULES),
        _not_displaced("ipam_nat_rule", "in_force_kept", ("pool_id",), " AND until IS NULL AND NEW.until IS NULL"),
        _aborted("ipam_nat_rule_kept", "DELETE ON ipam_nat_rule", _RULES),
        _RULE_TERMS[1],
        _RULE_HELD[1],
    ),
    "ipam_nat_block": (
        _not_replaced("ipam_nat_block", "id", _BLOCKS),
        _not_displaced("ipam_nat_block", "ports_kept", ("tenant_id", "outside", "first_port", "began_at")),
        _aborted("ipam_nat_block_kept", "DELETE ON ipam_nat_block", _BLOCKS, "WHEN OLD.end_told"),
        _BLOCK_PORTS[1],
        _BLOCK_END[1],
    ),
}
"""By table. Who adds to one as the appliance does is refused what was refused before, in the same words."""


def keep(metadata: MetaData) -> None:
    """Let ``create_all`` guard these tables as well."""
    for name, statements in POSTGRESQL_KEPT.items():
        after_create(metadata.tables[name], postgresql=statements, sqlite=SQLITE_KEPT[name])
