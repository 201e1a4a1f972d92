"""Subscribers as we want them: made once a request, moved from state to state, never half."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import case, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.errors import IllegalMove, SubscriberUnknown, TestingWindowOver, UsernameTaken
from radius.lists import among
from radius.plan_errors import PlanUnknown
from radius.plans.plans import find_plan, random_password
from radius.ports import Secrets
from radius.projection.projection import FramedAddresses, addresses_of, checked_addresses
from radius.states import State, may_become
from radius.subscribers.external_ids import refuse_taken_number
from radius.subscribers.former_names import given_again, refuse_taken
from radius.subscribers.line_identity import LineIdentity, give_line
from radius.subscribers.requests import (
    MAX_ID,
    SubscriberRequest,
    made_before,
    refuse_all,
    refuse_what_cannot_be_kept,
)
from radius.tables import Plan, Subscriber, password_hash_ref_of, password_ref_of

PASSWORD_LENGTH = 20
LIVE_LAST = (case((Subscriber.state == "terminated", 0), else_=1), Subscriber.id)
"""Of the subscribers that had one name, the one whose rows stand under it comes last."""


async def create(
    db: AsyncSession,
    tenant_id: str,
    request: SubscriberRequest,
    request_id: str | None,
    *,
    secrets: Secrets,
    now: datetime,
    also_wrong: Sequence[str] = (),
) -> Subscriber:
    """A new subscriber in state pending with a sealed random password, or the one this request made before; one that
    was terminated since is pending again, with a new password. ``also_wrong`` is what the caller has found wrong.

    Raises:
        RequestRefused: a number or id could not be kept, or several things are wrong; it names them all.
        UsernameRefused, ValueRefused, AddressConflict, PlanUnknown, UsernameTaken, ExternalIdTaken: nothing else is.
        RequestConflict
    """
    await refuse_what_cannot_be_kept(db, tenant_id, request, request_id, also_wrong)
    request = replace(request, addresses=checked_addresses(request.username, request.addresses))
    earlier = await made_before(db, tenant_id, request, request_id)
    if earlier is not None and earlier.state == "terminated":
        return await _revived(db, earlier, request, secrets=secrets, now=now)
    if earlier is not None:
        return earlier
    plan = await _plan_of(db, tenant_id, request, request_id)
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
        await refuse_taken(db, tenant_id, request.customer_id, request.username)
        async with db.begin_nested():
            db.add(subscriber)
            await db.flush()  # the id names the secret, and the constraints' answer is needed now
            # whoever had the name until just now may have given it up in a transaction that has ended since
            await refuse_taken(db, tenant_id, request.customer_id, request.username, asker=subscriber.id)
    except (UsernameTaken, IntegrityError) as exc:
        return await _made_meanwhile(db, tenant_id, request, request_id, exc)
    await secrets.seal(db, subscriber.password_ref, random_password(PASSWORD_LENGTH))
    return subscriber


async def _plan_of(db: AsyncSession, tenant_id: str, request: SubscriberRequest, request_id: str | None) -> Plan:
    """
    Raises: PlanUnknown, where nothing else is wrong; RequestRefused with all that is.
    """
    try:
        return await find_plan(db, tenant_id, request.plan)
    except PlanUnknown:
        await refuse_all(db, tenant_id, request, request_id)
        raise


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
    if readdressed(subscriber, addresses, now):
        await db.flush()  # later reads in this transaction must see it: autoflush is off


def readdressed(subscriber: Subscriber, addresses: FramedAddresses, now: datetime) -> bool:
    """The same, for whom it is flushed with others: whether it has not had them already."""
    wanted = checked_addresses(subscriber.username, addresses)
    if addresses_of(subscriber) == wanted:
        return False
    _give(subscriber, wanted)
    subscriber.version += 1
    subscriber.updated_at = now
    return True


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
    await refuse_taken(db, tenant_id, request.customer_id, request.username)
    try:
        async with db.begin_nested():
            subscriber.state, subscriber.plan_id = "pending", plan.id
            give_line(subscriber, LineIdentity(), logs_in=False)
            subscriber.password_hash_kind = None
            subscriber.version += 1
            _bring_to(subscriber, request, now)
            await db.flush()  # the constraints' answer is needed now
    except IntegrityError as exc:
        await refuse_taken_number(db, tenant_id, had_number)
        await refuse_taken(db, tenant_id, request.customer_id, request.username)
        raise UsernameTaken(request.username, customer_id=request.customer_id, owner=None, state=None) from exc
    await given_again(db, subscriber, now=now)
    await secrets.seal(db, password_ref, random_password(PASSWORD_LENGTH))
    return subscriber


async def locked(db: AsyncSession, tenant_id: str, subscriber_id: int) -> Subscriber:
    """The subscriber, held until the transaction ends, or ``SubscriberUnknown``."""
    return await _one(db, tenant_id, subscriber_id, lock=True)


async def locked_of_services(db: AsyncSession, tenant_id: str, service_ids: Sequence[int]) -> list[Subscriber]:
    """Those who are, or are to be, served with one of these services, held until the transaction ends."""
    theirs = (Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated")
    held = select(Subscriber).where(*theirs, among(db, Subscriber.service_id, service_ids)).order_by(Subscriber.id)
    return list(await db.scalars(held.with_for_update().execution_options(populate_existing=True)))


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


async def owners_of_each(db: AsyncSession, tenant_id: str, usernames: Collection[str]) -> dict[str, int]:
    """By username its ``owner_of``; names that nobody has are left out."""
    columns = select(Subscriber.username, Subscriber.id).where(Subscriber.tenant_id == tenant_id)
    had = columns.where(among(db, Subscriber.username, usernames)).order_by(*LIVE_LAST)
    return {username: subscriber_id for username, subscriber_id in await db.execute(had)}


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


async def give_password(db: AsyncSession, subscriber: Subscriber, password: str, *, secrets: Secrets) -> None:
    """Seal a locked subscriber's password where the former one was; what was known of that as a hash is forgotten."""
    if subscriber.password_hash_kind is not None:
        subscriber.password_hash_kind = None
        await secrets.discard(db, password_hash_ref_of(subscriber.id))
    await secrets.seal(db, subscriber.password_ref, password)


async def forget_password(db: AsyncSession, subscriber_id: int, *, secrets: Secrets) -> None:
    """Forget a subscriber's password, and a hash of it that was all we knew."""
    await secrets.discard(db, password_ref_of(subscriber_id))
    await secrets.discard(db, password_hash_ref_of(subscriber_id))


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


async def _made_meanwhile(
    db: AsyncSession,
    tenant_id: str,
    request: SubscriberRequest,
    request_id: str | None,
    exc: UsernameTaken | IntegrityError,
) -> Subscriber:
    """Somebody else was first, perhaps just now: it was the same request, or it took the name or the number."""
    twin = await made_before(db, tenant_id, request, request_id)
    if twin is not None:
        return twin
    await refuse_taken_number(db, tenant_id, request.external_id)
    await refuse_taken(db, tenant_id, request.customer_id, request.username)
    # nobody we may see has it: it is another tenant's
    raise UsernameTaken(request.username, customer_id=request.customer_id, owner=None, state=None) from exc
