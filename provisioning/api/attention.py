"""``/attention``: what needs a person now."""

from __future__ import annotations

from provisioning.api.calls import InCall
from provisioning.api.own import own_sight
from provisioning.api.routes import Doors
from provisioning.attention import Attention

doors = Doors(prefix="/attention", tags=["attention"])


@doors.get("", permission="attention.read")
async def look(call: InCall) -> Attention:
    """What needs a person, the worst first, in sentences; of what the caller may see."""
    return await call.appliance.attention_desk(call.db, own_sight(call)).look()
