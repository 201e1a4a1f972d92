"""What must always hold for CPEs, as questions ``firstlight check`` asks. No finding is a pass; nothing is changed.

To add one: write a function that returns findings, name it in ``acs/__init__.py``, and prove in
``tests/acs/test_invariants.py`` that it finds its seeded corruption.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from acs.convergence.standing import STILL_THERE
from acs.convergence.unreached import CAUSES
from acs.tables import AcsDevice
from acs.templates.rendering import SECRET_REF, Setting, revision_of

TAKEN_STATES = ("applied", "verified", "accepted_unverifiable")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be: about what, and a sentence for a person."""

    subject: str
    sentence: str


async def serials_bound_twice(db: AsyncSession) -> list[Finding]:
    """A CPE serves one service. Looks across tenants: two of them cannot have the same box either."""
    doubled = (
        select(AcsDevice.serial)
        .where(AcsDevice.state != "withdrawn")
        .group_by(AcsDevice.serial)
        .having(func.count(AcsDevice.id) > 1)
    )
    found = await db.scalars(
        select(AcsDevice)
        .where(AcsDevice.state != "withdrawn", AcsDevice.serial.in_(doubled))
        .order_by(AcsDevice.serial, AcsDevice.id)
    )
    services: dict[str, list[str]] = {}
    for device in found:
        services.setdefault(device.serial, []).append(f"service {device.service_id} of tenant {device.tenant_id}")
    return [
        Finding(serial, f"CPE {serial} is bound to {' and to '.join(bound)}.") for serial, bound in services.items()
    ]


async def devices_of_ended_services(
    db: AsyncSession, *, tenant_id: str, live_service_ids: Collection[int]
) -> list[Finding]:
    """A CPE is bound only to a service that lives; the caller knows which do."""
    live, one = frozenset(live_service_ids), AcsDevice
    return [
        Finding(
            device.serial,
            f"CPE {device.serial} is still bound to service {device.service_id} of customer {device.customer_id},"
            " which has ended. Withdraw it.",
        )
        for device in await _live(db, tenant_id, (one.serial, one.service_id, one.customer_id))
        if device.service_id is not None and device.service_id not in live
    ]


async def claims_without_proof(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A CPE that is said to have its settings has taken this very revision, and a verified one was read back."""
    findings: list[Finding] = []
    one = AcsDevice
    said = (one.serial, one.state, one.revision, one.applied_revision, one.applied_at, one.written_at, one.verified_at)
    for device in await _live(db, tenant_id, said, one.state.in_(TAKEN_STATES)):
        lacks = [
            what
            for what, missing in (
                (f"the CPE took {device.applied_revision}", device.applied_revision != device.revision),
                ("when it took it is not known", device.applied_at is None or device.written_at is None),
                ("it was never read back", device.state != "applied" and device.verified_at is None),
            )
            if missing
        ]
        if lacks:
            sentence = f"CPE {device.serial} is called {device.state} with {device.revision}, but {', '.join(lacks)}."
            findings.append(Finding(device.serial, sentence))
    return findings


async def revisions_that_do_not_fit(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A revision is the hash of what it stands for; otherwise a changed wish would never reach the CPE."""
    one = AcsDevice
    hashed = (one.serial, one.revision, one.data_model, one.parameters, one.secret_version, one.delivery)
    return [
        Finding(
            device.serial,
            f"The settings of CPE {device.serial} were changed without a new revision ({device.revision}).",
        )
        for device in await _live(db, tenant_id, hashed)
        if device.revision
        != revision_of(
            device.data_model,
            [Setting.from_row(row) for row in device.parameters],
            secret_version=device.secret_version,
            delivery=device.delivery,
        )
    ]


async def secrets_in_clear(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """Passwords and passphrases are kept by reference. Names the parameter, never the value."""
    every = select(AcsDevice.serial, AcsDevice.parameters).where(AcsDevice.tenant_id == tenant_id)
    found = await db.execute(every.order_by(AcsDevice.id))
    return [
        Finding(device.serial, f"{setting.path} of CPE {device.serial} is stored in clear.")
        for device in found
        for setting in map(Setting.from_row, device.parameters)
        if setting.secret and not SECRET_REF.fullmatch(str(setting.value))
    ]


async def traces_left_at_the_acs(db: AsyncSession, *, tenant_id: str, withdrawn_before: datetime) -> list[Finding]:
    """A withdrawn CPE's queued settings are taken back, or they would reach whoever plugs it in next."""
    found = await db.scalars(
        select(AcsDevice)
        .where(
            AcsDevice.tenant_id == tenant_id,
            AcsDevice.state == "withdrawn",
            AcsDevice.cleared_at.is_(None),
            AcsDevice.withdrawn_at < withdrawn_before,
        )
        .order_by(AcsDevice.id)
    )
    return [
        Finding(
            device.serial,
            f"CPE {device.serial} was withdrawn from service {device.service_id}, and what was queued for it at the ACS"
            " was never taken back.",
        )
        for device in found
    ]


async def left_standing_for_long(db: AsyncSession, *, tenant_id: str, unchanged_since: datetime) -> list[Finding]:
    """What a CPE is not to have any more is taken back at its ACS soon, and its row is marked for that until then: an
    operator who reads that it may still be there can rely on somebody taking it back."""
    findings: list[Finding] = []
    one = AcsDevice
    for device in await _live(db, tenant_id, (one.serial, one.acs_name, one.left_standing, one.updated_at, one.reason)):
        what = f"What was queued at ACS {device.acs_name} for CPE {device.serial}, which is not to have it any more,"
        if device.left_standing and device.updated_at < unchanged_since:
            sentence = f"{what} was never taken back. See that a worker runs, and reaches that ACS."
            findings.append(Finding(device.serial, sentence))
        elif STILL_THERE in device.reason and not device.left_standing:
            findings.append(Finding(device.serial, f"{what} may be there, and nobody is going to take it back."))
    return findings


async def handed_over_and_not_at_rest(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """What was handed over to a person waits for that person: nothing goes on with it by itself."""
    one = AcsDevice
    return [
        Finding(device.serial, f"CPE {device.serial} was handed over to a person, and is {device.state} all the same.")
        for device in await _live(db, tenant_id, (one.serial, one.state), one.handed_over_at.is_not(None))
        if device.state not in ("faulted", "awaiting_first_inform")
    ]


async def unreached_without_a_cause(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A CPE that cannot be reached is so for a cause that has words, since a time."""
    one = AcsDevice
    unreached = or_(one.unreached_why.is_not(None), one.unreached_since.is_not(None))
    return [
        Finding(
            device.serial,
            f"CPE {device.serial} cannot be reached ({device.unreached_why}, since {device.unreached_since}): that is"
            " no cause with a time.",
        )
        for device in await _live(db, tenant_id, (one.serial, one.unreached_why, one.unreached_since), unreached)
        if device.unreached_since is None or device.unreached_why not in CAUSES
    ]


async def _live(
    db: AsyncSession,
    tenant_id: str,
    columns: Sequence[InstrumentedAttribute[Any]],
    *which: ColumnElement[bool],
) -> Sequence[Row[Any]]:
    """No more of each than is asked about: there are as many as customers."""
    mine = select(*columns).where(AcsDevice.tenant_id == tenant_id, AcsDevice.state != "withdrawn", *which)
    return (await db.execute(mine.order_by(AcsDevice.id))).all()
