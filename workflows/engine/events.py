"""Events: what has happened is written in the transaction that makes it so, and starts its journey exactly once.

The row is the truth. A recurring job of the workers takes up what is pending, oldest first: the run's start and the
event's new state are one commit, so neither a crash nor a second worker can start a journey twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import Begin, Clock, Definitions
from workflows.engine.runs import Runs
from workflows.engine.tables import EventRow, EventState, RunRow
from workflows.errors import (
    EventConflict,
    EventRefused,
    EventSettled,
    EventTypeUnknown,
    EventUnknown,
    InputRefused,
    RunConflict,
)
from workflows.printable import checked_reason

Starter = Callable[[AsyncSession, Any, str], Awaitable[tuple[int, bool]]]
"""Starts the run that an event asks for, from (its data, by whom); returns (the run's number, whether it is new).

Raises: EventRefused.
"""

log = structlog.get_logger(__name__)


class Events:
    """Publishes events and starts their journeys. ``starters`` are doors that check more than a journey itself can."""

    def __init__(
        self,
        *,
        definitions: Definitions,
        runs: Runs,
        clock: Clock,
        tenant_id: str,
        starters: Mapping[str, Starter] | None = None,
    ) -> None:
        self._runs = runs
        self._clock = clock
        self._tenant_id = tenant_id
        self._journeys = {each.started_by: each.name for each in definitions.values() if each.started_by}
        self._starters = dict(starters or {})
        self._taken_up_to = 0  # where the next look begins: behind those that just failed

    @property
    def types(self) -> list[str]:
        """The events that start a journey."""
        return sorted(self._journeys.keys() | self._starters.keys())

    def require_known(self, event_type: str) -> None:
        """What a door for events asks first, since one that starts nothing is most likely misspelt.

        Raises: EventTypeUnknown.
        """
        if event_type not in self.types:
            raise EventTypeUnknown(event_type, self.types)

    async def publish(
        self, db: AsyncSession, event_type: str, *, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> tuple[int, bool]:
        """Writes the event in the caller's transaction; returns (its number, whether it is new).

        ``key`` names what has happened (``quote/7/accepted``): the same again is the same event.

        Raises: EventConflict if the key stands for something else.
        """
        row = self._row(event_type, subject, data, key, by)
        known = await self._unless_known(db, row)
        if known is None:
            return row.id, True
        if (known.type, known.subject, known.data) != (row.type, row.subject, row.data):
            raise EventConflict(key, known.id)
        return known.id, False

    async def tell_started(
        self,
        db: AsyncSession,
        event_type: str,
        run_id: int,
        *,
        data: Mapping[str, Any],
        by: str,
        subject: str | None = None,
    ) -> None:
        """Writes, in the caller's transaction, what a door has acted on at once: an event that has started its run.

        What was published already, under the run's key or about the same and not taken up yet, is not told twice.
        """
        run = await db.get_one(RunRow, run_id)
        row = self._row(event_type, subject or _subject_of(run.business_key), data, run.business_key, by)
        about_to = select(EventRow.id).where(
            EventRow.tenant_id == self._tenant_id,
            EventRow.state == EventState.PENDING,
            EventRow.type == event_type,
            EventRow.subject == row.subject,
        )
        if await db.scalar(about_to.limit(1)) is not None:
            return  # it comes to the same run
        row.state, row.run_id, row.settled_at = EventState.STARTED, run_id, row.occurred_at
        await self._unless_known(db, row)

    async def correct(
        self,
        db: AsyncSession,
        key: str,
        event_type: str,
        *,
        subject: str,
        data: Mapping[str, Any],
        by: str,
        same: Collection[str],
    ) -> None:
        """What has happened stands in this key's place, though somebody had told it otherwise before it was so.

        An event that was refused or ignored says from now on what is true, and is taken up anew; one that isn't taken
        up yet keeps what more it says. One that has started its run must be of this type and agree in ``same``.

        Raises: EventConflict if the key stands for something else.
        """
        event = await db.scalar(
            select(EventRow)
            .where(EventRow.tenant_id == self._tenant_id, EventRow.key == key)
            .with_for_update()  # whoever is taking it up comes to an end first
            .execution_options(populate_existing=True)
        )
        assert event is not None, "it was in the way a moment ago, and events stay"
        known = json.loads(event.data)
        agrees = event.type == event_type and isinstance(known, dict)
        agrees = agrees and all(name in known and known[name] == data[name] for name in same)
        if event.state in (EventState.REFUSED, EventState.IGNORED):
            known = {}
        elif not agrees:
            raise EventConflict(key, event.id)
        elif event.state == EventState.STARTED:
            return
        event.type, event.subject, event.published_by = event_type, subject, by
        event.data = json.dumps({**known, **data}, sort_keys=True, default=str)
        event.occurred_at, event.state = self._clock(), EventState.PENDING
        event.run_id = event.reason = event.settled_at = None
        await db.flush()

    def type_of(self, journey: str) -> str | None:
        """The event that starts this journey, if any does.

        Raises: JourneyUnknown.
        """
        return self._runs.current(journey).started_by

    async def start(self, db: AsyncSession, journey: str, data: Any, *, by: str) -> tuple[int, bool]:
        """Starts a journey as its event would, through the same door; returns (the run's number, whether it is new).

        The event is told with a new run, as one that has started it.

        Raises: JourneyUnknown, EventRefused, InputRefused, RunConflict.
        """
        event_type = self.type_of(journey)
        starter = self._starters.get(event_type or "")
        if starter is not None:
            run_id, is_new = await starter(db, data, by)
        else:
            run_id, is_new = await self._runs.start(db, journey, data, by=by)
        if is_new and event_type is not None:
            await self.tell_started(db, event_type, run_id, data=data, by=by)
        return run_id, is_new

    async def retry(self, db: AsyncSession, event_id: int) -> None:
        """An event that was refused or ignored is taken up again, as if it had just been published.

        Raises: EventUnknown, EventSettled.
        """
        event = await self._locked(db, event_id)
        if event.state == EventState.PENDING:
            return
        if event.state not in (EventState.REFUSED, EventState.IGNORED):
            raise EventSettled(event_id, event.state)
        event.state, event.reason, event.settled_at = EventState.PENDING, None, None
        await db.flush()  # a later question in this transaction must find it pending

    async def set_aside(self, db: AsyncSession, event_id: int, *, why: str, by: str) -> bool:
        """Nothing shall come of an event that was refused; what it was refused for stays beside. It may still be
        retried. False: nothing comes of it already, and it stays as it is.

        Raises: InputRefused if the reason says nothing; EventUnknown, EventSettled.
        """
        why = checked_reason(why, what="reason")
        event = await self._locked(db, event_id)
        if event.state == EventState.IGNORED:
            return False
        if event.state != EventState.REFUSED:
            raise EventSettled(event_id, event.state)
        event.state, event.settled_at = EventState.IGNORED, self._clock()
        event.reason = f"{event.reason} Set aside by {by}: {why}"
        await db.flush()
        return True

    async def _locked(self, db: AsyncSession, event_id: int) -> EventRow:
        event = await db.scalar(
            select(EventRow)
            .where(EventRow.tenant_id == self._tenant_id, EventRow.id == event_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if event is None:
            raise EventUnknown(event_id)
        return event

    async def take_up(self, begin: Begin, most: int = 100) -> int:
        """Starts what pending events ask for, oldest first; returns how many were settled.

        One that can't be taken up now (a lost database, a fault of ours) doesn't stop the others; it stays pending,
        and its next turn comes when those behind it have had theirs.

        Raises: ExceptionGroup of what went wrong, when all have been tried.
        """
        async with begin() as db:
            pending = select(EventRow.id).where(
                EventRow.tenant_id == self._tenant_id,
                EventRow.state == EventState.PENDING,
                EventRow.id > self._taken_up_to,
            )
            waiting = list(await db.scalars(pending.order_by(EventRow.id).limit(most)))
        settled, errors = 0, list[Exception]()
        for event_id in waiting:
            [outcome] = await asyncio.gather(self._settle(begin, event_id), return_exceptions=True)
            if isinstance(outcome, Exception):
                errors.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                settled += outcome
        self._taken_up_to = waiting[-1] if errors and len(waiting) == most else 0
        if errors:
            raise ExceptionGroup("events that could not be taken up", errors)
        return settled

    async def _settle(self, begin: Begin, event_id: int) -> bool:
        async with begin() as db:
            wanted = select(EventRow).where(EventRow.id == event_id, EventRow.state == EventState.PENDING)
            event = await db.scalar(wanted.with_for_update(skip_locked=True))
            if event is None:
                return False  # somebody else is at it, or was
            try:
                async with db.begin_nested():
                    event.run_id = await self._start(db, event)
                event.state = EventState.STARTED if event.run_id is not None else EventState.IGNORED
            except (EventRefused, InputRefused, RunConflict) as refusal:
                event.state, event.run_id, event.reason = EventState.REFUSED, None, str(refusal)
                log.warning("event refused", event_id=event_id, type=event.type, reason=event.reason)
            event.settled_at = self._clock()
            return True

    async def _start(self, db: AsyncSession, event: EventRow) -> int | None:
        data, by = json.loads(event.data), f"event {event.id}"
        if (starter := self._starters.get(event.type)) is not None:
            run_id, _is_new = await starter(db, data, by)
            return run_id
        if (journey := self._journeys.get(event.type)) is None:
            event.reason = f"no journey is started by {event.type}"
            return None
        run_id, _is_new = await self._runs.start(db, journey, data, by=by)
        return run_id

    def _row(self, event_type: str, subject: str, data: Mapping[str, Any], key: str, by: str) -> EventRow:
        return EventRow(
            tenant_id=self._tenant_id,
            type=event_type,
            subject=subject,
            data=json.dumps(data, sort_keys=True, default=str),
            key=key,
            published_by=by,
            occurred_at=self._clock(),
            state=EventState.PENDING,
        )

    async def _unless_known(self, db: AsyncSession, row: EventRow) -> EventRow | None:
        """Writes the row, or returns the one that its key stands for already."""
        try:
            async with db.begin_nested():
                db.add(row)
                await db.flush()  # the unique key decides here which of two is the first
        except IntegrityError:
            known = await self._of_key(db, row.key)
            if known is None:
                raise
            return known
        return None

    async def _of_key(self, db: AsyncSession, key: str) -> EventRow | None:
        found: EventRow | None = await db.scalar(
            select(EventRow).where(EventRow.tenant_id == self._tenant_id, EventRow.key == key)
        )
        return found


def _subject_of(key: str) -> str:
    """What has a number comes first in a key (``quote/7/accepted``); of anything else the key is the name."""
    noun, _, rest = key.partition("/")
    number = rest.partition("/")[0]
    return f"{noun}/{number}" if number.isdigit() else key
