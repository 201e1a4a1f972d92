"""Which host names are a partner's: claimed by anybody who says so, served once the DNS of the name says so, too.

The proof is a TXT record ``_firstlight.<name>`` with ``firstlight-partner=<token>``: only who runs the name's DNS can
put it there, whoever's web server the name leads to. A name that is proven covers what is below it. The proof is looked
at again ever after: names change hands. One that is not there any more counts for a time of grace, and is withdrawn
when it is still not there after that.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.partners.domain_errors import (
    DomainClaimsTooMany,
    DomainOfAnother,
    DomainUnknown,
    DomainUnproven,
)
from provisioning.commercial.partners.domain_records import (
    LOOKED_FOR,
    PATIENCE,
    DomainPatience,
    DomainRecord,
    covering,
    record_of,
    txt_value,
)
from provisioning.commercial.partners.domain_tables import PartnerDomain
from provisioning.commercial.partners.partner_list import Partners
from provisioning.commercial.partners.partner_tables import Partner
from provisioning.commercial.tenants.brand import read_domain
from provisioning.errors import ChangeRaced
from provisioning.intake import Clock, Faults

TOKEN_BYTES = 20
CLAIMS_AT_ONCE = 20
"""Of one partner, whose proofs are looked for: each costs the DNS questions for as long as it isn't there."""
FRESH, SELDOM = timedelta(days=1), timedelta(hours=1)
"""How long a claim is looked at in every round, and how often after that: who claims a name sets its DNS up soon. A
proof that is missing, or of which the DNS said nothing, is looked at as often."""
LOOKS_A_ROUND = 100
LONGEST_LIST = 500


