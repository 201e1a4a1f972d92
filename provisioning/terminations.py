"""The door for services that are to end: read, checked against everything we know, and only then turned into a run.

The end of a service may be asked for again after it was taken back, so its runs are counted: the number stands in their
key, and of two wishes that come at once the unique key lets one through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.notices.notice_errors import TeamUnknown
from provisioning.commercial.notices.teams import require_team
from provisioning.days import day_of, end_of
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Clock, faults_of
from provisioning.projections import ALLOCATION
from radius import SubscriberRenamed, SubscriberUnknown, SubscriberView
from workflows import (
    ENDED,
    Definition,
    Events,
    RunConflict,
    Runs,
    RunView,
    Services,
    open_results,
    show_run,
    sound_parts,
)
from workflows.definitions.termination import Note, Termination

JOURNEY = "service_termination"
TERMINATION_REQUESTED = "service.termination_requested"
LONGEST_AHEAD = timedelta(days=3 * 365)

Username = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]


class Wish(BaseModel):
    """Which service is to end, after which day, and why. ``at_once`` takes the place of the day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: Username
    ends_on: date | None = None
    at_once: bool = False
    reason: Note


class SoundWish(BaseModel):
    """Of a wish, what is well formed, so that one malformed field hides no other fault."""

    username: Username | None = None
    ends_on: date | None = None
    at_once: bool | None = None


@dataclass(frozen=True)
class StartedTermination:
    """The run that ends the service after this day; ``is_new`` is false if the same wish had started it before."""

    run_id: int
    ends_on: date
    is_new: bool


@dataclass(frozen=True)
class Earlier:
    """What was asked for before: how often, and the newest run of it."""

    count: int
    newest: RunView | None

    @property
    def open(self) -> RunView | None:
        return self.newest if self.newest is not None and self.newest.summary.state not in ENDED else None


