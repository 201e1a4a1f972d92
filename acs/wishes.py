"""What a bound CPE is to have, written down: its template, its inputs and the overrides become settings and a revision.

Within the caller's transaction; nothing here commits or talks to the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.tables import AcsDevice, AcsPlanOverrides
from acs.templates.overriding import OverrideValue
from acs.templates.rendering import InputValue, Setting, Template, revision_of
from acs.templates.settings import Rendering, rendering

IN_FLIGHT = timedelta(minutes=2)
"""Longer than the ACS is waited for when something is queued: after that, nothing arrives there any more."""


async def plan_overrides(db: AsyncSession, *, tenant_id: str, plan: str | None) -> dict[str, OverrideValue]:
    """What every CPE of that plan has otherwise; nothing for a plan that says nothing."""
    if plan is None:
        return {}
    found = await db.scalars(
        select(AcsPlanOverrides).where(AcsPlanOverrides.tenant_id == tenant_id, AcsPlanOverrides.plan == plan)
    )
    said = found.one_or_none()
    return {} if said is None else dict(said.overrides)


async def rendering_of(
    db: AsyncSession, device: AcsDevice, template: Template, inputs: Mapping[str, InputValue]
) -> Rendering:
    """What that CPE is to have by that template now, with the overrides of its plan and its own.

    Raises: TemplateInputsRefused, OverridesRefused.
    """
    plan = await plan_overrides(db, tenant_id=device.tenant_id, plan=device.plan)
    return rendering(template, inputs, serial=device.serial, plan=plan, device=device.overrides or {})


def write_wish(device: AcsDevice, wish: Rendering, *, why: str, at: datetime) -> None:
    """Set what the device is to have and how it is delivered; when that is something new, its way begins again."""
    device.delivery = wish.delivery.as_json()
    renew(device, wish.settings, why=why, at=at)


def renew(device: AcsDevice, settings: Sequence[Setting], *, why: str, at: datetime) -> None:
    """A new revision, unless the settings are the ones that are written down.

    What a campaign keeps from being sent at this time stays kept back: the new settings hold its template as well.
    """
    revision = revision_of(
        device.data_model, settings, secret_version=device.secret_version, delivery=device.delivery or {}
    )
    if device.revision == revision:
        return
    has_taken_former = device.applied_revision == device.revision
    mark_left_standing(device)
    device.revision = revision
    device.parameters = [list(setting.as_row()) for setting in settings]
    device.details = []
    device.task_id = None
    device.reading_after = None
    device.repair_waits = False
    # All of that was of the former wish.
    device.repairs, device.repairs_since, device.handed_over_at = 0, None, None
    device.failures, device.try_again_at = 0, None
    if has_taken_former:
        device.send_until = None
    device.inform_slowed_at = device.inform_settled_at = device.inform_reason = None
    device.inform_attempts = 0
    seen = device.device_id is not None
    device.state = "queued" if seen else "awaiting_first_inform"
    device.reason = f"{why} They are on their way." if seen else f"{why} The CPE has not reported to the ACS yet."
    device.updated_at = at


def mark_left_standing(device: AcsDevice) -> None:
    """What this CPE is to have has changed, or it is to have nothing at this time: what was queued for it and is not
    known to have been taken must not reach it any more."""
    if device.queued_at is not None and (device.applied_at is None or device.applied_at < device.queued_at):
        device.left_standing = True


def was_sent(device: AcsDevice) -> bool:
    """Whether something of this binding may be at an ACS."""
    return device.queued_at is not None or device.handed_out_at is not None
