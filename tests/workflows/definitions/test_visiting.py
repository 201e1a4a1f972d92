"""A visit's rounds: which time is wanted now, and where each report leads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workflows.definitions.installation.ticket import Appointment, VisitReport
from workflows.definitions.installation.visit import appointment, mail_appointment, schedule_installation
from workflows.definitions.installation.visit import visit as of_installation
from workflows.definitions.ordering.delivery import deployment_date, schedule_deployment
from workflows.definitions.ordering.delivery import visit as of_order
from workflows.definitions.visiting import next_wanted
from workflows.engine.routes import GoBack, Proceed, UndoAll

FIRST, AGAIN = (datetime(2026, 3, day, 9, tzinfo=UTC) for day in (2, 9))


def report(outcome: str, **more: Any) -> VisitReport:
    return VisitReport.model_validate({"outcome": outcome, **more})


def test_the_first_time_counts_until_a_report_names_another_or_none() -> None:
    named = report("no_access", next_appointment=Appointment(technician_id=7, scheduled_date=AGAIN))
    wanted = [next_wanted(told, first=FIRST, named=lambda again: again.scheduled_date) for told in (None, named)]
    assert wanted == [FIRST, AGAIN]
    assert next_wanted(report("no_access"), first=FIRST, named=lambda again: again.scheduled_date) is None


@pytest.mark.parametrize(
    ("visit", "what", "agreed"),
    [(of_installation, "installation", appointment), (of_order, "order", deployment_date)],
    ids=["installation", "order"],
)
def test_a_report_leads_on_or_out_or_back_to_another_time(visit: Any, what: str, agreed: Any) -> None:
    run: Any = None  # where it leads depends on the report alone
    assert visit.route(run, report("scanned", device_serial="HWTC00000001")) == Proceed()
    assert visit.route(run, report("not_feasible", note="no duct")) == UndoAll(
        f"the technician found the {what} not feasible: no duct"
    )
    assert visit.route(run, report("no_access")) == GoBack(agreed, "nobody was at home")
    assert visit.route(run, report("cancelled", note="rain")) == GoBack(agreed, "the visit was called off: rain")
    assert visit.again_from == (agreed,)


class Booked:
    """As much of a run as asks what was booked, with the result as its journal keeps it."""

    def __init__(self, step: Any, kept: str) -> None:
        self._result = step.result.validate_json(kept)

    def __getitem__(self, step: Any) -> Any:
        return self._result

    def done(self, step: Any) -> bool:
        return True


VISIT = '"visit_id": 5, "technician_id": 7, "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T11:00:00Z"'
LINES = f'{{{VISIT}, "technician_name": "Tom", "state": "booked"'
ORDERS = f'{{{VISIT}, "deployment_id": 1, "order_id": 9, "customer_id": 42, "priority": "normal", "state": "scheduled"'


def test_the_customer_is_mailed_unless_the_orders_confirmation_has_told_them() -> None:
    wants_mail: Any = mail_appointment.when
    assert wants_mail(Booked(schedule_installation, LINES + ', "is_announced": false}'))
    assert not wants_mail(Booked(schedule_installation, LINES + ', "is_announced": true}'))
    assert wants_mail(Booked(schedule_installation, LINES + "}")), (
        "as runs have kept it that began before orders shared"
    )


def test_a_visit_that_was_made_for_the_installation_is_not_waited_for_by_the_order() -> None:
    waits: Any = of_order.when
    assert waits(Booked(schedule_deployment, ORDERS + ', "is_made": false}'))
    assert not waits(Booked(schedule_deployment, ORDERS + ', "is_made": true}'))
    assert waits(Booked(schedule_deployment, ORDERS + "}")), "as runs have kept it that began before orders shared"
