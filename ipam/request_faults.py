"""All that is wrong with a request, found before any of it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ipam.errors import Fault, IpamError, PoolExhausted, RequestInvalid

T = TypeVar("T")


class RequestFaults:
    """Of each part of a request what is wrong with it. Look at every part by this, then ``refuse_if_any()``."""

    def __init__(self) -> None:
        self._found: list[tuple[str, IpamError]] = []

    @property
    def all(self) -> tuple[Fault, ...]:
        """Those that were found so far."""
        return tuple(
            Fault(fault.where, fault.what)
            for where, error in self._found
            for fault in getattr(error, "faults", None) or [Fault(where, str(error))]
        )

    @property
    def errors(self) -> tuple[IpamError, ...]:
        """The same as they were raised."""
        return tuple(error for _, error in self._found)

    @property
    def exhausted(self) -> tuple[PoolExhausted, ...]:
        """Pools that are full or have too few, once each."""
        return tuple({error.pools: error for error in self.errors if isinstance(error, PoolExhausted)}.values())

    def add(self, others: RequestFaults) -> None:
        """What was found elsewhere as well."""
        self._found += others._found

    def tell(self, anew: Callable[[IpamError], IpamError]) -> None:
        """Each as it is told now that more is known."""
        self._found = [(where, anew(error)) for where, error in self._found]

    def check(self, where: str, checking: Callable[[], T]) -> T | None:
        """What it returns; None: it was refused, and that is noted."""
        try:
            return checking()
        except IpamError as error:
            self.note(where, error)
        return None

    async def look(self, where: str, looking: Awaitable[T]) -> T | None:
        """As ``check``, of what has to be asked."""
        try:
            return await looking
        except IpamError as error:
            self.note(where, error)
        return None

    def refuse_if_any(self, several: Callable[[Sequence[Fault]], IpamError] | None = None) -> None:
        """
        Raises:
            RequestInvalid: with all that was found, or what ``several`` makes of it; where it is one thing alone, that
                error itself.
        """
        if len(self._found) == 1:
            raise self._found[0][1]
        if found := self.all:
            (where, what), *others = found
            raise several(found) if several else RequestInvalid(where, what, *others)

    def note(self, where: str, error: IpamError) -> None:
        """What is transient isn't the request's fault, and is raised."""
        if error.transient:
            raise error
        self._found.append((where, error))
