"""What came of asking sessions, kept for many changes at once, and when each change is to be looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from radius.coa.claims import ChangeClaims
from radius.coa.doors import close_ghost
from radius.coa.outbox import treatments_of
from radius.coa.preparing import Prepared
from radius.coa.tables import SessionChange, SessionTreatment
from radius.coa.treatment import Answer, due_again, is_confirmed, is_settled, next_sign, to_be_asked
from radius.ports import Begin, Now
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers.former_names import set_free


@dataclass(frozen=True)
class Asked:
    """A round of one change: what came of each session that was asked, and the sessions that are open by now."""

    prepared: Prepared
    answers: Sequence[tuple[Session, Answer]]
    open: Sequence[Session] = field(default=())

    @property
    def change_id(self) -> int:
        return self.prepared.wish.change_id

    @property
    def ghosts(self) -> list[Session]:
        return [session for session, answer in self.answers if answer.said == "unknown_to_nas"]


class Conclusion:
    """Of one tenant's changes. May be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        claims: ChangeClaims,
        reader: SessionReader,
        tenant_id: str,
        now: Now,
    ) -> None:
        self._begin = begin
        self._radius_begin = radius_begin
        self._claims = claims
        self._reader = reader
        self._tenant_id = tenant_id
        self._now = now

    async def of(self, rounds: Sequence[Asked]) -> list[None]:
        """Keep the answers, before anything is believed of them; then what accounting shows by now counts.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: the answers are kept, unless accounting did not say what it
                shows once all of them were in: a packet of before is no proof.
        """
        heard = await self._heard(rounds)
        haunted = [each for each in heard if each.ghosts]
        async with self._begin() as db:
            changes = await self._locked(db, heard)
            treated = await self._keep(db, heard)
            for each in heard:
                if not each.ghosts:
                    await self._settle(db, changes[each.change_id], treated[each.change_id], each)
        if haunted:
            await self._close(haunted)
        return [None for _ in rounds]

    async def _heard(self, rounds: Sequence[Asked]) -> list[Asked]:
        """With the sessions that are open now: where none was asked, those of before."""
        asked = [each for each in rounds if each.answers]
        found = await self._reader.open_sessions_of_each([each.prepared.wish.names for each in asked])
        now_open = {each.change_id: sessions for each, sessions in zip(asked, found, strict=True)}
        heard = []
        for each in rounds:
            sessions = now_open.get(each.change_id, each.prepared.open)
            by_number = {session.radacct_id: session for session in sessions}
            answers = [(by_number.get(one.radacct_id, one), answer) for one, answer in each.answers]
            heard.append(Asked(each.prepared, answers, sessions))
        return heard

    async def _close(self, haunted: Sequence[Asked]) -> None:
        for each in haunted:
            for session in each.ghosts:
                await close_ghost(self._radius_begin, session)
        async with self._begin() as db:
            changes = await self._locked(db, haunted)
            treated = await self._treated(db, haunted)
            for each in haunted:
                gone = {session.radacct_id for session in each.ghosts}
                left = [session for session in each.open if session.radacct_id not in gone]
                settled = Asked(each.prepared, each.answers, left)
                await self._settle(db, changes[each.change_id], treated[each.change_id], settled)

    async def _locked(self, db: AsyncSession, rounds: Sequence[Asked]) -> dict[int, SessionChange]:
        """In one order, as others lock several of them."""
        numbers = [each.change_id for each in rounds]
        mine = select(SessionChange).where(SessionChange.tenant_id == self._tenant_id, SessionChange.id.in_(numbers))
        held = mine.order_by(SessionChange.id).with_for_update().options(defer(SessionChange.former))
        return {change.id: change for change in await db.scalars(held)}

    async def _treated(self, db: AsyncSession, rounds: Sequence[Asked]) -> dict[int, list[SessionTreatment]]:
        treated: dict[int, list[SessionTreatment]] = {each.change_id: [] for each in rounds}
        for treatment in await treatments_of(db, list(treated)):
            treated[treatment.change_id].append(treatment)
        return treated

    async def _keep(self, db: AsyncSession, rounds: Sequence[Asked]) -> dict[int, list[SessionTreatment]]:
        """By change the sessions that were treated, with their answers."""
        treated = await self._treated(db, rounds)
        for each in rounds:
            of_change = treated[each.change_id]
            kept = {treatment.radacct_id: treatment for treatment in of_change}
            for session, answer in each.answers:
                treatment = kept.get(session.radacct_id)
                if treatment is None:
                    treatment = SessionTreatment(
                        tenant_id=self._tenant_id,
                        change_id=each.change_id,
                        radacct_id=session.radacct_id,
                        session_id=session.session_id,
                        nas_address=session.nas_address,
                    )
                    db.add(treatment)
                    of_change.append(treatment)
                treatment.said, treatment.reason = answer.said, answer.reason
                treatment.error_cause = answer.error_cause
                treatment.asked_at = answer.at or treatment.asked_at
                treatment.heard_at, treatment.heard_seconds = session.updated_at, session.duration_seconds
        return treated

    async def _settle(
        self, db: AsyncSession, change: SessionChange, treated: Sequence[SessionTreatment], each: Asked
    ) -> None:
        """What accounting shows by now counts; what is left decides when this is due again."""
        wish, carried, now = each.prepared.wish, each.prepared.carried, self._now()
        still_open = {session.radacct_id: session for session in each.open}
        self._claims.give_up(change)
        for one in treated:
            if one.confirmed_at is None and is_confirmed(one, still_open.get(one.radacct_id)):
                one.confirmed_at = now
        if change.state != "pending":
            return
        left = to_be_asked(
            each.open, treated, carried=carried, now=now, interim=wish.longest_interim, ends=wish.is_refused
        )
        none_can_turn_up = is_settled((), left, carried=carried, now=now, interim=wish.interim)
        in_use = {session.username for session in each.open} if none_can_turn_up else set(wish.former_names)
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
