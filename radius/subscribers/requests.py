"""What is asked for when a subscriber is made: what is wrong with it, all at once, and whether it was asked before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.encoder import safe_username
from radius.errors import EncodingRefused, RadiusError, RequestConflict, RequestRefused, UsernameRefused, UsernameTaken
from radius.plan_errors import PlanUnknown
from radius.plans.plans import find_plan
from radius.projection.projection import FramedAddresses, checked_addresses
from radius.subscribers.external_ids import external_id_faults, refuse_taken_number
from radius.subscribers.former_names import refuse_taken
from radius.tables import Subscriber
from radius.verb_errors import ExternalIdTaken

MAX_ID = 2**63 - 1
MAX_REQUEST_ID_LENGTH = 200


@dataclass(frozen=True)
class SubscriberRequest:
    """What is asked for when a subscriber is made."""

    customer_id: int
    username: str
    plan: str
    service_id: int | None
    addresses: FramedAddresses
    external_id: str | None = None

    def faults(self, request_id: str | None) -> list[str]:
        """Everything wrong with the numbers of this request and with its id, in plain phrases."""
        numbers = (("customer_id", self.customer_id), ("service_id", self.service_id))
        faults = [
            f"{name} is {value}, not between 1 and {MAX_ID}"
            for name, value in numbers
            if value is not None and not 1 <= value <= MAX_ID
        ]
        if request_id is not None and not (request_id.isprintable() and 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH):
            faults.append(f"its request id needs 1 to {MAX_REQUEST_ID_LENGTH} characters that can be seen")
        return faults + external_id_faults(self.external_id)

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests: how a repeated request is told from another one under the same id.

        Routes and an external id that there are none of don't count, so that requests from before are known again."""
        said = dict(vars(self))  # for who brings in thousands, `asdict` takes longer than all the rest
        if self.external_id is None:
            del said["external_id"]
        said["addresses"] = {name: value for name, value in vars(self.addresses).items() if value != ()}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


async def refuse_what_cannot_be_kept(
    db: AsyncSession, tenant_id: str, request: SubscriberRequest, request_id: str | None, also_wrong: Sequence[str]
) -> None:
    """Nothing is looked up for a request that is right by itself.

    Raises: as ``refuse_all``.
    """
    if also_wrong or request.faults(request_id) or any(True for _ in _unsound(request)):
        await refuse_all(db, tenant_id, request, request_id, also_wrong)


async def refuse_all(
    db: AsyncSession,
    tenant_id: str,
    request: SubscriberRequest,
    request_id: str | None,
    also_wrong: Sequence[str] = (),
) -> None:
    """
    Raises:
        UsernameRefused, ValueRefused, AddressConflict, PlanUnknown, UsernameTaken, ExternalIdTaken: that alone is.
        RequestConflict: that alone is; its request id was another request's.
        RequestRefused: with all that is wrong.
    """
    faults, alone = [*also_wrong, *request.faults(request_id)], list[RadiusError](_unsound(request))
    try:
        await find_plan(db, tenant_id, request.plan)
    except PlanUnknown as error:
        alone.append(error)
    alone += await _taken(db, tenant_id, request, request_id)
    if not faults and len(alone) == 1:
        raise alone[0]
    faults += [str(error).rstrip(".") for error in alone]
    if faults:
        raise RequestRefused(faults)


def _unsound(request: SubscriberRequest) -> Iterator[EncodingRefused]:
    """What FreeRADIUS could not carry."""
    try:
        safe_username(request.username)
    except UsernameRefused as error:
        yield error
        return  # an address is told of under a name
    try:
        checked_addresses(request.username, request.addresses)
    except EncodingRefused as error:
        yield error


async def _taken(
    db: AsyncSession, tenant_id: str, request: SubscriberRequest, request_id: str | None
) -> list[RadiusError]:
    """The name and the number that somebody else has; of what this very request made, none."""
    taken: list[RadiusError] = []
    number_is_sound = not external_id_faults(request.external_id)
    try:
        safe_username(request.username)
        if not request.faults(request_id) and await made_before(db, tenant_id, request, request_id) is not None:
            return []
        await refuse_taken(db, tenant_id, request.customer_id, request.username)
    except (UsernameTaken, RequestConflict) as error:
        taken.append(error)
    except UsernameRefused:
        pass  # nobody can have it
    try:
        await refuse_taken_number(db, tenant_id, request.external_id if number_is_sound else None)
    except ExternalIdTaken as error:
        taken.append(error)
    return taken


async def made_before(
    db: AsyncSession, tenant_id: str, request: SubscriberRequest, request_id: str | None
) -> Subscriber | None:
    """What the same request made: found by its id, or, without one, by all it said."""
    mine = select(Subscriber).where(Subscriber.tenant_id == tenant_id)
    if request_id is not None:
        # held, so that a termination at the same time comes before this answer or after it
        mine = mine.with_for_update().execution_options(populate_existing=True)
        earlier = await db.scalar(mine.where(Subscriber.request_id == request_id))
        if earlier is not None and not _same_request(earlier, request):
            raise RequestConflict(request_id)
        return earlier
    return await db.scalar(
        mine.where(
            Subscriber.username == request.username,
            Subscriber.state != "terminated",
            Subscriber.request_id.is_(None),
            Subscriber.request_fingerprint == request.fingerprint,
        )
    )


def _same_request(earlier: Subscriber, request: SubscriberRequest) -> bool:
    """True for what was asked before; of a terminated subscriber only the addresses and the plan, which may have been
    changed while it was served, may be others by now."""
    if earlier.state != "terminated":
        return earlier.request_fingerprint == request.fingerprint
    asked = (request.customer_id, request.service_id, request.username)
    return (earlier.customer_id, earlier.service_id, earlier.username) == asked
