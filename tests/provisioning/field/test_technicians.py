"""Technicians: known under the ISP's numbers."""

from __future__ import annotations

import pytest

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest
from provisioning.field import TechnicianConflict, Technicians, TechnicianUnknown
from tests.provisioning.field.conftest import TENANT


async def test_technicians_are_listed_by_name(begin: Begin) -> None:
    async with begin() as db:
        people = Technicians(db, tenant_id=TENANT)
        await people.register(technician_id=3, name="Abe")
        assert [(one["technician_id"], one["name"]) for one in await people.technicians()] == [
            (3, "Abe"),
            (1, "Tom"),
            (2, "Uma"),
        ]


async def test_a_technician_learns_new_skills_under_the_same_number(begin: Begin) -> None:
    async with begin() as db:
        await Technicians(db, tenant_id=TENANT).register(
            technician_id=1, name="Tom", email="tom@isp.example", skills=["wifi", "splicing", "wifi"]
        )
    async with begin() as db:
        assert await Technicians(db, tenant_id=TENANT).technician(1) == {
            "technician_id": 1,
            "name": "Tom",
            "email": "tom@isp.example",
            "skills": ["splicing", "wifi"],
        }


async def test_a_number_that_is_somebody_elses_is_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        people = Technicians(db, tenant_id=TENANT)
        with pytest.raises(TechnicianConflict, match="Technician 1 is already Tom"):
            await people.register(technician_id=1, name="Eve")
        with pytest.raises(TechnicianUnknown):
            await people.technician(9)


async def test_all_faults_of_a_technician_are_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await Technicians(db, tenant_id=TENANT).register(technician_id=0, name="", email="tom", skills=[""])
    assert [fault.field for fault in refused.value.faults] == ["technician_id", "name", "email", "skills"]
