"""What the documentation says of the contract: each method's parameters and the keys of its answer, from the code."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from provisioning import commercial
from workflows import CONTRACT, Services

WORDS = {
    "int": "whole number",
    "str": "text",
    "bool": "true or false",
    "float": "number",
    "Decimal": "decimal",
    "datetime": "moment",
    "date": "day",
    "Any": "anything",
}
"""Our types as a reader of JSON calls them."""


def render_contract() -> str:
    """One section a service, one table a method."""
    sections = []
    for service, methods in CONTRACT.items():
        kind = get_type_hints(Services)[service]
        parts = [_method(service, kind, name, journeys) for name, journeys in methods.items()]
        sections.append("\n\n".join([f"## {service}", *parts]))
    return "\n\n".join(sections) + "\n"


def _method(service: str, kind: type, name: str, journeys: tuple[str, ...]) -> str:
    method = getattr(kind, name)
    hints = get_type_hints(method)
    answer = hints.pop("return")
    rows = [f"| `{field}` | {about} |" for field, about in _parameters(method, hints)]
    keys = [f"| `{key}` | {shown_type(of)} |" for key, of in get_type_hints(answer).items()]
    return "\n".join(
        [
            f"### {name}",
            "",
            _first_sentence(getattr(getattr(commercial, kind.__name__, kind), name)),
            "",
            f"Called by {', '.join(f'`{journey}`' for journey in journeys)}.",
            "",
            "| given | as |",
            "|---|---|",
            *rows,
            "",
            f"| answered (`{answer.__name__}`) | as |",
            "|---|---|",
            *keys,
        ]
    )


def _parameters(method: Any, hints: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, parameter in inspect.signature(method).parameters.items():
        if name == "self":
            continue
        optional = parameter.default is not inspect.Parameter.empty
        yield name, shown_type(hints[name]) + ("; may be left out" if optional else "")


def shown_type(kind: Any) -> str:
    """A type as a reader of JSON would call it.

    >>> shown_type(int | None)
    'whole number or null'
    """
    if kind is type(None):
        return "null"
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(shown_type(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is list:
        return f"list of {shown_type(inner[0])}"
    if origin is not None:
        return "object" if "Mapping" in str(origin) or origin is dict else str(getattr(origin, "__name__", origin))
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(name, name)


def _first_sentence(method: Any) -> str:
    words = " ".join((inspect.getdoc(method) or "").partition("\n\n")[0].split()).replace("``", "`")
    return words if words.endswith(".") else words + "."
