"""Whether what a waiting run waits for can be looked for at all; while it can't, the run and its step say so.

A deadline that passes while nobody could look says nothing about the one who was waited for, so it must not blame him:
a definition's ``on_deadline`` asks `Run.unseen`.
"""

from __future__ import annotations

from datetime import UTC
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import Clock, Course, Definitions, load_course
from workflows.engine.steps import Wait
from workflows.engine.tables import RunState, StepRow
from workflows.engine.walk import waiting_words

WATCHER = "watcher"


class Blinding(Protocol):
    """An error of the other side: its text is a sentence."""

    @property
    def code(self) -> str:
        """What it is called in every list."""


class Lookout:
    """Tells a waiting run when nobody can look for its signal any more, and when somebody can again."""

    def __init__(self, *, definitions: Definitions, clock: Clock, tenant_id: str) -> None:
        self._definitions = definitions
        self._clock = clock
        self._tenant_id = tenant_id

    async def lost(self, db: AsyncSession, run_id: int, signal: str, *, what: str, why: Blinding) -> bool:
        """``what`` (the ACS can't be asked) has begun; the first trouble of an outage stays, with its time.

        False if the run doesn't wait for this signal (any more), or knows already.
        """
        course, row = await self._waiting(db, run_id, signal)
        if row is None or row.error_code is not None:
            return False
        row.note = f"{what} since {self._clock().astimezone(UTC):%Y-%m-%d %H:%M} UTC: {str(why).rstrip('.')}"
        row.error_code = why.code
        self._say(course, row, row.note)
        return True

    async def regained(self, db: AsyncSession, run_id: int, signal: str, *, what: str) -> bool:
        """``what`` (the ACS can be asked again) is so; False if the run doesn't wait, or nothing was lost."""
        course, row = await self._waiting(db, run_id, signal)
        if row is None or row.error_code is None:
            return False
        row.note = row.error_code = None
        self._say(course, row, what)
        return True

    async def _waiting(self, db: AsyncSession, run_id: int, signal: str) -> tuple[Course, StepRow | None]:
        course = await load_course(db, run_id, self._definitions, self._clock, tenant_id=self._tenant_id)
        wait = course.definition.signals().get(signal)
        waits = course.row.state == RunState.PENDING and course.row.waiting_for == signal
        return course, course.latest(wait) if wait is not None and waits else None

    def _say(self, course: Course, row: StepRow, words: str) -> None:
        wait = course.definition.step(row.step)
        assert isinstance(wait, Wait)
        course.row.reason, course.row.reason_code = waiting_words(wait, row), row.error_code
        course.note(words, step=row.step, by=WATCHER)
