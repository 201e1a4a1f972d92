"""What came of asking sessions, kept for many changes at once, and when each change is to be looked at again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.claims import ChangeClaims, GiveUp
from radius.coa.doors import close_ghosts
from radius.coa.outbox import treatments_of
from radius.coa.preparing import Prepared
from radius.coa.tables import ChangeState, SessionChange, SessionTreatment
from radius.coa.treatment import Answer, Treated, due_again, is_confirmed, is_settled, next_sign, to_be_asked
from radius.lists import among, insert_rows, update_rows
from radius.ports import Begin, Now
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers.former_names import set_free

_CHANGES, _TREATMENTS = cast(Table, SessionChange.__table__), cast(Table, SessionTreatment.__table__)
_KEPT = [
    _CHANGES.c[name] for name in ("id", "subscriber_id", "state", "attempts", "due_at", "leased_until", "settled_at")
]
_KEPT_OF_CHANGE = tuple(column.name for column in _KEPT if column.name != "subscriber_id")


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


@dataclass
class _Page:
    """What is kept of one change, and of the sessions that were asked; ``altered``: not as it is kept, by session."""

    id: int
    subscriber_id: int
    state: ChangeState
    attempts: int
    due_at: datetime
    leased_until: datetime | None
    settled_at: datetime | None
    treated: list[Treated] = field(default_factory=list)
    altered: dict[int, Treated] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEPT_OF_CHANGE}


_KEPT_ONCE = ("change_id", "radacct_id", "session_id", "nas_address")
_KEPT_ANEW = ("said", "error_cause", "reason", "asked_at", "heard_at", "heard_seconds", "confirmed_at")


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

    async def of(self, rounds: Sequence[Asked]) -> list[bool | Exception]:
        """Keep the answers, before anything is believed of them; then what accounting shows by now counts. False for a
        change that somebody else has in hands: nobody waits for it, and it is to be said again.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: the answers are kept, unless accounting did not say what it
                shows once all of them were in: a packet of before is no proof.
        """
        heard = await self._heard(rounds)
        numbers = [each.change_id for each in heard]
        async with self._claims.giving_up(numbers) as give_up, self._begin() as db:
            pages = await self._pages(db, heard)
            kept = [each for each in heard if each.change_id in pages]
            for each in kept:
                self._keep(pages[each.change_id], each)
                if not each.ghosts:
                    await self._settle(db, pages[each.change_id], each, give_up)
            await self._write(db, pages.values())
        haunted = [each for each in kept if each.ghosts]
        done: dict[int, bool | Exception] = {each.change_id: not each.ghosts for each in kept}
        if haunted:
            [closed] = await asyncio.gather(self._close(haunted), return_exceptions=True)
            if isinstance(closed, Exception):
                done |= {each.change_id: closed for each in haunted}
            elif not isinstance(closed, BaseException):
                done |= dict.fromkeys(closed, True)
        return [done.get(each.change_id, False) for each in rounds]

    async def _heard(self, rounds: Sequence[Asked]) -> list[Asked]:
        """With the sessions that are open now: where none was asked, those of before."""
        asked = [each for each in rounds if each.answers]
        found = await self._reader.open_sessions_of_each([each.prepared.wish.names for each in asked])
        now_open = {each.change_id: each.prepared.wish.own(theirs) for each, theirs in zip(asked, found, strict=True)}
        heard = []
        for each in rounds:
            sessions = now_open.get(each.change_id, each.prepared.open)
            by_number = {session.radacct_id: session for session in sessions}
            answers = [(by_number.get(one.radacct_id, one), answer) for one, answer in each.answers]
            heard.append(Asked(each.prepared, answers, sessions))
        return heard

    async def _close(self, haunted: Sequence[Asked]) -> Collection[int]:
        """The changes that were looked at again, without the ghosts."""
        locked = await close_ghosts(self._radius_begin, [session for each in haunted for session in each.ghosts])
        numbers = [each.change_id for each in haunted]
        async with self._claims.giving_up(numbers) as give_up, self._begin() as db:
            pages = await self._pages(db, haunted)
            for each in haunted:
                if (page := pages.get(each.change_id)) is not None:
                    gone = {session.radacct_id for session in each.ghosts} - locked
                    left = [session for session in each.open if session.radacct_id not in gone]
                    await self._settle(db, page, Asked(each.prepared, each.answers, left), give_up)
            await self._write(db, pages.values())
        return pages.keys()

    async def _pages(self, db: AsyncSession, rounds: Sequence[Asked]) -> dict[int, _Page]:
        """What is kept of each change, locked; those are left out that somebody else has locked."""
        numbers = [each.change_id for each in rounds]
        mine = select(*_KEPT).where(_CHANGES.c.tenant_id == self._tenant_id, among(db, _CHANGES.c.id, numbers))
        held = await db.execute(mine.order_by(_CHANGES.c.id).with_for_update(skip_locked=True))
        pages = {row.id: _Page(**row._mapping) for row in held}
        for treatment in await treatments_of(db, list(pages)):
            pages[treatment.change_id].treated.append(treatment)
        return pages

    async def _write(self, db: AsyncSession, pages: Iterable[_Page]) -> None:
        every = list(pages)
        altered = [treated for page in every for treated in page.altered.values()]
        whose, columns = {"tenant_id": self._tenant_id}, (*_KEPT_ONCE, *_KEPT_ANEW)
        new = [whose | {name: getattr(each, name) for name in columns} for each in altered if each.id is None]
        anew = ("id", *_KEPT_ANEW)
        known = [{name: getattr(each, name) for name in anew} for each in altered if each.id is not None]
        await insert_rows(db, _TREATMENTS, new)
        await update_rows(db, _TREATMENTS, known)
        await update_rows(db, _CHANGES, [page.row for page in every])

    def _keep(self, page: _Page, each: Asked) -> None:
        kept = {treatment.radacct_id: treatment for treatment in page.treated}
        for session, answer in each.answers:
            treatment = kept.get(session.radacct_id)
            if treatment is None:
                treatment = Treated(
                    id=None,
                    change_id=page.id,
                    radacct_id=session.radacct_id,
                    session_id=session.session_id,
                    nas_address=session.nas_address,
                    said=answer.said,
                    error_cause=None,
                    reason="",
                    asked_at=None,
                    heard_at=None,
                    heard_seconds=0,
                    confirmed_at=None,
                )
                page.treated.append(treatment)
            page.altered[session.radacct_id] = treatment
            treatment.reason = answer.reason
            if answer.at is None and treatment.asked_at is not None and treatment.said != "nas_unknown":
                continue  # it was not asked anew: what its NAS said, or may have done, stays true
            treatment.said = answer.said
            treatment.error_cause = answer.error_cause
            treatment.asked_at = answer.at or treatment.asked_at
            treatment.heard_at, treatment.heard_seconds = session.updated_at, session.duration_seconds

    async def _settle(self, db: AsyncSession, page: _Page, each: Asked, give_up: GiveUp) -> None:
        """What accounting shows by now counts; what is left decides when this is due again."""
        wish, carried, now, treated = each.prepared.wish, each.prepared.carried, self._now(), page.treated
        still_open = {session.radacct_id: session for session in each.open}
        page.leased_until = give_up(page.id, page.leased_until)
        for one in treated:
            if one.confirmed_at is None and is_confirmed(
                one, still_open.get(one.radacct_id), interim=wish.longest_interim
            ):
                one.confirmed_at = now
                page.altered[one.radacct_id] = one
        if page.state != "pending":
            return
        left = to_be_asked(
            each.open, treated, carried=carried, now=now, interim=wish.longest_interim, ends=wish.is_refused
        )
        none_can_turn_up = is_settled((), left, carried=carried, now=now, interim=wish.interim)
        in_use = {session.username for session in each.open} if none_can_turn_up else set(wish.former_names)
        gone = set(wish.former_names) - in_use
        if gone:
            in_use |= gone - await set_free(db, self._tenant_id, page.subscriber_id, gone, now=now)
        waits = bool(in_use & set(wish.former_names))
        if not waits and is_settled(treated, left, carried=carried, now=now, interim=wish.interim):
            page.state, page.settled_at = "confirmed", now
            return
        sign = next_sign(
            treated, left, carried=carried, now=now, interim=wish.longest_interim, settles_after=wish.interim
        )
        put_off = _all_put_off(left, each.answers)
        if put_off is None:
            page.attempts, page.due_at = due_again(treated, page.attempts, now, sign=sign)
        else:  # no attempt was made. Which sessions began rightly is to be noted soon, whoever waits for its NAS
            page.due_at = sign if carried.right_above is None else max(sign, now + put_off)


def _all_put_off(left: Sequence[Session], answers: Iterable[tuple[Session, Answer]]) -> timedelta | None:
    """Until the first of those who are left to be asked is worth asking; None: not all of them were put off."""
    put_off = {session.radacct_id: answer.put_off for session, answer in answers if answer.put_off}
    if not left or any(session.radacct_id not in put_off for session in left):
        return None
    return min(put_off[session.radacct_id] for session in left)
