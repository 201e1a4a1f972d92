"""What is wrong with what was typed, all of it at once: also what only shows when it is tried."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from acs import AcsError
from provisioning.errors import Fault, InvalidRequest, ProvisioningError

T = TypeVar("T")


def reason_faults(reason: str) -> list[Fault]:
    """A reason has to say something."""
    return [] if reason.strip() else [Fault("reason", "is missing")]


async def unless_faulty(act: Awaitable[T], faults: Iterable[Fault], *, what: str) -> T:
    """What comes of ``act``. With ``faults`` it is only tried, for what else is wrong with it: whoever asks takes back
    what it has written, as the end of a transaction by an error does.

    Raises: InvalidRequest with both; what ``act`` raises where that is no list of faults.
    """
    found = list(faults)
    if not found:
        return await act
    try:
        await act
    except (AcsError, ProvisioningError) as refused:
        others: tuple[Any, ...] = tuple(getattr(refused, "faults", ()))
        if not others:
            raise
        what = getattr(refused, "what", what)
        found = [*(each if isinstance(each, Fault) else Fault("", str(each)) for each in others), *found]
    raise InvalidRequest(what, found)
