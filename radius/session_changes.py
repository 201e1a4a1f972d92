"""Brings the sessions that are open to what their subscriber shall have now, and says of each how far that is.

The order is: FreeRADIUS first, so that whoever logs in anew has it; then each open session at its own NAS; then a look
at accounting, since an ACK is no proof. What is asked and answered is kept after each round. A process that dies in
between leaves the change due again: a CoA says everything every time, and a session that is gone is unknown to its NAS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import aliased

from radius.change_tables import SessionChange, SessionTreatment
from radius.changes_of_sessions import (
    FormerTerms,
    brought_at,
    change_of,
    former_terms,
    served_terms,
    treatments_of,
    views,
)
from radius.coa import Words, ask_to_change, coa_words
from radius.disconnect import ask_to_disconnect
from radius.doors import KnownNas, close_ghost, identity_of, nas_doors
from radius.dynamic_authorization import Retransmission
from radius.errors import RadiusError
from radius.nas_lanes import NasLanes
from radius.ports import Begin, Now, Secrets
from radius.projection import is_refused
from radius.projection_errors import RadiusDatabaseUnavailable, RadiusDatabaseUnfit
from radius.projector import RadiusProjector
from radius.results import SessionChangeView
from radius.sessions import Session, SessionReader
from radius.subscribers import found
from radius.terms import PlanTerms
from radius.treatment import LOGIN_TAKES, Answer, Carried, due_again, is_confirmed, is_settled, to_be_asked

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=5)
"""Longer than every request of one round takes. Until then nobody else takes up a change of the same subscriber, so no
request of an earlier one can reach a NAS behind that of a later one."""
CLOCKS_DIFFER = timedelta(days=1)
"""A session that began, as its NAS says, less than this after a plan was changed may have the plan's earlier terms."""
AT_ONCE = 8
"""So many changes at the same time; how many a NAS is asked at once is its lane's to say."""


