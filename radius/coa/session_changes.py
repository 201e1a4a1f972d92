"""Brings the sessions that are open to what their subscriber shall have now, and says of each how far that is.

The order is: FreeRADIUS first, so that whoever logs in anew has it; then each open session at its own NAS; then a look
at accounting, since an ACK is no proof. What is asked and answered is kept after each round. A process that dies in
between leaves the change due again: a CoA says everything every time, and a session that is gone is unknown to its NAS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from radius.coa.claims import ChangeClaims
from radius.coa.coa import Words, ask_to_change
from radius.coa.disconnect import ask_to_disconnect
from radius.coa.doors import KnownNas, close_ghost, identity_of, nas_doors
from radius.coa.dynamic_authorization import Retransmission
from radius.coa.lanes import NasLanes
from radius.coa.outbox import change_of, former_terms, last_told, served_terms, treatments_of, views
from radius.coa.tables import SessionTreatment
from radius.coa.treatment import (
    LOGIN_TAKES,
    Answer,
    Carried,
    due_again,
    is_confirmed,
    is_settled,
    next_sign,
    to_be_asked,
)
from radius.coa.wish import ChangeWish
from radius.errors import RadiusError
from radius.ports import Begin, Now, Secrets
from radius.projection.projection import is_refused
from radius.projection.projector import RadiusProjector
from radius.projection_errors import RadiusDatabaseUnavailable, RadiusDatabaseUnfit
from radius.results import SessionChangeView
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers.former_names import not_free_yet, set_free
from radius.subscribers.subscribers import found

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""So many changes have a transaction open at the same time; how many a NAS is asked at once is its lane's to say."""
STOP_WITHIN_SECONDS = 0.5
"""As long as a transaction may take: one that is broken off may lose its connection."""
UNDER_WAY = 1000
"""So many are begun at the same time. What waits for a NAS holds up no other."""


