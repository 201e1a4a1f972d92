"""The door for tickets: what is known becomes one run, what isn't is refused whole, with every fault named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from ipam.tables import LocationAlias
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from provisioning.tickets import StartedInstallation, read_ticket
from radius import NasChange, PlanTerms
from tests.support.appliances import ESTATE, TICKET, Original
from workflows import list_events
from workflows.engine.tables import RunRow
from workflows.errors import RunConflict


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated.copy(tmp_path)) as opened:
        await import_estate(opened, ESTATE)
        yield opened


def ticket(**changes: Any) -> dict[str, Any]:
    data = json.loads(TICKET.read_text()) | changes
    return {name: value for name, value in data.items() if value is not ...}


async def accept(appliance: Appliance, data: Any) -> StartedInstallation:
    async with appliance.database.begin() as db:
        return await appliance.desk(db).accept(data, by="test")


async def faults(appliance: Appliance, data: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        await accept(appliance, data)
    async with appliance.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(RunRow)) == 0
        assert await list_events(db, tenant_id=appliance.tenant_id) == []
    return {fault.field: fault.reason for fault in refused.value.faults}


async def test_the_example_of_the_repository_is_accepted(appliance: Appliance) -> None:
    assert await accept(appliance, read_ticket(TICKET)) == StartedInstallation(1, True)


async def test_everything_unknown_is_named_at_once_with_what_is_known(appliance: Appliance) -> None:
    unknown = ticket(
        customer_id=7,
        service_location="LOC-1",
        bandwidth_plan="warp",
        config_template="tr1",
        appointment={"technician_id": 8, "scheduled_date": "2036-03-10T09:00:00+01:00"},
    )
    found = await faults(appliance, unknown)
    assert list(found) == [
        "config_template",
        "customer_id",
        "service_location",
        "bandwidth_plan",
        "appointment.technician_id",
    ]
    assert found["config_template"].startswith("tr1 is no CPE template; known: ")
    assert "tr181-pppoe" in found["config_template"]
    assert "LOC-1" in found["service_location"]


async def test_a_plan_is_refused_where_nobody_of_it_would_be_let_in_at_the_nas_of_the_premise(
    appliance: Appliance,
) -> None:
    plan, rate = ticket()["bandwidth_plan"], PlanTerms(300_000, 150_000, vrf="business", where_untold="refuse_login")
    async with appliance.database.begin() as db:
        radius, network = appliance.services(db).radius_service, appliance.services(db).network_service
        await radius.define_plan(name=plan, terms=rate)
        place = await network.locate(ticket()["service_location"])

    found = await faults(appliance, ticket())

    assert found == {
        "bandwidth_plan": f"nobody of plan {plan} is let in at {place['bng']}, behind which {place['location']} is:"
        f" a NAS of dialect mikrotik cannot be told a VRF (choose another plan; `firstlight plans show {plan}` says"
        " where that is so)"
    }
    async with appliance.database.begin() as db:
        await appliance.services(db).radius_service.change_nas(name=place["bng"], said=NasChange(dialect="huawei"))
    assert await accept(appliance, ticket()) == StartedInstallation(1, True)


async def test_what_is_malformed_and_what_is_unknown_are_named_together(appliance: Appliance) -> None:
    found = await faults(appliance, ticket(order_id="many", service_location="LOC-1", installation_address=...))
    assert set(found) == {"order_id", "service_location", "installation_address"}


async def test_one_malformed_part_hides_no_other_fault(appliance: Appliance) -> None:
    found = await faults(
        appliance,
        ticket(
            device_serial="?!",
            hold_until="2019-01-01T09:00:00Z",
            appointment={"technician_id": 404, "scheduled_date": "2020-01-01T09:00:00Z", "colour": "blue"},
        ),
    )
    assert found.keys() == {
        "device_serial",
        "hold_until",
        "appointment.technician_id",
        "appointment.scheduled_date",
        "appointment.colour",
    }
    assert found["hold_until"] == found["appointment.scheduled_date"] == "is over already"
    assert "404" in found["appointment.technician_id"]

    found = await faults(appliance, ticket(installation_address="\ud800") | {7: "extra"})
    assert found.keys() == {"installation_address", "7"}
    found = await faults(appliance, ticket(appointment={"technician_id": 404, "scheduled_date": "some day"}))
    assert found.keys() == {"appointment.technician_id", "appointment.scheduled_date"}
    found = await faults(appliance, ticket(appointment={"technician_id": "7", "scheduled_date": "2020-01-01T09:00Z"}))
    assert found == {
        "appointment.technician_id": "is not a whole number",
        "appointment.scheduled_date": "is over already",
    }


async def test_a_number_that_is_written_as_anything_else_is_refused(appliance: Appliance) -> None:
    for number in ("1001", "99999", 99999.0, 1001.0, 1001.5, True, "7", 7.0):
        whole = "is not a whole number"
        assert await faults(appliance, ticket(customer_id=number, order_id=number)) == {
            "customer_id": whole,
            "order_id": whole,
        }
        visit = {"technician_id": number, "scheduled_date": "2036-03-10T09:00:00+01:00"}
        assert await faults(appliance, ticket(appointment=visit)) == {"appointment.technician_id": whole}


async def test_text_of_nothing_but_blanks_is_refused(appliance: Appliance) -> None:
    for blank in ("", "   ", "\u00a0"):
        found = await faults(appliance, ticket(installation_address=blank, wifi_ssid=blank))
        assert found == {"installation_address": "is blank", "wifi_ssid": "is blank"}


@pytest.mark.parametrize("nothing", [None, [], "ticket", 7, True, {}])
async def test_what_is_no_ticket_at_all_is_refused(appliance: Appliance, nothing: Any) -> None:
    assert await faults(appliance, nothing)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"appointment": {"technician_id": 7, "scheduled_date": "2020-01-01T09:00:00Z"}}, "scheduled_date", "over"),
        (
            {"appointment": {"technician_id": 7, "scheduled_date": "2036-03-10T09:00:00"}},
            "scheduled_date",
            "no moment with its zone",
        ),
        ({"appointment": {"technician_id": 7, "scheduled_date": "2136-03-10T09:00:00Z"}}, "scheduled_date", "50 years"),
        ({"hold_until": "2020-01-01T09:00:00Z"}, "hold_until", "is over already"),
        ({"customer_id": 2**63}, "customer_id", "9223372036854775807"),
        ({"service_location": "LOC\x00"}, "service_location", "must be a name"),
        ({"wifi_ssid": "\ud800"}, "wifi_ssid", "must be a WiFi name"),
        ({"wifi_ssid": "é" * 17}, "wifi_ssid", "34 bytes long"),
    ],
)
async def test_what_cannot_be_meant_or_kept_is_refused(
    appliance: Appliance, changes: dict[str, Any], field: str, reason: str
) -> None:
    found = await faults(appliance, ticket(**changes))
    assert [name.rpartition(".")[2] for name in found] == [field]
    assert reason in next(iter(found.values()))


async def test_a_place_that_cannot_be_served_is_refused_with_the_surveyors_words(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await appliance.services(db).crm_service.record_site_survey(  # type: ignore[attr-defined]
            customer_id=1001,
            service_location="LOC-10293",
            result="not_feasible",
            surveyed_at=datetime.now(UTC) - timedelta(days=1),
            notes="no fibre in the street",
        )
    assert "no fibre in the street" in (await faults(appliance, ticket()))["customer_id"]
    assert (await faults(appliance, ticket(service_location="LOC-1"))).keys() == {"service_location"}


async def test_a_premise_without_a_survey_of_its_own_is_refused(appliance: Appliance) -> None:
    """The customer's survey was made at LOC-10293, of which drop-7782 is none."""
    for premise in ("LOC-10294", "drop-7782"):
        found = await faults(appliance, ticket(service_location=premise))
        assert found == {
            "customer_id": "Customer 1001 has no completed site survey of LOC-10294; record one before installing, "
            "by `firstlight customers survey 1001 LOC-10294 --result ...`."
        }


