"""Names that subscribers gave up for others: whose they were, and whether a session may still be open under them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.errors import UsernameTaken
from radius.lists import among
from radius.tables import FormerUsername, Subscriber

ASKED_FOR = "firstlight.usernames"
"""The PostgreSQL setting that lets names be seen across tenants (migration 0027)."""
IS_GIVEN_UP = FormerUsername.taken_back_at.is_(None)
"""Whether a former name is one still."""


async def give_up(db: AsyncSession, subscriber: Subscriber, former: str, *, now: datetime) -> None:
    """A locked subscriber has another name now than ``former``. One of its own that it took back is its name again."""
    mine = (FormerUsername.tenant_id == subscriber.tenant_id, FormerUsername.subscriber_id == subscriber.id)
    again = FormerUsername.username.in_([subscriber.username, former])
    await db.execute(update(FormerUsername).where(*mine, IS_GIVEN_UP, again).values(taken_back_at=now))
    db.add(
        FormerUsername(
            tenant_id=subscriber.tenant_id, subscriber_id=subscriber.id, username=former, given_up_at=now, free_at=None
        )
    )
    await db.flush()


async def given_again(db: AsyncSession, subscriber: Subscriber, *, now: datetime) -> None:
    """A locked subscriber that was terminated has its name anew. Who had it meanwhile keeps its sessions, and this one
    the later ones."""
    tenant_id, username = subscriber.tenant_id, subscriber.username
    has_it = select(Subscriber.id).where(Subscriber.tenant_id == tenant_id, Subscriber.username == username)
    # asked for the tenant as well, SQLite would read all names that its subscribers gave up
    gave_it_up = select(FormerUsername.subscriber_id, FormerUsername.tenant_id).where(
        FormerUsername.username == username
    )
    former = {number for number, tenant in await db.execute(gave_it_up) if tenant == tenant_id}
    others = {*await db.scalars(has_it), *former} - {subscriber.id}
    if not others:
        return
    db.add(
        FormerUsername(
            tenant_id=tenant_id,
            subscriber_id=subscriber.id,
            username=username,
            given_up_at=now,
            free_at=now,
            taken_back_at=now,
        )
    )
    await db.flush()


async def who_was(db: AsyncSession, tenant_id: str, username: str) -> int | None:
    """The subscriber that gave up this name last."""
    mine = (FormerUsername.tenant_id == tenant_id, FormerUsername.username == username, IS_GIVEN_UP)
    number: int | None = await db.scalar(
        select(FormerUsername.subscriber_id).where(*mine).order_by(FormerUsername.id.desc()).limit(1)
    )
    return number


async def given_up_by(db: AsyncSession, tenant_id: str, subscriber_ids: Collection[int]) -> dict[int, dict[str, bool]]:
    """By subscriber each name that it gave up, the first one first, and whether that is free; those who have given up
    none are left out."""
    mine = (FormerUsername.tenant_id == tenant_id, among(db, FormerUsername.subscriber_id, subscriber_ids), IS_GIVEN_UP)
    names = select(FormerUsername.subscriber_id, FormerUsername.username, FormerUsername.free_at.is_not(None))
    found: dict[int, dict[str, bool]] = {}
    for number, name, is_free in await db.execute(names.where(*mine).order_by(FormerUsername.id)):
        found.setdefault(number, {})[name] = bool(is_free)
    return found


async def nobody_elses(db: AsyncSession, tenant_id: str, subscriber_id: int) -> tuple[str, ...]:
    """Every name that a subscriber gave up and that nobody has taken since: what asks under it is its own."""
    theirs = (FormerUsername.tenant_id == tenant_id, FormerUsername.subscriber_id == subscriber_id, IS_GIVEN_UP)
    taken = select(Subscriber.id).where(Subscriber.username == FormerUsername.username)
    names = select(FormerUsername.username).where(*theirs, ~taken.exists())
    return tuple(await db.scalars(names.order_by(FormerUsername.id.desc())))


async def set_free(
    db: AsyncSession, tenant_id: str, subscriber_id: int, names: Collection[str], *, now: datetime
) -> set[str]:
    """No session is open under these any more. Returns those that are free from now on: for a name that somebody else
    has in hands nobody waits, who may be waiting for us."""
    mine = (FormerUsername.tenant_id == tenant_id, FormerUsername.subscriber_id == subscriber_id)
    given_up = (*mine, IS_GIVEN_UP, FormerUsername.username.in_(names), FormerUsername.free_at.is_(None))
    free = select(FormerUsername.id, FormerUsername.username).where(*given_up).with_for_update(skip_locked=True)
    found = {number: name for number, name in await db.execute(free)}
    await db.execute(update(FormerUsername).where(FormerUsername.id.in_(found)).values(free_at=now))
    return set(found.values())


async def hold_again(db: AsyncSession, subscriber: Subscriber, username: str) -> bool:
    """A session of a locked subscriber is open again under this name: if it gave it up and it counted as free, then it
    does no longer (True). Who takes the name at the same time keeps it, and whose a session is goes by its Class."""
    mine = (FormerUsername.tenant_id == subscriber.tenant_id, FormerUsername.subscriber_id == subscriber.id)
    given_up = select(FormerUsername).where(*mine, IS_GIVEN_UP, FormerUsername.username == username)
    # held first: somebody may be about to set it free
    found = await db.scalar(given_up.with_for_update().execution_options(populate_existing=True))
    if found is None or found.free_at is None:
        return False
    found.free_at = None
    await db.flush()
    return True


@asynccontextmanager
async def across_tenants(db: AsyncSession, usernames: Collection[str]) -> AsyncIterator[None]:
    """Within it whoever has or had one of these names is seen, whichever ISP's they are: on PostgreSQL a policy of
    row-level security asks for this setting, and shows a tenant its own rows otherwise.
    """
    if db.get_bind().dialect.name != "postgresql":
        yield
        return
    await db.execute(select(func.set_config(ASKED_FOR, " ".join(usernames), True)))
    yield
    await db.execute(select(func.set_config(ASKED_FOR, "", True)))


async def _who_gave_up(db: AsyncSession, username: str, *, besides: int | None) -> list[tuple[str, int, bool]]:
    """Who had a name and gave it up, ``besides`` one: the tenant, the customer (0: another tenant's), and whether the
    name is free by now."""
    had = (
        select(FormerUsername.tenant_id, Subscriber.customer_id, FormerUsername.free_at.is_not(None))
        .outerjoin(Subscriber, Subscriber.id == FormerUsername.subscriber_id)
        .where(FormerUsername.username == username, IS_GIVEN_UP)
    )
    if besides is not None:
        had = had.where(FormerUsername.subscriber_id != besides)
    return [(tenant_id, customer_id or 0, bool(is_free)) for tenant_id, customer_id, is_free in await db.execute(had)]


async def refuse_taken(
    db: AsyncSession, tenant_id: str, customer_id: int, username: str, *, asker: int | None = None
) -> None:
    """A name is free when nobody has it and nobody else ever had it: its sessions stay in the accounting. ``asker`` is
    who wants it, if it is there already.

    Raises:
        UsernameTaken
    """
    async with across_tenants(db, [username]):
        holders = await db.execute(
            select(Subscriber.tenant_id, Subscriber.customer_id, Subscriber.state)
            .where(Subscriber.username == username, Subscriber.id != (asker or 0))
            .order_by(Subscriber.id.desc())
        )
        owners: list[tuple[str, int, str, bool]] = [
            (tenant, customer, state, state == "terminated") for tenant, customer, state in holders
        ]
        for tenant, customer, is_free in await _who_gave_up(db, username, besides=asker):
            owners.append((tenant, customer, "renamed", is_free))
    for tenant, customer, state, is_free in owners:
        if (tenant, customer) != (tenant_id, customer_id) or not is_free:
            owner = customer if tenant == tenant_id else None
            raise UsernameTaken(username, customer_id=customer_id, owner=owner, state=state)
