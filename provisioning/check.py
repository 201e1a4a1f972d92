"""``firstlight check``: whether everything that must always hold does hold, asked of both databases. Read-only.

Each package knows its own invariants; here they are put together with what only the whole knows: which services are
wanted by whom. To add one: a function beside its package's others, one line below, and in ``tests/provisioning/
test_check.py`` the corruption that it must catch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from acs import invariants as acs_invariants
from ipam import invariants as ipam_invariants
from provisioning.bootstrap import Appliance
from provisioning.commercial import invariants as commercial_invariants
from radius import RADIUS_INVARIANTS, drift_findings, subscribers_of_ended_services
from workflows.engine import invariants as run_invariants
from workflows.engine.reading import open_results

MAIL_STUCK_AFTER = timedelta(hours=1)
TRACES_GONE_AFTER = timedelta(minutes=15)


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


Question = Callable[[], Awaitable[Iterable[Any]]]


async def check_everything(appliance: Appliance) -> CheckResult:
    """Asks every invariant.

    Raises: what a database that can't be read raises; an invariant that can't be asked is not one that holds.
    """
    findings: list[Finding] = []
    asked = 0
    async with appliance.database.begin() as db:
        live, wanted = await _services(db, appliance)
        for name, question in _questions(db, appliance, live, wanted).items():
            asked += 1
            findings += [_finding(name, found) for found in await question()]
    async with appliance.radius_database.begin() as radius_db:
        for invariant in RADIUS_INVARIANTS:
            asked += 1
            findings += [_finding(invariant.name, found) for found in await invariant.find(radius_db)]
    asked += 1
    findings += [
        _finding("radius.rows_as_wished", found) for found in drift_findings(await appliance.projector.drift())
    ]
    return CheckResult(asked, len({finding.invariant for finding in findings}), findings)


async def _services(db: AsyncSession, appliance: Appliance) -> tuple[set[int], set[int]]:
    """(services that hold resources, services that a subscriber or an open run wants)."""
    services = appliance.services(db)
    live = set(await services.network_service.active_service_ids())
    subscribed = set(await services.radius_service.live_service_ids())
    runs = await open_results(db, tenant_id=appliance.tenant_id, step="allocate_resources")
    return live, subscribed | {int(result["service_id"]) for result in runs}


def _questions(db: AsyncSession, appliance: Appliance, live: set[int], wanted: set[int]) -> dict[str, Question]:
    tenant, now = appliance.tenant_id, appliance.clock()
    scope: dict[str, Any] = {"tenant_id": tenant}
    ipam, acs, mail, runs = ipam_invariants, acs_invariants, commercial_invariants, run_invariants
    return {
        "ipam.given_twice": lambda: ipam.given_twice(db, **scope),
        "ipam.overlapping": lambda: ipam.overlapping(db, **scope),
        "ipam.held_after_release": lambda: ipam.held_after_release(db, **scope),
        "ipam.leaked": lambda: ipam.leaked(db, **scope, live_service_ids=wanted),
        "ipam.incomplete": lambda: ipam.incomplete(db, **scope),
        "ipam.partition": lambda: ipam.badly_partitioned(db, **scope),
        "radius.subscribers_of_ended_services": lambda: subscribers_of_ended_services(
            db, **scope, live_service_ids=live
        ),
        "acs.serial_bound_twice": lambda: acs.serials_bound_twice(db),
        "acs.device_of_ended_service": lambda: acs.devices_of_ended_services(db, **scope, live_service_ids=live),
        "acs.claim_without_proof": lambda: acs.claims_without_proof(db, **scope),
        "acs.revision_does_not_fit": lambda: acs.revisions_that_do_not_fit(db, **scope),
        "acs.secret_in_clear": lambda: acs.secrets_in_clear(db, **scope),
        "acs.traces_left": lambda: acs.traces_left_at_the_acs(db, **scope, withdrawn_before=now - TRACES_GONE_AFTER),
        "mail.one_per_request": lambda: mail.doubled_mails(db, tenant),
        "mail.one_message_id": lambda: mail.mails_of_two_identities(db, tenant),
        "mail.not_stuck": lambda: mail.stuck_mails(db, tenant, queued_before=now - MAIL_STUCK_AFTER),
        "field.no_technician_twice": lambda: mail.overlapping_visits(db, tenant),
        "billing.one_bill_per_service": lambda: mail.doubled_bills(db, tenant),
        "billing.customer_known": lambda: mail.bills_without_customer(db, tenant),
        "billing.service_live": lambda: mail.bills_without_service(db, tenant, live_service_ids=live),
        "runs.at_rest": lambda: runs.restless_runs(db, **scope, now=now),
        "runs.ended_whole": lambda: runs.unfinished_ends(db, **scope),
        "runs.unknown_outcome": lambda: runs.unknown_outcomes(db, **scope),
    }


def _finding(name: str, found: Any) -> Finding:
    """Each package has its own small record of a finding; an operator reads one kind."""
    facts = dataclasses.asdict(found)
    message = next((facts[key] for key in ("message", "sentence", "what") if key in facts), None)
    subject = str(facts.get("subject", ""))
    if message is None:  # the record's name says what is wrong, its fields with what
        subject = ", ".join(f"{key} {value}" for key, value in facts.items())
        message = (type(found).__doc__ or name).strip().splitlines()[0]
    return Finding(name, subject, message)
