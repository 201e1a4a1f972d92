"""NASes that have fallen silent, and those that are heard again: told once for each."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.commercial import PublishEvent
from provisioning.commercial.mails.delivery import Begin
from provisioning.intake import Clock
from radius import NasGuard, note_silence

BY = "clock"


async def tell_silence(
    begin: Begin, guards: Sequence[NasGuard], *, publish: PublishEvent, tenant_id: str, now: Clock
) -> int:
    """Tells what the looks at accounting have found; the note of it and the events are one commit. How many."""
    at = now()
    async with begin() as db:
        found = await note_silence(db, tenant_id=tenant_id, guards=guards, now=at)
        for each in found:
            subject = f"nas/{each.nas_id}"
            said = {
                "nas_id": each.nas_id,
                "nas": each.name,
                "since": each.since.isoformat(),
                "open_sessions": each.open_sessions,
            }
            await publish(db, f"nas.{each.kind}", subject, said, f"{subject}/{each.kind}/{at.isoformat()}", BY)
    return len(found)
