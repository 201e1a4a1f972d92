"""What must always be true of licences, partners, customers' pages and deployments. An empty answer is the good one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Row, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.commercial.licences.licence_errors import LicenseError
from provisioning.commercial.licences.licence_keys import end_of, prove_license_key
from provisioning.commercial.licences.licence_signing import public_keys
from provisioning.commercial.licences.licence_tables import License
from provisioning.commercial.money import in_words
from provisioning.commercial.partners.domain_records import covering
from provisioning.commercial.partners.domain_tables import PartnerDomain
from provisioning.commercial.partners.partner_tables import Commission, Partner, PoolEntry
from provisioning.commercial.tables import Customer
from provisioning.commercial.tenants.tenant_tables import Deployment, HostedTenant
from provisioning.days import minute
from provisioning.field import LIVE_STATES, Visit, VisitBooking


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what about, and one plain sentence."""

    subject: str
    sentence: str


async def pools_off_their_ledger(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A partner's balance is the sum of the ledger and not negative; the quota is what was granted."""
    ledger: dict[int, dict[str, int]] = {}
    sums = select(PoolEntry.partner_id, PoolEntry.movement, func.sum(PoolEntry.licenses))
    for partner_id, movement, licenses in await _rows(
        db, sums.where(PoolEntry.tenant_id == tenant_id).group_by(PoolEntry.partner_id, PoolEntry.movement)
    ):
        ledger.setdefault(partner_id, {})[movement] = int(licenses)
    findings = []
    partners = select(Partner.id, Partner.license_balance, Partner.license_quota)
    for partner_id, balance, quota in await _rows(db, partners.where(Partner.tenant_id == tenant_id)):
        moved = ledger.get(partner_id, {})
        total, granted = sum(moved.values()), moved.get("granted", 0)
        if balance < 0 or balance != total:
            findings.append(
                Finding(
                    f"partner {partner_id}",
                    f"Partner {partner_id} has {balance} licence(s) left, but the ledger adds up to {total}.",
                )
            )
        if quota != granted:
            findings.append(
                Finding(
                    f"partner {partner_id}",
                    f"Partner {partner_id} has a quota of {quota}, but {granted} licence(s) were granted.",
                )
            )
    return findings


async def allocations_without_their_licences(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """An allocation has as many licences as were taken, of its partner and customer; a returned one no live one."""
    rows = await _rows(
        db,
        select(License.allocation_id, License.partner_id, License.customer_id, License.state).where(
            License.tenant_id == tenant_id, License.allocation_id.is_not(None)
        ),
    )
    issued: dict[int, list[tuple[int, int, str]]] = {}
    for allocation_id, *whose in rows:
        issued.setdefault(allocation_id, []).append((whose[0], whose[1], whose[2]))
    entries = await _rows(
        db,
        select(
            PoolEntry.id,
            PoolEntry.partner_id,
            PoolEntry.customer_id,
            PoolEntry.licenses,
            PoolEntry.movement,
            PoolEntry.allocation_id,
        ).where(PoolEntry.tenant_id == tenant_id),
    )
    returned = {entry.allocation_id for entry in entries if entry.movement == "returned"}
    findings = []
    for entry in entries:
        if entry.movement != "allocated":
            continue
        licences = issued.pop(entry.id, [])
        its_own = [state for partner, customer, state in licences if (partner, customer) == entry[1:3]]
        live = its_own.count("active")
        what = f"Allocation {entry.id} of partner {entry.partner_id}"
        if len(its_own) != -entry.licenses or len(licences) != len(its_own):
            findings.append(
                Finding(
                    f"allocation {entry.id}",
                    f"{what} took {-entry.licenses} licence(s) for customer {entry.customer_id}, but {len(its_own)} of"
                    f" {len(licences)} issued by it are theirs.",
                )
            )
        if entry.id in returned and live:
            findings.append(
                Finding(f"allocation {entry.id}", f"{what} was returned, but {live} licence(s) of it are still valid.")
            )
    findings += [
        Finding(f"allocation {gone}", f"{len(licences)} licence(s) name allocation {gone}, which no ledger knows.")
        for gone, licences in issued.items()
    ]
    return findings


async def licences_not_as_signed(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """Every licence's key is proven by our public keys and says what its row says."""
    keys = await public_keys(db, tenant_id)
    findings = []
    for row in await db.scalars(select(License).where(License.tenant_id == tenant_id).order_by(License.id)):
        if (fault := _fault_of(row, keys)) is not None:
            findings.append(Finding(f"licence {row.id}", f"Licence {row.id} of customer {row.customer_id} {fault}."))
    return findings


async def doubled_commissions(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """Nobody earns twice with one customer for one thing, and a reversal takes back exactly what was recorded."""
    rows = list(await db.scalars(select(Commission).where(Commission.tenant_id == tenant_id).order_by(Commission.id)))
    standing: dict[tuple[int, int, str, str], list[int]] = {}
    taken_back: dict[int, int] = {}
    for row in rows:
        if row.reverses_id is not None:
            taken_back[row.reverses_id] = taken_back.get(row.reverses_id, 0) + row.amount_minor
        elif row.state != "reversed":
            key = (row.partner_id, row.customer_id, row.commission_type, row.source)
            standing.setdefault(key, []).append(row.id)
    findings = [
        Finding(
            f"partner {partner_id}",
            f"Partner {partner_id} earns {len(ids)} times with customer {customer_id} for {source}"
            f" (commissions {', '.join(map(str, ids))}).",
        )
        for (partner_id, customer_id, _, source), ids in standing.items()
        if len(ids) > 1
    ]
    for row in rows:
        owed_back = -row.amount_minor if row.reverses_id is None and row.state == "reversed" else 0
        if row.reverses_id is None and taken_back.get(row.id, 0) != owed_back:
            amount = in_words(row.amount_minor, row.currency)
            back = in_words(abs(taken_back.get(row.id, 0)), row.currency)
            findings.append(
                Finding(
                    f"commission {row.id}",
                    f"Commission {row.id} of {amount} is {row.state}, but {back} of it were taken back.",
                )
            )
    return findings


async def tenants_of_nobody(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A live page belongs to a registered customer, who holds the licence that it serves for."""
    known = set(await db.scalars(select(Customer.id).where(Customer.tenant_id == tenant_id)))
    holders = await _rows(db, select(License.id, License.customer_id).where(License.tenant_id == tenant_id))
    holder_of = {license_id: customer_id for license_id, customer_id in holders}
    pages = await db.scalars(
        select(HostedTenant)
        .where(HostedTenant.tenant_id == tenant_id, HostedTenant.state == "active")
        .order_by(HostedTenant.id)
    )
    findings = []
    for page in pages:
        if page.customer_id not in known:
            sentence = f"Page {page.slug} answers for customer {page.customer_id}, whom nobody has registered."
            findings.append(Finding(f"page {page.slug}", sentence))
        elif holder_of.get(page.license_id) != page.customer_id:
            sentence = (
                f"Page {page.slug} of customer {page.customer_id} has licence {page.license_id}, which isn't theirs."
            )
            findings.append(Finding(f"page {page.slug}", sentence))
    return findings


async def pages_under_names_of_others(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A live page that is to answer under a host name does: the name is proven to be its partner's."""
    pages = await _rows(
        db,
        select(HostedTenant.slug, HostedTenant.partner_id, HostedTenant.domain)
        .where(HostedTenant.tenant_id == tenant_id, HostedTenant.state == "active", HostedTenant.domain.is_not(None))
        .order_by(HostedTenant.id),
    )
    known = await _rows(
        db,
        select(PartnerDomain.partner_id, PartnerDomain.domain, PartnerDomain.proven_at, PartnerDomain.lost_at).where(
            PartnerDomain.tenant_id == tenant_id
        ),
    )
    theirs = {(partner_id, domain) for partner_id, domain, proven_at, _ in known if proven_at is not None}
    lost = {(partner_id, domain): lost_at for partner_id, domain, _, lost_at in known if lost_at is not None}
    findings = []
    for page in pages:
        names = [(page.partner_id, name) for name in covering(page.domain)]
        if theirs.isdisjoint(names):
            claim = f"`firstlight partners domains claim {page.partner_id} NAME`"
            since = next((f" any more since {minute(lost[name])}" for name in names if name in lost), "")
            sentence = (
                f"Page {page.slug} does not answer at {page.domain}, which is not proven to be partner"
                f" {page.partner_id}'s{since}; {claim} says how it is."
            )
            findings.append(Finding(f"page {page.slug}", sentence))
    return findings


async def deployments_off_their_visit(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A scheduled deployment has its customer's visit; a released one keeps no technician (an installation may)."""
    scheduled = aliased(Deployment)
    keeps = exists().where(
        VisitBooking.visit_id == Visit.id, VisitBooking.purpose == "deployment", VisitBooking.released_at.is_(None)
    ) & ~exists().where(scheduled.visit_id == Visit.id, scheduled.state == "scheduled")
    rows = await _rows(
        db,
        select(
            Deployment.id,
            Deployment.order_id,
            Deployment.customer_id,
            Deployment.state,
            Deployment.visit_id,
            Visit.customer_id.label("visited"),
            (Visit.state.in_(LIVE_STATES) & keeps).label("keeps"),
            Visit.technician_id,
        )
        .outerjoin(Visit, (Visit.id == Deployment.visit_id) & (Visit.tenant_id == Deployment.tenant_id))
        .where(Deployment.tenant_id == tenant_id)
        .order_by(Deployment.id),
    )
    findings = []
    for row in rows:
        subject = f"deployment {row.id}"
        if row.state == "released" and row.keeps:
            sentence = (
                f"Deployment {row.id} of order {row.order_id} was released, but visit {row.visit_id} still keeps"
                f" technician {row.technician_id}."
            )
            findings.append(Finding(subject, sentence))
        elif row.state == "scheduled" and row.visited != row.customer_id:
            sentence = (
                f"Deployment {row.id} of order {row.order_id} has no visit to customer {row.customer_id}"
                f" (visit {row.visit_id})."
            )
            findings.append(Finding(subject, sentence))
    return findings


def _fault_of(row: License, keys: dict[str, Ed25519PublicKey]) -> str | None:
    if row.key is None:
        return "has no key"
    try:
        claims = prove_license_key(row.key, keys)
    except LicenseError as error:
        return f"has a key that isn't ours ({error.code})"
    said = (claims.license, claims.tenant, claims.customer, claims.template, claims.seats, claims.exp)
    kept = (row.id, row.tenant_id, row.customer_id, row.template_id, row.seats, end_of(row.valid_until))
    return None if said == kept else "has a key that says otherwise than the record"


async def _rows(db: AsyncSession, query: Select[*tuple[Any, ...]]) -> list[Row[*tuple[Any, ...]]]:
    return list((await db.execute(query)).all())
