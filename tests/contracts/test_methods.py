"""The contract: methods of these names, with these parameters, whose answers have at least these keys."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish
from provisioning.estate import import_estate
from tests.contracts.headings import Promise, read_headings
from tests.contracts.partner_calls import partner_calls
from tests.support.appliances import ESTATE, Original
from workflows import CONTRACT, DEFINITIONS, Definition
from workflows.contract import EVERY_JOURNEY
from workflows.engine.steps import Act
from workflows.services import Services

HEADINGS = read_headings()
METHODS = HEADINGS.methods
MAY_BE_LEFT_OUT = {("notifications_service", "notify_team"): {"metadata"}}
"""Promised parameters that have a default of ours."""
IN_THIS_ORDER = {
    "lead_to_customer_onboarding": [
        "create_from_lead",
        "create_subscription",
        "issue_license",
        "provision_tenant",
        "send_template_email",
        "create_ticket",
    ],
    "quote_accepted_to_order": [
        "accept_quote",
        "create_order_from_quote",
        "process_payment",
        "schedule_deployment",
        "notify_team",
        "send_template_email",
    ],
    "partner_customer_provisioning": [
        "check_license_quota",
        "create_partner_customer",
        "allocate_from_partner",
        "provision_partner_tenant",
        "record_commission",
        "send_template_email",
    ],
    "customer_renewal_process": [
        "check_renewal_eligibility",
        "create_renewal_quote",
        "send_template_email",
        "process_renewal_payment",
        "extend_subscription",
    ],
    "isp_ticket_to_deployment": [
        "get_site_survey",
        "allocate_resources",
        "create_subscriber",
        "schedule_installation",
        "provision_device",
        "activate_service",
        "send_template_email",
    ],
}
"""What each journey does, one after the other; what else it does may stand between."""
Answers = dict[tuple[str, str], Any]


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An ISP with a network, a customer, a survey and a technician."""
    async with open_appliance(migrated.copy(tmp_path, public_url="https://isp.example")) as opened:
        await import_estate(opened, ESTATE)
        yield opened


def test_the_contract_has_26_methods_in_thirteen_services() -> None:
    assert len(METHODS) == HEADINGS.total == 26
    assert len({service for service, _ in METHODS}) == 13
    assert sum(len(promise.returns) for promise in METHODS.values()) == 21, "keys of seven answers"


def test_the_bundle_declares_every_promised_method_and_documents_no_other() -> None:
    services = get_type_hints(Services)
    assert [name for name in METHODS if not hasattr(services.get(name[0]), name[1])] == []
    assert {(service, method) for service, methods in CONTRACT.items() for method in methods} == METHODS.keys()


@pytest.mark.parametrize(("service", "method"), METHODS)
def test_each_method_is_called_by_the_journeys_that_it_was_promised_to(service: str, method: str) -> None:
    used = METHODS[service, method].used_in
    assert {*CONTRACT[service][method]} >= {*(EVERY_JOURNEY if used.startswith("All workflows") else (used,))}


@pytest.mark.parametrize("journey", EVERY_JOURNEY)
def test_each_journey_calls_the_methods_that_it_was_promised(journey: str) -> None:
    promised = {
        (service, method)
        for service, methods in CONTRACT.items()
        for method, journeys in methods.items()
        if journey in journeys
    }
    called = [
        (service, method)
        for step in newest(journey).steps
        if isinstance(step, Act)
        for service, method in promised
        if {service, method} <= {*step.do.__code__.co_names}
    ]
    assert {*called} == promised
    following = iter(method for _, method in called)
    assert [method for method in IN_THIS_ORDER[journey] if method in following] == IN_THIS_ORDER[journey]


def newest(journey: str) -> Definition[Any]:
    return max((one for (name, _), one in DEFINITIONS.items() if name == journey), key=lambda one: one.version)


@pytest.mark.parametrize(("service", "method"), METHODS)
def test_the_declared_method_has_the_contracts_parameters(service: str, method: str) -> None:
    _compare(getattr(get_type_hints(Services)[service], method), METHODS[service, method])


