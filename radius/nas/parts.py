"""What is wrong with some parts of a NAS, while others are not known: each fault with its part. Nothing is locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS
from radius.nas.nases import called_as_another, is_taken, nas_named, password_storage, unfit_methods
from radius.nas.terms import NasTerms, nas_faults_by_part, terms_of_nas
from radius.nas_errors import DialectUnknown, NasAddressTaken, NasNameTaken, NasUnknown
from radius.plan_errors import RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.plans import refuse_unsayable
from radius.plans.terms import terms_of
from radius.tables import Plan

_SOUND = NasTerms(address="192.0.2.1", dialect=next(iter(DIALECTS)), coa_port=3799)
"""What stands for the parts of a new NAS that are not known."""


async def faults_by_part(
    db: AsyncSession, tenant_id: str, name: str | None, said: Mapping[str, Any], *, is_new: bool
) -> list[tuple[str, str]]:
    """``said`` as in ``NasChange``; ``name`` None: it is not known either."""
    faults: list[tuple[str, str]] = []
    before = _SOUND
    try:
        before = _SOUND if name is None else terms_of_nas(await nas_named(db, tenant_id, name))
        is_there = name is not None
    except NasUnknown as unknown:
        is_there = False
        faults += [] if is_new else [("path.name", str(unknown))]
    terms = replace(before, **{**said, "coa": replace(before.coa, **said.get("coa", {}))})
    if is_new and is_there and terms != before:
        faults.append(("name", str(NasNameTaken(str(name), before.address))))
    told = {"name", *said, *(f"coa.{part}" for part in said.get("coa", {}))}
    own = nas_faults_by_part(name or "new", terms, None)
    faults += [(part, phrase) for part, phrase in own if part in told]
    if "login_methods" in said:
        storage = await password_storage(db, tenant_id)
        faults += [("login_methods", fault) for fault in unfit_methods(terms, storage)]
    if "address" in said and await is_taken(db, tenant_id, name or "", terms.address):
        faults.append(("address", str(NasAddressTaken(name or "there", terms.address))))
    alike = await called_as_another(db, tenant_id, name or "", terms)
    faults += [(part, phrase) for part, phrase in alike if part in told]
    if "dialect" in said:
        faults += [("dialect", fault) for fault in await _unfit_dialect(db, tenant_id, terms.dialect)]
    return faults


async def _unfit_dialect(db: AsyncSession, tenant_id: str, dialect: str) -> list[str]:
    if dialect not in DIALECTS:
        return [str(DialectUnknown(dialect, DIALECTS))]
    plans = await db.scalars(select(Plan).where(Plan.tenant_id == tenant_id).order_by(Plan.name))
    try:
        refuse_unsayable({plan.name: terms_of(plan) for plan in plans}, [dialect])
    except (RateNotExpressible, TermsNotExpressible, SeveralNotExpressible) as refused:
        return [str(refused)]
    return []
