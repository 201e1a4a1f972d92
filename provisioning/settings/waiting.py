"""How long journeys wait for what others have to do."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Waiting(BaseModel):
    """The patience of an installation and of its end."""

    visit_hold_hours: int = Field(
        default=336,
        ge=1,
        le=8760,
        description="How long addresses and VLANs are kept while no visit succeeds; then the run is undone.",
    )
    line_wait_hours: int = Field(
        default=24, ge=1, le=720, description="How long the OLT's answer is waited for before an operator is asked."
    )
    inform_wait_minutes: int = Field(
        default=120, ge=1, le=43200, description="How long the CPE's Inform is waited for before an operator is asked."
    )
    session_wait_minutes: int = Field(
        default=60, ge=1, le=43200, description="How long the first login is waited for before an operator is asked."
    )
    testing_hours: int = Field(
        default=24, ge=1, le=720, description="How long a line that is being installed carries the full plan unbilled."
    )
    cpe_reset_hours: int = Field(
        default=24,
        ge=1,
        le=720,
        description="How long a CPE whose service has ended is waited for to be reset, before it is left as it is.",
    )
