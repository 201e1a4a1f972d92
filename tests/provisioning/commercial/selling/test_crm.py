"""Site surveys: the newest one decides whether anybody may install."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    CrmService,
    CustomerService,
    CustomerUnknown,
    SurveyMissing,
    SurveyNotFeasible,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT

YESTERDAY = NOW - timedelta(days=1)


async def crm(db: AsyncSession, tenant_id: str = TENANT) -> CrmService:
    await CustomerService(db, tenant_id=tenant_id, now=lambda: NOW).register(
        name="Ada", email="ada@example.com", customer_id=42
    )
    return CrmService(db, tenant_id=tenant_id, now=lambda: NOW)


async def test_the_newest_survey_is_the_one_that_counts(begin: Begin) -> None:
    async with begin() as db:
        service = await crm(db)
        await service.record_site_survey(
            customer_id=42, service_location="LOC-1", result="feasible", surveyed_at=YESTERDAY, notes="drop in cellar"
        )
        await service.record_site_survey(
            customer_id=42, service_location="LOC-0", result="not_feasible", surveyed_at=YESTERDAY - timedelta(days=9)
        )
    async with begin() as db:
        survey = await (await crm(db)).get_site_survey(customer_id=42)
    assert survey["service_location"] == "LOC-1"
    assert survey["result"] == "feasible"
    assert survey["surveyed_at"] == YESTERDAY
    assert survey["surveyed_at"].tzinfo is UTC
    assert survey["notes"] == "drop in cellar"


async def test_a_customer_without_a_survey_is_told_so(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(SurveyMissing, match="Customer 42 has no completed site survey"):
            await (await crm(db)).get_site_survey(customer_id=42)


async def test_a_place_that_cannot_be_served_is_refused_with_the_surveyors_words(begin: Begin) -> None:
    async with begin() as db:
        service = await crm(db)
        await service.record_site_survey(
            customer_id=42,
            service_location="LOC-1",
            result="not_feasible",
            surveyed_at=YESTERDAY,
            notes="duct collapsed",
        )
        with pytest.raises(SurveyNotFeasible) as refused:
            await service.get_site_survey(customer_id=42)
    assert (refused.value.service_location, refused.value.notes) == ("LOC-1", "duct collapsed")
    assert "2026-03-01 at LOC-1 for customer 42 says not feasible: duct collapsed" in refused.value.message


async def test_another_isps_survey_does_not_count(begin: Begin) -> None:
    async with begin() as db:
        south = await crm(db, "south")
        await south.record_site_survey(
            customer_id=42, service_location="LOC-1", result="feasible", surveyed_at=YESTERDAY
        )
        with pytest.raises(SurveyMissing):
            await (await crm(db)).get_site_survey(customer_id=42)


async def test_a_survey_recorded_twice_by_one_request_is_one_survey(begin: Begin) -> None:
    wish: dict[str, Any] = {
        "customer_id": 42,
        "service_location": "LOC-1",
        "result": "feasible",
        "surveyed_at": YESTERDAY,
        "request_id": "s/1",
    }
    async with begin() as db:
        service = await crm(db)
        first = await service.record_site_survey(**wish)
        assert await service.record_site_survey(**wish) == first
        with pytest.raises(RequestConflict):
            await service.record_site_survey(**wish | {"service_location": "LOC-2"})


async def test_a_survey_of_nobody_is_refused(begin: Begin) -> None:
    async with begin() as db:
        service = CrmService(db, tenant_id=TENANT, now=lambda: NOW)
        with pytest.raises(CustomerUnknown):
            await service.record_site_survey(
                customer_id=43, service_location="LOC-1", result="feasible", surveyed_at=YESTERDAY
            )


async def test_all_faults_of_a_survey_are_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        service = await crm(db)
        with pytest.raises(InvalidRequest) as refused:
            await service.record_site_survey(
                customer_id=-1,
                service_location="",
                result=cast(Any, "maybe"),
                surveyed_at=datetime(2026, 1, 1),  # noqa: DTZ001 - the fault under test
                notes="line\nbreak",
            )
        with pytest.raises(InvalidRequest, match="surveyed_at lies in the future"):
            await service.record_site_survey(
                customer_id=42, service_location="L", result="feasible", surveyed_at=NOW + timedelta(minutes=1)
            )
    assert [fault.field for fault in refused.value.faults] == [
        "customer_id",
        "service_location",
        "surveyed_at",
        "notes",
        "result",
    ]