class PartnerDomains:
    """The host names of one ISP's partners. ``own_host`` is the appliance's own, which is nobody's. Writes only ``db``;
    the caller commits."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        own_host: str = "",
        patience: DomainPatience = PATIENCE,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._own_host = own_host
        self._patience = patience

    async def claim(self, *, partner_id: int, domain: str, by: str) -> DomainRecord:
        """Keep that a partner wants this host name, and say what proves it. The same again is the same claim; once its
        proof isn't looked for any more, or was lost, it is from now on, and what proves it stays the same.

        Raises: InvalidRequest (all faults), PartnerUnknown, DomainClaimsTooMany, ChangeRaced.
        """
        faults = Faults("The host name")
        faults.number("partner_id", partner_id)
        name = read_domain(faults, "domain", domain, self._own_host)
        if name is None and not faults.count:
            faults.add("domain", "is missing")
        who = faults.line("by", by)
        faults.refuse_if_any()
        assert name is not None, "without it there was a fault"
        await Partners(self._db, tenant_id=self._tenant_id, now=self._now).partner(partner_id)
        await self._lock(partner_id)
        known = await self._row(partner_id, name)
        if known is not None and (known.proven_at is not None or self._is_awaited(known)):
            return self._record(known)
        await self._refuse_too_many(partner_id)
        if known is not None:
            known.claimed_at, known.claimed_by = self._now(), who
            known.missing_since = known.lost_at = None
            await self._db.flush()
            return self._record(known)
        row = PartnerDomain(
            tenant_id=self._tenant_id,
            partner_id=partner_id,
            domain=name,
            token=secrets.token_hex(TOKEN_BYTES),
            claimed_at=self._now(),
            claimed_by=who,
        )
        try:
            async with self._db.begin_nested():
                self._db.add(row)
        except IntegrityError as exc:
            raise ChangeRaced from exc
        return self._record(row)

    async def domains(self, partner_id: int, *, after_id: int = 0, limit: int = LONGEST_LIST) -> list[DomainRecord]:
        """In the order in which they were claimed, a page at a time (``after_id``)."""
        query = self._mine().where(PartnerDomain.partner_id == partner_id, PartnerDomain.id > after_id)
        rows = await self._db.scalars(query.order_by(PartnerDomain.id).limit(min(limit, LONGEST_LIST + 1)))
        return [self._record(row) for row in rows]

    async def domain(self, partner_id: int, domain: str) -> DomainRecord:
        """Raises: DomainUnknown."""
        row = await self._row(partner_id, domain)
        if row is None:
            raise DomainUnknown(partner_id, domain)
        return self._record(row)

    async def due(self) -> list[DomainRecord]:
        """The names that it is time to look at, at most a round of them: those first that were not looked at for
        longest. A new claim is looked at in each round, one that waits for days every hour, and a proof as seldom as
        ``patience`` says unless something is wrong with it."""
        now = self._now()
        is_fresh = or_(PartnerDomain.looked_at.is_(None), PartnerDomain.claimed_at > now - FRESH)
        hour_ago, long_ago = PartnerDomain.looked_at <= now - SELDOM, PartnerDomain.looked_at <= self._last_looks()
        is_awaited = and_(*self._is_looked_for(), or_(is_fresh, hour_ago))
        is_proof = and_(
            PartnerDomain.proven_at.is_not(None), or_(long_ago, and_(PartnerDomain.fault.is_not(None), hour_ago))
        )
        rows = await self._db.scalars(
            self._mine()
            .where(or_(is_awaited, is_proof))
            .order_by(PartnerDomain.looked_at.asc().nulls_first(), PartnerDomain.id)
            .limit(LOOKS_A_ROUND)
        )
        return [self._record(row) for row in rows]

    async def note(
        self, domain_id: int, *, texts: Collection[str] | None = None, fault: str | None = None
    ) -> DomainRecord | None:
        """Keep what a look at the DNS has shown: the name's texts, or why there was no answer, which changes nothing
        else. None: dropped meanwhile.

        Raises: DomainOfAnother.
        """
        row = await self._db.scalar(
            self._mine()
            .where(PartnerDomain.id == domain_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        row.looked_at = self._now()
        if fault is not None:
            row.fault = fault
        elif txt_value(row.token) not in (texts or ()):
            row.fault = "the TXT record is not there"
            self._note_absence(row)
        else:
            return await self._note_proof(row)
        await self._db.flush()
        return self._record(row)

    def _note_absence(self, row: PartnerDomain) -> None:
        """Of a proof, once it is certain: it is missing from now on, and after the time of grace it is withdrawn."""
        if row.proven_at is None:
            return
        if row.missing_since is None:
            row.missing_since = self._now()
        elif self._now() >= row.missing_since + self._patience.grace:
            row.proven_at, row.lost_at = None, self._now()

    async def _note_proof(self, row: PartnerDomain) -> DomainRecord:
        domain = row.domain
        try:
            async with self._db.begin_nested():
                row.fault = row.missing_since = row.lost_at = None
                row.proven_at = row.proven_at or self._now()
        except IntegrityError as exc:
            raise DomainOfAnother(domain) from exc
        return self._record(row)

    async def drop(self, *, partner_id: int, domain: str) -> DomainRecord:
        """It is the partner's no more: pages under it answer at their own addresses alone. Raises: DomainUnknown."""
        dropped = await self.domain(partner_id, domain)
        await self._db.execute(
            delete(PartnerDomain).where(
                PartnerDomain.tenant_id == self._tenant_id, PartnerDomain.id == dropped["domain_id"]
            )
        )
        return dropped

    async def require_proven(self, partner_id: int, domain: str | None) -> None:
        """Raises: DomainUnproven."""
        if domain is None or await is_proven(self._db, self._tenant_id, partner_id, domain):
            return
        row = await self._row(partner_id, domain)
        raise DomainUnproven(partner_id, domain, None if row is None else self._record(row))

    async def in_trouble(self, *, partner_id: int | None = None) -> list[DomainRecord]:
        """The names whose proof is missing or lost, those first for which it has been so for longest; of one partner
        alone, if named."""
        query = self._mine().where(or_(PartnerDomain.missing_since.is_not(None), PartnerDomain.lost_at.is_not(None)))
        if partner_id is not None:
            query = query.where(PartnerDomain.partner_id == partner_id)
        rows = await self._db.scalars(query.order_by(PartnerDomain.missing_since, PartnerDomain.id))
        return [self._record(row) for row in rows]

    async def _lock(self, partner_id: int) -> None:
        """One claim of a partner after the other, so that each sees those before."""
        mine = select(Partner.id).where(Partner.tenant_id == self._tenant_id, Partner.id == partner_id)
        await self._db.execute(mine.with_for_update())

    async def _refuse_too_many(self, partner_id: int) -> None:
        query = select(func.count()).select_from(PartnerDomain).where(PartnerDomain.tenant_id == self._tenant_id)
        looked_for = await self._db.scalar(query.where(PartnerDomain.partner_id == partner_id, *self._is_looked_for()))
        if (looked_for or 0) >= CLAIMS_AT_ONCE:
            raise DomainClaimsTooMany(partner_id, CLAIMS_AT_ONCE)

    def _is_looked_for(self) -> tuple[ColumnElement[bool], ...]:
        """As ``_is_awaited``, in the database. A lost one has a claim that may be young, but it has had its answer."""
        return (
            PartnerDomain.proven_at.is_(None),
            PartnerDomain.lost_at.is_(None),
            PartnerDomain.claimed_at > self._now() - LOOKED_FOR,
        )

    def _is_awaited(self, row: PartnerDomain) -> bool:
        return row.proven_at is None and row.lost_at is None and row.claimed_at > self._now() - LOOKED_FOR

    def _last_looks(self) -> datetime:
        return self._now() - self._patience.look_every

    def _record(self, row: PartnerDomain) -> DomainRecord:
        return record_of(row, self._patience)

    def _mine(self) -> Select[PartnerDomain]:
        return select(PartnerDomain).where(PartnerDomain.tenant_id == self._tenant_id)

    async def _row(self, partner_id: int, domain: str) -> PartnerDomain | None:
        found: PartnerDomain | None = await self._db.scalar(
            self._mine().where(PartnerDomain.partner_id == partner_id, PartnerDomain.domain == domain)
        )
        return found


async def is_proven(db: AsyncSession, tenant_id: str, partner_id: int | None, domain: str) -> bool:
    """Whether this host name, or one that it is below, is proven to be that partner's."""
    found = await db.scalar(
        select(PartnerDomain.id)
        .where(
            PartnerDomain.tenant_id == tenant_id,
            PartnerDomain.partner_id == partner_id,
            PartnerDomain.domain.in_(covering(domain)),
            PartnerDomain.proven_at.is_not(None),
        )
        .limit(1)
    )
    return found is not None
