"""The proof at the end of the demo: nothing is believed of our own records, every other side is asked itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acs import SLOWING_KEY, NbiClient, Template
from acs.testing import LabCpe
from provisioning.bootstrap import Appliance
from provisioning.check import check_everything
from provisioning.commercial.invariants import running_bills
from provisioning.lab.world import LabWorld
from radius import Rate, dialect_named
from radius.testing import LoginReply
from workflows import RunView


@dataclass(frozen=True)
class Proof:
    """What was found, and every sentence that should be true and isn't."""

    report: dict[str, Any]
    broken: list[str]


async def prove(world: LabWorld, appliance: Appliance, view: RunView, before_scan: LoginReply) -> Proof:
    """Asks FreeRADIUS, the CPE, the mail server, accounting and our own check about the subscriber of this run."""
    facts = {step.name: step.result for step in view.steps}
    allocated, subscriber = facts["allocate_resources"], facts["create_subscriber"]
    claims: list[tuple[bool, str]] = [(view.summary.state == "completed", f"the run is {view.summary.state}")]
    radius = await _radius(world, appliance, allocated, subscriber, before_scan, claims)
    if appliance.settings.genieacs_nbi_url == world.acs.url:
        cpe = await _cpe(world, appliance, view, allocated, claims)
    else:
        cpe = await _cpe_by_read_back(appliance, view, claims)
    mail = _mail(world, facts, claims)
    bill = await _bill(appliance, allocated, claims)
    check = await check_everything(appliance)
    claims += [(False, f"{each.invariant}: {each.subject}: {each.message}") for each in check.findings]
    claims += await _nothing_left_at_the_acs(appliance, facts)
    report = {
        "run": view.summary.id,
        "state": view.summary.state,
        "seconds": _seconds(view),
        "subscriber": {
            "customer_id": view.summary.customer_id,
            "service_id": allocated["service_id"],
            "username": subscriber["username"],
            "ip_address": allocated["ip_address"],
            "ipv6_wan_prefix": allocated["ipv6_wan_prefix"],
            "delegated_prefix": allocated["delegated_prefix"],
            "svlan": allocated["svlan"],
            "cvlan": allocated["cvlan"],
        },
        "radius": radius,
        "cpe": cpe,
        "bill": bill,
        "mail": mail,
        "check": {"asked": check.asked, "failed": check.failed},
    }
    return Proof(report, [sentence for holds, sentence in claims if not holds])


def _seconds(view: RunView) -> float:
    """How long the job itself took, by the run's own record: from the ticket's acceptance to the run's end."""
    begun, ended = view.summary.created_at, view.summary.finished_at
    assert ended is not None, "a run that has not ended proves nothing"
    return round((ended - begun).total_seconds(), 1)


async def _nothing_left_at_the_acs(appliance: Appliance, facts: dict[str, Any]) -> list[tuple[bool, str]]:
    """Asks the NBI itself, the laboratory's or a real one. That a verified CPE is to report seldom waits there for its
    next Inform, a minute or so, and is not left behind."""
    device_id = facts["apply_device"]["device_id"]
    async with NbiClient(str(appliance.settings.genieacs_nbi_url)) as nbi:
        tasks = [task for task in await nbi.tasks(device_id) if task.unique_key != SLOWING_KEY]
        faults = await nbi.faults(device_id)
    return [
        (not tasks, f"{len(tasks)} tasks are left at the ACS"),
        (not faults, f"{len(faults)} faults are left there"),
    ]


async def _radius(
    world: LabWorld,
    appliance: Appliance,
    allocated: dict[str, Any],
    subscriber: dict[str, Any],
    before_scan: LoginReply,
    claims: list[tuple[bool, str]],
) -> dict[str, Any]:
    assert world.nas is not None
    username = subscriber["username"]
    dialled = next((d for d in reversed(world.dial_ins) if d.username == username and d.session), None)
    reply = dialled.reply if dialled else None
    wrong = await world.nas.login(username, "not-the-password")
    sessions = await appliance.own_sessions.open_of(subscriber["subscriber_id"])
    rate = await _rate(appliance, world.nas.name, subscriber["subscriber_id"])
    claims += [
        (reply is not None and reply.accepted, "the CPE's own login was not accepted"),
        (reply is not None and reply.framed_ip_address == allocated["ip_address"], "another address was given"),
        (reply is not None and reply.delegated_prefix == allocated["delegated_prefix"], "another prefix was given"),
        (reply is not None and said_rate(reply, rate) == in_words(rate), f"the rate is not {in_words(rate)}"),
        (wrong.code == "Access-Reject", f"a wrong password was answered {wrong.code}"),
        (before_scan.code == "Access-Reject", f"a login before the scan was answered {before_scan.code}"),
        (len(sessions) == 1, f"{len(sessions)} sessions are open"),
        (
            bool(sessions) and sessions[0].framed_ip_address == allocated["ip_address"],
            "accounting has another address",
        ),
    ]
    return {
        "reply": reply.code if reply else None,
        "framed_ip_address": reply.framed_ip_address if reply else None,
        "delegated_prefix": reply.delegated_prefix if reply else None,
        "rate": said_rate(reply, rate) if reply else None,
        "wrong_password": wrong.code,
        "before_scan": before_scan.code,
        "accounting_start": sessions[0].started_at if sessions else None,
    }