async def test_a_customer_without_any_survey_is_named_even_where_the_premise_is_unknown(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await appliance.services(db).customer_service.register(  # type: ignore[attr-defined]
            customer_id=1002, name="Eve", email="eve@customer.example"
        )
    found = await faults(appliance, ticket(customer_id=1002, service_location="LOC 1"))
    assert found.keys() == {"customer_id", "service_location"}
    assert found["customer_id"] == (
        "Customer 1002 has no completed site survey; record one before installing, "
        "by `firstlight customers survey 1002 LOCATION --result ...`."
    )


async def test_a_premise_may_be_named_by_an_alias_and_the_ticket_stays_the_same_whatever_it_leads_to(
    appliance: Appliance,
) -> None:
    by_alias = ticket(service_location="drop-7781")
    assert await accept(appliance, by_alias) == StartedInstallation(1, True)
    async with appliance.database.begin() as db:
        await db.execute(update(LocationAlias).where(LocationAlias.alias == "drop-7781").values(alias="drop-9999"))
    assert await accept(appliance, by_alias) == StartedInstallation(1, False)
    with pytest.raises(RunConflict):
        await accept(appliance, ticket())


async def test_a_ticket_that_comes_again_is_its_run_whatever_has_changed_since(appliance: Appliance) -> None:
    first = await accept(appliance, ticket())
    async with appliance.database.begin() as db:
        await appliance.services(db).crm_service.record_site_survey(  # type: ignore[attr-defined]
            customer_id=1001,
            service_location="LOC-10293",
            result="not_feasible",
            surveyed_at=datetime.now(UTC) - timedelta(days=1),
        )
    assert await accept(appliance, ticket()) == StartedInstallation(first.run_id, False)
    with pytest.raises(RunConflict, match="T-2026-0042 already started run 1 with other input"):
        await accept(appliance, ticket(order_id=5008))


async def test_the_same_ticket_at_two_doors_at_once_is_one_run(appliance: Appliance) -> None:
    started = await asyncio.gather(*(accept(appliance, ticket()) for _ in range(4)))
    assert {one.run_id for one in started} == {started[0].run_id}
    assert [one.is_new for one in started].count(True) == 1
    async with appliance.database.read() as db:
        [event] = await list_events(db, tenant_id=appliance.tenant_id)
    assert (event.type, event.subject, event.state, event.run_id) == (
        "ticket.installation_approved",
        "ticket/T-2026-0042",
        "started",
        started[0].run_id,
    )
    assert (event.key, event.data["customer_id"]) == ("ticket/T-2026-0042", 1001)


async def test_a_transaction_that_fails_later_leaves_no_run(appliance: Appliance) -> None:
    with pytest.raises(RuntimeError, match="the caller's own reasons"):
        async with appliance.database.begin() as db:
            await appliance.desk(db).accept(ticket(), by="test")
            raise RuntimeError("the caller's own reasons")
    async with appliance.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(RunRow)) == 0
        assert await list_events(db, tenant_id=appliance.tenant_id) == []


async def test_the_isps_own_id_of_the_subscriber_is_refused_when_another_one_has_it(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        await radius.create_subscriber(
            customer_id=1001, username="c1@isp.example", bandwidth_profile="fiber-300", external_id="ERP-9"
        )
    found = await faults(appliance, ticket(subscriber_external_id="ERP-9"))
    assert list(found) == ["subscriber_external_id"]
    assert found["subscriber_external_id"].startswith("External id ERP-9 belongs to another subscriber")
    started = await accept(appliance, ticket(subscriber_external_id="ERP-10"))
    with pytest.raises(RunConflict):
        await accept(appliance, ticket())
    async with appliance.database.read() as db:
        run = await db.get_one(RunRow, started.run_id)
    assert json.loads(run.input)["subscriber_external_id"] == "ERP-10"
