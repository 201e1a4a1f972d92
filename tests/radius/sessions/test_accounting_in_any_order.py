"""Packets of one session in any order, late and twice, through the real FreeRADIUS: what may never happen does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from radius import Session, SessionLooks
from radius.coa.doors import close_ghosts
from radius.testing import LabSession, Usage
from tests.radius.conftest import Site

BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


@pytest.mark.both_databases
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.second_half) for seed in (2, 3))])
async def test_octets_never_go_back_a_stop_is_final_and_there_is_one_row(site: Site, seed: int) -> None:
    chance, below_zero = Random(seed), Random(seed)
    nas, subscriber = await site.nas(), await site.active()
    session = LabSession(subscriber["username"])
    looks = SessionLooks(site.radius_database.read, site.radius_database.look, tenant_id=site.tenant_id, now=site.now)
    nas.event_at = BEGAN
    await nas.accounting_start(session)
    before, final = await _only(site, looks, session), None
    for _ in range(30):
        minutes = chance.randrange(1, 60)  # newer or older than what was told before
        nas.event_at = BEGAN + timedelta(minutes=minutes)
        usage = Usage(seconds=60 * minutes, input_octets=minutes, output_octets=minutes * 2**31)
        if counted_below_zero := below_zero.random() < 0.2:
            usage = replace(usage, output_octets=2**64 - minutes)
        act = chance.choice(["start", "interim", "interim", "interim", "reap", "stop"] if minutes > 40 else ["interim"])
        if act == "start":  # repeated: what it tells of happened when it did
            nas.event_at = BEGAN
            await nas.accounting_start(session)
        elif act == "interim":
            await nas.accounting_interim(session, usage)
        elif act == "stop":
            await nas.accounting_stop(session, usage)
        elif before.stopped_at is None:
            await close_ghosts(site.radius_database.begin, [before])
        after = await _only(site, looks, session)
        if final is not None:
            assert after == final
        elif act == "stop":
            final = after
            assert (final.terminate_cause, final.stopped_at) == ("User-Request", nas.event_at)
        assert after.output_octets >= before.output_octets
        assert after.input_octets >= before.input_octets
        assert not counted_below_zero or after.output_octets == before.output_octets
        newer = before.updated_at is None or nas.event_at > before.updated_at
        if act == "interim" and final is None:
            assert (after.stopped_at is None) == (newer or before.stopped_at is None)
        before = after
    assert final is not None, "the seed tells of a Stop"


async def _only(site: Site, looks: SessionLooks, session: LabSession) -> Session:
    found = await site.sessions.last_session(session.username)
    assert found is not None
    assert len(await looks.of_user(session.username)) == 1
    return found
