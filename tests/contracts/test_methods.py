"""The contract: methods of these names, with these parameters, whose answers have at least these keys."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.estate import import_estate
from tests.support.appliances import ESTATE, Original
from workflows.services import Services

METHODS = {
    (service, method): facts
    for service, methods in tomllib.loads(Path(__file__).with_name("methods.toml").read_text(encoding="utf-8")).items()
    for method, facts in methods.items()
}
IMPLEMENTED = sorted(name for name, facts in METHODS.items() if facts.get("implemented"))
TYPES: dict[str, type] = {"int": int, "str": str, "bool": bool}


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An ISP with a network, a customer, a survey and a technician."""
    async with open_appliance(migrated.copy(tmp_path)) as opened:
        await import_estate(opened, ESTATE)
        yield opened


def test_the_contract_has_26_methods_in_thirteen_services() -> None:
    assert len(METHODS) == 26
    assert len({service for service, _ in METHODS}) == 13


def test_these_of_them_are_there() -> None:
    there: dict[str, set[str]] = {}
    for service, method in IMPLEMENTED:
        there.setdefault(service, set()).add(method)
    assert there == {
        "billing_service": {"activate_service"},
        "communications_service": {"send_template_email"},
        "crm_service": {"get_site_survey"},
        "genieacs_service": {"provision_device"},
        "network_service": {"allocate_resources"},
        "notifications_service": {"notify_team"},
        "radius_service": {"create_subscriber"},
        "ticketing_service": {"create_ticket", "schedule_installation"},
    }


@pytest.mark.parametrize(("service", "method"), IMPLEMENTED)
def test_the_declared_method_has_the_contracts_parameters(service: str, method: str) -> None:
    _compare(getattr(get_type_hints(Services)[service], method), METHODS[service, method])


async def test_our_own_methods_have_them_too(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        for service, method in IMPLEMENTED:
            _compare(getattr(getattr(services, service), method), METHODS[service, method])


async def test_called_as_the_contract_says_each_answers_with_its_keys(appliance: Appliance) -> None:
    # the CPE's template asks for what the contract doesn't know: the login that its account has
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        allocated = await services.network_service.allocate_resources(
            customer_id=1001, service_location="LOC-10293", bandwidth_plan="fiber-300"
        )
        created = await services.radius_service.create_subscriber(
            customer_id=1001, username=allocated["username"], bandwidth_profile="fiber-300"
        )
        answers: dict[tuple[str, str], Any] = {
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
                customer_id=1001, service_id=allocated["service_id"]
            ),
            (
                "communications_service",
                "send_template_email",
            ): await services.communications_service.send_template_email(
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
    assert sorted(answers) == IMPLEMENTED
    for name, answer in answers.items():
        assert isinstance(answer, dict)
        for key, kind in METHODS[name].get("returns", {}).items():
            assert type(answer[key]) is TYPES[kind], f"{name}: {key}"
    assert created["password"].startswith("secret:")


def _compare(method: Callable[..., Any], facts: dict[str, Any]) -> None:
    """Every parameter of the contract, by name; whatever there is beyond is keyword-only and may be left out."""
    assert inspect.iscoroutinefunction(method)
    parameters = {name: each for name, each in inspect.signature(method).parameters.items() if name != "self"}
    assert set(facts["parameters"]) <= set(parameters)
    assert list(parameters)[: len(facts["parameters"])] == facts["parameters"]
    for name, parameter in parameters.items():
        if name not in facts["parameters"]:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
            assert parameter.default is not inspect.Parameter.empty, name
        else:
            optional = name in facts.get("optional", ())
            assert (parameter.default is inspect.Parameter.empty) != optional, name
    answer = get_type_hints(method)["return"]
    keys = get_type_hints(answer)
    for key, kind in facts.get("returns", {}).items():
        assert keys[key] is TYPES[kind], f"{key} is {keys[key]}"
