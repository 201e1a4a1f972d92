"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema


def _says_something(reason: str) -> str:
    if not reason.strip():
        raise ValueError("is blank: say why, in a few words")
    return reason


Reason = Annotated[
    str,
    Field(min_length=1, max_length=500, description="Why, for the audit", json_schema_extra={"pattern": r"\S"}),
    AfterValidator(_says_something),
]
"""Must say something: an audit of blanks tells nobody anything."""


_AS_WRITTEN = frozenset({"int", "float", "bool"})
_VALUES = frozenset({"default", "metadata"})


def _as_written(schema: Any) -> Any:
    """The schema with each number and truth value in it strict, a copy: parts of it may be somebody else's."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_as_written, schema))
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")  # of the fields of a model it is the field of that name
    kept = _VALUES if isinstance(kind, str) else frozenset[str]()
    copied = {name: part if name in kept else _as_written(part) for name, part in schema.items()}
    return {**copied, "strict": True} if isinstance(kind, str) and kind in _AS_WRITTEN else copied


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape.

    Numbers are JSON's numbers, whole ones without a fraction, and truth values are ``true`` and ``false``: ``true`` for
    a customer's number would be customer 1. Texts that say a time or one of some words are read as ever, which the
    framework's strict mode would refuse, since FastAPI hands over what has been parsed.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return cast(CoreSchema, _as_written(handler(source)))


LongReason = Annotated[
    str, Field(min_length=1, max_length=1000, json_schema_extra={"pattern": r"\S"}), AfterValidator(_says_something)
]
"""The same where it may be a longer one, or left out."""


class WithReason(Wish):
    """No words are needed; ``reason`` stands in the audit."""

    reason: LongReason | None = Field(default=None, description="Why, for the audit")
