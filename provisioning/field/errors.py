"""What field work refuses. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from datetime import datetime

from provisioning.errors import ProvisioningError


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


class TechnicianBusy(FieldError):
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


class VisitChanged(FieldError):
    """Somebody else has changed the visit meanwhile."""

    code = "field.visit_changed"

    def __init__(self, visit_id: int) -> None:
        self.visit_id = visit_id
        super().__init__(f"Visit {visit_id} isn't as you have seen it any more: read it again, and decide then.")
