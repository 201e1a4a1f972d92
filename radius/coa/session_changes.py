"""Brings the sessions that are open to what their subscriber shall have now, and says of each how far that is.

The order is: FreeRADIUS first, so that whoever logs in anew has it; then each open session at its own NAS; then a look
at accounting, since an ACK is no proof. What is asked and answered is kept after each round. A process that dies in
between leaves the change due again: a CoA says everything every time, and a session that is gone is unknown to its NAS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from radius.coa.claims import ChangeClaims
from radius.coa.coa import ask_to_change
from radius.coa.concluding import Asked, Conclusion
from radius.coa.disconnect import ask_to_disconnect
from radius.coa.doors import KnownNas, identity_of
from radius.coa.dynamic_authorization import ONE_KEY, Retransmission
from radius.coa.lanes import NasLanes
from radius.coa.outbox import change_of, views
from radius.coa.preparing import Preparation, Prepared
from radius.coa.together import DATABASE_TROUBLE, Together
from radius.coa.treatment import Answer, due_again
from radius.coa.wire import Words
from radius.errors import RadiusError
from radius.importing.projecting import BulkProjector
from radius.ports import Begin, Now, Secrets
from radius.projection.projector import RadiusProjector
from radius.projection_errors import RadiusDatabaseUnavailable, RadiusDatabaseUnfit
from radius.results import SessionChangeView
from radius.sessions.sessions import Session, SessionReader

log = structlog.get_logger(__name__)

TOGETHER = 500
"""So many changes are prepared, and what came of them kept, in the same transactions."""
AT_ONCE = 8
"""So many of those that went wrong have a transaction open at the same time."""
STOP_WITHIN_SECONDS = 0.5
"""As long as a transaction may take: one that is broken off may lose its connection."""
END_WITHIN_SECONDS = 4.0
"""As long as what is done for many may take to end, and once more to be broken off: a worker has 30 s to stop."""
KEPT_AFTER_SECONDS = (0.2, 1.0, 3.0, 6.0, 10.0)
"""The pauses before it is tried again to keep what sessions have answered."""
_LOOK_AT = "look at what names sessions to it (`nas change --coa-key`), and at what it says of itself"
UNDER_WAY = 5000
"""So many are begun at the same time. What waits for a NAS holds up no other."""


class SessionChanges:
    """Carries the changes of one tenant's subscribers over. Every method may be repeated, also at the same time."""

    def __init__(  # noqa: PLR0913 - each is asked for one thing
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        projector: RadiusProjector,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        retransmission: Retransmission | None = None,
        read: Begin | None = None,
        many: BulkProjector | None = None,
        lanes: NasLanes | None = None,
    ) -> None:
        """``read`` opens a transaction that only reads, for looking whether anything is due; ``many`` projects many
        subscribers at once, who else are projected one by one. ``lanes`` are those of whoever else asks NASes here."""
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._retransmission = retransmission or Retransmission()
        self._claims = ChangeClaims(begin, read or begin, tenant_id=tenant_id, now=now)
        self._reader = SessionReader(radius_begin)
        whose: dict[str, Any] = {"reader": self._reader, "tenant_id": tenant_id, "now": now}
        self._preparation = Preparation(begin, radius_begin, projector=projector, many=many, secrets=secrets, **whose)
        conclusion = Conclusion(begin, radius_begin, claims=self._claims, **whose)
        self._prepare: Together[int, Prepared] = Together(self._preparation.of, most=TOGETHER)
        self._conclude: Together[Asked, bool] = Together(conclusion.of, most=TOGETHER)
        self._lanes = lanes or NasLanes()
        self._pauses: Sequence[float] = KEPT_AFTER_SECONDS
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[int, asyncio.Task[bool]] = {}

    async def deliver(self, change_id: int, *, pauses: Sequence[float] = ()) -> SessionChangeView:
        """Do for one change what can be done now, whenever it is due; one that is settled is only shown. While another
        process is at the sessions of its subscriber, FreeRADIUS is told all the same, and that process is waited for:
        ``pauses`` are the seconds between looks.

        Raises:
            SessionChangeUnknown
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit, ForeignRows, ProjectionRaced: the change is committed, and
                due again soon.
        """
        if await self._claims.take(change_id):
            await self._carry(change_id)
        else:
            await self._preparation.show(change_id)
            for pause_seconds in pauses:
                if not await self._claims.others_are_at(change_id):
                    break
                await asyncio.sleep(pause_seconds)
            if await self._is_left(change_id) and await self._claims.take(change_id):
                await self._carry(change_id)
        async with self._begin() as db:
            return (await views(db, [await change_of(db, self._tenant_id, change_id)]))[0]

    async def _is_left(self, change_id: int) -> bool:
        """Whoever was at its subscriber's sessions did so for another change."""
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            return change.state == "pending" and change.carried_at is None

    async def start_due(self, *, limit: int = UNDER_WAY) -> int:
        """Begins with every change that is due, and waits for none; returns for how many something was done since.

        Raises: ExceptionGroup of what went wrong with those that have ended since.
        """
        ended = [self._under_way.pop(each) for each, task in list(self._under_way.items()) if task.done()]
        room = limit - len(self._under_way)
        due = await self._claims.due(besides=self._under_way.keys(), limit=room)
        for change_id in await self._claims.take_due(due):
            self._under_way[change_id] = asyncio.create_task(self._deliver_one(change_id))
        errors = [error for task in ended if isinstance(error := task.exception(), Exception)]
        if errors:
            raise ExceptionGroup("changes that sessions could not be told of", errors)
        return sum(task.result() for task in ended)

    async def deliver_due(self) -> int:
        """The same, and waits for all of them. One that fails does not stop the others.

        Raises: as ``start_due``.
        """
        before = await self.start_due()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        return before + await self.start_due(limit=0)

    async def stop(self) -> None:
        """Gives what is under way a moment to end by itself, then gives it up, to be taken up by others at once."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=STOP_WITHIN_SECONDS)
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        given_up = [each for each, task in self._under_way.items() if task.cancelled()]
        self._under_way.clear()
        ends = (each.end(within_seconds=END_WITHIN_SECONDS) for each in (self._prepare, self._conclude))
        try:
            await asyncio.gather(*ends)
        finally:
            if given_up:
                await self._claims.give_back(given_up)

    async def _deliver_one(self, change_id: int) -> bool:
        try:
            await self._carry(change_id)
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            log.warning("sessions can't be told of a change", change_id=change_id, code=error.code, reason=error.reason)
            return False
        except RadiusError as error:
            log.error("sessions can't be told of a change", change_id=change_id, code=error.code, reason=str(error))
            return False
        return True

    async def _carry(self, change_id: int) -> None:
        try:
            await self._round(change_id)
        except Exception:  # whatever it was: it gives its lease back, and comes later each time
            await self._postpone(change_id)
            raise

    async def _round(self, change_id: int) -> None:
        prepared = await self._prepare(change_id)
        asked = prepared.asked
        answers: Sequence[Answer | BaseException]
        if len(asked) == 1:  # as nearly always: without a task of its own
            answers = [await self._treat(prepared, asked[0])]
        else:
            treating = (self._treat(prepared, session) for session in asked)
            answers = await asyncio.gather(*treating, return_exceptions=True)
        told = [(each, said) for each, said in zip(asked, answers, strict=True) if isinstance(said, Answer)]
        failed = [said for said in answers if isinstance(said, BaseException)]
        if told or not failed:
            await self._keep_answers(Asked(prepared, told))
        for error in failed:  # the first of them, when what the others' NASes have answered is kept
            raise error

    async def _keep_answers(self, asked: Asked) -> None:
        """NASes have given them, and would have to be asked again: what is in the way is waited for a while."""
        for pause_seconds in self._pauses:
            try:
                if await self._conclude(asked):
                    return
            except DATABASE_TROUBLE as error:
                log.warning(
                    "what sessions answered is not kept yet", change_id=asked.change_id, reason=type(error).__name__
                )
            await asyncio.sleep(pause_seconds)
        if not await self._conclude(asked):  # due again when its lease ends
            log.error("what sessions answered could not be kept: the change is locked", change_id=asked.change_id)

    async def _treat(self, prepared: Prepared, session: Session) -> Answer:
        wish = prepared.wish
        nas = prepared.doors.get(session.nas_address, f"NAS {session.nas_address} is not known here")
        if isinstance(nas, str):
            return Answer("nas_unknown", f"{nas}, so it was not asked", self._now())
        words = wish.words(nas, session, now=self._now())
        if words == ():
            goes_on = "" if session.username == wish.username else f", and goes on as {session.username} until it ends"
            return Answer("as_wished", f"it has all of it already{goes_on}", self._now())
        async with self._lanes.turn(nas, who=(wish.change_id, session.radacct_id)) as later:
            if later is not None:
                return Answer("not_asked", later.in_words(nas), None, put_off=timedelta(seconds=later.seconds))
            if not await self._claims.keep(wish.change_id):  # it has waited long
                return Answer("not_asked", "another change of this subscriber is under way by now", None)
            answer = await self._ask(prepared, session, self._lanes.paced(nas), words)
            self._lanes.answered(nas, silent=answer.said == "unanswered")
        if answer.said == "unknown_to_nas" and wish.is_disowned(session):
            answer = replace(answer, said="refused", reason=f"{answer.reason}, though it accounts for it: {_LOOK_AT}")
        log.info("session told of a change", username=wish.username, nas=nas.door.name, said=answer.said)
        return answer

    async def _ask(self, prepared: Prepared, session: Session, nas: KnownNas, words: Words | None) -> Answer:
        async def shares_its_id() -> bool:
            if nas.door.keys == ONE_KEY:
                return session.radacct_id in prepared.sharing
            return bool(await self._reader.sharing_an_id([session]))

        identity = identity_of(session)
        how: dict[str, Any] = {"retransmission": self._retransmission, "shares_its_id": shares_its_id}
        if words is not None:
            changed = await ask_to_change(nas.door, identity, words, now=self._now(), **how)
            if changed.said != "refused" or not nas.coa.may_end:
                return Answer(changed.said, changed.reason, self._now(), changed.error_cause)
        ended = await ask_to_disconnect(nas.door, identity, now=self._now(), **how)
        before = "" if words is None else f"{changed.reason}; "
        return Answer(ended.said, before + ended.reason, self._now(), ended.error_cause)

    async def _postpone(self, change_id: int) -> None:
        async with self._turns, self._claims.giving_up([change_id]) as give_up, self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            change.leased_until = give_up(change.id, change.leased_until)
            change.attempts, change.due_at = due_again([], change.attempts, self._now(), sign=None)
