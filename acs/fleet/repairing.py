"""How often a CPE may be repaired by itself before a person has to look at it.

A CPE whose firmware forgets its settings at every boot, or whose customer sets them back each evening, would be written
to for ever. So repairs are counted, within a window that begins with the first of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from acs.commands import command_about
from acs.tables import AcsDevice
from acs.wishes import mark_left_standing

log = structlog.get_logger(__name__)

HANDED_OVER = "Repair loop: handed over to a person."

Tell = Callable[[AsyncSession, AcsDevice], Awaitable[None]]
"""Tells the world, in the same transaction, that a CPE was handed over."""


async def nobody_is_told(_db: AsyncSession, _device: AcsDevice) -> None:
    """For whoever has nobody to tell."""


@dataclass(frozen=True, slots=True)
class RepairLimit:
    """At most so many repairs of one CPE within a window."""

    repairs: int = 3
    window: timedelta = timedelta(hours=24)


def begin_repair(
    device: AcsDevice, *, why: str, details: list[dict[str, Any]], limit: RepairLimit, now: datetime
) -> bool:
    """Write down that it has lost its settings, and count its repair; False when it was handed over instead.

    ``why`` is a sentence for an operator.
    """
    if device.repairs_since is None or now - device.repairs_since >= limit.window:
        device.repairs, device.repairs_since = 0, now
    device.details, device.updated_at, device.task_id, device.reading_after = details, now, None, None
    device.try_again_at = None
    mark_left_standing(device)
    if device.repairs >= limit.repairs:
        hours = limit.window.total_seconds() / 3600
        device.state, device.handed_over_at = "faulted", now
        device.reason = (
            f"{HANDED_OVER} It was given its settings again {device.repairs} times within {hours:g} h, and: {why} Find"
            f" out why it loses them, then `{command_about('devices converge', device.serial)}`."
        )
        log.warning("cpe handed over to a person", serial=device.serial, repairs=device.repairs, why=why)
        return False
    device.repairs += 1
    device.state, device.reason, device.repair_waits = "drifted", why, True
    log.info("cpe is repaired", serial=device.serial, repairs=device.repairs, why=why)
    return True


def resume(device: AcsDevice, *, now: datetime) -> None:
    """A person has looked: the count begins anew, and one that lacks its settings is to get them."""
    device.repairs, device.repairs_since, device.handed_over_at, device.updated_at = 0, None, None, now
    device.failures, device.try_again_at, device.send_until = 0, None, None
    device.repair_waits = False
    if device.state in ("faulted", "drifted"):
        mark_left_standing(device)
        device.state = "queued" if device.device_id is not None else "awaiting_first_inform"
        device.reason, device.task_id = "A person has it converged again.", None
        device.applied_revision = None  # what it took once is no proof of what it has
