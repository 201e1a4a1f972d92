"""Schemathesis over the whole description, with the token of every role: no 5xx, and nothing that isn't documented.

Few examples a route, always the same ones, or the suite would take an hour; ``FIRSTLIGHT_TEST_API_EXAMPLES=200`` makes
it look harder. Half of the addresses name what there is, since numbers that are guessed name nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
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

from provisioning.access import Role
from tests.support.api import Api

EXAMPLES = int(os.environ.get("FIRSTLIGHT_TEST_API_EXAMPLES", "3"))
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
}


@pytest.mark.parametrize("role", get_args(Role))
async def test_whatever_is_sent_the_answer_is_one_that_is_documented(api: Api, role: Role) -> None:
    token, loop = await api.token(role), asyncio.get_running_loop()
    description = (await api.client.get("/openapi.json")).json()

    def send(case: Any) -> httpx.Response:
        request = case.as_transport_kwargs(base_url="http://isp.test", headers={"Authorization": f"Bearer {token}"})
        request.pop("cookies", None)
        request["content"] = request.pop("data", None)
        answer = asyncio.run_coroutine_threadsafe(api.client.request(**request), loop)
        return answer.result(timeout=30)

    def explore() -> int:
        schema = schemathesis.openapi.from_dict(description)
        sent = 0
        for found in schema.get_all_operations():
            operation: Any = found
            for strategy, examples in strategies(operation.ok(), role):

                @settings(
                    max_examples=examples,
                    derandomize=True,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=strategy)
                def look(case: Any) -> None:
                    nonlocal sent
                    sent += 1
                    case.validate_response(send(case), checks=CHECKS)

                look()
        return sent

    assert await asyncio.to_thread(explore) > len(description["paths"])


def strategies(operation: Any, role: Role) -> Iterator[tuple[Any, int]]:
    """What is sent to one route, how often: well formed, about what there is; from the admin also anything at all."""
    there_is = {name: value for name, value in THERE_IS.items() if f"{{{name}}}" in operation.path}
    asks = {parameter["name"] for parameter in operation.definition.raw.get("parameters", ())}
    whatever = {"If-Match": "*"} if "If-Match" in asks else None
    yield operation.as_strategy(path_parameters=there_is or None, headers=whatever), EXAMPLES
    if role == "admin":
        yield operation.as_strategy(), EXAMPLES
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), EXAMPLES
