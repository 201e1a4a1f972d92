"""A NAS that falls silent is told of once, and again only when it was heard for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from radius import NasGuard, note_silence
from tests.radius.conftest import Site

MINUTE = timedelta(minutes=1)


async def test_a_nas_that_comes_and_goes_is_told_of_once(site: Site) -> None:
    nas, start = await site.nas(), site.now()

    async def told(minute: int, *, silent: int | None, heard: int | None, interims: bool = True) -> list[str]:
        def at(said: int | None) -> datetime | None:
            return None if said is None else start + said * MINUTE

        guard = NasGuard(
            nas=nas.name,
            nas_address=nas.source_address,
            open_sessions=7,
            heard_at=start,
            heard_since=at(heard),
            silent_since=at(silent),
            sends_interims=interims,
            sentence="",
        )
        async with site.database.begin() as db:
            now = start + minute * MINUTE
            found = await note_silence(db, tenant_id=site.tenant_id, guards=[guard], now=now)
        return [f"{each.name} {each.kind} {each.open_sessions}" for each in found]

    assert await told(0, silent=None, heard=0) == []
    assert await told(1, silent=0, heard=None, interims=False) == []
    assert await told(12, silent=0, heard=None) == [f"{nas.name} silent 7"]
    assert await told(13, silent=0, heard=None) == []
    assert await told(20, silent=None, heard=14) == []
    assert await told(25, silent=21, heard=None) == []
    assert await told(45, silent=None, heard=30) == [f"{nas.name} heard_again 7"]
    assert await told(60, silent=46, heard=None) == [f"{nas.name} silent 7"]
