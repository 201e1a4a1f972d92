"""Ending a session at its NAS: what the NAS says, what silence means, and that only accounting makes it true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from radius import (
    CoaChange,
    CreatedSubscriber,
    Disconnection,
    NasChange,
    NasLanes,
    Retransmission,
    Session,
    SessionControl,
    SessionsStillOpen,
)
from radius.coa.disconnect import DisconnectAnswer, ask_to_disconnect
from radius.coa.dynamic_authorization import NasDoor, SessionIdentity
from radius.projection.freeradius_tables import radacct
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import Site

SECRET = "a-lab-secret-of-24-chars"
QUICKLY = Retransmission(sends=3, first_wait_seconds=0.05)
ANNA = LabSession("anna@isp.example", framed_ip_address="100.64.7.9")


@asynccontextmanager
async def listening_nas(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> AsyncIterator[LabNas]:
    """A NAS with Anna's session, which no server accounts for."""
    nas = LabNas(name="bng", secret=SECRET, auth_port=9, acct_port=9, timeout_seconds=0.01)
    nas.sessions[ANNA.session_id] = ANNA
    await nas.listen(now=now)
    try:
        yield nas
    finally:
        await nas.close()


async def ask(nas: LabNas, *, secret: str = SECRET, session: LabSession = ANNA) -> DisconnectAnswer:
    door = NasDoor(name=nas.name, address=nas.source_address, port=nas.disconnects.port, secret=secret)
    identity = SessionIdentity(session.username, session.session_id, nas.source_address, session.framed_ip_address)
    return await ask_to_disconnect(door, identity, now=datetime.now(UTC), retransmission=QUICKLY)


async def test_the_nas_is_told_which_session_and_its_ack_is_taken() -> None:
    async with listening_nas() as nas:
        assert await ask(nas) == DisconnectAnswer("disconnected", "NAS bng has ended it")
        [request] = nas.disconnects.requests
        assert nas.sessions == {}
    assert (request.signed, request.genuine) == (True, True)
    sent = request.attributes
    assert abs(int(sent.pop("Event-Timestamp")) - datetime.now(UTC).timestamp()) < 60
    assert {name: value for name, value in sent.items() if name != "Message-Authenticator"} == {
        "User-Name": ANNA.username,
        "NAS-IP-Address": "127.0.0.1",
        "Acct-Session-Id": ANNA.session_id,
        "Framed-IP-Address": "100.64.7.9",
    }


async def test_a_session_it_does_not_know_is_told_from_a_refusal() -> None:
    async with listening_nas() as nas:
        gone = await ask(nas, session=replace(ANNA, session_id="another"))
        assert gone == DisconnectAnswer("unknown_to_nas", "NAS bng knows of no such session", 503)
        assert len(nas.disconnects.requests) == 2  # and by its id alone
        nas.disconnects.mood.refuses = 501
        refused = await ask(nas)
        assert refused == DisconnectAnswer(
            "refused", "NAS bng refused to end it: Administratively Prohibited (501)", 501
        )
        assert list(nas.sessions) == [ANNA.session_id]


async def test_silence_is_an_unknown_outcome_and_the_request_was_repeated_unchanged() -> None:
    async with listening_nas() as nas:
        nas.disconnects.mood.silent = True
        answer = await ask(nas)
        port = nas.disconnects.port
        assert answer.said == "unanswered"
        assert answer.reason == f"NAS bng at 127.0.0.1 port {port} did not answer 3 Disconnect-Requests"
        assert len(nas.disconnects.requests) == 3
        assert len({str(request.attributes) for request in nas.disconnects.requests}) == 1
    assert (await ask_of_nobody()).said == "unanswered"


async def ask_of_nobody() -> DisconnectAnswer:
    door = NasDoor(name="bng", address="127.0.0.1", port=9, secret=SECRET)
    identity = SessionIdentity("anna", "1", "127.0.0.1", None)
    return await ask_to_disconnect(door, identity, now=datetime.now(UTC), retransmission=QUICKLY)


async def test_a_lost_request_is_made_up_for_by_the_next() -> None:
    async with listening_nas() as nas:
        nas.disconnects.mood.drops = 2
        assert (await ask(nas)).said == "disconnected"
        assert len(nas.disconnects.requests) == 3


async def test_another_secret_is_silence_on_both_sides() -> None:
    async with listening_nas() as nas:
        assert (await ask(nas, secret="another-secret-of-24-char")).said == "unanswered"
        assert {request.genuine for request in nas.disconnects.requests} == {False}
        assert list(nas.sessions) == [ANNA.session_id]


async def test_a_nas_takes_no_request_of_another_time() -> None:
    async with listening_nas(lambda: datetime.now(UTC) + timedelta(minutes=6)) as nas:
        assert (await ask(nas)).said == "unanswered"


def test_each_wait_is_twice_as_long_up_to_a_limit() -> None:
    waits = list(Retransmission(sends=5, first_wait_seconds=2.0, longest_wait_seconds=16.0).waits())
    assert all(least <= wait <= least * 1.1 for least, wait in zip((2, 4, 8, 16, 16), waits, strict=True))


def test_no_secret_is_in_its_repr() -> None:
    assert SECRET not in repr(NasDoor(name="bng", address="127.0.0.1", port=9, secret=SECRET))


@dataclass
class Online:
    """A subscriber who is online through a NAS that listens."""

    site: Site
    nas: LabNas
    subscriber: CreatedSubscriber
    session: LabSession
    control: SessionControl

    @property
    def username(self) -> str:
        return self.subscriber["username"]

    @property
    def id(self) -> int:
        return self.subscriber["subscriber_id"]

    async def last(self) -> Session:
        found = await self.site.sessions.last_session(self.username)
        assert found is not None
        return found


