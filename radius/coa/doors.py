"""The NASes as they are spoken to about their sessions, and the sessions that they turn out not to have."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError

from radius.coa.dynamic_authorization import EVERY_KEY, NasDoor, SessionIdentity
from radius.dialects import DIALECTS, Dialect, SessionKey
from radius.escapes import as_sent
from radius.lists import among
from radius.nas.terms import CoaTerms, terms_of_nas
from radius.ports import Begin, Secrets
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import REAPED
from radius.sessions.sessions import Session
from radius.tables import Nas

log = structlog.get_logger(__name__)

GHOST = REAPED


@dataclass(frozen=True)
class KnownNas:
    """A NAS of ours. ``dialect`` None: it is one that is built in no longer, so there are no words for a plan."""

    door: NasDoor
    dialect: Dialect | None
    coa: CoaTerms


async def nas_doors(
    begin: Begin, addresses: Collection[str], *, tenant_id: str, secrets: Secrets
) -> dict[str, KnownNas]:
    """The NASes of these addresses that are ours, with their secrets open, to be used and forgotten."""
    if not addresses:
        return {}
    async with begin() as db:
        mine = await db.scalars(select(Nas).where(Nas.tenant_id == tenant_id, Nas.address.in_(addresses)))
        return {nas.address: _known(nas, await secrets.reveal(db, nas.secret_ref)) for nas in mine}


async def doors_or_reasons(
    begin: Begin, addresses: Collection[str], *, tenant_id: str, secrets: Secrets
) -> dict[str, KnownNas | str]:
    """The same for the sessions of many: of a NAS whose secret does not open why it can't be asked, as others can."""
    found: dict[str, KnownNas | str] = {}
    if not addresses:
        return found
    async with begin() as db:
        for nas in await db.scalars(select(Nas).where(Nas.tenant_id == tenant_id, Nas.address.in_(addresses))):
            [secret] = await asyncio.gather(secrets.reveal(db, nas.secret_ref), return_exceptions=True)
            if isinstance(secret, DBAPIError) or (
                isinstance(secret, BaseException) and not isinstance(secret, Exception)
            ):
                raise secret
            if isinstance(secret, Exception):
                why = _why_closed(secret)
                log.error("secret of a nas does not open", nas=nas.name, reason=why)
                found[nas.address] = f"the secret of NAS {nas.name} does not open ({why})"
            else:
                found[nas.address] = _known(nas, secret)
    return found


def _why_closed(error: Exception) -> str:
    """Errors of the appliance say it in a sentence without secrets. What anything else says may hold one."""
    is_ours = hasattr(error, "code") and hasattr(error, "transient")
    return str(error).removesuffix(".") if is_ours else type(error).__name__


def _known(nas: Nas, secret: str) -> KnownNas:
    terms = terms_of_nas(nas)
    dialect, coa = DIALECTS.get(nas.dialect), terms.coa
    named: tuple[SessionKey, ...] = tuple(key for key in EVERY_KEY if key in coa.keys)
    keys = named or (dialect.live.keys if dialect is not None and dialect.live is not None else EVERY_KEY)
    door = NasDoor(
        name=nas.name,
        address=nas.address,
        port=nas.coa_port,
        secret=secret,
        keys=keys,
        event_timestamp=coa.event_timestamp,
        calls_itself=next(iter(terms.calls_itself), None),
    )
    return KnownNas(door, dialect, coa)


def identity_of(session: Session) -> SessionIdentity:
    """What may name a session to its NAS."""
    return SessionIdentity(
        username=session.username,
        session_id=as_sent(session.session_id),
        nas_address=session.nas_address,
        framed_ip_address=session.framed_ip_address,
    )


async def close_ghosts(radius_begin: Begin, sessions: Sequence[Session]) -> set[int]:
    """Close in accounting, as of their last sign of life, sessions that their own NASes know nothing of. Returns those
    that stay open for now, by their number in accounting: somebody else has their rows in hands.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_begin) as db:
        theirs = among(db, radacct.c.radacctid, [session.radacct_id for session in sessions])
        still_open = select(radacct.c.radacctid).where(theirs, radacct.c.acctstoptime.is_(None))
        found = set(await db.scalars(still_open))
        free = set(await db.scalars(still_open.with_for_update(skip_locked=True)))
        await db.execute(
            update(radacct)
            .where(among(db, radacct.c.radacctid, free))
            .values(
                acctstoptime=func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime),
                acctterminatecause=GHOST,
            )
        )
    for session in sessions:
        if session.radacct_id in free:
            log.warning("session closed that its nas does not know", username=session.username)
    return found - free
