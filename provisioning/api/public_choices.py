"""The time of a visit that nobody has booked yet, chosen by its customer by the link of a mail.

As on the page that moves a visit (``public_visits``), no technician is told, nothing is held before it is booked, and
whoever comes too late for a time is shown the nearest ones that are free.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from provisioning.access import subject_of
from provisioning.api.calls import Call
from provisioning.api.problems import Problem
from provisioning.api.public_pages import message, page, refused
from provisioning.api.public_visits import MEANT_NOTHING, TAKEN, days_of, read_choice, starts_after, visit_page
from provisioning.days import day_of
from provisioning.field import InvitationOver, InvitationUnknown, VisitRecord
from provisioning.first_slots import Choice, ChosenFirst
from provisioning.links import LinkExpired, LinkUsed
from workflows.answers import LinkTo

CHOSEN_FIRST = "the customer chose this time, by the link in their mail"
OVER = frozenset({"field.invitation_over", "field.invitation_unknown"})


async def show_choice(call: Call, to: LinkTo) -> Response:
    """The times there are; the visit, if there is one by now."""
    try:
        choice = await call.appliance.first_slots(call.db).look(int(to.subject), starts_after=starts_after(call))
    except (InvitationUnknown, InvitationOver):
        return message(call.request, "choice.over", status=410)
    if choice.visit is not None:
        return _booked(call.request, choice.visit, "visit.title", said="choice.there")
    return _page(call.request, choice)


async def choose_first_time(call: Call, to: LinkTo) -> None:
    """Reads what the form holds, and looks who comes then, before anything may be written.

    Raises: InvitationUnknown, NoTimeChosen, and as ``FirstSlots.choose``.
    """
    slots = call.appliance.first_slots(call.db)
    call.request.state.invitation = invitation = await slots.invitation(int(to.subject))
    _, starts_at = read_choice(None, await call.request.body())
    call.request.state.chosen_first = await slots.choose(invitation, starts_at=starts_at)


async def book_visit(call: Call, *, by: str) -> Response:
    """Books the time that was chosen (``choose_first_time``). The link was used up in this transaction.

    Raises: as ``FirstSlots.book``.
    """
    chosen: ChosenFirst = call.request.state.chosen_first
    visit = await call.appliance.first_slots(call.db).book(chosen, by=by)
    call.tells(action="visits book", subject=subject_of("visit", visit["visit_id"]), reason=CHOSEN_FIRST)
    call.tells(customer_id=visit["customer_id"], run_id=chosen.invitation["run_id"], after=visit)
    return _booked(call.request, visit, "choice.thanks", said="choice.booked")


async def show_used_choice(call: Call, error: LinkUsed | LinkExpired) -> Response | None:
    """The visit that was chosen, while it is to come; else None, as of any other link."""
    try:
        visit = await call.appliance.first_slots(call.db).booked(int(error.to.subject))
    except InvitationUnknown:
        return None
    return None if visit is None else _booked(call.request, visit, "visit.title", said="choice.there")


def refused_choice(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Why nothing was booked, and what else is free. Any other refusal is a page as ever."""
    code, invitation = problem["code"], getattr(request.state, "invitation", None)
    if invitation is None or code not in TAKEN | MEANT_NOTHING | OVER:
        return refused(request, problem, headers)
    if code in OVER:  # the page itself shows the visit that there is, or that nothing is to be chosen
        return RedirectResponse(request.url.path, status_code=303)
    key = "choice.taken" if code in TAKEN else "choice.choose"
    offers = problem.get("alternatives", [])
    content = visit_page(
        request,
        f"{key}.title",
        invitation=invitation,
        said=f"{key}.words",
        days=days_of(request, offers),
        problem=True,
        again=True,
    )
    return page(content, status=problem["status"], forms=bool(offers))


def _page(request: Request, choice: Choice) -> Response:
    zone, later = request.app.state.appliance.zone, None
    if choice.later_from is not None:
        later = day_of(choice.later_from, zone).isoformat()
    content = visit_page(
        request,
        "choice.title",
        invitation=choice.invitation,
        said="" if choice.times else "visit.nothing_free",
        days=days_of(request, choice.times),
        later=later,
    )
    return page(content, forms=bool(choice.times))


def _booked(request: Request, visit: VisitRecord, title: str, *, said: str) -> Response:
    return page(visit_page(request, title, visit=visit, said=said))
