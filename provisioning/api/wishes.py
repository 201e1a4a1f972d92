"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_REASON = 500


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape."""

    model_config = ConfigDict(extra="forbid")


def _why(text: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise ValueError("says nothing")
    if not said.isprintable():
        raise ValueError("holds a control character")
    return said


Reason = Annotated[
    str, Field(min_length=1, max_length=LONGEST_REASON, description="Why, for the audit"), AfterValidator(_why)
]
"""A reason, or a note that says one, wherever one is needed: words, and not only blanks."""


LongReason = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_why)]
"""The same where it may be a longer one, or left out."""


class WithReason(Wish):
    """No words are needed; ``reason`` stands in the audit."""

    reason: LongReason | None = Field(default=None, description="Why, for the audit")
