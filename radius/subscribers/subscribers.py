"""Subscribers as we want them: made once a request, moved from state to state, never half."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import case, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.encoder import safe_username
from radius.errors import (
    IllegalMove,
    RequestConflict,
    RequestRefused,
    SubscriberUnknown,
    TestingWindowOver,
    UsernameRefused,
    UsernameTaken,
)
from radius.plan_errors import PlanUnknown
from radius.plans.plans import find_plan, random_password
from radius.ports import Secrets
from radius.projection.projection import FramedAddresses, addresses_of, checked_addresses
from radius.states import State, may_become
from radius.subscribers.external_ids import external_id_faults, refuse_taken_number
from radius.subscribers.former_names import refuse_taken
from radius.subscribers.line_identity import LineIdentity, give_line
from radius.tables import Subscriber

PASSWORD_LENGTH = 20
MAX_ID = 2**63 - 1
MAX_REQUEST_ID_LENGTH = 200
LIVE_LAST = (case((Subscriber.state == "terminated", 0), else_=1), Subscriber.id)
"""Of the subscribers that had one name, the one whose rows stand under it comes last."""


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
        said = asdict(self)
        if self.external_id is None:
            del said["external_id"]
        said["addresses"] = {name: value for name, value in said["addresses"].items() if value != ()}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


async def _refuse_what_cannot_be_kept(
    db: AsyncSession, tenant_id: str, request: SubscriberRequest, request_id: str | None
) -> None:
    """
    Raises: UsernameRefused, where nothing else is wrong; RequestRefused with all that is wrong, an unknown plan too.
    """
    faults, unsafe = request.faults(request_id), None
    try:
        safe_username(request.username)
    except UsernameRefused as error:
        unsafe = error
        faults.append(str(error).rstrip("."))
    if not faults:
        return
    try:
        await find_plan(db, tenant_id, request.plan)
    except PlanUnknown as error:
        faults.append(str(error).rstrip("."))
    if unsafe is not None and len(faults) == 1:
        raise unsafe
    raise RequestRefused(faults)


async def create(
    db: AsyncSession,
    tenant_id: str,
    request: SubscriberRequest,
    request_id: str | None,
    *,
    secrets: Secrets,
    now: datetime,
) -> Subscriber:
    """A new subscriber in state pending with a sealed random password, or the one this request made before; one that
    was terminated since is pending again, with a new password.

    Raises:
        RequestRefused, UsernameRefused, ValueRefused, AddressConflict: it could not be kept or carried as it is. Of
            several faults the first of these, which names all.
        PlanUnknown, UsernameTaken, RequestConflict
    """
    await _refuse_what_cannot_be_kept(db, tenant_id, request, request_id)
    request = replace(request, addresses=checked_addresses(request.username, request.addresses))
    made_before = await _made_before(db, tenant_id, request, request_id)
    if made_before is not None and made_before.state == "terminated":
        return await _revived(db, made_before, request, secrets=secrets, now=now)
    if made_before is not None:
        return made_before
    plan = await find_plan(db, tenant_id, request.plan)
    subscriber = Subscriber(
        tenant_id=tenant_id,
        customer_id=request.customer_id,
        service_id=request.service_id,
        username=request.username,
        plan_id=plan.id,
        state="pending",
        external_id=request.external_id,
        request_id=request_id,
        version=1,
        created_at=now,
    )
    _bring_to(subscriber, request, now)
    try:
        await _refuse_taken(db, tenant_id, request)
        async with db.begin_nested():
            db.add(subscriber)
            await db.flush()  # the id names the secret, and the constraints' answer is needed now
            # whoever had the name until just now may have given it up in a transaction that has ended since
            await refuse_taken(db, tenant_id, request.customer_id, request.username, asker=subscriber.id)
    except (UsernameTaken, IntegrityError) as exc:
        return await _made_meanwhile(db, tenant_id, request, request_id, exc)
    await secrets.seal(db, subscriber.password_ref, random_password(PASSWORD_LENGTH))
    return subscriber


def _bring_to(subscriber: Subscriber, request: SubscriberRequest, now: datetime) -> None:
    """What the request said last; a service that comes back to life may have got other addresses."""
    _give(subscriber, request.addresses)
    subscriber.request_fingerprint = request.fingerprint
    subscriber.updated_at = now


def _give(subscriber: Subscriber, addresses: FramedAddresses) -> None:
    subscriber.framed_ipv4 = addresses.ipv4
    subscriber.framed_pool = addresses.ipv4_pool
    subscriber.ipv6_wan_prefix = addresses.ipv6_wan_prefix
    subscriber.delegated_prefix = addresses.delegated_prefix
    subscriber.framed_routes = "\n".join(addresses.routes)
    subscriber.framed_ipv6_routes = "\n".join(addresses.ipv6_routes)


async def give_addresses(db: AsyncSession, subscriber: Subscriber, addresses: FramedAddresses, now: datetime) -> None:
    """Let a locked subscriber's line have these addresses from its next login on; nothing happens when it has them.

    Raises:
        ValueRefused, AddressConflict: FreeRADIUS could not carry them.
    """
    wanted = checked_addresses(subscriber.username, addresses)
    if addresses_of(subscriber) == wanted:
        return
    _give(subscriber, wanted)
    subscriber.version += 1
    subscriber.updated_at = now
    await db.flush()  # later reads in this transaction must see it: autoflush is off


async def _revived(
    db: AsyncSession, subscriber: Subscriber, request: SubscriberRequest, *, secrets: Secrets, now: datetime
) -> Subscriber:
    """A terminated subscriber, pending again: its former password is forgotten, so it gets a new one.

    Raises:
        UsernameTaken, ExternalIdTaken: the name, or the ISP's own number of it, was given away since.
        PlanUnknown
    """
    plan = await find_plan(db, subscriber.tenant_id, request.plan)
    tenant_id, password_ref, had_number = subscriber.tenant_id, subscriber.password_ref, subscriber.external_id
    await _refuse_taken(db, tenant_id, request)
    try:
        async with db.begin_nested():
            subscriber.state, subscriber.plan_id = "pending", plan.id
            give_line(subscriber, LineIdentity(), logs_in=False)
            subscriber.version += 1
            _bring_to(subscriber, request, now)
            await db.flush()  # the constraints' answer is needed now
    except IntegrityError as exc:
        await refuse_taken_number(db, tenant_id, had_number)
        await _refuse_taken(db, tenant_id, request)
        raise UsernameTaken(request.username, customer_id=request.customer_id, owner=None, state=None) from exc
    await secrets.seal(db, password_ref, random_password(PASSWORD_LENGTH))
    return subscriber


async def locked(db: AsyncSession, tenant_id: str, subscriber_id: int) -> Subscriber:
    """The subscriber, held until the transaction ends, or ``SubscriberUnknown``."""
    return await _one(db, tenant_id, subscriber_id, lock=True)


async def found(db: AsyncSession, tenant_id: str, subscriber_id: int) -> Subscriber:
    """The subscriber, or ``SubscriberUnknown``."""
    return await _one(db, tenant_id, subscriber_id, lock=False)


async def owner_of(db: AsyncSession, tenant_id: str, username: str) -> Subscriber:
    """Whose rows stand under a username: the subscriber who is not terminated, else the last one there was; or
    ``SubscriberUnknown``."""
    had_it = select(Subscriber).where(Subscriber.tenant_id == tenant_id, Subscriber.username == username)
    owner = await db.scalar(had_it.order_by(*(rank.desc() for rank in LIVE_LAST)).limit(1))
    if owner is None:
        raise SubscriberUnknown(username)
    return owner


async def owners(db: AsyncSession, tenant_id: str, *, unprojected: bool) -> dict[str, int]:
    """By username the subscriber whose rows stand under it, as ``owner_of``; or only those who are still to be
    projected."""
    behind = or_(Subscriber.projected_version.is_(None), Subscriber.projected_version != Subscriber.version)
    mine = select(Subscriber.username, Subscriber.id, behind).where(Subscriber.tenant_id == tenant_id)
    if unprojected:
        changed = select(Subscriber.username).where(Subscriber.tenant_id == tenant_id, behind)
        mine = mine.where(Subscriber.username.in_(changed))
    found = await db.execute(mine.order_by(*LIVE_LAST))
    last = {username: (subscriber_id, is_behind) for username, subscriber_id, is_behind in found}
    return {name: subscriber_id for name, (subscriber_id, is_behind) in last.items() if is_behind or not unprojected}


async def move(
    db: AsyncSession, subscriber: Subscriber, wanted: State, *, now: datetime, until: datetime | None = None
) -> None:
    """Bring a locked subscriber to a state; nothing happens when it is there. ``until`` belongs to testing.

    Raises:
        IllegalMove: that state cannot follow its own.
        TestingWindowOver: ``until`` is over.
    """
    if not may_become(subscriber.state, wanted):
        raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted=wanted)
    if (subscriber.state, subscriber.testing_until) == (wanted, until):
        return
    if until is not None and until <= now:
        raise TestingWindowOver(subscriber.username, f"{until:%Y-%m-%d %H:%M} UTC")
    subscriber.state = wanted
    subscriber.garden_plan_id = subscriber.capped_plan_id = None
    subscriber.testing_until = until
    subscriber.version += 1
    subscriber.updated_at = now
    await db.flush()  # later reads in this transaction must see it: autoflush is off


async def _one(db: AsyncSession, tenant_id: str, subscriber_id: int, *, lock: bool) -> Subscriber:
    if not 1 <= subscriber_id <= MAX_ID:
        raise SubscriberUnknown(subscriber_id)
    mine = select(Subscriber).where(Subscriber.tenant_id == tenant_id, Subscriber.id == subscriber_id)
    # a row that was read earlier in this transaction may have changed before its lock was had
    mine = mine.with_for_update().execution_options(populate_existing=True) if lock else mine
    subscriber = await db.scalar(mine)
    if subscriber is None:
        raise SubscriberUnknown(subscriber_id)
    return subscriber


async def _made_before(
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


async def _made_meanwhile(
    db: AsyncSession,
    tenant_id: str,
    request: SubscriberRequest,
    request_id: str | None,
    exc: UsernameTaken | IntegrityError,
) -> Subscriber:
    """Somebody else was first, perhaps just now: it was the same request, or it took the name or the number."""
    twin = await _made_before(db, tenant_id, request, request_id)
    if twin is not None:
        return twin
    await refuse_taken_number(db, tenant_id, request.external_id)
    await _refuse_taken(db, tenant_id, request)
    # nobody we may see has it: it is another tenant's
    raise UsernameTaken(request.username, customer_id=request.customer_id, owner=None, state=None) from exc


async def _refuse_taken(db: AsyncSession, tenant_id: str, request: SubscriberRequest) -> None:
    await refuse_taken(db, tenant_id, request.customer_id, request.username)
