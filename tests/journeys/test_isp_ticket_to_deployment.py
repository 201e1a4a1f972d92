"""The main job on real parts: an approved installation ticket becomes a live subscriber.

Real FreeRADIUS and SMTP; ACS, OLT, CPE and NAS are the laboratory's, each with a state of its own. Nothing is believed
of the appliance's own records here: what counts is what the other sides have. The bad days are in the files beside.
"""

from __future__ import annotations

import re

import httpx
import pytest

from acs import TemplateLibrary
from provisioning.api import create_app
from provisioning.errors import InvalidRequest
from tests.support.estate import tomorrow
from tests.support.lab import Installation, JourneyLab
from tests.support.traces import NOTHING, Traces, apart_from_slowing, traces_of
from workflows.errors import RunConflict

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVERY_POOL = ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")
RADIUS_ROWS = (
    "Class",
    "Cleartext-Password",
    "Delegated-IPv6-Prefix",
    "Framed-IP-Address",
    "Framed-IP-Netmask",
    "Framed-IPv6-Prefix",
    "group",
)


@pytest.mark.scenario("D6")
async def test_a_ticket_becomes_a_live_subscriber(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)

    # Everything is reserved and known to FreeRADIUS before the visit, and nothing works yet.
    await run.until_waiting_for("visit")
    given = await run.result("allocate_resources")
    assert (given["access_node"], given["port"], given["svlan"]) == ("OLT-3", house.port, 101)
    assert given["ip_address"].startswith("100.64.")
    refused = await lab.login(run)
    assert (refused.code, refused.first("Reply-Message")) == ("Access-Reject", "This line is not in service yet.")
    assert lab.world.olt.lines.get(house.serial) is None

    # The technician connects the ONT and scans it; from here on nobody does anything by hand.
    cpe = await run.plug_and_scan(house)
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == ("completed", None)

    # The OLT has one line, with the VLANs that the network gave.
    line = lab.world.olt.lines[house.serial]
    assert (line.port, line.svlan, line.cvlan) == (house.port, given["svlan"], given["cvlan"])
    assert (line.management_vlan, line.line_profile) == (4000, "fiber-300")

    # The CPE itself (not the ACS's copy of it) has its settings, and has dialled in with them.
    assert (cpe.ppp.username, cpe.ppp.vlan_id) == (given["username"], 100)
    assert cpe.value(cpe.roles.ssid) == house.ssid
    assert cpe.value(cpe.roles.passphrase) == await _sealed(lab, f"secret:device/{house.serial}/wifi")
    assert (cpe.ppp.status, cpe.ppp.address) == ("Connected", given["ip_address"])

    # FreeRADIUS gave it exactly what the network had allocated, and accounts for the session.
    dialled = lab.world.last_accepted(house.serial)
    assert dialled is not None and dialled.reply is not None
    assert dialled.reply.framed_ip_address == given["ip_address"]
    assert dialled.reply.ipv6_wan_prefix == given["ipv6_wan_prefix"]
    assert dialled.reply.delegated_prefix == given["delegated_prefix"]
    assert dialled.reply.rate_limit == "150000k/300000k"
    [session] = await lab.appliance.sessions.open_sessions(given["username"])
    assert session.framed_ip_address == given["ip_address"]
    assert (await lab.nas.login(given["username"], "not-the-password")).code == "Access-Reject"

    # The customer reads the passphrase that their router has by the link in their mail, once, and nowhere else.
    [mail] = lab.activation_mails(house)
    passphrase = str(cpe.value(cpe.roles.passphrase))
    assert passphrase not in mail.body("plain") + mail.body("html")
    [link] = re.findall(r"http\S+/links/\S+", mail.body("plain"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(lab.appliance))) as browser:
        assert passphrase not in (await browser.get(link)).text
        shown, again = await browser.post(link), await browser.post(link)
    assert (shown.status_code, f">{passphrase}<" in shown.text) == (200, True)
    assert (again.status_code, passphrase in again.text) == (409, False)

    # The bill runs, one mail was sent, and each side holds what a live subscriber needs and nothing else.
    assert "fiber-300" in mail.body("plain") and given["username"] in mail.body("plain")
    revision = (await run.result("apply_device"))["revision"]
    subscriber = await run.result("create_subscriber")
    assert apart_from_slowing(await traces_of(lab, house)) == Traces(
        addresses=EVERY_POOL,
        subscribers=("active",),
        radius_rows=RADIUS_ROWS,
        line_orders=("authorised",),
        on_the_olt=(house.serial,),
        bound_cpes=(house.serial,),
        at_the_acs=(f"tag cfg_{revision}",),
        bills=1,
        secrets=(f"secret:device/{house.serial}/wifi", subscriber["password"]),
    )
    assert await lab.broken_invariants() == []


async def test_where_customers_cannot_reach_the_appliance_the_mail_says_whom_to_ask(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.restarted_with(public_url=None):
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)
        assert (await run.until_ended()).summary.state == "completed"
    [mail] = lab.activation_mails(house)
    assert f"please ask for that of router {house.serial}." in " ".join(mail.body("plain").split())
    assert "/links/" not in mail.body("html")
    assert await lab.broken_invariants() == []


