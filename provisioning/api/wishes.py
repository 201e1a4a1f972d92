"""What bodies share: what isn't known is refused, and nothing is read out of something else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Wish(BaseModel):
    """A body. Rules of the business are the services'; here is only its shape."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Wish):
    """No words are needed."""
