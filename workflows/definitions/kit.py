"""What every step of our journeys is written with."""

from __future__ import annotations

from workflows.engine.step_kit import StepKit
from workflows.services import Outside, Services

step = StepKit[Services, Outside]()
