"""``/devices``: CPEs by how far they have come, what they refuse by parameter, and why some can't be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args

from fastapi import Path, Query, Response

from acs import CampaignRecord, CampaignState, DeviceRecord, DeviceState, MemberState, fleet_overview
from provisioning.act_previews import CampaignVerb, campaign_verbs
from provisioning.api import Call, InCall
from provisioning.api.pages import After, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer

ON_A_PAGE = 50
MOST_FAULTED = 200
"""Of so many of the newest CPEs that are not as they should be, parameters are counted."""
MOST_PARAMETERS = 10
STATES: tuple[DeviceState, ...] = get_args(DeviceState)
CAMPAIGN_STATES: tuple[CampaignState, ...] = get_args(CampaignState)
MEMBER_STATES: tuple[MemberState, ...] = get_args(MemberState)

TITLES: dict[CampaignVerb, str] = {
    "start": "Start the campaign",
    "pause": "Pause the campaign",
    "resume": "Let the campaign go on",
    "cancel": "End the campaign",
}

doors = ConsoleDoors(name="devices")

Word = Annotated[str, Query(max_length=64)]


@dataclass(frozen=True)
class ParameterFault:
    """A parameter that CPEs refuse, or have otherwise than they should: how many, and which one has it."""

    path: str
    what: str
    devices: int
    example: str


@doors.page("/devices", permission="devices.read")
async def devices(
    call: InCall,
    state: Word = "",
    why: Word = "",
    handed_over: Annotated[str, Query(max_length=5)] = "",
    refused: Annotated[str, Query(max_length=5)] = "",
    customer: Word = "",
    after: After = None,
) -> Response:
    """The fleet at a glance, and the CPEs of a state or cause, the newest binding first."""
    wanted_state = one_of(STATES, state)
    acs = call.appliance.services(call.db).genieacs_service
    overview = await fleet_overview(call.db, tenant_id=call.tenant_id)
    found = await acs.devices(
        customer_id=read_customer(customer),
        state=wanted_state,
        unreached_why=why or None,
        handed_over=bool(handed_over),
        refused=bool(refused),
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [device["device_row_id"] for device in found], ON_A_PAGE)
    return show(
        call,
        "devices.html.j2",
        "CPEs",
        overview=overview,
        faults=[] if after else await _faults(call),
        devices=page.items,
        next=page.next,
        states=STATES,
        wanted={
            "state": state,
            "why": why,
            "handed_over": bool(handed_over),
            "refused": bool(refused),
            "customer": customer,
        },
    )


@doors.page("/devices/{serial}", permission="devices.read")
async def device(call: InCall, serial: Annotated[str, Path(max_length=64)]) -> Response:
    """One CPE: how far it has come, what it refuses or has otherwise."""
    found = await call.appliance.services(call.db).genieacs_service.device(device_serial=serial)
    return show(call, "device.html.j2", f"CPE {found['device_serial']}", device=found)


@doors.page("/campaigns", permission="devices.read")
async def campaigns(call: InCall, state: Word = "", after: After = None) -> Response:
    """Changes for many CPEs, the newest first."""
    wanted = one_of(CAMPAIGN_STATES, state)
    found = await call.appliance.campaigns(call.db).campaigns(
        state=wanted, before_id=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [each["campaign_id"] for each in found], ON_A_PAGE)
    return show(
        call,
        "campaigns.html.j2",
        "Campaigns",
        campaigns=page.items,
        next=page.next,
        states=CAMPAIGN_STATES,
        wanted={"state": state},
    )


@doors.page("/campaigns/{name}", permission="devices.read")
async def campaign(
    call: InCall, name: Annotated[str, Path(max_length=120)], state: Word = "", after: After = None
) -> Response:
    """One campaign: its terms, how far it is, its CPEs in the order of their turns, or those in one state."""
    service = call.appliance.campaigns(call.db)
    shown = await service.campaign(name=name)
    wanted = one_of(MEMBER_STATES, state)
    states = () if wanted is None else (wanted,)
    found = await service.members(name=name, states=states, after_id=row_of(after), limit=ON_A_PAGE + 1)
    page = page_of(call, found, [each["member_id"] for each in found], ON_A_PAGE)
    return show(
        call,
        "campaign.html.j2",
        f"Campaign {name}",
        campaign=shown,
        what=what_it_brings(shown),
        states=MEMBER_STATES,
        wanted={"state": state},
        members=page.items,
        next=page.next,
        verbs=campaign_verbs(shown) if "devices.write" in call.caller.permissions else [],
        titles=TITLES,
    )


def what_it_brings(campaign: CampaignRecord) -> str:
    """What a campaign brings to whom, in words."""
    arguments = campaign["arguments"]
    brings = f"firmware {arguments['file']}" if campaign["kind"] == "firmware" else f"template {arguments['template']}"
    of = arguments["of"]
    chosen = [f"{by} {of[by]}" for by in ("template", "model") if of[by] is not None]
    return f"{brings}, to CPEs {'of ' + ' and '.join(chosen) if chosen else 'that were named one by one'}"


def by_parameter(devices: Sequence[DeviceRecord]) -> list[ParameterFault]:
    """What CPEs refuse or have otherwise, by parameter, the most frequent first."""
    seen: dict[tuple[str, str], list[str]] = {}
    for device in devices:
        for detail in device["details"]:
            what = f"refused with {detail['code']}" if "code" in detail else "is not as it should be"
            seen.setdefault((str(detail["path"]), what), []).append(device["device_serial"])
    faults = [ParameterFault(path, what, len(set(serials)), serials[0]) for (path, what), serials in seen.items()]
    return sorted(faults, key=lambda fault: (-fault.devices, fault.path))[:MOST_PARAMETERS]


async def _faults(call: Call) -> list[ParameterFault]:
    acs = call.appliance.services(call.db).genieacs_service
    states: tuple[DeviceState, ...] = ("faulted", "drifted")
    return by_parameter([each for state in states for each in await acs.devices(state=state, limit=MOST_FAULTED)])