class TerminationDesk:
    """Takes such wishes, and takes them back, within the caller's transaction. ``zone``: where a day ends; ``team``:
    who sees to a CPE that could not be reset.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        services: Services,
        runs: Runs,
        events: Events,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        tenant_id: str,
        now: Clock,
        zone: ZoneInfo,
        team: str,
    ) -> None:
        self._db = db
        self._services = services
        self._runs = runs
        self._events = events
        self._definitions = definitions
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._team = team

    async def accept(
        self, data: Any, *, by: str, is_told: bool = False, subscriber_id: int | None = None
    ) -> StartedTermination:
        """Lets the service end when its last day is over, or now, and tells of it as an event unless one has brought
        the wish (``is_told``). ``subscriber_id``: whose the username was, where somebody else may have it by now.

        Raises: InvalidRequest with all faults at once, before anything is written.
        """
        try:
            wish = Wish.model_validate(data)
        except ValidationError as error:
            sound = SoundWish.model_validate(sound_parts(data, error))
            faults = faults_of(error, whole="termination")
            malformed = {fault.field for fault in faults}
            faults += [
                fault for fault in (await self._faults_in(sound, subscriber_id))[1] if fault.field not in malformed
            ]
            raise InvalidRequest("The termination", faults) from error
        sound = SoundWish.model_validate(wish.model_dump(exclude={"reason"}))
        subscriber, faults = await self._faults_in(sound, subscriber_id)
        if subscriber is None or subscriber["service_id"] is None:
            raise InvalidRequest("The termination", faults)
        earlier = await self._earlier(subscriber["service_id"])
        if earlier.open is not None:
            return self._same_again(earlier.open, wish, subscriber, faults)
        if faults:
            if subscriber["state"] == "terminated" and earlier.newest is not None:
                done = _as_wished(earlier.newest, wish, subscriber)
                if done is not None:  # it was asked for in the same words, and has come about since
                    return done
            raise InvalidRequest("The termination", faults)
        started = await self._start(wish, subscriber, subscriber["service_id"], earlier.count + 1, by)
        if started.is_new and not is_told:
            subject, said = f"service/{subscriber['service_id']}", wish.model_dump(mode="json", exclude_unset=True)
            await self._events.tell_started(
                self._db, TERMINATION_REQUESTED, started.run_id, subject=subject, data=said, by=by
            )
        return started

    async def withdraw(self, username: str, *, reason: str, by: str) -> int:
        """The service goes on: its end is taken back, and nothing of it has happened. Returns the number of the run.

        Raises: InvalidRequest if nothing is to be taken back; RunNotOpenFor if the end has begun; InputRefused if the
        reason says nothing.
        """
        subscriber = await self._subscriber(username)
        earlier = await self._earlier(subscriber["service_id"]) if subscriber and subscriber["service_id"] else None
        if earlier is None or earlier.open is None:
            why = f"names no service that is to end: {username}"
            raise InvalidRequest("The withdrawal of a termination", [Fault("username", why)])
        run_id = earlier.open.summary.id
        await self._runs.cancel(self._db, run_id, by=by, reason=reason)
        return run_id

    async def is_to_end(self, service_id: int) -> bool:
        """Whether its end was asked for already, and is not over."""
        return (await self._earlier(service_id)).open is not None

    def today(self) -> date:
        """Where the ISP is."""
        return day_of(self._now(), self._zone)

    async def require_team(self) -> None:
        """Raises: InvalidRequest if the team that has to see to what is left of a service is not there."""
        if faults := await self._faults_of_team():
            raise InvalidRequest("The termination", faults)

    async def _faults_of_team(self) -> list[Fault]:
        try:
            await require_team(self._db, self._tenant_id, self._team)
        except TeamUnknown as error:
            return [Fault("FIRSTLIGHT_TERMINATION_TEAM", str(error))]
        return []

    async def _faults_in(self, wish: SoundWish, subscriber_id: int | None) -> tuple[SubscriberView | None, list[Fault]]:
        faults = [*self._faults_of_day(wish), *await self._faults_of_team()]
        subscriber = None
        if wish.username is not None:
            try:
                subscriber = await self._asked_for(wish.username, subscriber_id)
            except SubscriberRenamed as renamed:
                given_up = f"was given up: who had {wish.username} is {renamed.present} now"
                return None, [Fault("username", given_up), *faults]
            except SubscriberUnknown:
                return None, [Fault("username", f"names no subscriber: {wish.username}"), *faults]
            if (why := await self._in_the_way(subscriber)) is not None:
                faults.insert(0, Fault("username", why))
        return subscriber, faults

    async def _asked_for(self, username: str, subscriber_id: int | None) -> SubscriberView:
        radius = self._services.radius_service
        if subscriber_id is not None:
            return await radius.subscriber(subscriber_id=subscriber_id)
        return await radius.subscriber_named(username=username)

    def _faults_of_day(self, wish: SoundWish) -> list[Fault]:
        if wish.ends_on is None:
            return [] if wish.at_once else [Fault("ends_on", "is needed, unless the service is to end at once")]
        if wish.at_once:
            return [Fault("ends_on", "can't be given for a service that is to end at once")]
        if wish.ends_on < self.today():
            return [Fault("ends_on", f"is over: today is {self.today()}")]
        if wish.ends_on > self.today() + LONGEST_AHEAD:
            return [Fault("ends_on", "lies more than three years ahead")]
        return []

    async def _in_the_way(self, subscriber: SubscriberView) -> str | None:
        name, service_id = subscriber["username"], subscriber["service_id"]
        if subscriber["state"] == "terminated":
            return f"names a service that has ended already: {name}"
        if service_id is None:
            return f"names a subscriber without a service: {name}"
        for kept in await open_results(self._db, tenant_id=self._tenant_id, step=ALLOCATION):
            if kept.has_more_to_do and int(kept.result["service_id"]) == service_id:
                return f"names a service whose installation is not over: cancel run {kept.run_id}, or let it end first"
        if subscriber["state"] not in ("active", "suspended"):
            return f"names a service that was never in use: {name} is {subscriber['state']}"
        return None

    async def _subscriber(self, username: str) -> SubscriberView | None:
        try:
            return await self._services.radius_service.subscriber_named(username=username)
        except SubscriberUnknown:
            return None

    async def _earlier(self, service_id: int) -> Earlier:
        count, newest = 0, None
        while (run_id := await self._runs.find(self._db, JOURNEY, _key(service_id, count + 1))) is not None:
            count, newest = count + 1, run_id
        if newest is None:
            return Earlier(0, None)
        view = await show_run(self._db, newest, tenant_id=self._tenant_id, definitions=self._definitions)
        return Earlier(count, view)

    def _same_again(
        self, open_: RunView, wish: Wish, subscriber: SubscriberView, faults: list[Fault]
    ) -> StartedTermination:
        same = _as_wished(open_, wish, subscriber)
        if same is not None:
            return same
        day = open_.input["ends_on"]
        if not any(fault.field == "username" for fault in faults):  # else its own end is in the way by now
            why = f"names a service that is to end after {day} already (run {open_.summary.id}): take that back first"
            faults = [Fault("username", why), *faults]
        raise InvalidRequest("The termination", faults)

    async def _start(
        self, wish: Wish, subscriber: SubscriberView, service_id: int, number: int, by: str
    ) -> StartedTermination:
        ends_on = wish.ends_on or self.today()
        termination = Termination(
            customer_id=subscriber["customer_id"],
            service_id=service_id,
            number=number,
            subscriber_id=subscriber["subscriber_id"],
            username=subscriber["username"],
            ends_on=ends_on,
            ends_at=None if wish.at_once else end_of(ends_on, self._zone),
            reason=wish.reason,
            ticket_team=self._team,
        )
        try:
            run_id, is_new = await self._runs.start(self._db, JOURNEY, termination, by=by)
        except RunConflict as raced:
            why = f"names a service whose end was asked for at this very moment (run {raced.run_id})"
            raise InvalidRequest("The termination", [Fault("username", why)]) from raced
        return StartedTermination(run_id, ends_on, is_new)


def _as_wished(run: RunView, wish: Wish, subscriber: SubscriberView) -> StartedTermination | None:
    """That run, if it was started by the same wish; one of its service may have ended whoever had that before."""
    known = run.input
    day = date.fromisoformat(known["ends_on"])
    same_day = known["ends_at"] is None if wish.at_once else wish.ends_on == day and known["ends_at"] is not None
    same = same_day and (wish.reason, subscriber["subscriber_id"]) == (known["reason"], known["subscriber_id"])
    return StartedTermination(run.summary.id, day, False) if same else None


def _key(service_id: int, number: int) -> str:
    return f"service/{service_id}/termination/{number}"
