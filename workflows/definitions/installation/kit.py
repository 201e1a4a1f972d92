"""What every step of the installation is written with."""

from __future__ import annotations

from workflows.definitions.installation.ticket import InstallTicket
from workflows.definitions.kit import step
from workflows.engine.run import Run

__all__ = ["Installation", "step"]

Installation = Run[InstallTicket]
