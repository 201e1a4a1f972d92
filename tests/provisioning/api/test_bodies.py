"""Bodies cost what their size is worth, whatever is in them."""

from __future__ import annotations

import time

import pytest
from starlette.requests import Request

from provisioning.api.bodies import DEEPEST, MOST_BYTES, check_json
from provisioning.api.errors import RequestMalformed
from tests.support.api import Api

REQUEST = Request({"type": "http", "headers": [(b"content-type", b"application/json")]})


def cost(body: bytes) -> float:
    """CPU seconds of refusing it, the best of a few."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        with pytest.raises(RequestMalformed):
            check_json(REQUEST, body)
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.parametrize("unit", [b'\\"', b'"\\', b'"', b"\\", b'["'], ids=repr)
def test_a_body_twice_as_large_costs_twice_as_much_and_not_four_times(unit: bytes) -> None:
    smallest = 4096
    least, size = cost(b'"' + unit * (smallest // len(unit))), smallest
    while size < MOST_BYTES:
        size *= 2
        assert cost(b'"' + unit * (size // len(unit))) < 4 * (size / smallest) * least


@pytest.mark.parametrize(
    ("text", "levels"),
    [(b'"%s"', 0), (b'"\\\\", [%s]', 1), (b'"\\"%s"', 0), (b'{"a\\\\\\"": [%s]}', 2)],
    ids=repr,
)
def test_brackets_in_texts_are_no_levels(text: bytes, levels: int) -> None:
    inner = b"" if levels else b"[" * (DEEPEST + 1)
    check_json(REQUEST, b"[" + text.replace(b"%s", inner) + b"]")
    deep = DEEPEST - levels
    if levels:
        nested = text.replace(b"%s", b"[" * deep + b"]" * deep)
        with pytest.raises(RequestMalformed, match="nested deeper"):
            check_json(REQUEST, b"[" + nested + b"]")


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'[{"b": {"a": 1, "\\u0061": 2}}]'], ids=repr)
def test_a_name_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(RequestMalformed, match="a name stands twice in one object"):
        check_json(REQUEST, body)
    check_json(REQUEST, b'[{"a": 1}, {"a": 1}]')


async def test_numbers_and_truth_values_of_a_body_stand_as_such_and_all_others_are_told_at_once(any_api: Api) -> None:
    service = {"service_location": "LOC-20090", "bandwidth_plan": "fiber-300"}
    no_number, no_truth = "is not a whole number", "is neither true nor false"
    for number in (True, 5.0, "5"):
        answer = await any_api.post("/addresses/services", {**service, "customer_id": number, "cvlan": "7"})
        assert (answer.status_code, answer.json()["code"]) == (422, "api.request_invalid")
        assert answer.json()["errors"] == [
            {"pointer": "#/customer_id", "detail": no_number},
            {"pointer": "#/cvlan", "detail": no_number},
        ]
    kept = {"source": "csv", "content": "value\n100.64.3.9\n"}
    for truth in ("yes", 1, "true"):
        answer = await any_api.post("/addresses/imports", {**kept, "dry_run": truth})
        assert answer.json()["errors"] == [{"pointer": "#/dry_run", "detail": no_truth}]
    block = {"outside": "203.0.113.77", "first_port": 1024.0, "last_port": "2047", "inside": "100.64.3.9"}
    log = {"source": "box", "blocks": [{**block, "began_at": "2026-03-01T10:00:00Z"}]}
    answer = await any_api.post("/addresses/nat/blocks", log)  # of the parts of a body as well; a time is still a text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["#/blocks/0/first_port", "#/blocks/0/last_port"]
    found = await any_api.get("/addresses/preview", params={**service, "customer_id": "5"})  # an address says all so
    assert found.status_code == 200, found.text
