"""The town as it lives: a line has one session, whoever wants it to log in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from provisioning.lab import town_life
from provisioning.lab.town import homes
from provisioning.lab.town_life import TownNas
from radius.testing import LabNas, LabSession, LoginReply, NoAnswer, Usage

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOME = homes()[0]


class SlowNas:
    """Answers a login when it is let; silent, it answers none."""

    def __init__(self) -> None:
        self.sessions: dict[str, LabSession] = {}
        self.logins = 0
        self.is_silent = False
        self.refuses = 0
        self.on_disconnected: Callable[[LabSession], None] = lambda _: None
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.event_at: datetime | None = None

    async def login(self, username: str, password: str, **_more: Any) -> LoginReply:
        self.logins += 1
        self.is_asked.set()
        await self.may_answer.wait()
        if self.is_silent:
            raise NoAnswer("Access-Request", "127.0.0.1", 1812, 6.0)
        if self.refuses:
            self.refuses -= 1
            return LoginReply("Access-Reject", {})
        return LoginReply("Access-Accept", {})

    async def accounting_start(self, session: LabSession) -> None:
        self.sessions[session.session_id] = session

    async def accounting_interim(self, session: LabSession, _used: Usage) -> None:
        assert session.session_id in self.sessions

    async def accounting_stop(self, session: LabSession, _used: Usage, *, cause: str) -> None:
        del self.sessions[session.session_id]


def town(nas: SlowNas) -> TownNas:
    return TownNas(cast(LabNas, nas), [HOME], {HOME.username: "secret"}, now=lambda: NOW)


async def test_a_line_that_several_want_to_log_in_at_once_has_one_session() -> None:
    nas = SlowNas()
    life = town(nas)
    dials = asyncio.create_task(life.everybody_dials())
    await nas.is_asked.wait()
    await asyncio.wait_for(life.darken(HOME.port, seconds=0), timeout=10)
    nas.may_answer.set()
    await dials
    await life.everybody_dials()
    assert (nas.logins, [session.username for session in nas.sessions.values()]) == (1, [HOME.username])


async def test_a_line_that_nobody_answered_is_tried_again() -> None:
    nas = SlowNas()
    life = town(nas)
    nas.may_answer.set()
    nas.is_silent = True
    await life.everybody_dials()
    nas.is_silent = False
    await life.everybody_dials()
    assert (nas.logins, len(nas.sessions)) == (2, 1)
    await life.darken(HOME.port, seconds=0)
    assert (nas.logins, len(nas.sessions)) == (3, 1)


async def test_a_line_whose_session_was_ended_dials_until_it_is_let_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(town_life, "REDIAL_SECONDS", 0.001)
    nas = SlowNas()
    life = town(nas)
    nas.may_answer.set()
    await life.everybody_dials()
    [session] = nas.sessions.values()
    await nas.accounting_stop(session, Usage(1, 1, 1), cause="Admin-Reset")
    nas.refuses = 3  # it is suspended
    nas.on_disconnected(session)
    async with asyncio.timeout(10):
        await asyncio.gather(*life._coming_back)
    assert (nas.logins, len(nas.sessions)) == (1 + 3 + 1, 1)
