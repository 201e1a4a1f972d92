"""What a run keeps: of every step that has something to undo, an operator reads what."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.keeps import DESCRIPTIONS, ways_on
from workflows import DEFINITIONS
from workflows.definitions.mailing import mail_step_names
from workflows.engine.steps import Act, NothingToUndo

ELSEWHERE = {
    "apply_device",
    "begin_testing",
    "hand_over_line",
    "project_active",
    "project_subscriber",
    "project_testing",
}
"""They carry to the other side what an earlier step keeps (account, line, CPE), which is described there."""


@pytest.mark.parametrize("journey", sorted({name for name, _ in DEFINITIONS}))
def test_every_step_with_an_undo_says_what_it_keeps(journey: str) -> None:
    steps = [step for (name, _), one in DEFINITIONS.items() if name == journey for step in one.steps]
    undone = {step.name for step in steps if isinstance(step, Act) and not isinstance(step.undo, NothingToUndo)}
    assert undone - mail_step_names(DEFINITIONS.values()) - ELSEWHERE - DESCRIPTIONS.keys() == set()


@pytest.mark.parametrize(
    ("journey", "step", "results", "commands"),
    [
        (
            "quote_accepted_to_order",
            "payment_settled",
            {"create_order_from_quote": {"order_id": 9}, "process_payment": {"payment_id": 12}},
            [
                "firstlight payments settle 12 --reference WHERE",
                "firstlight orders pay-by 9 bank",
            ],
        ),
        (
            "customer_renewal_process",
            "capture_payment",
            {"process_renewal_payment": {"payment_id": 13, "customer_id": 7}},
            ["firstlight runs retry 31 --from-step process_renewal_payment"],
        ),
        (
            "quote_accepted_to_order",
            "schedule_deployment",
            {},
            [
                """firstlight runs signal 31 deployment_date --payload '{"scheduled_date": "2026-03-09"}'""",
                "firstlight visits book --run 31 --customer",
            ],
        ),
        (
            "quote_accepted_to_order",
            "visit",
            {"schedule_deployment": {"visit_id": 44}},
            ["firstlight visits report 44"],
        ),
        (
            "isp_ticket_to_deployment",
            "schedule_installation",
            {},
            ["firstlight visits book --run 31 --customer"],
        ),
        ("isp_ticket_to_deployment", "confirm_port", {}, []),
    ],
)
def test_a_held_order_or_renewal_names_the_ways_on(
    journey: str, step: str, results: dict[str, Any], commands: list[str]
) -> None:
    found = ways_on(31, journey, step, results)
    assert [act.command[: len(command)] for act, command in zip(found, commands, strict=True)] == commands