@pytest.fixture
async def online(site: Site) -> AsyncIterator[Online]:
    nas = await site.nas()
    port = await nas.listen()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name=nas.name, address=nas.source_address, dialect="mikrotik", coa_port=port)
    subscriber = await site.active()
    reply = await nas.login(subscriber["username"], await site.password(subscriber))
    session = LabSession.after(subscriber["username"], reply)
    await nas.accounting_start(session)
    control = SessionControl(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
        retransmission=QUICKLY,
    )
    yield Online(site, nas, subscriber, session, control)
    await nas.close()


async def test_an_acknowledged_session_is_over_when_its_stop_is_in_accounting(online: Online) -> None:
    assert await online.control.ended(online.id) is None
    asked = await online.control.disconnect(online.id)
    assert asked == {
        "username": online.username,
        "sessions": [
            {
                "session_id": online.session.session_id,
                "nas_address": online.nas.source_address,
                "said": "disconnected",
                "error_cause": None,
                "reason": f"NAS {online.nas.name} has ended it",
            }
        ],
    }
    await online.nas.stops_told()
    await online.control.require_ended(online.id)
    last = await online.last()
    assert (last.stopped_at is not None, last.terminate_cause) == (True, "Admin-Reset")
    nobody = Disconnection(username=online.username, sessions=[])
    assert await online.control.ended(online.id) == nobody
    assert await online.control.disconnect(online.id) == nobody


async def test_every_open_session_is_asked_for(online: Online) -> None:
    second = replace(online.session, session_id="second")
    await online.nas.accounting_start(second)
    asked = await online.control.disconnect(online.id)
    assert sorted(one["session_id"] for one in asked["sessions"]) == sorted([online.session.session_id, "second"])
    await online.control.require_ended(online.id)
    assert await online.site.sessions.open_sessions(online.username) == []


async def test_a_silent_nas_leaves_it_open_and_says_so_until_the_session_has_ended_otherwise(online: Online) -> None:
    online.nas.disconnects.mood.silent = True
    [answer] = (await online.control.disconnect(online.id))["sessions"]
    assert answer["said"] == "unanswered"
    with pytest.raises(SessionsStillOpen) as open_:
        await online.control.require_ended(online.id)
    assert open_.value.transient
    assert str(open_.value) == (
        f"{online.username} is still online: session {online.session.session_id} at {online.nas.source_address}"
        f" ({answer['reason']}). It ends with its line, its Session-Timeout, or by hand at the NAS; accounting is"
        " looked at again, and the NAS asked again."
    )
    await online.nas.accounting_stop(online.session, Usage(seconds=60), cause="Lost-Carrier")
    assert (await online.control.require_ended(online.id))["asked"] == []


async def test_a_session_its_nas_does_not_know_is_closed_as_of_its_last_sign_of_life(online: Online) -> None:
    await online.nas.accounting_interim(online.session, Usage(seconds=30, input_octets=10))
    before = await online.last()
    online.nas.sessions.clear()  # the NAS lost it, and the Stop never came

    await online.control.require_ended(online.id)

    last = await online.last()
    assert (last.stopped_at, last.terminate_cause) == (before.updated_at, "Lost-Carrier-Reaped")
    await online.nas.accounting_stop(online.session, Usage(seconds=45), cause="User-Request")  # it comes after all
    last = await online.last()
    assert (last.terminate_cause, last.duration_seconds) == ("User-Request", 45)


async def test_a_nas_that_never_accounts_for_the_end_is_asked_again_and_then_believed(online: Online) -> None:
    online.nas.disconnects.mood.keeps_quiet = True

    async def no_pause(_seconds: float) -> None: ...

    hurried: Callable[[float], Awaitable[None]] = no_pause
    online.control._sleep = hurried
    with pytest.raises(SessionsStillOpen, match=r"has ended it, but accounting has not heard of it"):
        await online.control.require_ended(online.id)
    [answer] = (await online.control.require_ended(online.id))["asked"]
    assert (answer["said"], answer["error_cause"]) == ("unknown_to_nas", 503)


async def test_a_nas_that_is_not_known_here_is_not_asked(online: Online) -> None:
    async with online.site.radius_database.begin() as db:
        mine = update(radacct).where(radacct.c.username == online.username)
        await db.execute(mine.values(nasipaddress="192.0.2.77"))
    [answer] = (await online.control.disconnect(online.id))["sessions"]
    assert answer["said"] == "nas_unknown"
    assert online.nas.disconnects.requests == []
    assert len(await online.site.sessions.open_sessions(online.username)) == 1


async def test_many_that_are_ended_are_told_their_nas_no_faster_than_it_takes(site: Site) -> None:
    [nas] = await site.nases(["mikrotik"])
    port = await nas.listen()
    async with site.database.begin() as db:
        said = NasChange(coa_port=port, coa=CoaChange(per_second=1))
        await site.service(db).change_nas(name=nas.name, said=said)
    lanes, slept = NasLanes(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    lanes._sleep = sleep
    numbers = []
    for _ in range(4):
        subscriber = await site.active()
        reply = await nas.login(subscriber["username"], await site.password(subscriber))
        await nas.accounting_start(LabSession.after(subscriber["username"], reply))
        numbers.append(subscriber["subscriber_id"])
    control = SessionControl(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
        retransmission=QUICKLY,
        lanes=lanes,
    )
    told = await asyncio.gather(*(control.disconnect(number) for number in numbers))
    await nas.stops_told()
    await nas.close()
    assert [each["said"] for one in told for each in one["sessions"]] == ["disconnected"] * 4
    assert len(slept) == 3 and max(slept) > 2  # a second apart
