"""What every step of our journeys is written with."""

from __future__ import annotations

from typing import Any

from workflows.engine.routes import Elsewhere, Reject
from workflows.engine.run import Run
from workflows.engine.step_kit import StepKit
from workflows.services import Outside, Services

step = StepKit[Services, Outside]()


def rejected(_run: Run[Any], reason: str) -> Elsewhere:
    """Where a no of the business leads in a step that ends its run on it: ``leads={BusinessRefusal: rejected}``."""
    return Reject(reason)
