"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape."""

    model_config = ConfigDict(extra="forbid")


LongReason = Annotated[
    str, Field(min_length=1, max_length=1000, json_schema_extra={"pattern": r"\S"}), AfterValidator(_says_something)
]
"""The same where it may be a longer one, or left out."""


class WithReason(Wish):
    """No words are needed; ``reason`` stands in the audit."""

    reason: LongReason | None = Field(default=None, description="Why, for the audit")
