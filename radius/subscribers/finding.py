"""Subscribers by whatever of them is known: the beginning of a name, a line's MAC address, an address, a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, and_, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import custom_op

from radius.coa.namesakes import SessionMark, owners_of
from radius.results import SubscriberView
from radius.subscribers.name_holders import HeldName, names_of_each
from radius.subscribers.subscribers import owners_of_each
from radius.subscribers.views import SUBSCRIBER, VIEWS, subscriber_view
from radius.tables import FormerUsername

LAST = "\U0010ffff"
HEX_DIGITS_OF_A_MAC = 12
# A literal, not a parameter: only so can the partial index be chosen.
_LIVES = SUBSCRIBER.state != literal_column("'terminated'")


def named_like(beginning: str, *, is_postgresql: bool) -> ColumnElement[bool]:
    """Whether a username begins so, however it is written: as a range of the index, which LIKE is not behind
    PostgreSQL's row-level security."""
    name, wanted = SUBSCRIBER.username_folded, beginning.lower()
    if is_postgresql:  # the operators of text_pattern_ops
        return and_(name.op("~>=~")(wanted), name.op("~<~")(wanted + LAST))
    return and_(name >= wanted, name < wanted + LAST)


class SubscriberSearch:
    """Finds subscribers of one tenant, those in service before the terminated ones. Reads only."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._is_postgresql = db.get_bind().dialect.name == "postgresql"

    async def named(self, beginning: str, *, limit: int) -> list[SubscriberView]:
        """Those whose username begins so, however it is written; in the order of the names."""
        begins = named_like(beginning, is_postgresql=self._is_postgresql)
        order: ColumnElement[Any] = SUBSCRIBER.username_folded
        if self._is_postgresql:  # of the index, so that of thousands that begin so no more are read than the limit
            order = UnaryExpression(order, modifier=custom_op("USING ~<~"))
        return await self._found(begins, limit, order=order)

    async def of_sessions(self, marks: Sequence[SessionMark]) -> list[SubscriberView | None]:
        """Of each of these sessions whose it is, whatever name that one has by now; None: nobody here."""
        owners = await owners_of(self._db, self._tenant_id, marks)
        numbers = {number for number in owners if number is not None}
        found = await self._found(SUBSCRIBER.id.in_(numbers), None) if numbers else []
        by_number = {each["subscriber_id"]: each for each in found}
        return [None if number is None else by_number[number] for number in owners]

    async def names_of(self, usernames: Collection[str]) -> Mapping[str, Sequence[HeldName]]:
        """Of each who has one of these names all that it has or had, each with whose it was when. A name that nobody
        here has is one of its own."""
        numbers = await owners_of_each(self._db, self._tenant_id, usernames)
        names = await names_of_each(self._db, self._tenant_id, set(numbers.values())) if numbers else {}
        return {name: names[numbers[name]] if name in numbers else [HeldName(name)] for name in usernames}

    async def formerly_named(self, username: str) -> list[SubscriberView]:
        """Those who had exactly this name before the one that they have."""
        former = FormerUsername.__table__.c
        # asked for the tenant as well, SQLite would read all names that its subscribers gave up
        gave_up = select(former.subscriber_id, former.tenant_id).where(
            former.username == username, former.taken_back_at.is_(None)
        )
        numbers = [number for number, tenant in await self._db.execute(gave_up) if tenant == self._tenant_id]
        return await self._found(SUBSCRIBER.id.in_(numbers), None) if numbers else []

    async def of_services(self, service_ids: Collection[int]) -> list[SubscriberView]:
        """Those who log in to these services."""
        return await self._found(SUBSCRIBER.service_id.in_(service_ids), None) if service_ids else []

    async def of_customers(self, customer_ids: Collection[int], *, limit: int) -> list[SubscriberView]:
        """Those of these customers."""
        return await self._found(SUBSCRIBER.customer_id.in_(customer_ids), limit) if customer_ids else []

    async def known_as(self, external_id: str) -> list[SubscriberView]:
        """Those under that number of the ISP's own who are not terminated: only of these it is one's alone."""
        return await self._found(and_(SUBSCRIBER.external_id == external_id, _LIVES), None)

    async def given(self, ipv4: str, *, limit: int) -> list[SubscriberView]:
        """Those who are given that address when they log in."""
        return await self._found(SUBSCRIBER.framed_ipv4 == ipv4, limit)

    async def bound_to(self, digits: str, *, limit: int) -> list[SubscriberView]:
        """Those whose line is a MAC address that begins or ends with these hexadecimal digits.

        Where there are more than the limit, half of them end so: of one vendor's CPEs thousands begin alike.
        """
        begin, end = [
            await self._found(
                column.between(asked.ljust(HEX_DIGITS_OF_A_MAC, "0"), asked.ljust(HEX_DIGITS_OF_A_MAC, "f")), limit
            )
            for column, asked in (
                (SUBSCRIBER.bound_station, digits),
                (SUBSCRIBER.bound_station_from_its_end, digits[::-1]),
            )
        ]
        end = end[: max(limit // 2, limit - len(begin))]
        found = {each["subscriber_id"]: each for each in (*begin[: limit - len(end)], *end)}
        return sorted(found.values(), key=lambda one: one["state"] == "terminated")

    async def _found(
        self, wanted: ColumnElement[bool], limit: int | None, *, order: ColumnElement[Any] | None = None
    ) -> list[SubscriberView]:
        """Put in order here, unless an index has that order: for the newest first SQLite would walk through all."""
        query = VIEWS.where(SUBSCRIBER.tenant_id == self._tenant_id, wanted)
        if order is not None:
            query = query.order_by(order)
        rows = list(await self._db.execute(query if limit is None else query.limit(limit)))
        if order is None:
            rows.sort(key=lambda row: row.id, reverse=True)
        found = [subscriber_view(row, row.plan, row.garden, row.capped) for row in rows]
        return sorted(found, key=lambda one: one["state"] == "terminated")