class SessionChanges:
    """Carries the changes of one tenant's subscribers over. Every method may be repeated, also at the same time."""

    def __init__(
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
    ) -> None:
        """``read`` opens a transaction that only reads, for looking whether anything is due."""
        self._begin = begin
        self._radius_begin = radius_begin
        self._projector = projector
        self._reader = SessionReader(radius_begin)
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._retransmission = retransmission or Retransmission()
        self._claims = ChangeClaims(begin, read or begin, tenant_id=tenant_id, now=now)
        self._lanes = NasLanes()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[int, asyncio.Task[bool]] = {}
        self._taken: set[int] = set()

    async def deliver(self, change_id: int) -> SessionChangeView:
        """Do for one change what can be done now, whenever it is due; one that is settled is only shown.

        Raises:
            SessionChangeUnknown
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit, ForeignRows, ProjectionRaced: the change is committed, and
                due again soon.
        """
        if await self._claims.take(change_id, only_due=False):
            await self._carry(change_id)
        async with self._begin() as db:
            return (await views(db, [await change_of(db, self._tenant_id, change_id)]))[0]

    async def start_due(self, *, limit: int = UNDER_WAY) -> int:
        """Begins with every change that is due, and waits for none; returns for how many something was done since.

        Raises: ExceptionGroup of what went wrong with those that have ended since.
        """
        ended = [self._under_way.pop(each) for each, task in list(self._under_way.items()) if task.done()]
        self._taken &= self._under_way.keys()
        room = limit - len(self._under_way)
        for change_id in await self._claims.due(besides=self._under_way.keys(), limit=room):
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
        given_up = [each for each, task in self._under_way.items() if task.cancelled() and each in self._taken]
        self._under_way.clear()
        self._taken.clear()
        if given_up:
            await self._claims.give_back(given_up)

    async def _deliver_one(self, change_id: int) -> bool:
        async with self._turns:
            mine = await self._claims.take(change_id, only_due=True)
        if not mine:
            return False
        self._taken.add(change_id)
        try:
            await self._carry(change_id)
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            log.warning("sessions can't be told of a change", change_id=change_id, code=error.code)
            return False
        except RadiusError as error:
            log.error("sessions can't be told of a change", change_id=change_id, code=error.code, reason=str(error))
            return False
        return True

    async def _carry(self, change_id: int) -> None:
        try:
            await self._round(change_id)
        except RadiusError:
            await self._postpone(change_id)
            raise

    async def _round(self, change_id: int) -> None:
        async with self._turns:
            wish, carried, treated = await self._shown(change_id)
            sessions = await self._reader.open_sessions(*wish.names)
            asked = self._to_be_asked(wish, sessions, treated, carried)
            addresses = {session.nas_address for session in asked}
            doors = await nas_doors(self._begin, addresses, tenant_id=self._tenant_id, secrets=self._secrets)
        answers = await asyncio.gather(*(self._treat(wish, session, doors) for session in asked))
        async with self._turns:
            if asked:
                sessions = await self._heard(wish, list(zip(asked, answers, strict=True)))
            await self._settle(wish, carried, sessions)

    def _to_be_asked(
        self, wish: ChangeWish, sessions: Sequence[Session], treated: Sequence[SessionTreatment], carried: Carried
    ) -> list[Session]:
        return to_be_asked(
            sessions, treated, carried=carried, now=self._now(), interim=wish.longest_interim, ends=wish.is_refused
        )

    async def _heard(self, wish: ChangeWish, answers: Sequence[tuple[Session, Answer]]) -> list[Session]:
        """Keep the answers; returns the sessions that are open then.

        What accounting shows once all answers are in is kept with them: a packet of before is no proof.
        """
        heard = await self._reader.open_sessions(*wish.names)
        now_heard = {session.radacct_id: session for session in heard}
        pairs = [(now_heard.get(session.radacct_id, session), answer) for session, answer in answers]
        await self._keep(wish.change_id, pairs)
        ghosts = [session for session, answer in pairs if answer.said == "unknown_to_nas"]
        for session in ghosts:
            await close_ghost(self._radius_begin, session)
        return [session for session in heard if session not in ghosts]

    async def _shown(self, change_id: int) -> tuple[ChangeWish, Carried, list[SessionTreatment]]:
        """FreeRADIUS shows the subscriber as it shall be; what its sessions shall have, and how far they were."""
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            subscriber_id, is_carried = change.subscriber_id, change.carried_at is not None
        if not is_carried:  # a later wish has a change of its own, or is nothing that sessions are told of
            await self._projector.project_subscriber(subscriber_id)
        shown_by, highest = self._now(), await self._reader.highest_number()
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            if change.carried_at is None:
                change.carried_at = shown_by
            elif change.right_above is None and shown_by >= change.carried_at + LOGIN_TAKES:
                change.right_above = highest
            subscriber = await found(db, self._tenant_id, subscriber_id)
            treated = await treatments_of(db, [change_id])
            wish = ChangeWish(
                change_id=change_id,
                username=subscriber.username,
                former=former_terms(change),
                wanted=await served_terms(db, subscriber),
                ends=change.must_end or is_refused(subscriber),
                told=await last_told(db, change),
                changed=frozenset(each.radacct_id for each in treated if each.said == "changed"),
                former_names=await not_free_yet(db, self._tenant_id, subscriber_id),
                is_refused=is_refused(subscriber),
            )
            carried = Carried(change.carried_at, change.right_above)
            return wish, carried, treated

    async def _treat(self, wish: ChangeWish, session: Session, doors: Mapping[str, KnownNas]) -> Answer:
        nas = doors.get(session.nas_address)
        if nas is None:
            return Answer(
                "nas_unknown", f"NAS {session.nas_address} is not known here, so it was not asked", self._now()
            )
        words = wish.words(nas, session)
        if words == ():
            goes_on = "" if session.username == wish.username else f", and goes on as {session.username} until it ends"
            return Answer("as_wished", f"it has all of it already{goes_on}", self._now())
        async with self._lanes.turn(nas) as silent:
            if silent:
                words_of_it = f"NAS {nas.door.name} has just been silent, and is asked again later"
                return Answer("not_asked", words_of_it, None)
            if not await self._claims.keep(wish.change_id):  # it has waited long
                return Answer("not_asked", "another change of this subscriber is under way by now", None)
            answer = await self._ask(session, self._paced(nas), words)
            self._lanes.answered(nas, silent=answer.said == "unanswered")
        log.info("session told of a change", username=wish.username, nas=nas.door.name, said=answer.said)
        return answer

    def _paced(self, nas: KnownNas) -> KnownNas:
        """Every datagram counts for what it is sent in a second; the turn was for the first one."""
        first = True

        async def pace() -> None:
            nonlocal first
            if not first:
                await self._lanes.pace(nas)
            first = False

        return replace(nas, door=replace(nas.door, pace=pace))

    async def _ask(self, session: Session, nas: KnownNas, words: Words | None) -> Answer:
        identity = identity_of(session)
        if words is not None:
            changed = await ask_to_change(
                nas.door, identity, words, now=self._now(), retransmission=self._retransmission
            )
            if changed.said != "refused" or not nas.coa.may_end:
                return Answer(changed.said, changed.reason, self._now(), changed.error_cause)
        ended = await ask_to_disconnect(nas.door, identity, now=self._now(), retransmission=self._retransmission)
        before = "" if words is None else f"{changed.reason}; "
        return Answer(ended.said, before + ended.reason, self._now(), ended.error_cause)

    async def _keep(self, change_id: int, answers: Sequence[tuple[Session, Answer]]) -> None:
        async with self._begin() as db:
            kept = {each.radacct_id: each for each in await treatments_of(db, [change_id])}
            for session, answer in answers:
                treatment = kept.get(session.radacct_id)
                if treatment is None:
                    treatment = SessionTreatment(
                        tenant_id=self._tenant_id,
                        change_id=change_id,
                        radacct_id=session.radacct_id,
                        session_id=session.session_id,
                        nas_address=session.nas_address,
                    )
                    db.add(treatment)
                treatment.said, treatment.reason = answer.said, answer.reason
                treatment.error_cause = answer.error_cause
                treatment.asked_at = answer.at or treatment.asked_at
                treatment.heard_at, treatment.heard_seconds = session.updated_at, session.duration_seconds

    async def _settle(self, wish: ChangeWish, carried: Carried, sessions: Sequence[Session]) -> None:
        """What accounting shows by now counts; what is left decides when this is due again."""
        still_open = {session.radacct_id: session for session in sessions}
        now = self._now()
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, wish.change_id)
            self._claims.give_up(change)
            treated = await treatments_of(db, [change.id])
            for each in treated:
                if each.confirmed_at is None and is_confirmed(each, still_open.get(each.radacct_id)):
                    each.confirmed_at = now
            if change.state != "pending":
                return
            left = self._to_be_asked(wish, sessions, treated, carried)
            none_can_turn_up = is_settled((), left, carried=carried, now=now, interim=wish.interim)
            in_use = {session.username for session in sessions} if none_can_turn_up else set(wish.former_names)
            gone = set(wish.former_names) - in_use
            if gone:
                await set_free(db, self._tenant_id, change.subscriber_id, gone, now=now)
            waits = bool(in_use & set(wish.former_names))
            if not waits and is_settled(treated, left, carried=carried, now=now, interim=wish.interim):
                change.state, change.settled_at = "confirmed", now
                return
            sign = next_sign(
                treated, left, carried=carried, now=now, interim=wish.longest_interim, settles_after=wish.interim
            )
            change.attempts, change.due_at = due_again(treated, change.attempts, now, sign=sign)

    async def _postpone(self, change_id: int) -> None:
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            self._claims.give_up(change)
            change.attempts, change.due_at = due_again([], change.attempts, self._now(), sign=None)
