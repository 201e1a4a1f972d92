"""What is refused of the choice of a time, by a customer or for a run. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from typing import ClassVar

from provisioning.field.errors import FieldError


class NoTimeChosen(FieldError):
    """The customer has chosen no time, or the one that the visit has."""

    code = "field.no_time_chosen"

    def __init__(self, visit_id: int | None) -> None:
        """``visit_id``: None of one that isn't booked yet."""
        self.visit_id = visit_id
        what = "No time was chosen" if visit_id is None else f"No other time was chosen for visit {visit_id}"
        super().__init__(f"{what}; choose one that is offered.")


class InvitationUnknown(FieldError):
    """No customer was invited so to choose a time."""

    code = "field.invitation_unknown"

    def __init__(self, invitation_id: int) -> None:
        self.invitation_id = invitation_id
        super().__init__(f"There is no invitation {invitation_id}; choose one from the list of invitations.")


class InvitationOver(FieldError):
    """Nothing can be chosen by this invitation any more."""

    code = "field.invitation_over"

    def __init__(self, invitation_id: int) -> None:
        self.invitation_id = invitation_id
        super().__init__(
            f"Nothing is to be chosen by invitation {invitation_id} any more: there is a visit, another invitation, or"
            " nobody waits for it."
        )


class NoTimeAwaited(FieldError):
    """This run does not wait for a customer to choose a time."""

    code = "field.no_time_awaited"

    def __init__(self, run_id: int, state: str) -> None:
        self.run_id = run_id
        self.state = state
        super().__init__(
            f"Run {run_id} is {state} and waits for no time to be agreed, or its order has a visit: nobody is invited."
        )


class NoVisitAwaited(FieldError):
    """This run needs no visit booked."""

    code = "field.no_visit_awaited"

    def __init__(self, run_id: int, state: str) -> None:
        self.run_id = run_id
        self.state = state
        super().__init__(
            f"Run {run_id} is {state} and neither waits nor is held for the time of a visit: nothing is booked for it."
        )


class VisitNotMovable(FieldError):
    """The customer can't move this visit themselves, or not any more."""

    code = "field.visit_not_movable"
    WORDS: ClassVar = {
        "over": "it is not to come any more",
        "too_late": "it begins too soon",
        "too_often": "they have moved it as often as they may",
    }

    def __init__(self, visit_id: int, why: str) -> None:
        self.visit_id = visit_id
        self.why = why
        super().__init__(f"The customer can't move visit {visit_id}: {self.WORDS[why]}; dispatch still can.")
