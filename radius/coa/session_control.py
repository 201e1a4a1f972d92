"""Ends the sessions of a subscriber at their NASes, and believes accounting.

A NAS' answer is one thing, what radacct shows another: only when no session is open there is a subscriber offline. A
session that its own NAS does not know is a ghost, whose Stop never came: it is closed in radacct as of its last sign of
life, under the cause that FreeRADIUS lets a late Stop correct (``deploy/freeradius/raddb/sql/queries.conf``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from radius.coa.disconnect import DisconnectAnswer, ask_to_disconnect
from radius.coa.doors import KnownNas, close_ghosts, identity_of, nas_doors
from radius.coa.dynamic_authorization import Retransmission
from radius.coa.lanes import NasLanes
from radius.errors import SessionsStillOpen
from radius.escapes import shown
from radius.ports import Begin, Now, Secrets
from radius.results import Disconnection, SessionAnswer, SessionsEnded
from radius.sessions.own_sessions import OwnSessions
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers import subscribers

log = structlog.get_logger(__name__)

LOOKS_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""A Stop follows its ACK by so much: the pauses between looks at accounting."""


class SessionControl:
    """The sessions of one tenant's subscribers. Every method may be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        retransmission: Retransmission | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        lanes: NasLanes | None = None,
    ) -> None:
        """``lanes`` are those of whoever else asks NASes here: each is asked by all together what it takes."""
        self._begin = begin
        self._radius_begin = radius_begin
        self._reader = SessionReader(radius_begin)
        self._own = OwnSessions(begin, self._reader, tenant_id=tenant_id)
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._retransmission = retransmission or Retransmission()
        self._sleep = sleep
        self._lanes = lanes or NasLanes()

    async def disconnect(self, subscriber_id: int) -> Disconnection:
        """Ask the NAS of every open session of a subscriber to end it. Whether it is over is for ``require_ended``.
        Somebody else who has, or had, its name is asked nothing.

        Raises:
            SubscriberUnknown
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            UsernameRefused: FreeRADIUS writes no session under such a name.
        """
        username, sessions = await self._username(subscriber_id), await self._own.open_of(subscriber_id)
        addresses = {session.nas_address for session in sessions}
        doors = await nas_doors(self._begin, addresses, tenant_id=self._tenant_id, secrets=self._secrets)
        answers = await asyncio.gather(*(self._ask(session, doors.get(session.nas_address)) for session in sessions))
        asked = list(zip(sessions, answers, strict=True))
        ghosts = [session for session, answer in asked if answer.said == "unknown_to_nas"]
        if ghosts:
            await close_ghosts(self._radius_begin, ghosts)
        for session, answer in asked:
            log.info("session asked to end", username=username, nas_address=session.nas_address, said=answer.said)
        return Disconnection(username=username, sessions=[_told(*each) for each in asked])

    async def ended(self, subscriber_id: int) -> Disconnection | None:
        """For whoever doesn't know how far an earlier ``disconnect`` got: None while a session of it is open.

        Raises: as ``disconnect``.
        """
        if await self._own.open_of(subscriber_id):
            return None
        return Disconnection(username=await self._username(subscriber_id), sessions=[])

    async def require_ended(self, subscriber_id: int) -> SessionsEnded:
        """Returns when accounting shows no open session of a subscriber; what is still open is asked for once more.

        Raises:
            SessionsStillOpen: transient; with each session and what its NAS said.
            SubscriberUnknown, RadiusDatabaseUnavailable, RadiusDatabaseUnfit, UsernameRefused
        """
        disconnection = await self.disconnect(subscriber_id)
        username, asked = disconnection["username"], disconnection["sessions"]
        for pause_seconds in (*LOOKS_SECONDS, None):
            still_open = await self._own.open_of(subscriber_id)
            if not still_open:
                return SessionsEnded(username=username, asked=asked)
            if pause_seconds is None or not any(answer["said"] == "disconnected" for answer in asked):
                break
            await self._sleep(pause_seconds)
        reasons = {answer["session_id"]: answer["reason"] for answer in asked}
        raise SessionsStillOpen(username, [_in_words(session, reasons) for session in still_open])

    async def _username(self, subscriber_id: int) -> str:
        async with self._begin() as db:
            return (await subscribers.found(db, self._tenant_id, subscriber_id)).username

    async def _ask(self, session: Session, known: KnownNas | None) -> DisconnectAnswer:
        if known is None:
            return DisconnectAnswer(
                "nas_unknown", f"NAS {session.nas_address} is not known here, so it was not asked to end it"
            )

        async def shares_its_id() -> bool:
            return bool(await self._reader.sharing_an_id([session]))

        async with self._lanes.place(known) as later:
            if later is not None:
                return DisconnectAnswer("unanswered", later.in_words(known))
            answer = await ask_to_disconnect(
                self._lanes.paced(known).door,
                identity_of(session),
                now=self._now(),
                retransmission=self._retransmission,
                shares_its_id=shares_its_id,
            )
            self._lanes.answered(known, silent=answer.said == "unanswered")
        return answer


def _told(session: Session, answer: DisconnectAnswer) -> SessionAnswer:
    return SessionAnswer(
        session_id=shown(session.session_id),
        nas_address=session.nas_address,
        said=answer.said,
        error_cause=answer.error_cause,
        reason=answer.reason,
    )


def _in_words(session: Session, reasons: dict[str, str]) -> str:
    why = reasons.get(shown(session.session_id), "it has begun just now")
    if why.endswith("has ended it"):
        why += ", but accounting has not heard of it"
    return f"session {shown(session.session_id)} at {session.nas_address} ({why})"
