"""What may be kept for ever: numbers, states, amounts and times. Who somebody is stays where it can be changed.

The audit can never be rewritten, so whatever tells of a person (GDPR, article 17) is replaced by a mark that it was
there, and of what was handed in whole (an event's data, a run's input) only the names are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

NOT_KEPT = "(not kept)"
CHANGES = "firstlight_changes"
MOST_ROWS = 50
"""Of one transaction; an import of an estate has thousands, and a file of its own."""

_PERSONAL = re.compile(
    r"(^|_)(name|email|mail|phone|company|address|location|street|city|contact|recipient|sender|accepted_by|holder|"
    r"text|message|title|description|note|notes|body|html|username)$"
)
_WHOLE = ("data", "input", "payload", "metadata", "details", "variables")
_COLUMN = re.compile(
    r"(^|_)(id|state|outcome|kind|journey|role|currency|minor|months|at|on|until|attempts|acceptances)$"
)
_NOUNS = {
    "sales_order": "order",
    "ipam_service": "service",
    "hosted_tenant": "tenant",
    "radius_subscriber": "subscriber",
}
_BESIDE = {"audit_entry", "run_note", "secret", "webhook_message", "webhook_delivery", "idempotency_key"}


def subject_of(noun: str, number: object) -> str:
    """The one spelling of what a change is about: ``line_order/7``."""
    spelt = noun.replace(" ", "_")
    return f"{_NOUNS.get(spelt, spelt)}/{number}"


def impersonal(value: Any) -> Any:
    """The same without what tells of a person."""
    if isinstance(value, Mapping):
        return {str(name): _kept(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [impersonal(inner) for inner in value]
    return value


def _kept(name: str, value: Any) -> Any:
    if name in _WHOLE and isinstance(value, Mapping):
        return sorted(map(str, value))
    if isinstance(value, str) and _PERSONAL.search(name):
        return NOT_KEPT
    return impersonal(value)


class Changes:
    """What the rows of one transaction were and are: of each its numbers, states, amounts and times alone."""

    def __init__(self) -> None:
        self.before: dict[str, dict[str, Any]] = {}
        self.after: dict[str, dict[str, Any]] = {}
        self.made: list[str] = []
        self.customers: list[int] = []
        self.runs: list[int] = []

    def notice(self, flushed: Session) -> None:
        """Called after a flush; what it wrote comes to what is known already."""
        for row in (*flushed.new, *flushed.dirty):
            mapper = inspect(row).mapper
            table = str(mapper.local_table.name)
            _note(self.customers, row.id if table == "customer" else getattr(row, "customer_id", None))
            _note(self.runs, row.id if table == "run" else getattr(row, "run_id", None))
            if table not in _BESIDE:
                number = ".".join(map(str, mapper.primary_key_from_instance(row)))
                self._row(subject_of(table, number), row, is_new=row in flushed.new)

    def _row(self, subject: str, row: Any, *, is_new: bool) -> None:
        if is_new:
            self.made.append(subject)
        if subject not in self.after and len(self.after) == MOST_ROWS:
            return
        loaded, made = inspect(row).dict, subject in self.made
        for column in inspect(row).mapper.column_attrs:
            if not _COLUMN.search(column.key):
                continue
            was = inspect(row).attrs[column.key].history
            if was.has_changes() and (not is_new or loaded.get(column.key) is not None):
                self.after.setdefault(subject, {})[column.key] = loaded.get(column.key)
            if was.deleted and not made:
                self.before.setdefault(subject, {}).setdefault(column.key, was.deleted[0])


def note_changes(flushed: Session) -> None:
    """Hears a database's flushes: every transaction keeps what its rows were and are."""
    flushed.info.setdefault(CHANGES, Changes()).notice(flushed)


def note_wanted_changes(flushed: Session) -> None:
    """The same, where a door has asked for it (`want_changes`); others that share its process cost nothing."""
    if CHANGES in flushed.info:
        note_changes(flushed)


def want_changes(db: AsyncSession) -> None:
    """From here on this transaction's changes are noted."""
    db.info[CHANGES] = Changes()


def noted_changes(db: AsyncSession) -> Changes:
    """What was noted of this transaction; nothing of it is noted any more."""
    noted: Changes = db.info.pop(CHANGES, None) or Changes()
    return noted


def _note(numbers: list[int], number: Any) -> None:
    if isinstance(number, int) and number not in numbers:
        numbers.append(number)
