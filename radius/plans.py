"""Plans and NASes as we want them: validated, counted up with every change, written to our tables only."""

from __future__ import annotations

import re
import secrets as randomness
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS, dialect_named
from radius.errors import (
    NasAddressTaken,
    NasRefused,
    PlanError,
    PlanRefused,
    PlanUnknown,
    RateNotExpressible,
    SeveralNotExpressible,
    TermsNotExpressible,
)
from radius.ports import Secrets
from radius.tables import Nas, Plan
from radius.terms import PlanTerms, columns_of, terms_of
from radius.wording import common_words, words_of

NAS_SECRET_LENGTH = 32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_NAS_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{16,64}")
_ALPHANUMERIC = string.ascii_letters + string.digits


def random_password(length: int) -> str:
    """Letters and digits only: safe in every table, every CPE and every telephone call."""
    return "".join(randomness.choice(_ALPHANUMERIC) for _ in range(length))


async def find_plan(db: AsyncSession, tenant_id: str, name: str) -> Plan:
    """The plan of that name, or ``PlanUnknown`` with the names there are."""
    known = select(Plan).where(Plan.tenant_id == tenant_id, Plan.name == name)
    plan = await db.scalar(known) if _NAME.fullmatch(name) else None
    if plan is None:
        raise PlanUnknown(name, await db.scalars(select(Plan.name).where(Plan.tenant_id == tenant_id)))
    return plan


async def define_plan(db: AsyncSession, tenant_id: str, name: str, terms: PlanTerms, now: datetime) -> Plan:
    """Make a plan, or bring it to these terms.

    Raises:
        PlanRefused: a name or term that cannot be meant; all faults at once.
        RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a NAS in use could not be told it.
    """
    faults = ([] if _NAME.fullmatch(name) else ["its name needs 1 to 60 of A-Z a-z 0-9 . _ -"]) + terms.faults()
    if faults:
        raise PlanRefused(name, faults)
    await _one_definition_at_a_time(db, tenant_id)
    in_use = await db.scalars(select(Nas.dialect).where(Nas.tenant_id == tenant_id).distinct())
    common_words(name, terms)
    _refuse_unsayable({name: terms}, list(in_use))
    mine = select(Plan).where(Plan.tenant_id == tenant_id, Plan.name == name).with_for_update()
    plan = await db.scalar(mine)
    if plan is None:
        plan = Plan(tenant_id=tenant_id, name=name, created_at=now, updated_at=now, version=1, **columns_of(terms))
        if await _inserted(db, plan):
            return plan
        plan = (await db.scalars(mine)).one()
    if terms_of(plan) != terms:
        for column, value in columns_of(terms).items():
            setattr(plan, column, value)
        await _count_up(db, plan, now)
    return plan


@dataclass(frozen=True)
class NasTerms:
    """Where a NAS is and how it is spoken to."""

    address: str
    dialect: str
    coa_port: int


async def define_nas(
    db: AsyncSession, tenant_id: str, name: str, terms: NasTerms, secret: str | None, *, secrets: Secrets, now: datetime
) -> Nas:
    """Make a NAS, or bring it to these terms. Without ``secret`` a new NAS gets a random one and an old one keeps its
    own.

    Raises:
        NasRefused: a name, address, port or secret that cannot be meant; all faults at once.
        DialectUnknown, NasAddressTaken
        RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a plan there is could not be said in that
            dialect.
    """
    dialect_named(terms.dialect)
    faults = list(_nas_faults(name, terms, secret))
    if faults:
        raise NasRefused(name, faults)
    await _one_definition_at_a_time(db, tenant_id)
    plans = await db.scalars(select(Plan).where(Plan.tenant_id == tenant_id).order_by(Plan.name))
    _refuse_unsayable({plan.name: terms_of(plan) for plan in plans}, [terms.dialect])
    mine = select(Nas).where(Nas.tenant_id == tenant_id, Nas.name == name).with_for_update()
    nas = await db.scalar(mine)
    if nas is None:
        nas = Nas(tenant_id=tenant_id, name=name, created_at=now, updated_at=now, version=1, **vars(terms))
        if await _inserted(db, nas):
            await secrets.seal(db, nas.secret_ref, secret or random_password(NAS_SECRET_LENGTH))
            return nas
        nas = await db.scalar(mine)
        if nas is None:
            raise NasAddressTaken(name, terms.address)
    await _bring_nas_to(db, nas, terms, secret, secrets=secrets, now=now)
    return nas


async def _bring_nas_to(
    db: AsyncSession, nas: Nas, terms: NasTerms, secret: str | None, *, secrets: Secrets, now: datetime
) -> None:
    new_secret = secret is not None and secret != await secrets.reveal(db, nas.secret_ref)
    if NasTerms(address=nas.address, dialect=nas.dialect, coa_port=nas.coa_port) == terms and not new_secret:
        return
    if new_secret and secret is not None:
        await secrets.seal(db, nas.secret_ref, secret)
    name = nas.name
    try:
        async with db.begin_nested():
            for column, value in vars(terms).items():
                setattr(nas, column, value)
            await _count_up(db, nas, now)
    except IntegrityError as exc:
        raise NasAddressTaken(name, terms.address) from exc


async def _one_definition_at_a_time(db: AsyncSession, tenant_id: str) -> None:
    """A plan and a NAS that are defined at the same time must see each other: together they may be unsayable. On SQLite
    the transaction itself is that lock.
    """
    if db.get_bind().dialect.name == "postgresql":
        key = func.hashtextextended(f"radius definitions of {tenant_id}", 0)
        await db.execute(select(func.pg_advisory_xact_lock(key)))


def _refuse_unsayable(plans: Mapping[str, PlanTerms], dialects: Sequence[str]) -> None:
    """At a NAS whose dialect cannot say a plan, its subscribers would not be let in; so the pair is not allowed."""
    refused: list[PlanError] = []
    # one that is no longer built in can say nothing; `check` reports its NASes
    for name in sorted(DIALECTS.keys() & set(dialects)):
        for plan, terms in plans.items():
            try:
                words_of(DIALECTS[name], plan, terms)
            except (RateNotExpressible, TermsNotExpressible) as fault:
                refused.append(fault)
    if len(refused) > 1:
        raise SeveralNotExpressible(refused)
    if refused:
        raise refused[0]


def _nas_faults(name: str, terms: NasTerms, secret: str | None) -> Iterable[str]:
    if not _NAME.fullmatch(name):
        yield "its name needs 1 to 60 of A-Z a-z 0-9 . _ -"
    try:
        IPv4Address(terms.address)
    except ValueError:
        yield "its address is not an IPv4 address"
    if not 1 <= terms.coa_port <= 65535:
        yield f"coa_port is {terms.coa_port}, not between 1 and 65535"
    if secret is not None and not _NAS_SECRET.fullmatch(secret):
        yield "its secret needs 16 to 64 of A-Z a-z 0-9 . _ ~ + / = - (RFC 2865 s3 asks for 16 and more)"


async def _inserted(db: AsyncSession, row: Plan | Nas) -> bool:
    """False when another transaction made such a row first."""
    try:
        async with db.begin_nested():
            db.add(row)
            await db.flush()  # the row's id, and the constraints' answer, are needed now
    except IntegrityError:
        return False
    return True


async def _count_up(db: AsyncSession, row: Plan | Nas, now: datetime) -> None:
    row.version += 1
    row.updated_at = now
    await db.flush()  # later reads in this transaction must see it: autoflush is off
