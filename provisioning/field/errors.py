"""What field work refuses. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from provisioning.field.fitting import Asked


NAMED = 10
"""So many are named in a sentence."""


def some(words: Sequence[str]) -> str:
    """The first of them, and that there are more."""
    return ", ".join([*words[:NAMED], *["..."] * (len(words) > NAMED)])


class FieldError(ProvisioningError):
    """Field work could not be arranged."""

    code = "field.error"


class TechnicianUnknown(FieldError):
    """No such technician."""

    code = "field.technician_unknown"

    def __init__(self, technician_id: int) -> None:
        self.technician_id = technician_id
        super().__init__(f"There is no technician {technician_id}; choose one from the list of technicians.")


class TechnicianConflict(FieldError):
    """The technician's number already belongs to somebody else."""

    code = "field.technician_conflict"

    def __init__(self, technician_id: int, name: str) -> None:
        self.technician_id = technician_id
        self.name = name
        super().__init__(f"Technician {technician_id} is already {name}; use another number.")


class SlotRefused(FieldError):
    """The technician can't be sent at that time."""

    code = "field.slot_refused"
    asked: Asked | None = None
    """What was wanted, by whoever looks for another time."""
    alternatives: Sequence[Mapping[str, Any]] = ()
    """What is near and free, where somebody has looked (``Alternatives``)."""


class TechnicianBusy(SlotRefused):
    """The technician already has a visit at that time."""

    code = "field.technician_busy"

    def __init__(
        self,
        *,
        technician_id: int,
        technician_name: str,
        busy_from: datetime,
        busy_to: datetime,
        visit_id: int,
        by: str,
    ) -> None:
        self.technician_id = technician_id
        self.technician_name = technician_name
        self.busy_from = busy_from
        self.busy_to = busy_to
        self.visit_id = visit_id
        self.by = by
        super().__init__(
            f"Technician {technician_name} is busy from {busy_from:%Y-%m-%d %H:%M} to {busy_to:%Y-%m-%d %H:%M} UTC "
            f"with {by}; choose another time or another technician."
        )


class OutsideHours(SlotRefused):
    """The technician doesn't work at that time."""

    code = "field.outside_hours"

    def __init__(self, technician_name: str, why: str) -> None:
        self.technician_name = technician_name
        self.why = why
        super().__init__(
            f"Technician {technician_name} {why}; choose another time or another technician, or say why it must be so."
        )


class SkillMissing(SlotRefused):
    """The technician can't do what the job needs."""

    code = "field.skill_missing"

    def __init__(self, technician_name: str, job: str, missing: list[str]) -> None:
        self.technician_name = technician_name
        self.job = job
        self.missing = missing
        super().__init__(
            f"Technician {technician_name} lacks {', '.join(missing)}, which {job} needs; choose another technician, or"
            " say why it must be this one."
        )


class NobodyFree(SlotRefused):
    """Nobody can come at that time."""

    code = "field.nobody_free"

    def __init__(self, visit_id: int | None, starts_at: datetime) -> None:
        """``visit_id``: None of one that isn't booked yet."""
        self.visit_id = visit_id
        self.starts_at = starts_at
        what = "come" if visit_id is None else f"make visit {visit_id}"
        super().__init__(f"Nobody can {what} at {starts_at:%Y-%m-%d %H:%M} UTC; choose another time.")


class VisitUnknown(FieldError):
    """No such visit."""

    code = "field.visit_unknown"

    def __init__(self, visit_id: int) -> None:
        self.visit_id = visit_id
        super().__init__(f"There is no visit {visit_id}.")


class VisitOver(FieldError):
    """The visit is in a state that doesn't allow this."""

    code = "field.visit_over"

    def __init__(self, visit_id: int, state: str, asked: str) -> None:
        self.visit_id = visit_id
        self.state = state
        self.asked = asked
        super().__init__(f"Visit {visit_id} is {state} and can't be {asked}; book a new visit if one is needed.")


class VisitNotBegun(FieldError):
    """Nobody can know yet: the visit has not begun."""

    code = "field.visit_not_begun"

    def __init__(self, visit_id: int, starts_at: datetime) -> None:
        self.visit_id = visit_id
        self.starts_at = starts_at
        super().__init__(
            f"Visit {visit_id} begins at {starts_at:%Y-%m-%d %H:%M} UTC; that nobody is there can't be told before:"
            " report it then, or move the visit."
        )


class VisitChanged(FieldError):
    """Somebody else has changed the visit meanwhile."""

    code = "field.visit_changed"

    def __init__(self, visit_id: int) -> None:
        self.visit_id = visit_id
        super().__init__(f"Visit {visit_id} isn't as you have seen it any more: read it again, and decide then.")


class VisitMoving(FieldError):
    """A run that waits for the visit has another appointment, and is about to call this one off."""

    code = "field.visit_moving"
    transient = True

    def __init__(self, visit_id: int) -> None:
        self.visit_id = visit_id
        super().__init__(
            f"Visit {visit_id} is about to be moved: another appointment was made, and nothing was kept. Look again"
            " in a moment; if it stays like this, no worker runs."
        )


class CancelRefused(FieldError):
    """Only dispatch calls a visit off."""

    code = "field.cancel_refused"

    def __init__(self, visit_id: int) -> None:
        self.visit_id = visit_id
        super().__init__(
            f"Visit {visit_id} is called off by dispatch alone; report no_access or not_feasible, move it, or ask"
            " dispatch."
        )


class JobUnknown(FieldError):
    """No such kind of job."""

    code = "field.job_unknown"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no kind of job named {name}; choose one from the list of jobs.")


class LeaveUnknown(FieldError):
    """No such leave."""

    code = "field.leave_unknown"

    def __init__(self, leave_id: int) -> None:
        self.leave_id = leave_id
        super().__init__(f"There is no leave {leave_id}.")


class RosterCollides(FieldError):
    """Visits are booked in the time in which the technician wouldn't work any more."""

    code = "field.roster_collides"

    def __init__(self, technician_name: str, visit_ids: list[int]) -> None:
        self.technician_name = technician_name
        self.visit_ids = visit_ids
        named = some([str(number) for number in visit_ids])
        super().__init__(
            f"Technician {technician_name} would not work then any more, and has visits to make: {named}; move them"
            " first, or say why they are made all the same."
        )


class SkillsNeeded(FieldError):
    """Visits are booked that need what the technician would not be able to do any more."""

    code = "field.skills_needed"

    def __init__(self, technician_name: str, skills: Sequence[str], visit_ids: Sequence[int]) -> None:
        self.technician_name = technician_name
        self.skills = list(skills)
        self.visit_ids = list(visit_ids)
        named = some([str(number) for number in visit_ids])
        super().__init__(
            f"Technician {technician_name} would lack {', '.join(skills)}, and has visits that need it: {named}; give"
            " them to somebody else first, or say why they are made all the same."
        )


class HoldEnds(FieldError):
    """The addresses that are kept for the visit are given back before it would take place."""

    code = "field.hold_ends"

    def __init__(self, visit_id: int, until: datetime, run_id: int) -> None:
        self.visit_id = visit_id
        self.until = until
        self.run_id = run_id
        super().__init__(
            f"Run {run_id} waits for visit {visit_id} until {until:%Y-%m-%d %H:%M} UTC and then gives its addresses"
            " back; choose a time before that."
        )


class FeedUnknown(FieldError):
    """No such calendar feed."""

    code = "field.feed_unknown"

    def __init__(self, feed_id: int) -> None:
        self.feed_id = feed_id
        super().__init__(f"There is no calendar feed {feed_id}.")
