"""Acts on a campaign: what one would touch, then the act itself."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Response
from starlette.exceptions import HTTPException

from acs import CampaignRecord
from provisioning.access import subject_of
from provisioning.act_previews import CAMPAIGN_VERBS, CampaignVerb, campaign_preview
from provisioning.api import InCall
from provisioning.console.devices import TITLES
from provisioning.console.doors import ConsoleDoors, form_of
from provisioning.console.pages import show, to
from provisioning.errors import Fault, InvalidRequest

doors = ConsoleDoors(name="devices")

Name = Annotated[str, Path(max_length=64)]


@doors.page("/campaigns/{name}/acts/{verb}", permission="devices.write")
async def look(call: InCall, name: Name, verb: str) -> Response:
    """What this act would touch, and the form that takes it."""
    known, campaign = _known(verb), await call.appliance.campaigns(call.db).campaign(name=name)
    return show(
        call,
        "touching.html.j2",
        f"{TITLES[known]}: {name}",
        lead=campaign["reason"],
        state=campaign["state"],
        preview=campaign_preview(campaign, known),
        mark=campaign["state"],
        button=TITLES[known],
        back=_address(campaign),
    )


@doors.act("/campaigns/{name}/acts/{verb}", permission="devices.write")
async def take(call: InCall, name: Name, verb: str) -> Response:
    """Takes the act, if the campaign still stands as it was seen."""
    known, form, service = _known(verb), form_of(call), call.appliance.campaigns(call.db)
    before = await service.campaign(name=name)
    faults = [] if form.text("reason") else [Fault("reason", "is missing")]
    if form.text("seen") != before["state"]:
        faults.append(Fault("seen", f"it is {before['state']} by now: look again"))
    if faults:
        raise InvalidRequest("The act", faults)
    acts = {"start": service.start, "pause": service.pause, "resume": service.resume, "cancel": service.cancel}
    after = await acts[known](name=name)
    call.tells(
        action=f"campaigns {known}",
        subject=subject_of("campaign", after["campaign_id"]),
        reason=form.text("reason"),
        before={"state": before["state"]},
        after={"campaign": name, "state": after["state"]},
    )
    return to(_address(after))


def _address(campaign: CampaignRecord) -> str:
    return f"/campaigns/{quote(campaign['name'], safe='')}"


def _known(verb: str) -> CampaignVerb:
    if verb not in CAMPAIGN_VERBS:
        raise HTTPException(404)
    return verb
