"""Who looks at the laboratory's console: one person of each role, each with a link at which they choose a password."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.access import Deed, Invitations, Role, Users, keep_deed, subject_of
from provisioning.bootstrap import Appliance

BY = "demo"


@dataclass(frozen=True)
class Person:
    """Somebody who signs in; a partner's or a technician's number where the role takes one."""

    login_name: str
    role: Role
    partner_id: int | None = None
    technician_id: int | None = None


PEOPLE = (
    Person("admin", "admin"),
    Person("noc", "noc"),
    Person("dispatch", "dispatch"),
    Person("sales", "sales"),
    Person("carla", "technician", technician_id=9),
    Person("nordnetz", "partner", partner_id=21),
)
"""The last two by their numbers in the estate; this technician has visits of the town's orders."""


async def invite_people(appliance: Appliance) -> list[str]:
    """Adds them; a line for each, with the link, which opens once, for a day."""
    lines = []
    async with appliance.database.begin() as db:
        users = Users(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        invitations = Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        for person in PEOPLE:
            added = await users.add(
                login_name=person.login_name,
                display_name=person.login_name,
                role=person.role,
                partner_id=person.partner_id,
                technician_id=person.technician_id,
            )
            made = await invitations.make(user_id=added.user_id, by=BY)
            deed = Deed(
                action="users add",
                actor=BY,
                door="command line",
                subject=subject_of("console user", added.user_id),
                after={"role": person.role, "until": made.ends_at},
            )
            await keep_deed(db, deed, tenant_id=appliance.tenant_id, at=appliance.clock())
            lines.append(f"{person.login_name:<8}  {person.role:<10}  {appliance.settings.public_url}{made.path}")
    return lines