@dataclass(frozen=True)
class _Wish:
    """What the open sessions of one subscriber shall have. ``words`` of each dialect; None: they shall end."""

    change_id: int
    username: str
    former: list[FormerTerms]
    wanted: PlanTerms
    ends: bool
    brought_at: dict[int, datetime]
    changed: frozenset[int]
    """The sessions, by number, whose NAS has said already that they are as they shall be."""

    @property
    def interim(self) -> timedelta:
        """How long a session that is not as it shall be may stay unheard of; 0 when there can be none."""
        if not self.ends and all(each == FormerTerms(self.wanted, since=None) for each in self.former):
            return timedelta(0)
        return self.longest_interim

    @property
    def longest_interim(self) -> timedelta:
        """How far apart a session's packets of accounting may be: it may keep the former interval."""
        every = (*(each.terms for each in self.former), self.wanted)
        return timedelta(seconds=max(terms.interim_interval_seconds for terms in every))

    def words(self, nas: KnownNas, session: Session) -> Words | None:
        if self.ends or nas.dialect is None:
            return None
        former = [each.terms for each in self.former]
        return coa_words(
            nas.dialect, former, self.wanted, in_doubt=self._in_doubt(session), again=session.radacct_id in self.changed
        )

    def _in_doubt(self, session: Session) -> bool:
        """It may have been given terms that a plan has no longer."""
        known = self.brought_at.get(session.radacct_id)
        if known is None and session.started_at is not None:
            known = session.started_at - CLOCKS_DIFFER
        return any(each.since is not None and (known is None or known < each.since) for each in self.former)


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
        self._read = read or begin
        self._radius_begin = radius_begin
        self._projector = projector
        self._reader = SessionReader(radius_begin)
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._retransmission = retransmission or Retransmission()
        self._lanes = NasLanes()

    async def deliver(self, change_id: int) -> SessionChangeView:
        """Do for one change what can be done now, whenever it is due; one that is settled is only shown.

        Raises:
            SessionChangeUnknown
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit, ForeignRows, ProjectionRaced: the change is committed, and
                due again soon.
        """
        if await self._claimed(change_id, only_due=False):
            await self._carry(change_id)
        async with self._begin() as db:
            return (await views(db, [await change_of(db, self._tenant_id, change_id)]))[0]

    async def deliver_due(self, *, limit: int = 200) -> int:
        """The same for every change that is due; returns for how many. One that fails does not stop the others."""
        due = (
            select(SessionChange.id)
            .where(SessionChange.tenant_id == self._tenant_id, SessionChange.state == "pending")
            .where(SessionChange.due_at <= self._now())
            .order_by(SessionChange.due_at, SessionChange.id)
            .limit(limit)
        )
        async with self._read() as db:
            change_ids = list(await db.scalars(due))
        turns = asyncio.Semaphore(AT_ONCE)
        each = (self._deliver_one(change_id, turns) for change_id in change_ids)
        done = await asyncio.gather(*each, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return sum(one for one in done if isinstance(one, int))

    async def _deliver_one(self, change_id: int, turns: asyncio.Semaphore) -> int:
        async with turns:
            if not await self._claimed(change_id, only_due=True):
                return 0
            try:
                await self._carry(change_id)
            except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
                log.warning("sessions can't be told of a change", change_id=change_id, code=error.code)
                return 0
            except RadiusError as error:
                log.error("sessions can't be told of a change", change_id=change_id, code=error.code, reason=str(error))
                return 0
            return 1

    async def _claimed(self, change_id: int, *, only_due: bool) -> bool:
        """True when it is pending and nobody is at this subscriber's sessions."""
        now = self._now()
        mine = update(SessionChange).where(
            SessionChange.tenant_id == self._tenant_id, SessionChange.id == change_id, SessionChange.state == "pending"
        )
        taken, asked = aliased(SessionChange), aliased(SessionChange)
        whose = select(asked.subscriber_id).where(asked.id == change_id).scalar_subquery()
        in_work = exists().where(
            taken.tenant_id == self._tenant_id, taken.subscriber_id == whose, taken.leased_until > now
        )
        # its own row once more: of two at once the second looks again when the first has committed, at this row alone
        free = or_(SessionChange.leased_until.is_(None), SessionChange.leased_until <= now)
        mine = mine.where(free, ~in_work).execution_options(synchronize_session=False)
        if only_due:
            mine = mine.where(SessionChange.due_at <= now)
        async with self._begin() as db:
            done: Any = await db.execute(mine.values(due_at=now + LEASE, leased_until=now + LEASE))
            return bool(done.rowcount)

    async def _carry(self, change_id: int) -> None:
        try:
            await self._round(change_id)
        except RadiusError:
            await self._postpone(change_id)
            raise

    async def _round(self, change_id: int) -> None:
        wish, carried, treated = await self._shown(change_id)
        sessions = await self._reader.open_sessions(wish.username)
        asked = self._to_be_asked(wish, sessions, treated, carried)
        if asked:
            sessions = await self._ask_all(wish, asked)
        await self._settle(wish, carried, sessions)

    def _to_be_asked(
        self, wish: _Wish, sessions: Sequence[Session], treated: Sequence[SessionTreatment], carried: Carried
    ) -> list[Session]:
        return to_be_asked(
            sessions, treated, carried=carried, now=self._now(), interim=wish.longest_interim, ends=wish.ends
        )

    async def _ask_all(self, wish: _Wish, asked: Sequence[Session]) -> list[Session]:
        """Ask about each of them and keep the answers; returns the sessions that are open then.

        What accounting shows once all answers are in is kept with them: a packet of before is no proof.
        """
        addresses = {session.nas_address for session in asked}
        doors = await nas_doors(self._begin, addresses, tenant_id=self._tenant_id, secrets=self._secrets)
        answers = await asyncio.gather(*(self._treat(wish, session, doors) for session in asked))
        heard = await self._reader.open_sessions(wish.username)
        now_heard = {session.radacct_id: session for session in heard}
        pairs = [
            (now_heard.get(session.radacct_id, session), answer) for session, answer in zip(asked, answers, strict=True)
        ]
        await self._keep(wish.change_id, pairs)
        ghosts = [session for session, answer in pairs if answer.said == "unknown_to_nas"]
        for session in ghosts:
            await close_ghost(self._radius_begin, session)
        return [session for session in heard if session not in ghosts]

    async def _shown(self, change_id: int) -> tuple[_Wish, Carried, list[SessionTreatment]]:
        """FreeRADIUS shows the subscriber as it shall be; what its sessions shall have, and how far they were."""
        async with self._begin() as db:
            subscriber_id = (await change_of(db, self._tenant_id, change_id)).subscriber_id
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
            wish = _Wish(
                change_id=change_id,
                username=subscriber.username,
                former=former_terms(change),
                wanted=await served_terms(db, subscriber),
                ends=change.must_end or is_refused(subscriber),
                brought_at=await brought_at(db, change),
                changed=frozenset(each.radacct_id for each in treated if each.said == "changed"),
            )
            carried = Carried(change.carried_at, change.right_above)
            return wish, carried, treated

    async def _treat(self, wish: _Wish, session: Session, doors: Mapping[str, KnownNas]) -> Answer:
        nas = doors.get(session.nas_address)
        if nas is None:
            return Answer(
                "nas_unknown", f"NAS {session.nas_address} is not known here, so it was not asked", self._now()
            )
        words = wish.words(nas, session)
        if words == ():
            return Answer("as_wished", "it has all of it already", self._now())
        async with self._lanes.turn(nas) as silent:
            if silent:
                words_of_it = f"NAS {nas.door.name} has just been silent, and is asked again later"
                return Answer("not_asked", words_of_it, None)
            answer = await self._ask(session, nas, words)
        if answer.said == "unanswered":
            self._lanes.was_silent(nas)
        log.info("session told of a change", username=wish.username, nas=nas.door.name, said=answer.said)
        return answer

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

    async def _settle(self, wish: _Wish, carried: Carried, sessions: Sequence[Session]) -> None:
        """What accounting shows by now counts; what is left decides when this is due again."""
        still_open = {session.radacct_id: session for session in sessions}
        now = self._now()
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, wish.change_id)
            change.leased_until = None
            treated = await treatments_of(db, [change.id])
            for each in treated:
                if each.confirmed_at is None and is_confirmed(each, still_open.get(each.radacct_id)):
                    each.confirmed_at = now
            if change.state != "pending":
                return
            left = self._to_be_asked(wish, sessions, treated, carried)
            if is_settled(treated, left, carried=carried, now=now, interim=wish.interim):
                change.state, change.settled_at = "confirmed", now
                return
            change.attempts, change.due_at = due_again(treated, change.attempts, now)

    async def _postpone(self, change_id: int) -> None:
        async with self._begin() as db:
            change = await change_of(db, self._tenant_id, change_id)
            change.leased_until = None
            change.attempts, change.due_at = due_again([], change.attempts, self._now(), trouble=True)
