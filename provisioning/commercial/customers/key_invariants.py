"""What must always be true of what customers are found by, asked of the database itself."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer_keys import CustomerKey
from provisioning.commercial.customers.words import Key, keys_of
from provisioning.commercial.tables import Customer


@dataclass(frozen=True)
class BadlyFound:
    """A customer whom a search misses, or finds under what they are not called."""

    customer_id: int
    lacking: tuple[Key, ...]
    wrong: tuple[Key, ...]

    @property
    def subject(self) -> str:
        return f"customer {self.customer_id}"

    @property
    def sentence(self) -> str:
        """Counted, not quoted: what somebody is called stays out of logs."""
        return (
            f"Customer {self.customer_id} is not found by {len(self.lacking)} of the things that they are called, and"
            f" by {len(self.wrong)} that they are not."
        )


async def customers_badly_found(db: AsyncSession, *, tenant_id: str) -> list[BadlyFound]:
    """Customers whose keys are others than follow from their name, mail address and telephone number."""
    kept: dict[int, set[Key]] = {}
    keys = select(CustomerKey.customer_id, CustomerKey.kind, CustomerKey.key)
    for customer_id, kind, key in await db.execute(keys.where(CustomerKey.tenant_id == tenant_id)):
        kept.setdefault(customer_id, set()).add((kind, key))
    found = []
    customers = select(Customer.id, Customer.name, Customer.email, Customer.phone)
    query = customers.where(Customer.tenant_id == tenant_id).order_by(Customer.id)
    for customer_id, name, email, phone in await db.execute(query):
        wanted, has = set(keys_of(name=name, email=email, phone=phone)), kept.get(customer_id, set())
        if wanted != has:
            found.append(BadlyFound(customer_id, tuple(sorted(wanted - has)), tuple(sorted(has - wanted))))
    return found
