"""What every step of the installation is written with."""

from __future__ import annotations

from workflows.definitions.installation.ticket import InstallTicket
from workflows.engine.run import Run
from workflows.engine.step_kit import StepKit
from workflows.services import Outside, Services

step = StepKit[Services, Outside]()
Installation = Run[InstallTicket]
