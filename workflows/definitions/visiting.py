"""A technician's visit in rounds: its time is agreed, it is booked, and what comes of it leads on, back, or out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from typing_extensions import TypedDict, Unpack

from workflows.answers import LinkTo
from workflows.definitions.installation.ticket import Appointment, VisitReport
from workflows.definitions.mailing import Letter
from workflows.engine.routes import GoBack, Proceed, Route, UndoAll
from workflows.engine.run import Run
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import Act, Wait
from workflows.services import Services

ResultT = TypeVar("ResultT")
WantedT = TypeVar("WantedT")

WHY_AGAIN = {"no_access": "nobody was at home", "cancelled": "the visit was called off"}
"""Of a visit that needs another one, in words."""

BOOKED_ANEW = "the visit is booked anew"
"""Why a visit is called off of which the journey isn't undone: it goes back, and books another, or this one again."""


class BookedVisit(TypedDict):
    """What every booking says of its visit."""

    visit_id: int
    technician_id: int
    starts_at: datetime
    ends_at: datetime


class AnnouncedVisit(BookedVisit):
    """What its customer is told of a visit besides."""

    technician_name: str


BookedT = TypeVar("BookedT", bound=BookedVisit)


class Patience(TypedDict, total=False):
    """Until when it is waited for, and what follows then; see `wait_for`."""

    deadline: Callable[[Run[Any]], datetime]
    on_deadline: Callable[[Run[Any]], Route]
    patience: tuple[str, ...]


async def with_move_link(services: Services, visit_id: int) -> dict[str, LinkTo]:
    """What a mail about the visit says besides: how its customer moves it, where they can."""
    link = await services.ticketing_service.move_link(visit_id=visit_id)
    return {} if link is None else {"move_link": link}


async def visit_letter(services: Services, booked: AnnouncedVisit, *, customer_id: int, address: str) -> Letter:
    """What a customer is written of a visit to them, whoever has booked or moved it: when, where, who, and how they
    move it."""
    customer = await services.customer_service.customer(customer_id)
    return Letter(
        template="installation_scheduled",
        recipient=customer["email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "starts_at": booked["starts_at"],
            "ends_at": booked["ends_at"],
            "address": address,
            "technician_name": booked["technician_name"],
            "visit_id": booked["visit_id"],
            **await with_move_link(services, booked["visit_id"]),
        },
    )


def next_wanted(
    report: VisitReport | None, *, first: WantedT | None, named: Callable[[Appointment], WantedT]
) -> WantedT | None:
    """The time that is wanted now: ``first`` before any visit, then what the report of the failed one has ``named``.

    None where that is still to be agreed.
    """
    if report is None:
        return first
    return named(report.next_appointment) if report.next_appointment else None


def agreement(
    name: str,
    payload: type[ResultT],
    *,
    wanted: Callable[[Run[Any]], object | None],
    says: str,
    otherwise: str,
    needed: Callable[[Run[Any]], bool] | None = None,
    subject: Callable[[Run[Any]], str] | None = None,
    **patience: Unpack[Patience],
) -> Wait[Any, ResultT]:
    """The wait, of this name and signal, for the time of a visit that is ``needed`` and that nobody has named yet.

    What was told meanwhile is heard in any case, since it is newer than what is ``wanted``.
    """

    def is_open(run: Run[Any]) -> bool:
        return run.is_told(name) or ((needed is None or needed(run)) and wanted(run) is None)

    return wait_for(
        name, signal=name, payload=payload, says=says, subject=subject, when=is_open, otherwise=otherwise, **patience
    )


def visit_to(
    what: str,
    booked: Act[Any, BookedT],
    *,
    agreed: Wait[Any, Any],
    says: str,
    when: Callable[[Run[Any]], bool] | None = None,
    otherwise: str = "",
    **patience: Unpack[Patience],
) -> Wait[Any, VisitReport]:
    """The wait ``visit`` for what comes of the visit that ``booked`` has booked.

    After a scan the run goes on; where ``what`` (the order, the installation) is not feasible it is undone; otherwise
    another time is ``agreed``.
    """

    def after_visit(_run: Run[Any], report: VisitReport) -> Route:
        match report.outcome:
            case "scanned":
                return Proceed()
            case "not_feasible":
                return UndoAll(f"the technician found the {what} not feasible: {report.note}")
            case _:
                words = WHY_AGAIN[report.outcome]
                return GoBack(agreed, words + (f": {report.note}" if report.note else ""))

    return wait_for(
        "visit",
        signal="visit",
        payload=VisitReport,
        says=says,
        subject=lambda run: str(run[booked]["visit_id"]),
        route=after_visit,
        again_from=(agreed,),
        when=when,
        otherwise=otherwise,
        **patience,
    )
