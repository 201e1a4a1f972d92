"""Which visits touch a period: one question for those who read them and those who count them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement

from provisioning.field.tables import Visit
from workflows.services import VisitState

LONGEST_EVER = timedelta(days=7)


def in_period(
    starts_at: datetime | None,
    ends_at: datetime | None,
    technician_id: int | None,
    states: Sequence[VisitState] = (),
) -> list[ColumnElement[bool]]:
    """Of visits, open where an end is not given, of everybody without a technician, in any state without states."""
    wanted: list[ColumnElement[bool]] = []
    if starts_at is not None:  # the second is what an index answers; no visit lasts for days
        wanted += [Visit.ends_at > starts_at, Visit.starts_at > starts_at - LONGEST_EVER]
    if ends_at is not None:
        wanted.append(Visit.starts_at < ends_at)
    if technician_id is not None:
        wanted.append(Visit.technician_id == technician_id)
    if states:
        wanted.append(Visit.state.in_(states))
    return wanted
