"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
Reason = Annotated[Trimmed, Field(min_length=1, max_length=500, description="Why, for the audit")]
"""One that says something: blanks are none."""


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape."""

    model_config = ConfigDict(extra="forbid")


class WithReason(Wish):
    """No words are needed; ``reason`` stands in the audit."""

    reason: Trimmed | None = Field(default=None, min_length=1, max_length=1000, description="Why, for the audit")
