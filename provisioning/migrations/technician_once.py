"""The rule that a technician is in one place at a time, as migrations have written it: over a visit alone, then over
what it holds of the technician's time."""

from __future__ import annotations

VISIT_ALONE = ("starts_at", "ends_at")
WITH_WAY_AND_BUFFER = ("COALESCE(held_from, starts_at)", "COALESCE(held_to, ends_at)")
Held = tuple[str, str]

POSTGRESQL_DROPS = ("ALTER TABLE visit DROP CONSTRAINT ex_visit_technician_once",)
SQLITE_DROPS = (
    "DROP TRIGGER visit_technician_once_on_insert",
    "DROP TRIGGER visit_technician_once_on_update",
)


def postgresql_rules(held: Held) -> tuple[str, ...]:
    """An exclusion constraint over half-open periods."""
    return (
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        "ALTER TABLE visit ADD CONSTRAINT ex_visit_technician_once EXCLUDE USING gist"
        f" (tenant_id WITH =, technician_id WITH =, tstzrange({held[0]}, {held[1]}, '[)') WITH &&)"
        " WHERE (state IN ('booked', 'scanned'))",
    )


def sqlite_rules(held: Held) -> tuple[str, ...]:
    """Two triggers that say the same."""
    columns = "tenant_id, technician_id, starts_at, ends_at, state"
    if held == WITH_WAY_AND_BUFFER:
        columns = "tenant_id, technician_id, starts_at, ends_at, held_from, held_to, state"
    return (
        _trigger("visit_technician_once_on_insert", "INSERT", held, ""),
        _trigger("visit_technician_once_on_update", f"UPDATE OF {columns}", held, "other.id <> OLD.id AND "),
    )


def _trigger(name: str, event: str, held: Held, others: str) -> str:
    (their_begin, their_end), (my_begin, my_end) = (tuple(_of(row, each) for each in held) for row in ("other", "NEW"))
    overlap = f"{their_begin} < {my_end} AND {my_begin} < {their_end}"
    others += "other.tenant_id = NEW.tenant_id AND other.technician_id = NEW.technician_id"
    return "".join(
        (
            f"CREATE TRIGGER {name} BEFORE {event} ON visit WHEN NEW.state IN ('booked', 'scanned') BEGIN ",
            "SELECT RAISE(ABORT, 'technician has another visit at that time') WHERE EXISTS (SELECT 1 FROM visit AS",
            f" other WHERE {others} AND other.state IN ('booked', 'scanned') AND {overlap}); END",
        )
    )


def _of(row: str, expression: str) -> str:
    for name in ("held_from", "held_to", "starts_at", "ends_at"):
        expression = expression.replace(name, f"{row}.{name}")
    return expression
