"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape."""

    model_config = ConfigDict(extra="forbid")


class WithReason(Wish):
    """No words are needed; ``reason`` stands in the audit."""

    reason: str | None = Field(default=None, min_length=1, max_length=1000, description="Why, for the audit")
