"""A customer chooses the time of a visit that nobody has booked yet: invited by dispatch, by a link in their mail.

A run that waits for a time to be agreed hears of what they choose as of any visit that dispatch books for the order
(``provisioning.order_visits``), and so does who books by hand meanwhile. The invitation holds no slot: whoever comes
too late for a time is shown others, as everybody is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.customer_slots import DAYS_AT_ONCE, FURTHEST
from provisioning.dispatch import DispatchDesk, asked_for
from provisioning.field import (
    JOINING,
    OF_SIGNAL,
    Asked,
    CustomerMoves,
    InvitationOver,
    InvitationRecord,
    Invitations,
    JobRecord,
    Jobs,
    NobodyFree,
    NoTimeAwaited,
    Search,
    SlotOffer,
    VisitRecord,
    Visits,
    place_of_invitation,
    read_place,
)
from provisioning.intake import Clock, Faults
from workflows import Runs, RunSummary, inputs_of, run_summary, waiting_runs
from workflows.answers import LinkTo
from workflows.services import Services

MOST_DAYS = 30
LONGEST_ADDRESS = 500


@dataclass(frozen=True)
class Choice:
    """What an invitation comes to now. ``visit``: the order's visit, once there is one, and there is nothing to choose.
    ``times``: when it could be; ``later_from``: there may be more."""

    invitation: InvitationRecord
    visit: VisitRecord | None
    times: list[SlotOffer]
    later_from: datetime | None


@dataclass(frozen=True)
class ChosenFirst:
    """A time that was chosen, and who comes then."""

    invitation: InvitationRecord
    asked: Asked
    technician_id: int


@dataclass(frozen=True)
class ToAgree:
    """A run that waits for a time to be agreed. ``address``: where, if the run knows it; ``is_orders``: whether its
    customer can choose; ``invitation``: the one that counts, if they were invited, whether or not its link still opens.
    """

    run: RunSummary
    address: str | None
    is_orders: bool
    invitation: InvitationRecord | None


class FirstSlots:
    """Invites, looks and books within the caller's transaction. ``services`` write to the customer."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        dispatch: DispatchDesk,
        search: Search,
        moves: CustomerMoves,
        services: Services,
        runs: Runs,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._dispatch = dispatch
        self._search = search
        self._moves = moves
        self._services = services
        self._runs = runs
        self._tenant_id = tenant_id
        self._now = now
        self._invitations = Invitations(db, tenant_id=tenant_id, now=now)
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._jobs = Jobs(db, tenant_id=tenant_id)

    async def to_agree(self) -> list[ToAgree]:
        """What waits for a time, the longest waiting first."""
        waiting = await self._waiting()
        numbers = [run.id for run in waiting]
        invitations = await self._invitations.of_runs(numbers)
        said = await inputs_of(self._db, tenant_id=self._tenant_id, run_ids=numbers)
        return [
            _to_agree(run, said[run.id], invitations.get(run.id))
            for run in sorted(waiting, key=lambda each: each.waiting_since or each.updated_at)
        ]

    async def mark(self) -> str:
        """What is another one as soon as another run waits for a time, or its customer is invited."""
        numbers = sorted(run.id for run in await self._waiting())
        invitations = await self._invitations.of_runs(numbers)
        known = {number: invitations[number]["invitation_id"] for number in numbers if number in invitations}
        return f"{numbers} {known}"

    async def _waiting(self) -> list[RunSummary]:
        return [
            run
            for signal in OF_SIGNAL
            for run in await waiting_runs(self._db, tenant_id=self._tenant_id, waiting_for=signal)
        ]

    async def awaited(self, run_id: int) -> ToAgree:
        """One run that waits for a time. Raises: RunUnknown, NoTimeAwaited."""
        run = await run_summary(self._db, run_id, tenant_id=self._tenant_id)
        if not _waits_for_a_time(run):
            raise NoTimeAwaited(run_id, run.state)
        said = await inputs_of(self._db, tenant_id=self._tenant_id, run_ids=[run_id])
        known = await self._invitations.of_runs([run_id])
        return _to_agree(run, said[run_id], known.get(run_id))

    async def invite(
        self,
        *,
        run_id: int,
        job: str,
        address: str | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
        days: int = 7,
        by: str,
    ) -> InvitationRecord:
        """Mails the customer of this run a link by which they choose a time, for so many days. A former one counts no
        more. ``address``: where the run knows none.

        Raises: InvalidRequest (all faults), JobUnknown, RunUnknown, NoTimeAwaited, ChangeRaced.
        """
        await self._runs.lock(self._db, [run_id])
        run = await run_summary(self._db, run_id, tenant_id=self._tenant_id)
        if not _waits_for_a_time(run) or run.customer_id is None:
            raise NoTimeAwaited(run_id, run.state)
        faults = Faults("The invitation")
        place = read_place(faults, latitude, longitude)
        said = (await inputs_of(self._db, tenant_id=self._tenant_id, run_ids=[run_id]))[run_id]
        where = faults.line("address", address or said.get("installation_address"), longest=LONGEST_ADDRESS)
        if not 1 <= days <= MOST_DAYS:
            faults.add("days", f"are {days}; a link opens for 1 to {MOST_DAYS}")
        kind = await self._jobs.job(job)
        await self._find_hopeless(faults, run, kind, is_orders=_is_orders(run, said))
        faults.refuse_if_any()
        order_id = await self._order(run, said)
        if await self._visits.of_order(customer_id=run.customer_id, order_id=order_id) is not None:
            raise NoTimeAwaited(run_id, run.state)
        ends = self._now() + timedelta(days=days)
        invitation = await self._invitations.invite(
            run_id=run_id,
            customer_id=run.customer_id,
            order_id=order_id,
            job=kind["name"],
            address=where,
            location=said.get("service_location"),
            place=place,
            expires_at=ends if run.wake_at is None else min(ends, run.wake_at),
            by=by,
        )
        await self._write(invitation)
        until = f"{invitation['expires_at']:%Y-%m-%d %H:%M} UTC"
        note = f"the customer may choose a time by the link in their mail, until {until}"
        await self._runs.note(self._db, run_id, by=by, text=note)
        return invitation

    async def _find_hopeless(self, faults: Faults, run: RunSummary, kind: JobRecord, *, is_orders: bool) -> None:
        """Why nothing could come of inviting the customer, whatever they choose."""
        if not await self._search.is_anybody_able(kind):
            faults.add("job", f"is {kind['name']}, and no technician is able to do it: {', '.join(kind['skills'])}")
        if not is_orders:
            faults.add("run_id", "is of no order, so its customer can't choose: book the time that they name")
        if self._furthest(run) <= self._moves.earliest + timedelta(minutes=kind["duration_minutes"]):
            faults.add("run_id", "gives its addresses back before anybody could come whose time is still to be chosen")

    async def look(self, invitation_id: int, *, starts_after: datetime | None = None) -> Choice:
        """What there is to choose, within a week.

        Raises: InvitationUnknown, InvitationOver, JobUnknown.
        """
        invitation = await self._invitations.invitation(invitation_id)
        visit = await self._visit(invitation)
        if visit is not None:
            return Choice(invitation, visit, [], None)
        run = await self._awaited(invitation)
        asked = await self._asked(invitation, run, max(starts_after or self._moves.earliest, self._moves.earliest))
        times = await self._search.times(asked, days=DAYS_AT_ONCE)
        later = asked.starts_at + timedelta(days=DAYS_AT_ONCE)
        is_last = asked.not_after is not None and later >= asked.not_after
        return Choice(invitation, None, times, None if is_last else later)

    async def booked(self, invitation_id: int) -> VisitRecord | None:
        """The visit to come of whoever was invited so, whoever has booked it. Searches nothing, so it may be asked
        while something is being written. Raises: InvitationUnknown."""
        return await self._visit(await self._invitations.invitation(invitation_id))

    async def invitation(self, invitation_id: int) -> InvitationRecord:
        """Raises: InvitationUnknown."""
        return await self._invitations.invitation(invitation_id)

    async def choose(self, invitation: InvitationRecord, *, starts_at: datetime) -> ChosenFirst:
        """Looks who comes at this time; nothing is held until it is booked.

        Raises: InvitationOver, JobUnknown; NobodyFree (with what was asked for).
        """
        if await self._visit(invitation) is not None:
            raise InvitationOver(invitation["invitation_id"])
        asked = await self._asked(invitation, await self._awaited(invitation), starts_at)
        with asked_for(asked):
            free = await self._search.at(asked, only_offered=True)
            if not free:
                raise NobodyFree(None, starts_at)
        return ChosenFirst(invitation, asked, free[0]["technician_id"])

    async def book(self, chosen: ChosenFirst, *, by: str) -> VisitRecord:
        """Books it, if the run still waits and nobody has booked for the order meanwhile. The one-time link that allows
        this was used up in this transaction.

        Raises: InvitationOver, JobUnknown, ChangeRaced; TechnicianBusy, OutsideHours and SkillMissing (with what was
        asked for).
        """
        number, run_id = chosen.invitation["invitation_id"], chosen.invitation["run_id"]
        await self._runs.lock(self._db, [run_id])
        invitation = await self._invitations.invitation(number, to_accept=True)
        await self._awaited(invitation)
        if await self._visit(invitation, to_book=True) is not None:
            raise InvitationOver(number)
        with asked_for(chosen.asked):
            visit = await self._dispatch.book(
                customer_id=invitation["customer_id"],
                technician_id=chosen.technician_id,
                starts_at=chosen.asked.starts_at,
                address=invitation["address"],
                job=invitation["job"],
                latitude=invitation["latitude"],
                longitude=invitation["longitude"],
                location=invitation["location"],
                order_id=invitation["order_id"],
                request_id=f"invitation/{number}",
                by=by,
            )
        if visit["order_id"] != invitation["order_id"]:  # the order's visit came in between: this one is apart
            raise InvitationOver(number)
        await self._invitations.accepted(number, visit_id=visit["visit_id"])
        return visit

    async def _awaited(self, invitation: InvitationRecord) -> RunSummary:
        """The run that waits for what is chosen. Raises: InvitationOver."""
        run = await run_summary(self._db, invitation["run_id"], tenant_id=self._tenant_id)
        if invitation["superseded_at"] is not None or not _waits_for_a_time(run):
            raise InvitationOver(invitation["invitation_id"])
        return run

    async def _visit(self, invitation: InvitationRecord, *, to_book: bool = False) -> VisitRecord | None:
        """The order's visit to come, whoever has booked it; ``to_book``: nobody changes it until all is written."""
        return await self._visits.of_order(
            customer_id=invitation["customer_id"], order_id=invitation["order_id"], is_held=to_book
        )

    async def _order(self, run: RunSummary, said: dict[str, object]) -> int:
        purpose = OF_SIGNAL[run.waiting_for or ""]
        known = said[JOINING[purpose].known_by]
        if purpose == "installation":
            return int(str(known))
        of_quote = select(SalesOrder.id).where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.quote_id == known)
        order_id = await self._db.scalar(of_quote.order_by(SalesOrder.id.desc()).limit(1))
        assert order_id is not None, "a run that waits for the date of its order has made it"
        return order_id

    async def _asked(self, invitation: InvitationRecord, run: RunSummary, starts_at: datetime) -> Asked:
        kind = await self._jobs.job(invitation["job"])
        return replace(
            Asked.of(kind, place_of_invitation(invitation), starts_at),
            not_before=self._moves.earliest,
            not_after=self._furthest(run),
            each_time_once=True,
        )

    def _furthest(self, run: RunSummary) -> datetime:
        """An installation gives its addresses back when its wait ends; an order keeps none, and is only held then."""
        furthest = self._now() + FURTHEST
        gives_back = run.waiting_for == JOINING["installation"].signal
        return min(furthest, run.wake_at) if gives_back and run.wake_at is not None else furthest

    async def _write(self, invitation: InvitationRecord) -> None:
        customer = await self._services.customer_service.customer(invitation["customer_id"])
        number = invitation["invitation_id"]
        await self._services.communications_service.send_template_email(
            template="visit_choice",
            recipient=customer["email"],
            language=customer["language"],
            variables={
                "customer_name": customer["name"],
                "address": invitation["address"],
                "order_id": invitation["order_id"],
                "choice_link": LinkTo("choose_visit", str(number), invitation["expires_at"]),
            },
            unattended=True,
            request_id=f"invitation/{number}",
        )


def _waits_for_a_time(run: RunSummary) -> bool:
    return run.state == "pending" and run.waiting_for in OF_SIGNAL


def _is_orders(run: RunSummary, said: Mapping[str, Any]) -> bool:
    return said.get(JOINING[OF_SIGNAL[run.waiting_for or ""]].known_by) is not None


def _to_agree(run: RunSummary, said: Mapping[str, Any], invitation: InvitationRecord | None) -> ToAgree:
    return ToAgree(run, said.get("installation_address"), _is_orders(run, said), invitation)