async def test_an_older_cpe_is_configured_by_its_own_data_model(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house, config_template="tr098-pppoe")
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house, data_model="TR-098")
    await run.report("scanned", serial=house.serial, port=house.port)

    ended = await run.until_ended()

    given = await run.result("allocate_resources")
    assert ended.summary.state == "completed"
    assert cpe.roles.ppp_username.startswith("InternetGatewayDevice.WANDevice.")
    assert (cpe.ppp.username, cpe.ppp.vlan_id) == (given["username"], 100)
    assert (cpe.ppp.status, cpe.ppp.address) == ("Connected", given["ip_address"])
    assert cpe.value(cpe.roles.ssid) == house.ssid
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D3")
async def test_where_the_bng_gives_addresses_none_is_invented(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house, bandwidth_plan="fiber-pool")
    await run.until_waiting_for("visit")
    cpe = await run.plug_and_scan(house)

    ended = await run.until_ended()

    given = await run.result("allocate_resources")
    assert ended.summary.state == "completed"
    assert (given["ip_address"], given["framed_pool"]) == ("", "dynamic-1")
    dialled = lab.world.last_accepted(house.serial)
    assert dialled is not None and dialled.reply is not None
    assert (dialled.reply.framed_ip_address, dialled.reply.first("Framed-Pool")) == (None, "dynamic-1")
    assert dialled.reply.rate_limit == "10000k/50000k"
    assert (cpe.ppp.status, cpe.ppp.username) == ("Connected", given["username"])
    assert (await traces_of(lab, house)).addresses == ("aggregation-north/101",)
    assert await lab.broken_invariants() == []


async def test_without_an_appointment_the_run_waits_for_dispatch(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house, appointment=None)

    waiting = await run.until_waiting_for("appointment")
    assert waiting.summary.reason == "an appointment with the customer has to be made"
    assert (await traces_of(lab, house)).visits == ()

    when = tomorrow(lab.clock.now())
    await run.appoint(house, when)
    await run.until_waiting_for("visit")
    booked = await run.result("schedule_installation")
    assert (booked["technician_name"], booked["state"]) == (house.technician, "booked")
    await run.plug_and_scan(house)
    assert (await run.until_ended()).summary.state == "completed"


async def test_the_same_ticket_twice_is_one_run_and_other_content_a_conflict(lab: JourneyLab) -> None:
    house = lab.household()
    when = tomorrow(lab.clock.now())
    first = await lab.submit(house.ticket(when))
    await first.until_waiting_for("visit")

    again = await lab.submit(house.ticket(when))
    assert again.id == first.id
    with pytest.raises(RunConflict) as conflict:
        await lab.submit(house.ticket(when, wifi_ssid="Another-Name"))
    assert (
        str(conflict.value)
        == f"ticket/T-{house.number} already started run {first.id} with other input; nothing was started"
    )

    assert (await traces_of(lab, house)).addresses == EVERY_POOL  # once
    await first.cancel("ordered by mistake")
    assert (await first.until_ended()).summary.state == "cancelled"
    assert await traces_of(lab, house) == NOTHING


async def test_a_faulty_ticket_is_refused_with_all_its_faults_and_nothing_is_written(lab: JourneyLab) -> None:
    house = lab.household()
    ticket = house.ticket(
        tomorrow(lab.clock.now()),
        service_location="LOC-404",
        bandwidth_plan="fiber-9000",
        config_template="tr999-pppoe",
        customer_id=999999,
        device_serial="HW TC/1",
        appointment={"technician_id": 404, "scheduled_date": "2036-03-10T09:00:00+01:00"},
        installation_address=None,
        colour="red",
    )
    before = await lab.row_counts()

    with pytest.raises(InvalidRequest) as refused:
        await lab.submit(ticket)

    assert sorted(fault.field for fault in refused.value.faults) == [
        "appointment.technician_id",
        "bandwidth_plan",
        "colour",
        "config_template",
        "customer_id",
        "device_serial",
        "installation_address",
        "service_location",
    ]
    assert str(refused.value).startswith("The ticket was refused, nothing was written: ")
    assert await lab.row_counts() == before


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"service_location": "LOC-404"}, "service_location", "No premise is known as 'LOC-404'"),
        ({"bandwidth_plan": "fiber-9000"}, "bandwidth_plan", "There is no address plan 'fiber-9000'."),
        (
            {"config_template": "tr999"},
            "config_template",
            f"tr999 is no CPE template; known: {', '.join(TemplateLibrary.load().names)}",
        ),
        ({"customer_id": 999999}, "customer_id", "Customer 999999 is not registered"),
        ({"installation_address": None}, "installation_address", "is missing"),
        ({"device_serial": "HW TC/1"}, "device_serial", "is 'HW TC/1', but must be a serial"),
        ({"customer_id": None}, "customer_id", "is missing"),
        ({"hold_until": "2020-01-01T00:00:00Z"}, "hold_until", "is over already"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_single_fault_is_enough(lab: JourneyLab, change: dict[str, object], field: str, reason: str) -> None:
    house = lab.household()
    before = await lab.row_counts()

    with pytest.raises(InvalidRequest) as refused:
        await lab.submit(house.ticket(tomorrow(lab.clock.now()), **change))

    [fault] = refused.value.faults
    assert fault.field == field
    assert fault.reason.startswith(reason)
    assert await lab.row_counts() == before


async def test_two_runs_at_once_share_nothing(lab: JourneyLab) -> None:
    houses = [lab.household() for _ in range(3)]
    runs: list[Installation] = [await lab.order(house) for house in houses]
    for house, run in zip(houses, runs, strict=True):
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)

    ended = [await run.until_ended() for run in runs]

    assert [view.summary.state for view in ended] == ["completed"] * 3
    given = [await run.result("allocate_resources") for run in runs]
    for fact in ("service_id", "ip_address", "cvlan", "ipv6_wan_prefix", "delegated_prefix", "username"):
        assert len({one[fact] for one in given}) == 3
    assert [lab.world.acs.cpe(house.serial).ppp.address for house in houses] == [one["ip_address"] for one in given]
    assert await lab.broken_invariants() == []


async def _sealed(lab: JourneyLab, ref: str) -> str:
    async with lab.appliance.database.begin() as db:
        return await lab.appliance.vault.reveal(db, ref)
