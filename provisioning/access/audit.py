"""The audit: who has changed what, for whom and why, through which door; never changed and never deleted.

An entry is written in the transaction of the change it tells of, so there is never one without the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import DDL, Index, Table, Text, event, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.access.keeping import Changes, impersonal
from provisioning.tables import Identity, ProvisioningBase, RowId, TenantId


class AuditEntry(ProvisioningBase):
    """One change through a door. Append-only by trigger."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_newest", "tenant_id", "id"),
        Index(None, "tenant_id", "subject", "id"),
        Index(None, "tenant_id", "customer_id", "id"),
        Index(None, "tenant_id", "run_id", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    at: Mapped[datetime]
    door: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    token_id: Mapped[int | None] = mapped_column(Identity)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    customer_id: Mapped[int | None] = mapped_column(Identity)
    run_id: Mapped[int | None] = mapped_column(Identity)
    reason: Mapped[str | None] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)


@dataclass
class Deed:
    """What is to be kept of one change: gathered while it is made. ``before`` and ``after`` hold no secret."""

    action: str
    actor: str
    door: str
    token_id: int | None = None
    subject: str | None = None
    customer_id: int | None = None
    run_id: int | None = None
    reason: str | None = None
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class AuditView:
    """One entry as it is read."""

    audit_id: int
    at: datetime
    door: str
    actor: str
    token_id: int | None
    action: str
    subject: str | None
    customer_id: int | None
    run_id: int | None
    reason: str | None
    before: Any
    after: Any


_ENTRY = AuditEntry.__table__.c
_KEEP = insert(cast(Table, AuditEntry.__table__))
_VIEWS = select(_ENTRY.id, *(_ENTRY[name] for name in list(AuditView.__dataclass_fields__)[1:]))


def filled(deed: Deed, changes: Changes) -> Deed:
    """The same; what its door has left open says what its rows say: about what and whom it was, which run, what was
    there before. Of several customers, none is *the* customer."""
    one_customer = changes.customers[0] if len(changes.customers) == 1 else None
    return replace(
        deed,
        subject=deed.subject or next(iter(changes.made), None),
        customer_id=one_customer if deed.customer_id is None else deed.customer_id,
        run_id=next(iter(changes.runs), None) if deed.run_id is None else deed.run_id,
        before=(changes.before or None) if deed.before is None else deed.before,
    )


async def keep_deed(db: AsyncSession, deed: Deed, *, tenant_id: str, at: datetime) -> None:
    """Writes the entry in the caller's transaction, without what tells of a person."""
    texts = {"before": _text(impersonal(deed.before)), "after": _text(impersonal(deed.after))}
    connection = await db.connection()
    await connection.execute(_KEEP, {"tenant_id": tenant_id, "at": at, **vars(deed), **texts})


async def list_audit(
    db: AsyncSession,
    *,
    tenant_id: str,
    subject: str | None = None,
    customer_id: int | None = None,
    run_id: int | None = None,
    actor: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[AuditView]:
    """The newest entries first, a page at a time (``before_id``)."""
    query = _VIEWS.where(_ENTRY.tenant_id == tenant_id).order_by(_ENTRY.id.desc()).limit(limit)
    wanted = {"subject": subject, "customer_id": customer_id, "run_id": run_id, "actor": actor}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(_ENTRY[column] == value)
    if before_id is not None:
        query = query.where(_ENTRY.id < before_id)
    return [
        AuditView(*plain, *(None if text is None else json.loads(text) for text in (before, after)))
        for *plain, before, after in await db.execute(query)
    ]


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True, default=str)


_APPEND_ONLY = "audit_entry is append-only"

POSTGRESQL_AUDIT = (
    "CREATE OR REPLACE FUNCTION audit_entry_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_entry"
    " FOR EACH ROW EXECUTE FUNCTION audit_entry_refuse_rewriting()",
)

POSTGRESQL_NO_TRUNCATE = (
    "CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse_rewriting()"
)

SQLITE_AUDIT = tuple(
    f"CREATE TRIGGER audit_entry_no_{verb.lower()} BEFORE {verb} ON audit_entry"
    f" BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
    for verb in ("UPDATE", "DELETE")
)

SQLITE_NO_REPLACE = (
    "CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry"  # noqa: S608 - a sentence of ours, and no value
    " WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id)"
    f" BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
)
"""REPLACE deletes, and SQLite asks the trigger against that only where a connection wants it, as ours do."""


def _keep_it(table: Table) -> None:
    guards = {
        "postgresql": (*POSTGRESQL_AUDIT, POSTGRESQL_NO_TRUNCATE),
        "sqlite": (*SQLITE_AUDIT, SQLITE_NO_REPLACE),
    }
    for dialect, statements in guards.items():
        for statement in statements:
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_keep_it(AuditEntry.metadata.tables[AuditEntry.__tablename__])
