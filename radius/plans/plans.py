"""Plans as we want them: validated, counted up with every change, written to our tables only."""

from __future__ import annotations

import re
import secrets as randomness
import string
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS
from radius.plan_errors import PlanRefused, PlanUnknown, RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.gardens import pieces_of, withholds_addresses
from radius.plans.history import keep_former
from radius.plans.terms import PlanTerms, columns_of, in_one_spelling, terms_of
from radius.plans.wording import common_words, words_of
from radius.tables import Nas, Plan, Subscriber

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
SHUTS_OUT = "is not told to every NAS (where_untold), and would shut lines out where their own plan lets them in"
_ALPHANUMERIC = (string.ascii_letters + string.digits).encode()
_LETTER_OF = bytes(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in range(256))
_BEYOND = bytes(range(256 - 256 % len(_ALPHANUMERIC), 256))


def random_password(length: int) -> str:
    """Letters and digits only: safe in every table, every CPE and every telephone call."""
    found = b""
    while len(found) < length:  # a byte beyond the last whole round of letters would favour the first ones
        found += randomness.token_bytes(length + 8).translate(_LETTER_OF, _BEYOND)
    return found[:length].decode()


async def find_plan(db: AsyncSession, tenant_id: str, name: str, *, anew: bool = False) -> Plan:
    """The plan of that name, or ``PlanUnknown`` with the names there are. ``anew``: as it stands by now, whatever this
    transaction has read of it before."""
    known = select(Plan).where(Plan.tenant_id == tenant_id, Plan.name == name)
    known = known.execution_options(populate_existing=anew)
    plan = await db.scalar(known) if NAME.fullmatch(name) else None
    if plan is None:
        raise PlanUnknown(name, await db.scalars(select(Plan.name).where(Plan.tenant_id == tenant_id)))
    return plan


async def define_plan(
    db: AsyncSession, tenant_id: str, name: str, terms: PlanTerms, now: datetime, *, pairs_later: bool = False
) -> Plan:
    """Make a plan, or bring it to these terms. ``pairs_later``: the caller asks ``refuse_unsayable_pairs`` at its end.

    Raises:
        PlanRefused: a name or term that cannot be meant; all faults at once.
        RateNotExpressible, TermsNotExpressible, SeveralNotExpressible: a NAS in use could not be told it.
    """
    terms = meant(name, terms)
    await one_definition_at_a_time(db, tenant_id)
    common_words(name, terms)
    if not pairs_later:
        refuse_unsayable({name: terms}, await _dialects_in_use(db, tenant_id))
        known = {each.name: terms_of(each) for each in await _plans(db, tenant_id)}
        refuse_unfit_caps({**known, name: terms}, told_of=name)
    mine = select(Plan).where(Plan.tenant_id == tenant_id, Plan.name == name).with_for_update()
    plan = await db.scalar(mine)
    if plan is None:
        plan = Plan(tenant_id=tenant_id, name=name, created_at=now, updated_at=now, version=1, **columns_of(terms))
        if await inserted(db, plan):
            return plan
        plan = (await db.scalars(mine)).one()
    before = terms_of(plan)
    if before.access != terms.access:
        await _refuse_other_access(db, plan)
    if terms.where_untold == "refuse_login" and before.where_untold != terms.where_untold:
        await _refuse_shutting_out(db, plan)
    if before != terms:
        await keep_former(db, plan, before, now=now)
        for column, value in columns_of(terms).items():
            setattr(plan, column, value)
        await count_up(db, plan, now)
        if pieces_of(before) != pieces_of(terms):
            await _renew_in_gardens(db, plan, now)
    return plan


