"""The NASes as they are spoken to about their sessions, and the sessions that they turn out not to have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select, update

from radius.coa.dynamic_authorization import EVERY_KEY, NasDoor, SessionIdentity
from radius.dialects import DIALECTS, Dialect, SessionKey
from radius.lists import among
from radius.nas.nases import CoaTerms, terms_of_nas
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


def _known(nas: Nas, secret: str) -> KnownNas:
    dialect, coa = DIALECTS.get(nas.dialect), terms_of_nas(nas).coa
    named: tuple[SessionKey, ...] = tuple(key for key in EVERY_KEY if key in coa.keys)
    keys = named or (dialect.live.keys if dialect is not None and dialect.live is not None else EVERY_KEY)
    door = NasDoor(
        name=nas.name,
        address=nas.address,
        port=nas.coa_port,
        secret=secret,
        keys=keys,
        event_timestamp=coa.event_timestamp,
    )
    return KnownNas(door, dialect, coa)


def identity_of(session: Session) -> SessionIdentity:
    """What may name a session to its NAS."""
    return SessionIdentity(
        username=session.username,
        session_id=session.session_id,
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
