"""A quote's rows: written whole with their lines, held by whoever changes them, and read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.selling.quote_errors import QuoteUnknown
from provisioning.commercial.selling.selling_tables import Quote, QuoteKind, QuoteLine
from provisioning.commercial.selling.sold_lines import LineRecord, PricedLine, as_line
from workflows.answers import PaymentTerms, QuoteState


class QuoteRecord(TypedDict):
    """A quote. ``version`` is one more after every change; a renewal follows on ``renews_from``."""

    quote_id: int
    customer_id: int
    kind: QuoteKind
    subscription_id: int | None
    renewal_term_months: int | None
    renews_from: date | None
    currency: str
    total_minor: int
    payment_terms: PaymentTerms
    valid_until: datetime
    state: QuoteState
    drafted_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    accepted_by: str | None
    reason: str | None
    version: int


class QuoteWithLines(QuoteRecord):
    lines: list[LineRecord]


def quote_of(tenant_id: str, quote_id: int) -> Select[Quote]:
    """The question for one quote, as it stands in the database now."""
    return (
        select(Quote)
        .where(Quote.tenant_id == tenant_id, Quote.id == quote_id)
        .execution_options(populate_existing=True)
    )


async def lock_quote(db: AsyncSession, tenant_id: str, quote_id: int) -> Quote:
    """The quote, held until the transaction ends.

    Raises: QuoteUnknown.
    """
    row = await db.scalar(quote_of(tenant_id, quote_id).with_for_update())
    if row is None:
        raise QuoteUnknown(quote_id)
    return row


async def quote_of_request(db: AsyncSession, tenant_id: str, request_id: str | None) -> Quote | None:
    """The quote that this request has made, if any."""
    if request_id is None:
        return None
    found: Quote | None = await db.scalar(
        select(Quote)
        .where(Quote.tenant_id == tenant_id, Quote.request_id == request_id)
        .execution_options(populate_existing=True)
    )
    return found


async def add_quote(db: AsyncSession, lines: Sequence[PricedLine], **facts: Any) -> Quote:
    """A quote and its lines, in a savepoint of their own; the total is computed here, from these lines.

    Raises: IntegrityError if the request, or the term that it renews, has a quote by now.
    """
    total = sum(line.amount_minor for line in lines)
    async with db.begin_nested():
        row: Quote | None = await db.scalar(
            insert(Quote).values(total_minor=total, acceptances=0, version=1, **facts).returning(Quote)
        )
        assert row is not None
        await db.execute(
            insert(QuoteLine),
            [
                {"tenant_id": row.tenant_id, "quote_id": row.id, "position": position, **line.columns()}
                for position, line in enumerate(lines, start=1)
            ],
        )
    return row


async def lines_of_quote(db: AsyncSession, quote_id: int) -> list[QuoteLine]:
    """In their order."""
    return list(await db.scalars(select(QuoteLine).where(QuoteLine.quote_id == quote_id).order_by(QuoteLine.position)))


async def change(db: AsyncSession, row: Quote, **facts: Any) -> None:
    """Writes these facts into a quote that is held, as its next version."""
    for field, value in facts.items():
        setattr(row, field, value)
    row.version += 1
    await db.flush()  # a later question in this transaction must find it changed


def digest_of(wish: dict[str, Any]) -> str:
    """What was asked for, so that the same request is known again though prices have changed since."""
    return hashlib.sha256(json.dumps(wish, sort_keys=True, default=str).encode()).hexdigest()


def as_quote(row: Quote) -> QuoteRecord:
    return QuoteRecord(
        quote_id=row.id,
        customer_id=row.customer_id,
        kind=row.kind,
        subscription_id=row.subscription_id,
        renewal_term_months=row.renewal_term_months,
        renews_from=row.renews_from,
        currency=row.currency,
        total_minor=row.total_minor,
        payment_terms=row.payment_terms,
        valid_until=row.valid_until,
        state=row.state,
        drafted_at=row.drafted_at,
        sent_at=row.sent_at,
        accepted_at=row.accepted_at,
        accepted_by=row.accepted_by,
        reason=row.reason,
        version=row.version,
    )


async def with_lines(db: AsyncSession, row: Quote) -> QuoteWithLines:
    return QuoteWithLines(**as_quote(row), lines=[as_line(line) for line in await lines_of_quote(db, row.id)])
