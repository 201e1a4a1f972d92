"""``/attention``: what needs a person now, and below it calm numbers."""

from __future__ import annotations

from provisioning.api.calls import InCall
from provisioning.api.own import own_sight
from provisioning.api.routes import Doors
from provisioning.attention import Attention
from provisioning.figures import Figure

doors = Doors(prefix="/attention", tags=["attention"])


@doors.get("", permission="attention.read")
async def look(call: InCall) -> Attention:
    """What needs a person, the worst first, in sentences; of what the caller may see."""
    return await call.appliance.attention_desk(call.db, own_sight(call)).look()


@doors.get("/figures", permission="attention.read")
async def figures(call: InCall) -> list[Figure]:
    """Open sessions, runs that ended, the fullest pools, and how they came to that; of what the caller may see."""
    return await call.appliance.figures_desk(call.db, own_sight(call)).look()
