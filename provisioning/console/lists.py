"""What lists have in common: their filters, and the names of those whom their lines are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from provisioning.api import Call
from provisioning.api.own import own_customers
from provisioning.commercial import CustomerSearch
from provisioning.errors import Fault, InvalidRequest

State = TypeVar("State", bound=str)


def one_of(states: Sequence[State], asked: str) -> State | None:
    """The state that a filter names; None: none was chosen. Raises: InvalidRequest."""
    known = next((state for state in states if state == asked), None)
    if asked and known is None:
        raise InvalidRequest("The list", [Fault("state", f"is none of {', '.join(states)}: {asked}")])
    return known


async def names_of(call: Call, customers: Iterable[int | None]) -> dict[int, str]:
    """What those of these customers are called whom the caller may know; None is nobody."""
    if "customers.read" not in call.caller.permissions:
        return {}
    search = CustomerSearch(call.db, tenant_id=call.tenant_id, among=own_customers(call))
    return await search.numbered(sorted({number for number in customers if number is not None}))
