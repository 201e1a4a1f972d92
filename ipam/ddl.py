"""What SQLAlchemy has no words for: no overlapping assignable prefixes, and a history that nobody rewrites.

The statements are constants so that a migration executes exactly these.
"""

from __future__ import annotations

from sqlalchemy import DDL, Table, event

PREFIX_OVERLAP = "ipam_prefix_overlap"
"""The name by which both databases complain about an overlap."""

PREFIX_ONCE = "ipam_prefix_network"

# A range of integers stands for the VRF, so that no extension (btree_gist) has to be installed.
POSTGRESQL_PREFIX: tuple[str, ...] = (
    f"ALTER TABLE ipam_prefix ADD CONSTRAINT {PREFIX_OVERLAP} EXCLUDE USING gist"
    " (int4range(vrf_id, vrf_id, '[]') WITH &&, (network::cidr) inet_ops WITH &&) WHERE (role <> 'container')",
)


# Assignable prefixes are disjoint, so only the nearest one that starts at or before our end can reach into us.
_SQLITE_OVERLAP = """
CREATE TRIGGER ipam_prefix_overlap_<verb> BEFORE <verb> ON ipam_prefix WHEN NEW.role <> 'container'
BEGIN
    SELECT RAISE(ABORT, 'ipam_prefix_overlap') WHERE NEW.first_address <= (
        SELECT p.last_address FROM ipam_prefix AS p
        WHERE p.vrf_id = NEW.vrf_id AND p.role <> 'container' AND p.id IS NOT NEW.id
            AND p.first_address <= NEW.last_address
        ORDER BY p.first_address DESC LIMIT 1
    );
END
"""

SQLITE_PREFIX: tuple[str, ...] = tuple(_SQLITE_OVERLAP.replace("<verb>", verb) for verb in ("insert", "update"))

_APPEND_ONLY = "ipam_allocation_event is append-only"

POSTGRESQL_HISTORY: tuple[str, ...] = (
    "CREATE OR REPLACE FUNCTION ipam_refuse_rewriting_history() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER ipam_allocation_event_append_only BEFORE UPDATE OR DELETE ON ipam_allocation_event"
    " FOR EACH ROW EXECUTE FUNCTION ipam_refuse_rewriting_history()",
)

SQLITE_HISTORY: tuple[str, ...] = tuple(
    f"CREATE TRIGGER ipam_allocation_event_no_{verb.lower()} BEFORE {verb} ON ipam_allocation_event"
    f" BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
    for verb in ("UPDATE", "DELETE")
)

_FOR_GOOD = "a row of ipam_service is kept for good"
_NAMED_BY_HISTORY = "ipam_allocation_event refers to it"

POSTGRESQL_SERVICES: tuple[str, ...] = (
    "CREATE OR REPLACE FUNCTION ipam_keep_service() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_FOR_GOOD}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER ipam_service_kept BEFORE DELETE ON ipam_service FOR EACH ROW EXECUTE FUNCTION ipam_keep_service()",
)

POSTGRESQL_POOLS: tuple[str, ...] = (
    "CREATE OR REPLACE FUNCTION ipam_keep_pool() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF EXISTS (SELECT FROM ipam_allocation_event AS e WHERE e.pool_id = OLD.id) THEN"
    f" RAISE EXCEPTION '{_NAMED_BY_HISTORY}' USING ERRCODE = 'restrict_violation'; END IF; RETURN OLD; END $$",
    "CREATE TRIGGER ipam_pool_kept BEFORE DELETE ON ipam_pool FOR EACH ROW EXECUTE FUNCTION ipam_keep_pool()",
)

SQLITE_SERVICES: tuple[str, ...] = (
    f"CREATE TRIGGER ipam_service_kept BEFORE DELETE ON ipam_service BEGIN SELECT RAISE(ABORT, '{_FOR_GOOD}'); END",
)

SQLITE_POOLS: tuple[str, ...] = (
    "CREATE TRIGGER ipam_pool_kept BEFORE DELETE ON ipam_pool"  # noqa: S608 - a sentence of ours, and no value
    " WHEN EXISTS (SELECT 1 FROM ipam_allocation_event AS e WHERE e.pool_id = OLD.id)"
    f" BEGIN SELECT RAISE(ABORT, '{_NAMED_BY_HISTORY}'); END",
)

_MOVES_ONLY_ADDED = "ipam_service_move is append-only"

POSTGRESQL_MOVES: tuple[str, ...] = (
    "CREATE OR REPLACE FUNCTION ipam_refuse_rewriting_moves() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_MOVES_ONLY_ADDED}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER ipam_service_move_append_only BEFORE UPDATE OR DELETE ON ipam_service_move"
    " FOR EACH ROW EXECUTE FUNCTION ipam_refuse_rewriting_moves()",
)

SQLITE_MOVES: tuple[str, ...] = tuple(
    f"CREATE TRIGGER ipam_service_move_no_{verb.lower()} BEFORE {verb} ON ipam_service_move"
    f" BEGIN SELECT RAISE(ABORT, '{_MOVES_ONLY_ADDED}'); END"
    for verb in ("UPDATE", "DELETE")
)


def after_create(table: Table, *, postgresql: tuple[str, ...], sqlite: tuple[str, ...]) -> None:
    """Let ``create_all`` run these right after it has made the table."""
    for dialect, statements in (("postgresql", postgresql), ("sqlite", sqlite)):
        for sql in statements:
            ddl = DDL(sql)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))
