"""``/home``: what needs a person now, the worst first, in sentences; or that all is quiet, and when that was seen."""

from __future__ import annotations

from fastapi import Response

from provisioning.api import Call, InCall
from provisioning.api.own import own_sight
from provisioning.attention import Target
from provisioning.console.doors import ConsoleDoors
from provisioning.console.navigation import HOME, places_of
from provisioning.console.pages import show, to
from provisioning.console.topics import HELD

doors = ConsoleDoors(name="home")


@doors.page(HOME)
async def home(call: InCall) -> Response:
    """Where one's work begins: what needs a person, or for whom that isn't, their first place."""
    if "attention.read" in call.caller.permissions:
        return await _home(call, "home.html.j2")
    places = places_of(call.caller)
    return to(places[0].path) if places else show(call, "nothing.html.j2", "Nothing is here for you")


@doors.page(f"{HOME}/now", permission="attention.read")
async def home_now(call: InCall) -> Response:
    """The same without its frame, as it is now."""
    return await _home(call, "home_now.html.j2")


async def _home(call: Call, template: str) -> Response:
    seen = await call.appliance.attention_desk(call.db, own_sight(call)).look()
    may = call.caller.permissions
    return show(
        call,
        template,
        "What needs a person now",
        topics=[HELD] if "runs.read" in may else [],
        seen=seen,
        items=[(item, address_of(item.target, sees_runs="runs.read" in may)) for item in seen.items],
    )


def address_of(target: Target, *, sees_runs: bool) -> str | None:
    """The page that shows it; None where there is none yet, or none for this looker."""
    match target.noun:
        case "run" if sees_runs:
            return f"/runs/{target.id}"
        case "runs" if sees_runs:
            return "/queue"
        case "visit" | "visits":
            return "/visits"
        case _:
            return None