async def _refuse_other_access(db: AsyncSession, plan: Plan) -> None:
    """A line that logs in by itself, and a walled garden, are of one access with their plan.

    Raises:
        PlanRefused
    """
    on_it = Subscriber.plan_id == plan.id
    by_line = on_it & Subscriber.login_by_line
    in_garden = served_by_another() & (on_it | serves_another(plan))
    mine = (Subscriber.tenant_id == plan.tenant_id, Subscriber.state != "terminated", or_(by_line, in_garden))
    count = await db.scalar(select(func.count()).select_from(Subscriber).where(*mine))
    if count:
        raise PlanRefused(
            plan.name,
            [f"its access stays {plan.access}, by which {count} subscribers log in by their line or are in a garden"],
        )


async def _refuse_shutting_out(db: AsyncSession, plan: Plan) -> None:
    """What serves lines in place of their own plan is told to every NAS.

    Raises:
        PlanRefused
    """
    mine = (Subscriber.tenant_id == plan.tenant_id, Subscriber.state != "terminated", serves_another(plan))
    count = await db.scalar(select(func.count()).select_from(Subscriber).where(*mine))
    if count:
        raise PlanRefused(
            plan.name, [f"it serves {count} subscribers in place of their own plan, and then {SHUTS_OUT}"]
        )


def served_by_another() -> ColumnElement[bool]:
    """Who has a plan that serves it in place of its own: a garden, or what its data cap has led to."""
    return or_(Subscriber.garden_plan_id.is_not(None), Subscriber.capped_plan_id.is_not(None))


def serves_another(plan: Plan) -> ColumnElement[bool]:
    """For whom this plan is the one in place of its own."""
    return or_(Subscriber.garden_plan_id == plan.id, Subscriber.capped_plan_id == plan.id)


async def _renew_in_gardens(db: AsyncSession, plan: Plan, now: datetime) -> None:
    """Which groups a line in a walled garden is in depends on what its plan and the garden say of addressing."""
    concerned = or_(Subscriber.plan_id == plan.id, serves_another(plan))
    mine = (Subscriber.tenant_id == plan.tenant_id, served_by_another(), concerned)
    await db.execute(update(Subscriber).where(*mine).values(version=Subscriber.version + 1, updated_at=now))


def plan_faults(name: str | None, terms: PlanTerms, *, unknown: Collection[str] = ()) -> list[str]:
    """Everything wrong with a plan by itself, in plain phrases. None: its name is ``unknown`` as well, as those of its
    terms may be that nobody could read.
    """
    named = name is None or NAME.fullmatch(name)
    return [*([] if named else ["its name needs 1 to 60 of A-Z a-z 0-9 . _ -"]), *terms.faults(unknown=unknown)]


def meant(name: str, terms: PlanTerms) -> PlanTerms:
    """The terms in their one spelling.

    Raises:
        PlanRefused: a name or term that cannot be meant; all faults at once.
    """
    faults = plan_faults(name, terms)
    if faults:
        raise PlanRefused(name, faults)
    return in_one_spelling(terms)


async def one_definition_at_a_time(db: AsyncSession, tenant_id: str) -> None:
    """A plan and a NAS that are defined at the same time must see each other: together they may be unsayable. On SQLite
    the transaction itself is that lock.
    """
    if db.get_bind().dialect.name == "postgresql":
        await db.execute(select(func.pg_advisory_xact_lock(_definitions_key(tenant_id))))


async def while_definitions_stand(db: AsyncSession, tenant_id: str) -> None:
    """No plan is defined anew until this transaction ends, for who has to see that two of them fit. Many may hold it at
    a time. It comes before any lock on a subscriber, since whoever defines a plan goes on to those whom it serves."""
    if db.get_bind().dialect.name == "postgresql":
        await db.execute(select(func.pg_advisory_xact_lock_shared(_definitions_key(tenant_id))))


def _definitions_key(tenant_id: str) -> ColumnElement[int]:
    return func.hashtextextended(f"radius definitions of {tenant_id}", 0)