async def _rate(appliance: Appliance, nas_name: str, subscriber_id: int) -> dict[str, tuple[str, ...]]:
    """The reply attributes by which this NAS is to be told the subscriber's rate."""
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        plan = await radius.plan(name=(await radius.subscriber(subscriber_id=subscriber_id))["plan"])
        [dialect] = [nas["dialect"] for nas in await radius.nas_list() if nas["name"] == nas_name]
    return told_rate(dialect, plan["terms"].rate)


def told_rate(dialect: str, rate: Rate) -> dict[str, tuple[str, ...]]:
    """What a NAS of a dialect is to be told of a rate: the values of each attribute."""
    told: dict[str, tuple[str, ...]] = {}
    for name, value in dialect_named(dialect).rate_attributes(rate):
        told[name] = (*told.get(name, ()), str(value))
    return told


def said_rate(reply: LoginReply, rate: Mapping[str, tuple[str, ...]]) -> str | None:
    """The rate that a reply tells in those attributes; None if one of them is missing."""
    known = {name: reply.attributes[name] for name in rate if name in reply.attributes}
    return in_words(known) if len(known) == len(rate) else None


def in_words(rate: Mapping[str, tuple[str, ...]]) -> str:
    """MikroTik's one value as it is, several with their names."""
    said = [(name, value) for name, values in rate.items() for value in values]
    return said[0][1] if len(said) == 1 else ", ".join(f"{name} {value}" for name, value in said)


def wanted_ssid(template: Template, given: str | None) -> str | None:
    """What the WiFi is to be named: by the ticket, else by the template; None if neither has a wish."""
    known = template.inputs.get("wifi_ssid")
    return given or (str(known.default) if known is not None and known.default is not None else None)


async def _cpe(
    world: LabWorld, appliance: Appliance, view: RunView, allocated: dict[str, Any], claims: list[tuple[bool, str]]
) -> dict[str, Any]:
    serial = next(step.result for step in view.steps if step.name == "provision_device")["device_serial"]
    cpe: LabCpe = world.acs.cpe(serial)
    ppp, roles = cpe.ppp, cpe.roles
    ssid = str(cpe.value(roles.ssid))
    passphrase = str(cpe.value(roles.passphrase))
    async with appliance.database.begin() as db:
        sealed = await appliance.vault.reveal(db, f"secret:device/{serial}/wifi")
    wanted = wanted_ssid(appliance.templates.get(view.input["config_template"]), view.input["wifi_ssid"])
    claims += [
        (ppp.username == allocated["username"], f"the CPE dials as {ppp.username}"),
        (ppp.vlan_id == allocated["cpe_vlan_id"], f"the CPE tags with VLAN {ppp.vlan_id}"),
        (wanted in (None, ssid), f"the CPE's WiFi is named {ssid}"),
        (passphrase == sealed, "the CPE's WiFi passphrase is not the sealed one"),
        (ppp.status == "Connected", f"the CPE's PPP is {ppp.status}"),
        (world.last_accepted(serial) is not None, "it was not this CPE that logged in"),
    ]
    return {
        "serial": serial,
        "ppp_username": ppp.username,
        "ppp_status": ppp.status,
        "ppp_address": ppp.address,
        "vlan_id": ppp.vlan_id,
        "wifi_ssid": ssid,
        "wifi_passphrase": "as sealed" if passphrase == sealed else "another",
    }


async def _cpe_by_read_back(appliance: Appliance, view: RunView, claims: list[tuple[bool, str]]) -> dict[str, Any]:
    """A real CPE behind a real GenieACS can't be looked into; what it showed when it was read back has to do."""
    serial = next(step.result for step in view.steps if step.name == "provision_device")["device_serial"]
    async with appliance.database.begin() as db:
        device = await appliance.services(db).genieacs_service.device(device_serial=serial)
    good = device["state"] in ("verified", "accepted_unverifiable")
    claims.append((good, f"the CPE is {device['state']}: {device['reason']}"))
    return {"serial": serial, "state": device["state"], "proof": "read back through the ACS; the NAS logged in for it"}


def _mail(world: LabWorld, facts: dict[str, Any], claims: list[tuple[bool, str]]) -> dict[str, Any]:
    message_id = facts["send_template_email"]["message_id"]
    mails = [mail for mail in world.mail.mails() if mail.message_id == message_id]
    claims.append((len(mails) == 1, f"the mail arrived {len(mails)} times"))
    path = str(mails[0].path) if mails else None
    return {"message_id": message_id, "recipient": facts["send_template_email"]["recipient"], "file": path}


async def _bill(appliance: Appliance, allocated: dict[str, Any], claims: list[tuple[bool, str]]) -> dict[str, Any]:
    async with appliance.database.begin() as db:
        bills = [
            bill for bill in await running_bills(db, appliance.tenant_id) if bill.service_id == allocated["service_id"]
        ]
    claims.append((len(bills) == 1, f"{len(bills)} bills run for the service"))
    return {"running": len(bills)}
