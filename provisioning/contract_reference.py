"""What the documentation says of the contract: each method's parameters and the keys of its answer, from the code."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from typing_extensions import Doc, is_typeddict

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
    hints = get_type_hints(method, include_extras=True)
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
        words = [shown_type(hints[name]), *_said_of(hints[name])]
        optional = parameter.default is not inspect.Parameter.empty
        yield name, ": ".join(words) + ("; may be left out" if optional else "")


def shown_type(kind: Any) -> str:
    """A type as a reader of JSON would call it.

    >>> shown_type(int | None)
    'whole number or null'
    """
    if kind is type(None):
        return "null"
    if get_origin(kind) is not None:
        return _shown_generic(get_origin(kind), get_args(kind))
    if is_dataclass(kind) or is_typeddict(kind):
        return shown_fields(kind)
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(name, name)


def _shown_generic(origin: Any, inner: tuple[Any, ...]) -> str:
    if origin in (Union, types.UnionType):
        return " or ".join(shown_type(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is list or (origin is tuple and inner[1:] == (...,)):
        return f"list of {shown_type(inner[0])}"
    if origin is Annotated:
        return shown_type(next((one for one in inner[1:] if is_typeddict(one)), inner[0]))
    if origin is NotRequired:
        return shown_type(inner[0])
    assert origin in (dict, Mapping), f"nobody has said how {origin} reads"
    return "object" if inner[1] is Any else f"object (each {shown_type(inner[1])})"


def shown_fields(kind: Any) -> str:
    """An object with its fields; those that need not be there carry a question mark.

    >>> shown_fields(CustomerData)
    '`{name: text, email: text, phone?: text or null, language?: text or null}`'
    """
    hints = get_type_hints(kind, include_extras=True)
    if is_dataclass(kind):
        optional = {field.name for field in fields(kind) if field.default is not MISSING}
    else:
        optional = {name for name, of in hints.items() if not kind.__total__ or get_origin(of) is NotRequired}
    shown = (f"{name}{'?' if name in optional else ''}: {shown_type(of)}" for name, of in hints.items())
    return "`{" + ", ".join(shown).replace("`", "") + "}`"


def _said_of(kind: Any) -> list[str]:
    """What an annotation says in words beside the type, also of one that may be null."""
    return [one.documentation for part in (kind, *get_args(kind)) for one in get_args(part) if isinstance(one, Doc)][:1]


def _first_sentence(method: Any) -> str:
    words = " ".join((inspect.getdoc(method) or "").partition("\n\n")[0].split()).replace("``", "`")
    return words if words.endswith(".") else words + "."
