"""Bodies cost what their size is worth, whatever is in them."""

from __future__ import annotations

import time

import pytest
from starlette.requests import Request

from provisioning.api.bodies import DEEPEST, MOST_BYTES, check_json
from provisioning.api.errors import RequestMalformed

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
