"""How Hypothesis state machines run here: so many walks of so many steps, and little said of them."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def walk(machine: type[RuleBasedStateMachine], *, walks: int, steps: int, **given: Any) -> None:
    """So many walks of at most so many steps. ``given``: attributes of the machine, such as its ``database_url``."""
    here = type(f"{machine.__name__}Here", (machine,), given)
    how = settings(
        max_examples=walks,
        stateful_step_count=steps,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        run_state_machine_as_test(here, settings=how)
    finally:
        structlog.reset_defaults()
