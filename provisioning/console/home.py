"""``/home``: what needs a person now, the worst first, and below it the calm numbers; both by themselves anew."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from provisioning.api import Call, InCall
from provisioning.api.own import own_sight
from provisioning.attention import Urgency
from provisioning.console.destinations import command_for, of_target
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.console.sign_in import HOME
from provisioning.console.topics import ATTENTION, FIGURES
from provisioning.console.words import spark

TONES: dict[Urgency, str] = {"now": "bad", "today": "warn", "soon": "calm"}

doors = ConsoleDoors(name="attention")


@doors.page(HOME, permission="attention.read")
async def home(call: InCall) -> Response:
    """Where one's work begins."""
    return show(
        call,
        "home.html.j2",
        "What needs a person",
        topics=[ATTENTION, FIGURES],
        **await _attention(call),
        **await _figures(call),
    )


@doors.page(f"{HOME}/now", permission="attention.read")
async def home_now(call: InCall) -> Response:
    """What needs a person, without the frame."""
    return show(call, "home_now.html.j2", "What needs a person", **await _attention(call))


@doors.page(f"{HOME}/figures", permission="attention.read")
async def figures_now(call: InCall) -> Response:
    """The calm numbers, without the frame."""
    return show(call, "figures_now.html.j2", "Numbers", **await _figures(call))


async def _attention(call: Call) -> dict[str, Any]:
    seen = await call.appliance.attention_desk(call.db, own_sight(call)).look()
    may = call.caller.permissions
    items = [(item, TONES[item.urgency], of_target(item.target, may), command_for(item.target)) for item in seen.items]
    return {"seen": seen, "items": items}


async def _figures(call: Call) -> dict[str, Any]:
    found = await call.appliance.figures_desk(call.db, own_sight(call)).look()
    return {"figures": [(figure, spark(figure.points, figure.name, figure.most)) for figure in found]}
