"""``firstlight check``: whether everything that must always hold does hold, asked of both databases. Read-only;
``provisioning.checking`` keeps what it finds.

The questions are ``provisioning.invariants.INVARIANTS``, ``radius.RADIUS_INVARIANTS`` and two that take knowing both
databases: the comparison of FreeRADIUS' rows with what we want of them, and whether they give an address twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.invariants import running_bills
from provisioning.invariants import INVARIANTS, Found, Whole
from provisioning.projections import ALLOCATION, ENDING, usernames_in_work
from provisioning.signals import TOLD_FROM_OUTSIDE
from provisioning.vault import VaultError
from radius import RADIUS_INVARIANTS, Drift, doubled_addresses, doubled_findings, drift_findings
from workflows import open_results

if TYPE_CHECKING:  # an appliance's pages show what was found, so that it imports this
    from provisioning.bootstrap import Appliance

ROWS_AS_WISHED = "radius.rows_as_wished"
GIVEN_TWICE = "radius.addresses_given_twice"
_OF_BOTH = (
    (GIVEN_TWICE, "no address or prefix for two usernames in one VRF"),
    (ROWS_AS_WISHED, "FreeRADIUS' rows are what each subscriber's state asks, column by column"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which invariant, what about, and one plain sentence."""

    invariant: str
    subject: str
    message: str


@dataclass(frozen=True)
class CheckResult:
    """How many invariants were asked, how many are broken, and every finding."""

    asked: int
    failed: int
    findings: list[Finding]


async def check_everything(appliance: Appliance) -> CheckResult:
    """Asks every invariant.

    Raises: what a database that can't be read raises; an invariant that can't be asked is not one that holds.
    """
    findings: list[Finding] = []
    async with appliance.database.read() as db:
        whole = await _look_at(db, appliance)
        for invariant in INVARIANTS:
            findings += _as_findings(invariant.name, await invariant.ask(whole))
    async with appliance.radius_database.read() as radius_db:
        for question in RADIUS_INVARIANTS:
            findings += _as_findings(question.name, await question.find(radius_db, appliance.clock()))
    findings += await _given_twice(appliance)
    findings += await _rows_as_wished(appliance, whole.in_work)
    broken = {finding.invariant for finding in findings}
    return CheckResult(len(every_invariant()), len(broken), findings)


def every_invariant() -> list[tuple[str, str]]:
    """(name, meaning) of all that is asked."""
    asked = [(one.name, one.meaning) for one in INVARIANTS] + [(one.name, one.meaning) for one in RADIUS_INVARIANTS]
    return [*asked, *_OF_BOTH]


async def _look_at(db: AsyncSession, appliance: Appliance) -> Whole:
    services = appliance.services(db)
    tenant_id = appliance.tenant_id
    kept = await open_results(db, tenant_id=tenant_id, step=ALLOCATION)
    leaving = await open_results(db, tenant_id=tenant_id, step=ENDING)
    promised = {int(one.result["service_id"]) for one in kept if one.has_more_to_do}
    answered_for = {int(one.result["service_id"]) for one in kept}
    answered_for |= {int(one.result["service_id"]) for one in leaving if one.has_more_to_do}
    anothers = set(await appliance.address_lookup(db).services_of_requests(TOLD_FROM_OUTSIDE))
    anothers |= set(await appliance.inventory(db).imported_service_ids())
    bills = await running_bills(db, tenant_id)
    return Whole(
        db=db,
        tenant_id=tenant_id,
        now=appliance.clock(),
        keyring=appliance.keyring,
        definitions=appliance.definitions,
        allocated={each["service_id"]: each for each in await services.network_service.all_resources()},
        live=set(await services.network_service.active_service_ids()),
        wanted=answered_for | set(await services.radius_service.live_service_ids(in_service=True)) | anothers,
        promised=promised,
        changing={int(one.result["service_id"]) for one in kept if one.going_back and one.has_more_to_do},
        in_work=usernames_in_work([*kept, *leaving]),
        billed={bill.service_id for bill in bills if bill.service_id is not None},
    )


async def _given_twice(appliance: Appliance) -> list[Finding]:
    """Two may have one address in two VRFs, and of our own services it is known which these are, whether or not a NAS
    is told."""
    async with appliance.radius_database.read() as radius_db:
        doubled = await doubled_addresses(radius_db)
    if not doubled:
        return []
    async with appliance.database.read() as db:
        known = await appliance.address_lookup(db).vrfs_of(sorted({name for each in doubled for name in each.told}))
    return _as_findings(GIVEN_TWICE, doubled_findings(doubled, known))


async def _rows_as_wished(appliance: Appliance, in_work: set[str]) -> list[Finding]:
    """FreeRADIUS' rows against our wishes. What differs is looked at twice, since runs go on meanwhile; a subscriber
    whose last change has not been carried over yet is the business of the run that is about to."""
    try:
        drifts = await appliance.projector.drift()
        if drifts:
            again = {(drift.kind, drift.name) for drift in await appliance.projector.drift()}
            drifts = [drift for drift in drifts if (drift.kind, drift.name) in again]
    except VaultError as error:
        return [Finding(ROWS_AS_WISHED, "secrets", f"The rows can't be compared: {error}")]
    return _as_findings(ROWS_AS_WISHED, drift_findings(drift for drift in drifts if not _on_its_way(drift, in_work)))


def _on_its_way(drift: Drift, in_work: set[str]) -> bool:
    return drift.awaiting_projection and drift.kind == "subscriber" and drift.name in in_work


def _as_findings(name: str, found: Sequence[Found]) -> list[Finding]:
    return [Finding(name, one.subject, one.sentence) for one in found]