async def refuse_unsayable_pairs(db: AsyncSession, tenant_id: str) -> None:
    """Every plan there is, at every NAS there is.

    Raises:
        RateNotExpressible, TermsNotExpressible, SeveralNotExpressible
        PlanRefused: the plan that is to serve at a data cap does not fit.
    """
    plans = {plan.name: terms_of(plan) for plan in await _plans(db, tenant_id)}
    refuse_unsayable(plans, await _dialects_in_use(db, tenant_id))
    refuse_unfit_caps(plans)


async def _plans(db: AsyncSession, tenant_id: str) -> list[Plan]:
    return list(await db.scalars(select(Plan).where(Plan.tenant_id == tenant_id).order_by(Plan.name)))


def refuse_unfit_caps(plans: Mapping[str, PlanTerms], *, told_of: str | None = None) -> None:
    """Every plan that serves at a data cap fits the one it serves in place of. ``told_of``: the plan that is being
    defined, which is at fault.

    Raises:
        PlanRefused
    """
    for name, terms in plans.items():
        if terms.cap_plan is None or (told_of is not None and told_of not in (name, terms.cap_plan)):
            continue
        faults = _unfit_cap(name, terms, plans.get(terms.cap_plan))
        if faults:
            raise PlanRefused(told_of or name, faults)


def _unfit_cap(name: str, terms: PlanTerms, served_by: PlanTerms | None) -> list[str]:
    cap = f"{terms.cap_plan}, the cap_plan of {name},"
    if served_by is None:
        return [f"{cap} is no plan"]
    if terms.cap_plan == name:
        return [f"{cap} is that plan itself"]
    faults = []
    if served_by.access != terms.access:
        faults.append(f"{cap} is for {served_by.access} lines, and {name} for {terms.access}")
    is_garden = bool(served_by.garden_filter or served_by.garden_url or withholds_addresses(served_by))
    if terms.at_cap == "garden" and not is_garden:
        faults.append(f"{cap} is no walled garden: it has no garden_filter, garden_url or pool")
    if terms.at_cap == "throttle" and is_garden:
        faults.append(f"{cap} is a walled garden or has a pool, and at_cap is throttle")
    if served_by.where_untold == "refuse_login":
        faults.append(f"{cap} {SHUTS_OUT}")
    if terms.at_cap == "throttle" and (
        served_by.download_kbps > terms.download_kbps or served_by.upload_kbps > terms.upload_kbps
    ):
        faults.append(f"{cap} is faster than {name}")
    return faults


async def _dialects_in_use(db: AsyncSession, tenant_id: str) -> list[str]:
    return list(await db.scalars(select(Nas.dialect).where(Nas.tenant_id == tenant_id).distinct()))


def refuse_unsayable(plans: Mapping[str, PlanTerms], dialects: Sequence[str]) -> None:
    """At a NAS whose dialect cannot say a plan, its subscribers are not let in; so the pair is not allowed, unless the
    plan wants just that."""
    refused: list[RateNotExpressible | TermsNotExpressible] = []
    # one that is no longer built in can say nothing; `check` reports its NASes
    for name in sorted(DIALECTS.keys() & set(dialects)):
        for plan, terms in plans.items():
            if terms.where_untold == "refuse_login":
                continue
            try:
                words_of(DIALECTS[name], plan, terms)
            except (RateNotExpressible, TermsNotExpressible) as fault:
                refused.append(fault)
            except SeveralNotExpressible as several:
                refused += several.refused
    if len(refused) > 1:
        raise SeveralNotExpressible(refused)
    if refused:
        raise refused[0]


async def inserted(db: AsyncSession, row: Plan | Nas) -> bool:
    """False when another transaction made such a row first."""
    try:
        async with db.begin_nested():
            db.add(row)
            await db.flush()  # the row's id, and the constraints' answer, are needed now
    except IntegrityError:
        return False
    return True


async def count_up(db: AsyncSession, row: Plan | Nas, now: datetime) -> None:
    row.version += 1
    row.updated_at = now
    await db.flush()  # later reads in this transaction must see it: autoflush is off