async def test_our_own_methods_have_them_too(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        for service, method in METHODS:
            _compare(getattr(getattr(services, service), method), METHODS[service, method])


async def test_called_as_the_contract_says_each_answers_with_its_keys(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        answers = {
            **await _installation(appliance, db),
            **await _selling(appliance, db),
            **await _renewing(appliance, db),
            **await _telling(appliance, db),
        }
        answers |= await partner_calls(appliance.services(db), appliance.tenant_id)
    assert answers.keys() == METHODS.keys()
    for name, answer in answers.items():
        assert isinstance(answer, dict)
        for key, kind in METHODS[name].returns.items():
            assert type(answer[key]) is kind, f"{name}: {key}"
    assert answers["radius_service", "create_subscriber"]["password"].startswith("secret:")


async def _installation(appliance: Appliance, db: AsyncSession) -> Answers:
    # the CPE's template asks for what the contract doesn't know: the login that its account has
    services = appliance.services(db)
    allocated = await services.network_service.allocate_resources(
        customer_id=1001, service_location="LOC-10293", bandwidth_plan="fiber-300"
    )
    created = await services.radius_service.create_subscriber(
        customer_id=1001, username=allocated["username"], bandwidth_profile="fiber-300"
    )
    return {
        ("network_service", "allocate_resources"): allocated,
        ("radius_service", "create_subscriber"): created,
        ("crm_service", "get_site_survey"): await services.crm_service.get_site_survey(customer_id=1001),
        ("ticketing_service", "schedule_installation"): await services.ticketing_service.schedule_installation(
            customer_id=1001,
            installation_address="Lindenweg 4",
            technician_id=7,
            scheduled_date=datetime.now(UTC) + timedelta(days=1),
        ),
        ("genieacs_service", "provision_device"): await services.genieacs_service.provision_device(
            customer_id=1001,
            device_serial="HWTC4A2B9C01",
            config_template="tr181-pppoe",
            values={"pppoe_username": created["username"], "pppoe_password": created["password"]},
        ),
        ("billing_service", "activate_service"): await services.billing_service.activate_service(
            customer_id=1001, service_id=allocated["service_id"], plan="fiber-300"
        ),
        ("communications_service", "send_template_email"): await services.communications_service.send_template_email(
            template="service_activated",
            recipient="ada@customer.example",
            variables={
                "customer_name": "Ada",
                "plan": "fiber-300",
                "username": allocated["username"],
                "service_id": 1,
                "activated_at": datetime.now(UTC),
            },
        ),
    }


async def _selling(appliance: Appliance, db: AsyncSession) -> Answers:
    services, tenant_id = appliance.services(db), appliance.tenant_id
    lead = await appliance.leads(db).register(source="web", name="Bob", email="bob@customer.example")
    await appliance.leads(db).qualify(lead_id=lead["lead_id"], by="test")
    quote = await appliance.quotes(db).draft(
        customer_id=1001,
        lines=[LineWish(offer_id=1)],
        valid_until=datetime.now(UTC) + timedelta(days=1),
        payment_terms="prepaid",
    )
    await appliance.quotes(db).send(quote_id=quote["quote_id"])
    accepted = await services.crm_service.accept_quote(quote_id=quote["quote_id"], accepted_by="Ada")
    order = await services.sales_service.create_order_from_quote(quote_id=quote["quote_id"], tenant_id=tenant_id)
    return {
        ("customer_service", "create_from_lead"): await services.customer_service.create_from_lead(
            lead_id=lead["lead_id"], tenant_id=tenant_id
        ),
        ("crm_service", "accept_quote"): accepted,
        ("sales_service", "create_order_from_quote"): order,
        ("billing_service", "process_payment"): await services.billing_service.process_payment(
            order_id=order["order_id"], amount=order["total_amount"], payment_method="invoice"
        ),
    }


async def _renewing(appliance: Appliance, db: AsyncSession) -> Answers:
    """What was sold, on a line of its own, goes on."""
    services = appliance.services(db)
    billing = services.billing_service
    created = await billing.create_subscription(customer_id=1001, plan_id=1, tenant_id=appliance.tenant_id)
    subscription_id = created["subscription_id"]
    await billing.activate_service(customer_id=1001, service_id=4711, plan=created["plan"])
    offered = await services.crm_service.create_renewal_quote(
        customer_id=1001, subscription_id=subscription_id, renewal_term=12
    )
    await services.crm_service.accept_quote(quote_id=offered["quote_id"], accepted_by="Ada")
    return {
        ("billing_service", "create_subscription"): created,
        ("crm_service", "create_renewal_quote"): offered,
        ("billing_service", "check_renewal_eligibility"): await billing.check_renewal_eligibility(
            customer_id=1001, subscription_id=subscription_id
        ),
        ("billing_service", "process_renewal_payment"): await billing.process_renewal_payment(
            customer_id=1001, quote_id=offered["quote_id"]
        ),
        ("billing_service", "extend_subscription"): await billing.extend_subscription(
            subscription_id=subscription_id, extension_period=12
        ),
    }


async def _telling(appliance: Appliance, db: AsyncSession) -> Answers:
    services = appliance.services(db)
    return {
        ("notifications_service", "notify_team"): await services.notifications_service.notify_team(
            team="deployment", channel="email", subject="Order 1", message="Order 1 is paid.", metadata={"order": 1}
        ),
        ("ticketing_service", "create_ticket"): await services.ticketing_service.create_ticket(
            title="Welcome call",
            description="Call Ada.",
            customer_id=1001,
            priority="normal",
            assigned_team="onboarding",
        ),
    }


def _compare(method: Callable[..., Any], promised: Promise) -> None:
    """Every parameter of the contract, by name; whatever there is beyond is keyword-only and may be left out."""
    assert inspect.iscoroutinefunction(method)
    parameters = {name: each for name, each in inspect.signature(method).parameters.items() if name != "self"}
    assert list(parameters)[: len(promised.parameters)] == promised.parameters
    for name, parameter in parameters.items():
        if name not in promised.parameters:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
            assert parameter.default is not inspect.Parameter.empty, name
        else:
            optional = name in MAY_BE_LEFT_OUT.get((promised.service, promised.method), ())
            assert (parameter.default is inspect.Parameter.empty) != optional, name
    hints = get_type_hints(method)
    for name, kind in promised.types.items():
        assert hints[name] is kind, f"{name} is {hints[name]}"
    keys = get_type_hints(hints["return"])
    for key, kind in promised.returns.items():
        assert keys[key] is kind, f"{key} is {keys[key]}"
