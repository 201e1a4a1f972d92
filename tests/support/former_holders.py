"""Somebody who had a subscriber's name before it, and was terminated."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from provisioning.bootstrap import Appliance
from radius.tables import Subscriber


async def had_by_another(appliance: Appliance, username: str) -> str:
    """Of the same customer, until the day before; the Class of its sessions."""
    async with appliance.database.begin() as db:
        present = (await db.scalars(select(Subscriber).where(Subscriber.username == username))).one()
        before = present.created_at - timedelta(days=1)
        former = Subscriber(
            tenant_id=present.tenant_id,
            customer_id=present.customer_id,
            username=username,
            plan_id=present.plan_id,
            state="terminated",
            request_fingerprint="former",
            version=1,
            projected_version=1,
            created_at=before,
            updated_at=before,
        )
        db.add(former)
        await db.flush()
        return f"subscriber-{former.id}"
