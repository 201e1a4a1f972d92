"""Schemathesis over the whole description, with the token of every role: no 5xx, and nothing that isn't documented.

Few examples a route, always the same ones, or the suite would take an hour; ``FIRSTLIGHT_TEST_API_EXAMPLES=200`` makes
it look harder. Half of the addresses name what there is, since numbers that are guessed name nothing. What other
systems send is signed as they do it. Roles take turns: `make test` and `make turns` together have seen each of
them on both databases.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import text

from provisioning.access import ROLES, Role
from provisioning.api.openapi import PERMISSION
from provisioning.api.routes import PUBLIC
from provisioning.commercial.payments.testing.stripe_account import StripeAccount
from provisioning.signatures import new_secret, sign
from tests.conftest import DATABASES
from tests.support.api import Api, open_api
from tests.support.healthy_estate import HealthyEstate

EXAMPLES = int(os.environ.get("FIRSTLIGHT_TEST_API_EXAMPLES", "2"))
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
THERE_IS = {
    "run_id": 3,
    "ticket_id": 1,
    "visit_id": 2,
    "lead_id": 1,
    "quote_id": 1,
    "order_id": 1,
    "customer_id": 1,
    "subscription_id": 1,
    "payment_id": 1,
    "partner_id": 21,
    "line_order_id": 1,
    "service_id": 1,
    "username": "nobody@isp.example",
    "serial": "HWTC00000001",
    "webhook_id": 1,
    "provider": "stripe",
}
BODIES = {
    "/webhooks/line": {"order": "default.1", "serial": "HWTC00000001", "result": "authorised", "port": "0/1/3"},
    "/webhooks/payments/{provider}": {
        "id": "evt_1",
        "object": "event",
        "created": 1,
        "type": "payment_intent.succeeded",
        "data": {"object": {"id": "pi_1", "status": "succeeded", "currency": "eur", "amount_received": 5}},
    },
}
"""What other systems say about what there is, where nobody would guess it."""
LINE_SECRET, STRIPE = new_secret(), StripeAccount()
EVERY_TIME: tuple[Role, ...] = ("noc", "dispatch", "partner")
"""Of those who may do little the others differ in little; the admin, who may do everything and is also told anything at
all, costs more than all others together."""
WHO_AND_WHERE = [
    pytest.param(role, kind, id=f"{role}-{kind}", marks=() if role in EVERY_TIME else pytest.mark.second_half)
    for role in get_args(Role)
    for kind in DATABASES
]


@pytest.fixture
async def api(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Api]:
    """With an OLT system and a payment gateway that may tell us something."""
    files = {"line": LINE_SECRET, "stripe": STRIPE.api_key, "stripe-webhook": STRIPE.webhook_secret}
    for name, secret in files.items():
        (tmp_path / name).write_text(secret)
    settings = estate.copy(
        tmp_path / "copy",
        public_url="https://isp.example",
        line_adapter="webhook",
        line_webhook_url="http://127.0.0.1:9/lines",
        line_webhook_secret_file=tmp_path / "line",
        stripe_api_key_file=tmp_path / "stripe",
        stripe_webhook_secret_file=tmp_path / "stripe-webhook",
        stripe_url="http://127.0.0.1:9",
    )
    async with open_api(settings) as opened:
        async with opened.appliance.database.begin() as db:
            await db.execute(text("UPDATE line_order SET adapter = 'webhook' WHERE id = 1"))
            hooks = opened.appliance.webhooks(db)
            await hooks.add(url="https://hooks.example/firstlight", event_types=["run.state_changed"], by="nora")
        yield opened


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("role", "estate"), WHO_AND_WHERE, indirect=["estate"])
async def test_whatever_is_sent_the_answer_is_one_that_is_documented(api: Api, role: Role) -> None:
    token, loop = await api.token(role), asyncio.get_running_loop()
    description = (await api.client.get("/openapi.json")).json()

    def send(case: Any) -> httpx.Response:
        request = case.as_transport_kwargs(base_url="http://isp.test", headers={"Authorization": f"Bearer {token}"})
        request.pop("cookies", None)
        request["content"] = request.pop("data", None)
        sent = api.client.build_request(**request)
        sent.headers.update(signature(api, sent))
        answer = asyncio.run_coroutine_threadsafe(api.client.send(sent), loop)
        return answer.result(timeout=30)

    believed = dict[str, int]()

    def explore() -> int:
        sent = 0
        for operation in operations(description):
            for strategy, examples in strategies(operation, role):

                @settings(
                    max_examples=examples,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=strategy)
                def look(case: Any) -> None:
                    nonlocal sent
                    sent += 1
                    answer = send(case)
                    if BODIES.get(case.operation.path, ...) == case.body:
                        believed[case.operation.path] = answer.status_code
                    case.validate_response(answer, checks=CHECKS)

                look()
        return sent

    assert await asyncio.to_thread(explore) > len(description["paths"])
    assert believed == {"/webhooks/line": 409, "/webhooks/payments/{provider}": 200}, "it came up at another port"


@cache
def _operations(description: str) -> list[Any]:
    found: list[Any] = list(schemathesis.openapi.from_dict(json.loads(description)).get_all_operations())
    return [operation.ok() for operation in found]


def operations(description: dict[str, Any]) -> list[Any]:
    """All routes, made once for all roles, since what may be sent is worked out anew for each that is made."""
    return _operations(json.dumps(description))


def signature(api: Api, request: httpx.Request) -> dict[str, str]:
    """The headers with which the system that it seems to come from would send this."""
    body = request.read()
    try:
        body.decode()
    except UnicodeDecodeError:
        return {}
    if request.url.path == "/webhooks/line":
        return sign(f"msg_{hash(body)}", body, [LINE_SECRET], now=api.appliance.clock())
    if request.url.path == "/webhooks/payments/stripe":
        return {"Stripe-Signature": STRIPE.signed(body)["Stripe-Signature"]}
    return {}


def strategies(operation: Any, role: Role) -> Iterator[tuple[Any, int]]:
    """What is sent to one route, how often: well formed, about what there is; from the admin also anything at all.

    Once is enough where the role is turned away whatever it sends.
    """
    permission = operation.definition.raw.get(PERMISSION, PUBLIC)
    often = EXAMPLES if permission == PUBLIC or permission in ROLES[role] else 1
    there_is = {name: value for name, value in THERE_IS.items() if f"{{{name}}}" in operation.path}
    asks = {parameter["name"] for parameter in operation.definition.raw.get("parameters", ())}
    whatever = {"If-Match": "*"} if "If-Match" in asks else None
    yield operation.as_strategy(path_parameters=there_is or None, headers=whatever), often
    if (said := BODIES.get(operation.path)) is not None:
        yield operation.as_strategy(path_parameters=there_is or None, body=said, media_type="application/json"), 1
    if role == "admin":
        yield operation.as_strategy(), EXAMPLES
        if {"parameters", "requestBody", "security"} & operation.definition.raw.keys():  # else nothing can be wrong
            yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), EXAMPLES
