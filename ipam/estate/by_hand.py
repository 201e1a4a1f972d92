"""What operators have done by hand in a pool and would be undone with it, if a description made another pool of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.answers import span_of
from ipam.commands import command_about
from ipam.estate.exclusions import Part, joined
from ipam.tables import IN_THE_NETWORK, Drain, Exclusion, Pool, Prefix

ANOTHER = "another prefix, kind, unit length or handing-out"
"""By which a pool is another one."""
MOST_NAMED = 5
_WHY = "--reason WHY"


@dataclass
class ByHand:
    """The parts of a pool that are excluded by hand or drained, and why."""

    pool: str
    base: bytes | None
    unit_length: int | None
    excluded: list[Part] = field(default_factory=list)
    drained: list[Part] = field(default_factory=list)

    def _span(self, first: int, last: int) -> str:
        return span_of(self.base, self.unit_length, first, last)

    def _named(self, parts: Sequence[Part], what: str) -> list[str]:
        return [f"{self._span(*part.interval)} is {what} ({part.why})" for part in joined(parts)]

    @property
    def change(self) -> str:
        """What a description must not do."""
        named = [*self._named(self.excluded, "excluded by hand"), *self._named(self.drained, "drained")]
        more = f", and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        undone = ", ".join(named[:MOST_NAMED]) + more
        return f"{ANOTHER}, which would undo what was done by hand in it: {undone}"

    @property
    def instead(self) -> str:
        """By which commands that ends, if it is meant."""
        commands = []
        if self.excluded:
            first, last = min(part.first for part in self.excluded), max(part.last for part in self.excluded)
            commands.append(command_about("include", self.pool, self._span(first, last), options=_WHY))
        if self.drained:
            commands.append(command_about("undrain", self.pool, options=_WHY))
        return f"end that first, by {' and '.join(f'`{each}`' for each in commands)}, or leave the pool as it is"


async def done_by_hand(db: AsyncSession, tenant_id: str, pool_id: int | None = None) -> dict[str, ByHand]:
    """By the names of the pools where anything is, be it of this pool alone."""
    of_pool = [] if pool_id is None else [Pool.id == pool_id]
    found: dict[str, ByHand] = {}
    for model in (Exclusion, Drain):
        statement: AnySelect = select(
            Pool.name, Prefix.first_address, Pool.unit_length, model.first_unit, model.last_unit, model.note
        )
        rows = await db.execute(
            statement.select_from(model)
            .join(Pool, Pool.id == model.pool_id)
            .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
            .where(Pool.tenant_id == tenant_id, IN_THE_NETWORK, model.note.is_not(None), *of_pool)
            .order_by(Pool.name, model.first_unit)
        )
        for pool, base, unit_length, first, last, note in rows:
            by_hand = found.setdefault(pool, ByHand(pool, base, unit_length))
            (by_hand.excluded if model is Exclusion else by_hand.drained).append(Part(first, last, note))
    return found
