"""Customers: registered once under one number, found again, and never mixed up."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import CustomerConflict, CustomerService, CustomerUnknown
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT


def customers(db: AsyncSession, tenant_id: str = TENANT) -> CustomerService:
    return CustomerService(db, tenant_id=tenant_id, now=lambda: NOW)


async def test_a_customer_keeps_the_number_the_isp_gave(begin: Begin) -> None:
    async with begin() as db:
        await customers(db).register(
            name=" Ada Byron ", email="Ada@Example.COM", phone="+49 (30) 123-456", customer_id=42
        )
    async with begin() as db:
        assert await customers(db).customer(42) == {
            "customer_id": 42,
            "name": "Ada Byron",
            "email": "Ada@example.com",
            "phone": "+4930123456",
            "language": None,
        }


async def test_a_customer_without_a_number_gets_the_next_one(begin: Begin) -> None:
    async with begin() as db:
        await customers(db).register(name="Ada", email="ada@example.com", customer_id=42)
        second = await customers(db).register(name="Bob", email="bob@example.com")
    assert second["customer_id"] == 43


async def test_many_customers_registered_at_once_get_different_numbers(begin: Begin) -> None:
    async def register(name: str) -> int:
        async with begin() as db:
            return (await customers(db).register(name=name, email="x@example.com", request_id=name))["customer_id"]

    numbers = await asyncio.gather(*(register(f"customer {n}") for n in range(8)))
    assert sorted(numbers) == list(range(1, 9))


async def test_registering_the_same_customer_again_is_the_same_answer(begin: Begin) -> None:
    async with begin() as db:
        first = await customers(db).register(name="Ada", email="ada@example.com", customer_id=42)
    async with begin() as db:
        assert await customers(db).register(name="Ada", email="ada@example.com", customer_id=42) == first


async def test_the_same_request_is_one_customer_and_with_other_input_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        first = await customers(db).register(name="Ada", email="ada@example.com", request_id="lead/7")
        assert await customers(db).register(name="Ada", email="ada@example.com", request_id="lead/7") == first
        with pytest.raises(RequestConflict, match="lead/7 already made customer 1"):
            await customers(db).register(name="Eve", email="eve@example.com", request_id="lead/7")


async def test_a_number_that_belongs_to_somebody_else_is_a_conflict_naming_what_differs(begin: Begin) -> None:
    async with begin() as db:
        await customers(db).register(name="Ada", email="ada@example.com", customer_id=42)
        with pytest.raises(CustomerConflict) as refused:
            await customers(db).register(name="Eve", email="ada@example.com", customer_id=42)
    assert refused.value.differing == ("name",)
    assert not refused.value.transient


async def test_two_isps_may_use_the_same_number_for_different_customers(begin: Begin) -> None:
    async with begin() as db:
        await customers(db, "north").register(name="Ada", email="ada@example.com", customer_id=42)
        await customers(db, "south").register(name="Eve", email="eve@example.com", customer_id=42)
        assert (await customers(db, "north").customer(42))["name"] == "Ada"
        assert (await customers(db, "south").customer(42))["name"] == "Eve"


async def test_an_unknown_customer_is_named(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(CustomerUnknown, match="Customer 9 is not registered"):
            await customers(db).customer(9)


async def test_all_faults_of_a_registration_are_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await customers(db).register(
                name=" ", email="ada@example.com\r\nBcc: x@y.example", phone="call me", customer_id=0
            )
    assert [fault.field for fault in refused.value.faults] == ["customer_id", "name", "email", "phone"]
    assert "nothing was written" in refused.value.message
