"""What is wrong with a request about addresses besides its shape: told with that, not after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, cast

from pydantic import Field, model_validator

from ipam import Fault, RequestInvalid, RequestParts
from provisioning.api.calls import Call
from provisioning.api.wishes import Reason, Wish

Why = Annotated[Reason, Field(description="Why, for whoever finds it later")]
NUMBERS = frozenset({"customer_id", "cvlan", "count"})


@contextmanager
def pointing(*, of: Collection[str] | None = None) -> Iterator[None]:
    """What is refused of a body is told by where it stands in it (RFC 6901). ``of``: of these parts alone.

    Raises: RequestInvalid, of which each fault has its pointer.
    """
    try:
        yield
    except RequestInvalid as refused:
        raise refused.placed(
            lambda where: f"#/{where.replace('.', '/')}" if of is None or where in of else where
        ) from refused


class ByHand(Wish):
    """A body with a ``reason``, which was once the ``note`` in some of them: as that it is taken still."""

    @model_validator(mode="before")
    @classmethod
    def _noted(cls, body: Any) -> Any:
        if isinstance(body, dict) and "note" in body and "reason" not in body:
            return {"reason" if name == "note" else name: value for name, value in body.items()}
        return body


async def misfits(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Names that nobody knows, and what can't be meant."""
    return await _found(call, sound, service="service_id")


async def misfits_of_some(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The same, where ``value`` may also mean several that the pool hands out."""
    several = {"units" if name == "value" else name: value for name, value in sound.items()}
    return await _found(call, several, service="service_id")


async def misfits_of_leaving(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The same, where the pool may be one that the BNG hands out."""
    leaving = {"leaving_pool" if name == "pool" else name: value for name, value in sound.items()}
    return await _found(call, leaving, service="service_id")


async def misfits_of_live(call: Call, sound: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The same, where the service must hold something still."""
    return await _found(call, sound, service="live_service_id")


async def _found(call: Call, sound: Mapping[str, Any], *, service: str) -> tuple[Fault, ...]:
    looked_at = {name: value for name, value in sound.items() if name in RequestParts.__optional_keys__}
    parts = {name: told for name, value in looked_at.items() if (told := _fitting(name, value)) is not None}
    in_address = str(call.request.path_params.get("service_id", ""))
    if in_address.isascii() and in_address.isdecimal():
        parts[service] = int(in_address)
    return await call.appliance.address_lookup(call.db).faults_in(cast(RequestParts, parts))


def _fitting(name: str, value: Any) -> Any:
    """The value in its type, as in an address or in JSON; None: it is of another one, which is a fault of its shape."""
    if name in NUMBERS:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            return int(value)
        return value if isinstance(value, int) else None
    is_some = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value if is_some == (name == "access_nodes") and isinstance(value, str | list) else None
