"""Customers are found by the beginning of what they are called, on both databases alike."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from provisioning.commercial import CustomerSearch, CustomerService
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Customer
from tests.provisioning.commercial.conftest import NOW, TENANT

pytestmark = pytest.mark.both_databases

PEOPLE = (
    (1, "Anna Müller", "anna@example.net", "+49301234567"),
    (2, "Annabel Mueller-Schmidt", "Annabel@example.net", "0301234568"),
    (3, "Muller & Sons", "office@muller.example", None),
    (4, "Zoë Ångström", "zoe@example.net", "+46812345678"),
)


async def registered(begin: Begin, tenant_id: str = TENANT) -> None:
    async with begin() as db:
        customers = CustomerService(db, tenant_id=tenant_id, now=lambda: NOW)
        for number, name, email, phone in PEOPLE:
            await customers.register(customer_id=number, name=name, email=email, phone=phone)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("anna", [1, 2]),
        ("müll", [1, 2, 3]),
        ("muell", [1, 2]),
        ("MULL", [1, 3]),
        ("anna mue", [1, 2]),
        ("schmidt ann", [2]),
        ("angst", [4]),
        ("zoe aang", [4]),
        ("nna", []),
        ("anna %", [1, 2]),
        ("!", []),
    ],
)
async def test_a_name_is_found_by_the_beginnings_of_its_words(begin: Begin, name: str, numbers: list[int]) -> None:
    await registered(begin)
    async with begin() as db:
        found = await CustomerSearch(db, tenant_id=TENANT).named(name, limit=20)
    assert sorted(one.customer_id for one in found) == numbers


async def test_whole_words_come_first_and_no_more_than_were_asked_for(begin: Begin) -> None:
    await registered(begin)
    async with begin() as db:
        found = await CustomerSearch(db, tenant_id=TENANT).named("anna", limit=1)
    assert [(one.customer_id, one.name, one.kind, one.key) for one in found] == [(1, "Anna Müller", "name", "anna")]


@pytest.mark.parametrize(
    ("phone", "numbers"),
    [
        ("+49 30 1234567", [1]),
        ("030 1234567", [1]),
        ("030/123456", [2]),
        ("+49 (0)30 1234568", [2]),
        ("0046 8 123", [4]),
        ("4567", [1]),
        ("5678", [4]),
        ("00", []),
    ],
)
async def test_a_number_is_found_with_and_without_its_countrys_code(
    begin: Begin, phone: str, numbers: list[int]
) -> None:
    await registered(begin)
    async with begin() as db:
        found = await CustomerSearch(db, tenant_id=TENANT).called(phone, limit=20)
    assert sorted(one.customer_id for one in found) == numbers


async def test_a_mail_address_is_found_in_any_case(begin: Begin) -> None:
    await registered(begin)
    async with begin() as db:
        found = await CustomerSearch(db, tenant_id=TENANT).at("ANNAB", limit=20)
    assert [one.email for one in found] == ["Annabel@example.net"]


async def test_nobody_is_found_who_is_anothers_or_not_to_be_seen(begin: Begin) -> None:
    await registered(begin)
    async with begin() as db:
        assert await CustomerSearch(db, tenant_id="south").named("anna", limit=20) == []
        only = select(Customer.id).where(Customer.tenant_id == TENANT, Customer.id == 2)
        search = CustomerSearch(db, tenant_id=TENANT, among=only)
        assert [one.customer_id for one in await search.named("anna", limit=20)] == [2]
        assert await search.numbered([1, 2, 3]) == {2: "Annabel Mueller-Schmidt"}
