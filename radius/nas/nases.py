"""NASes as we want them, and how the passwords are kept that their subscribers log in with: validated, counted up with
every change, written to our tables only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Select, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS
from radius.errors import PasswordStorageRefused
from radius.nas.telling import refuse_lost_lines
from radius.nas.terms import NasChange, NasTerms, is_address, nas_faults, terms_of_nas
from radius.nas_errors import (
    DialectUnknown,
    NasAddressTaken,
    NasError,
    NasNameTaken,
    NasRefused,
    NasUnknown,
    NothingToAdopt,
)
from radius.plans.plans import count_up, inserted, one_definition_at_a_time, random_password, refuse_unsayable
from radius.plans.terms import terms_of
from radius.ports import Secrets
from radius.subscribers.password_storage import LOGIN_METHODS, PasswordStorage, uncheckable
from radius.tables import Nas, Plan, RadiusEstate, Subscriber

NAS_SECRET_LENGTH = 32

_STORAGES: Mapping[str, PasswordStorage] = {storage: storage for storage in get_args(PasswordStorage)}


async def define_nas(
    db: AsyncSession,
    tenant_id: str,
    name: str,
    terms: NasTerms,
    secret: str | None,
    *,
    secrets: Secrets,
    now: datetime,
    pairs_later: bool = False,
) -> Nas:
    """Make a NAS, or bring it to these terms. Without ``secret`` a new NAS gets a random one and an old one keeps its
    own. ``pairs_later``: the caller asks ``refuse_unsayable_pairs`` and ``refuse_lost_lines`` at its end.

    Raises:
        NasRefused: a name, address, port or secret that cannot be meant; where anything else is wrong, that as well.
        DialectUnknown, NasAddressTaken: nothing else is wrong.
        RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a plan there is could not be said in that
            dialect.
        NasLinesInUse: no NAS would tell of the lines by which subscribers log in.
    """
    await one_definition_at_a_time(db, tenant_id)
    await _refuse_whole(db, tenant_id, name, terms, secret, secrets)
    if not pairs_later:
        plans = await db.scalars(select(Plan).where(Plan.tenant_id == tenant_id).order_by(Plan.name))
        refuse_unsayable({plan.name: terms_of(plan) for plan in plans}, [terms.dialect])
    mine = _held(tenant_id, name)
    nas = await db.scalar(mine)
    if nas is None:
        nas = Nas(tenant_id=tenant_id, name=name, created_at=now, updated_at=now, version=1, **terms.columns)
        if await inserted(db, nas):
            await secrets.seal(db, nas.secret_ref, secret or random_password(NAS_SECRET_LENGTH))
            return nas
        nas = await db.scalar(mine)
        if nas is None:
            raise NasAddressTaken(name, terms.address)
    told_before = [name] if nas.lines else []
    await _bring_nas_to(db, nas, terms, secret, secrets=secrets, now=now)
    if not pairs_later:
        await refuse_lost_lines(db, tenant_id, told_before)
    return nas


async def _refuse_whole(
    db: AsyncSession,
    tenant_id: str,
    name: str,
    terms: NasTerms,
    secret: str | None,
    secrets: Secrets,
    *,
    name_taken: NasNameTaken | None = None,
) -> None:
    """
    Raises: NasRefused with all that is wrong; DialectUnknown, NasAddressTaken, NasNameTaken where it is that alone.
    """
    faults = [*nas_faults(name, terms, secret), *unfit_methods(terms, await password_storage(db, tenant_id))]
    faults += [] if secret is None else await _shared(db, tenant_id, name, secret, secrets)
    faults += [phrase for _, phrase in await called_as_another(db, tenant_id, name, terms)]
    alone: list[NasError] = [] if name_taken is None else [name_taken]
    alone += [NasAddressTaken(name, terms.address)] if await is_taken(db, tenant_id, name, terms.address) else []
    alone += [] if terms.dialect in DIALECTS else [DialectUnknown(terms.dialect, DIALECTS)]
    if not faults and len(alone) == 1:
        raise alone[0]
    faults += [str(error).rstrip(".") for error in alone]
    if faults:
        raise NasRefused(name, faults)


async def is_taken(db: AsyncSession, tenant_id: str, name: str, address: str) -> bool:
    """Whether another NAS has the address."""
    if not is_address(address):
        return False
    holder = await db.scalar(select(Nas.name).where(Nas.tenant_id == tenant_id, Nas.address == address))
    return holder not in (None, name)


async def called_as_another(db: AsyncSession, tenant_id: str, name: str, terms: NasTerms) -> list[tuple[str, str]]:
    """Why it can't be told from another NAS by what the one or the other calls itself, each with the part that it is
    of. What two of them call themselves may be the same: each is known by the address of its packets."""
    faults = []
    every = await db.scalars(select(Nas).where(Nas.tenant_id == tenant_id).order_by(Nas.name))
    for other in every:
        if other.name == name:  # which no query is asked with: it may hold what PostgreSQL has no text for
            continue
        if other.address in terms.calls_itself:
            faults.append(
                ("calls_itself", f"it calls itself {other.address}, which is the address of NAS {other.name}")
            )
        if terms.address in other.calls_itself.split():
            faults.append(("address", f"its address {terms.address} is what NAS {other.name} calls itself"))
    return faults


async def add_nas(
    db: AsyncSession, tenant_id: str, name: str, terms: NasTerms, *, secrets: Secrets, now: datetime
) -> tuple[Nas, bool]:
    """A new NAS with a random secret, or the one that there is on just these terms; whether it is new.

    Raises:
        NasNameTaken: there is one of that name on other terms, and nothing else is wrong.
        As ``define_nas``.
    """
    await one_definition_at_a_time(db, tenant_id)
    earlier = await db.scalar(_nas_of(tenant_id, name))
    if earlier is None:
        return await define_nas(db, tenant_id, name, terms, None, secrets=secrets, now=now), True
    if terms_of_nas(earlier) != terms:
        other = NasNameTaken(name, earlier.address)
        await _refuse_whole(db, tenant_id, name, terms, None, secrets, name_taken=other)
    return earlier, False


async def change_nas(db: AsyncSession, nas: Nas, said: NasChange, *, secrets: Secrets, now: datetime) -> Nas:
    """Bring a NAS that is held (``hold_nas``) to what is said of it; the rest stays as it is, its secret too.

    Raises:
        As ``define_nas``.
    """
    before = terms_of_nas(nas)
    whole: dict[str, Any] = {**said, "coa": replace(before.coa, **said.get("coa", {}))}
    return await define_nas(db, nas.tenant_id, nas.name, replace(before, **whole), None, secrets=secrets, now=now)


async def nas_named(db: AsyncSession, tenant_id: str, name: str) -> Nas:
    """The NAS of that name, or ``NasUnknown``."""
    nas = await db.scalar(_nas_of(tenant_id, name))
    if nas is None:
        raise await _unknown(db, tenant_id, name)
    return nas


async def hold_nas(db: AsyncSession, tenant_id: str, name: str) -> Nas:
    """The same as it stands now, and nobody else changes it until the transaction ends."""
    await one_definition_at_a_time(db, tenant_id)
    nas = await db.scalar(_held(tenant_id, name))  # a secret is rotated without that lock, but not without the row's
    if nas is None:
        raise await _unknown(db, tenant_id, name)
    return nas


async def rotate_secret(db: AsyncSession, tenant_id: str, name: str, *, secrets: Secrets, now: datetime) -> Nas:
    """Another random secret for a NAS, sealed where the former one was.

    Raises:
        NasUnknown
    """
    nas = await db.scalar(_held(tenant_id, name))
    if nas is None:
        raise await _unknown(db, tenant_id, name)
    await secrets.seal(db, nas.secret_ref, random_password(NAS_SECRET_LENGTH))
    await count_up(db, nas, now)
    return nas


async def adopt(
    db: AsyncSession,
    tenant_id: str,
    name: str,
    secret_at: Callable[[str], Awaitable[str | None]],
    *,
    secrets: Secrets,
    now: datetime,
) -> tuple[Nas, bool]:
    """Let a NAS have the secret by which FreeRADIUS knows it already (``secret_at`` its address; None: its row there is
    ours), and its row there be ours; whether it was not so before.

    Raises:
        NasUnknown, NothingToAdopt, and what else ``secret_at`` raises.
    """
    address = (await nas_named(db, tenant_id, name)).address
    secret = await secret_at(address)  # before anything is locked: it asks another database
    nas = await db.scalar(_held(tenant_id, name))
    if nas is None:
        raise await _unknown(db, tenant_id, name)
    if nas.address != address:
        raise NothingToAdopt(address, f"NAS {name} was given another address just now")
    if secret is None:
        return nas, False
    if nas.adopted_address == nas.address and secret == await secrets.reveal(db, nas.secret_ref):
        return nas, False
    await secrets.seal(db, nas.secret_ref, secret)
    nas.adopted_address = nas.address
    await count_up(db, nas, now)
    return nas, True


async def _unknown(db: AsyncSession, tenant_id: str, name: str) -> NasUnknown:
    return NasUnknown(name, await db.scalars(select(Nas.name).where(Nas.tenant_id == tenant_id)))


def _nas_of(tenant_id: str, name: str) -> Select[Nas]:
    return select(Nas).where(Nas.tenant_id == tenant_id, Nas.name == name)


def _held(tenant_id: str, name: str) -> Select[Nas]:
    """The same as it stands by now, whatever this transaction has read of it before."""
    return _nas_of(tenant_id, name).with_for_update().execution_options(populate_existing=True)


async def _bring_nas_to(
    db: AsyncSession, nas: Nas, terms: NasTerms, secret: str | None, *, secrets: Secrets, now: datetime
) -> None:
    new_secret = secret is not None and secret != await secrets.reveal(db, nas.secret_ref)
    if terms_of_nas(nas) == terms and not new_secret:
        return
    if new_secret and secret is not None:
        await secrets.seal(db, nas.secret_ref, secret)
    name = nas.name
    try:
        async with db.begin_nested():
            if terms.address != nas.address:
                nas.adopted_address = None
            for column, value in terms.columns.items():
                setattr(nas, column, value)
            await count_up(db, nas, now)
    except IntegrityError as exc:
        raise NasAddressTaken(name, terms.address) from exc


async def password_storage(db: AsyncSession, tenant_id: str) -> PasswordStorage:
    """How FreeRADIUS keeps this tenant's passwords; cleartext where nobody has said it.

    Raises:
        PasswordStorageRefused: in a way that this release does not know.
    """
    found = select(RadiusEstate.password_storage).where(RadiusEstate.tenant_id == tenant_id)
    kept = await db.scalar(found)
    return "cleartext" if kept is None else _storage(kept)


def _storage(named: str) -> PasswordStorage:
    if named not in _STORAGES:
        raise PasswordStorageRefused([f"it is {named[:40]!r}, not one of {', '.join(_STORAGES)}"])
    return _STORAGES[named]


async def define_password_storage(db: AsyncSession, tenant_id: str, storage: str, now: datetime) -> None:
    """Let FreeRADIUS keep every password like this from the next projection on; nothing happens when it does.

    Raises:
        PasswordStorageRefused: there is no such way, or a NAS lets its subscribers log in by what could not be checked
            then, or a subscriber's password is known as another hash alone; all of them at once.
    """
    await one_definition_at_a_time(db, tenant_id)
    wanted = _storage(storage)
    nases = await db.scalars(select(Nas).where(Nas.tenant_id == tenant_id).order_by(Nas.name))
    faults = [f"at NAS {nas.name} {fault}" for nas in nases for fault in unfit_methods(terms_of_nas(nas), wanted)]
    faults += await _only_hashed(db, tenant_id, wanted)
    if faults:
        raise PasswordStorageRefused(faults)
    if await password_storage(db, tenant_id) == wanted:
        return
    await db.merge(RadiusEstate(tenant_id=tenant_id, password_storage=wanted, updated_at=now))
    await db.execute(
        update(Subscriber)
        .where(Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated")
        .values(version=Subscriber.version + 1, updated_at=now)
        .execution_options(synchronize_session="fetch")
    )
    await db.flush()  # later reads in this transaction must see it: autoflush is off


async def _only_hashed(db: AsyncSession, tenant_id: str, wanted: PasswordStorage) -> list[str]:
    """A hash cannot be made into another one, nor into the password."""
    others = select(Subscriber.password_hash_kind, func.count(), func.min(Subscriber.username)).where(
        Subscriber.tenant_id == tenant_id,
        Subscriber.state != "terminated",
        Subscriber.password_hash_kind.is_not(None),
        Subscriber.password_hash_kind != wanted,
    )
    found = await db.execute(others.group_by(Subscriber.password_hash_kind))
    return [
        f"of {count} subscribers ({first}{', ...' if count > 1 else ''}) only a hash of the password is known, kept as"
        f" {kind}: rotate their passwords first (`firstlight subscribers list --only-hash` names them)"
        for kind, count, first in found
    ]


def unfit_methods(terms: NasTerms, storage: PasswordStorage) -> Iterable[str]:
    """Why nobody could log in by some of its methods."""
    methods = set(terms.login_methods) & set(LOGIN_METHODS)
    for method in uncheckable(storage, methods):
        yield f"nobody could log in by {method}: passwords are kept as {storage}, and that cannot be checked against it"


async def _shared(db: AsyncSession, tenant_id: str, name: str, secret: str, secrets: Secrets) -> list[str]:
    """Who has the secret of one NAS could speak for another."""
    every = await db.scalars(select(Nas).where(Nas.tenant_id == tenant_id).order_by(Nas.name))
    others = [nas for nas in every if nas.name != name]
    same = [nas.name for nas in others if await secrets.reveal(db, nas.secret_ref) == secret]
    return [f"its secret is that of {', '.join(same)}: each NAS needs one of its own"] if same else []
