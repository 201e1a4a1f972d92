"""What customers are found by: a row for each word of a name, a mail address, a telephone number.

Written in the transaction that registers a customer, whose name never changes; ``firstlight check`` compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Select,
    Text,
    UnaryExpression,
    and_,
    insert,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.operators import custom_op

from provisioning.commercial.customers.words import (
    LONGEST_COUNTRY_CODE,
    KeyKind,
    keys_of,
    significant,
    spellings,
    words_of,
)
from provisioning.commercial.tables import OF_A_CUSTOMER, Customer
from provisioning.tables import Identity, ProvisioningBase, TenantId

SHORTEST_NUMBER = 6
"""Fewer digits are no whole telephone number, to which a country's code was added."""
LAST = "\U0010ffff"


class CustomerKey(ProvisioningBase):
    """One thing that a customer is found by (``words``)."""

    __tablename__ = "customer_key"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        # By its bytes, whatever order the database's language has: so the beginning of a word is a range.
        Index(
            "ix_customer_key_found",
            "tenant_id",
            "kind",
            "key",
            "customer_id",
            postgresql_ops={"key": "text_pattern_ops"},
        ),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    kind: Mapped[KeyKind] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)


@dataclass(frozen=True)
class FoundCustomer:
    """A customer, and the key of theirs that was looked for."""

    customer_id: int
    name: str
    email: str
    phone: str | None
    state: str
    kind: KeyKind
    key: str


Wanted = tuple[KeyKind, ColumnElement[bool]]
"""A kind of key, and which of them."""
_KEY, _CUSTOMER = CustomerKey.__table__.c, Customer.__table__.c


async def note_keys(
    db: AsyncSession, tenant_id: str, customer_id: int, *, name: str, email: str, phone: str | None
) -> None:
    """From now on they are found by these."""
    mine = {"tenant_id": tenant_id, "customer_id": customer_id}
    rows = [{**mine, "kind": kind, "key": key} for kind, key in keys_of(name=name, email=email, phone=phone)]
    await db.execute(insert(CustomerKey.__table__), rows)  # type: ignore[arg-type]


class CustomerSearch:
    """Finds customers of one tenant by the beginning of what they are called. ``among``: only those whose numbers this
    query finds. Reads only.
    """

    def __init__(self, db: AsyncSession, *, tenant_id: str, among: Select[int] | None = None) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._among = among
        self._is_postgresql = db.get_bind().dialect.name == "postgresql"

    async def named(self, name: str, *, limit: int) -> list[FoundCustomer]:
        """Those of whose names every one of these words begins one; whole words first."""
        words = sorted({word.casefold(): word for word in words_of(name)}.values(), key=len, reverse=True)
        if not words:
            return []
        rarest, *others = words
        besides = [self._has_word(word) for word in others]
        return await self._found(
            [("name", self._range(_KEY.key, spelt)) for spelt in spellings(rarest)], limit, besides
        )

    async def at(self, email: str, *, limit: int) -> list[FoundCustomer]:
        """Those whose mail address begins so."""
        return await self._found([("email", self._range(_KEY.key, email.casefold()))], limit)

    async def called(self, phone: str, *, limit: int) -> list[FoundCustomer]:
        """Those whose telephone number begins or ends so, whichever of both has the country's code."""
        digits, is_international = significant(phone)
        if not digits:
            return []
        ends = digits[::-1]
        shorter = [ends[:-code] for code in range(1, LONGEST_COUNTRY_CODE + 1) if len(ends) - code >= SHORTEST_NUMBER]
        wanted: list[Wanted] = [("phone_end", self._range(_KEY.key, ends)), ("phone", self._range(_KEY.key, digits))]
        if is_international and shorter:
            wanted.append(("phone_end", _KEY.key.in_(shorter)))
        return await self._found(wanted, limit)

    async def numbered(self, numbers: Sequence[int]) -> dict[int, str]:
        """The names of those of these customers whom the caller may know, by number."""
        query = select(_CUSTOMER.id, _CUSTOMER.name).where(
            _CUSTOMER.tenant_id == self._tenant_id, _CUSTOMER.id.in_(numbers)
        )
        if self._among is not None:
            query = query.where(_CUSTOMER.id.in_(self._among))
        return {number: name for number, name in await self._db.execute(query)}

    async def _found(
        self, wanted: Sequence[Wanted], limit: int, besides: Sequence[ColumnElement[bool]] = ()
    ) -> list[FoundCustomer]:
        """One that has several such keys comes once, with the first of them. Each way is asked by itself, along the
        index: SQLite would read all keys for an OR."""
        columns = (_CUSTOMER.name, _CUSTOMER.email, _CUSTOMER.phone, _CUSTOMER.state)
        query = (
            select(_KEY.customer_id, *columns, _KEY.kind, _KEY.key)
            .join(
                Customer.__table__,
                and_(_CUSTOMER.tenant_id == _KEY.tenant_id, _CUSTOMER.id == _KEY.customer_id),
            )
            .where(_KEY.tenant_id == self._tenant_id, *besides)
            .order_by(self._by_bytes(_KEY.key), _KEY.customer_id)
            .limit(2 * limit)
        )
        if self._among is not None:
            query = query.where(_KEY.customer_id.in_(self._among))
        first: dict[int, FoundCustomer] = {}
        for kind, has_key in wanted:
            for row in await self._db.execute(query.where(_KEY.kind == kind, has_key)):
                first.setdefault(row.customer_id, FoundCustomer(*row))
        return sorted(first.values(), key=lambda one: (one.kind, one.key, one.customer_id))[:limit]

    def _has_word(self, word: str) -> ColumnElement[bool]:
        other = CustomerKey.__table__.alias().c
        begins = or_(*(self._range(other.key, spelt) for spelt in spellings(word)))
        return (
            select(other.key)
            .where(
                other.tenant_id == self._tenant_id,
                other.customer_id == _KEY.customer_id,
                other.kind == "name",
                begins,
            )
            .exists()
        )

    def _by_bytes(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """The order of the index, so that of thousands that begin so no more are read than the limit."""
        return UnaryExpression(column, modifier=custom_op("USING ~<~")) if self._is_postgresql else column

    def _range(self, column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
        if self._is_postgresql:  # the operators of text_pattern_ops
            return and_(column.op("~>=~")(beginning), column.op("~<~")(beginning + LAST))
        return and_(column >= beginning, column < beginning + LAST)
