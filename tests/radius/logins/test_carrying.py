"""Logins that FreeRADIUS writes to files come into the log once each, whatever is killed or down meanwhile."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from radius import LoginCarrier, LoginFolderUnusable, LoginLog, RadiusDatabaseUnfit
from radius.logins import carrying
from radius.logins.tables import radius_login_source
from radius.testing import FreeRadiusServer
from tests.radius.conftest import Site
from tests.support.freeradius import RADDB

pytestmark = pytest.mark.both_databases


LOCKED_WRITER = """
import fcntl, sys
with open(sys.argv[1], "ab") as held:
    fcntl.lockf(held, fcntl.LOCK_EX)
    print("locked", flush=True)
    held.write(sys.stdin.buffer.read())
"""


class Killed(BaseException):
    """What a process does not live through."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logins"


@pytest.fixture
async def server(site: Site, folder: Path, tmp_path: Path) -> AsyncIterator[FreeRadiusServer]:
    """Another FreeRADIUS on the same database, which writes logins to files."""
    started = FreeRadiusServer(
        raddb=RADDB, run_dir=tmp_path / "run", database_url=site.backend.database_url, schema=site.backend.schema
    )
    started.write_logins_to(folder)
    await asyncio.to_thread(started.start)
    yield started
    await asyncio.to_thread(started.stop)


@pytest.fixture
def carrier(site: Site, folder: Path) -> LoginCarrier:
    return LoginCarrier(folder, site.radius_database.begin, now=site.now)


@pytest.fixture
def log(site: Site) -> LoginLog:
    return LoginLog(site.radius_database.read, site.radius_database.begin)


def files(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def write(folder: Path, octets: bytes, file: str = "logins") -> None:
    folder.mkdir(exist_ok=True)
    with (folder / file).open("ab") as opened:
        opened.write(octets)


def written(name: str, *, times: int, reason: str = "wrong_password") -> bytes:
    line = f"1795953813|Access-Reject|{reason}|pap|10.0.0.9|||{name}|bng|02-00|ge-0||.\n"
    return line.encode() * times


async def test_what_the_server_wrote_says_the_same_as_its_rows_do(
    site: Site, server: FreeRadiusServer, carrier: LoginCarrier, log: LoginLog
) -> None:
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    hostile = "x|\ty\nz\\t' é\x01" + "=41"
    said: Any = {"calling_station": hostile, "nas_port": "p" * 240}
    nas, by_rows = await site.nas(server=server), await site.nas()
    for each in (nas, by_rows):
        await each.login(name, password, **said)
        await each.login(name, "not-the-password", method="chap", **said)
        await each.login(site.new_username(), "whatever")
    assert {login["nas_address"] for login in await log.logins_of(name)} == {by_rows.source_address}

    assert await carrier.carry() == 2

    found = await log.logins_of(name)
    of_lines, of_rows = (
        [
            {
                key: value
                for key, value in dict[str, Any](login).items()
                if key not in ("login_id", "nas_address", "nas_said_address", "nas_identifier")
            }
            for login in found
            if login["nas_address"] == address
        ]
        for address in (nas.source_address, by_rows.source_address)
    )
    assert len(found) == 4
    for line, row in zip(of_lines, of_rows, strict=True):
        assert abs(line.pop("happened_at") - row.pop("happened_at")) < timedelta(minutes=1)
        # what SQL gets of a tab and a new line are two characters, of which nobody can say what they were
        assert str(line.pop("calling_station")).replace("\\t", "").replace("\\n", "") == str(
            row.pop("calling_station")
        ).replace("\\t", "").replace("\\n", "")
        assert line == row
    assert {each["nas_address"] for each in await log.unknown_users(site.tenant_id)} == {
        nas.source_address,
        by_rows.source_address,
    }
    assert await carrier.carry() == 0
    assert len(await log.logins_of(name)) == 4


async def test_nothing_is_lost_or_twice_while_the_server_writes_and_several_carry(
    site: Site, server: FreeRadiusServer, folder: Path, log: LoginLog
) -> None:
    subscriber = await site.active()
    nas, name, password = await site.nas(server=server), subscriber["username"], await site.password(subscriber)
    done, accepted = asyncio.Event(), 0

    async def carry() -> int:
        carrier, carried = LoginCarrier(folder, site.radius_database.begin, now=site.now), 0
        while not done.is_set():
            carried += await carrier.carry()
            await asyncio.sleep(0)
        return carried

    async def log_in() -> int:
        return sum([(await nas.login(name, password)).accepted for _ in range(40)])

    carrying_ones = [asyncio.create_task(carry()) for _ in range(3)]
    accepted = sum(await asyncio.gather(*(log_in() for _ in range(4))))
    done.set()
    carried = sum(await asyncio.gather(*carrying_ones))
    carried += await LoginCarrier(folder, site.radius_database.begin, now=site.now).carry()

    assert accepted == carried == 160
    assert len(await log.logins_of(name, limit=500)) == 160
    assert files(folder) == [".source"]


@pytest.mark.parametrize("moment", ["carried some", "carried a file"])
async def test_who_goes_on_after_a_kill_repeats_nothing(
    site: Site, folder: Path, log: LoginLog, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "AT_ONCE", 3)
    name = site.new_username()
    write(folder, written(name, times=10))

    def kill(at: str) -> None:
        if at == moment:
            raise Killed

    for times in range(4 if moment == "carried some" else 1):
        with pytest.raises(Killed):
            await LoginCarrier(folder, site.radius_database.begin, now=site.now, at=kill).carry()
        kept = len(await log.logins_of(name))
        assert kept == (min(10, 3 * (times + 1)) if moment == "carried some" else 10)
    [taken] = files(folder, "logins*")
    write(folder, written(name, times=1, reason="suspended"), taken)  # as FreeRADIUS may, which has it open still
    write(folder, written(name, times=2, reason="expired"))

    assert await LoginCarrier(folder, site.radius_database.begin, now=site.now).carry() == 3

    reasons = [each["reason"] for each in reversed(await log.logins_of(name))]
    assert reasons == ["wrong_password"] * 10 + ["suspended"] + ["expired"] * 2
    assert files(folder) == [".source"]


async def test_a_database_that_is_not_there_loses_nothing(site: Site, folder: Path, log: LoginLog) -> None:
    name, carrier = site.new_username(), LoginCarrier(folder, site.radius_database.begin, now=site.now)
    write(folder, written(name, times=5))
    async with site.radius_database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE radius_login_source RENAME TO elsewhere"))
    try:
        with pytest.raises(RadiusDatabaseUnfit):
            await carrier.carry()
    finally:
        async with site.radius_database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO radius_login_source"))
    assert await log.logins_of(name) == []
    assert await carrier.carry() == 5


async def test_lines_that_are_none_are_kept_aside_and_told(site: Site, folder: Path, log: LoginLog) -> None:
    name, carrier = site.new_username(), LoginCarrier(folder, site.radius_database.begin, now=site.now)
    write(folder, b"\x00\x00rubbish\n" + written(name, times=2) + b"cut off")
    with capture_logs() as told:
        assert await carrier.carry() == 2
    assert [(each["log_level"], each["lines"]) for each in told] == [("warning", 2)]
    assert (folder / "logins.unreadable").read_bytes() == b"\x00\x00rubbish\ncut off\n"
    assert len(await log.logins_of(name)) == 2


async def test_a_file_is_not_read_while_somebody_writes_in_it(site: Site, folder: Path, log: LoginLog) -> None:
    """FreeRADIUS locks the file for each line, from a process of its own."""
    name = site.new_username()
    write(folder, written(name, times=1))
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKED_WRITER, folder / "logins", stdin=PIPE, stdout=PIPE
    )
    assert writer.stdout is not None
    assert await writer.stdout.readline() == b"locked\n"

    taken = asyncio.Event()
    carrier = LoginCarrier(folder, site.radius_database.begin, now=site.now, at=lambda _: taken.set())
    under_way = asyncio.create_task(carrier.carry())
    await taken.wait()
    assert files(folder, "logins.taken-*")
    assert not under_way.done()
    await writer.communicate(written(name, times=1, reason="suspended"))

    assert await under_way == 2
    assert [each["reason"] for each in await log.logins_of(name)] == ["suspended", "wrong_password"]


async def test_one_that_nobody_carries_is_late_and_is_forgotten_in_the_end(
    site: Site, folder: Path, log: LoginLog
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    clock = [began]
    carrier = LoginCarrier(folder, site.radius_database.begin, now=lambda: clock[0])
    assert await carrier.carry() == 0
    assert [each for each in await log.late(began + timedelta(seconds=59)) if str(folder) in each["place"]] == []
    [late] = [each for each in await log.late(began + timedelta(seconds=61)) if str(folder) in each["place"]]
    assert late["since"] == began
    assert late["source"] == (folder / ".source").read_text().strip()
    clock[0] = began + timedelta(seconds=9)
    await carrier.carry()
    assert await kept_at(site, late["source"]) == began  # it is not said each second
    clock[0] = began + timedelta(seconds=10)
    await carrier.carry()
    assert await kept_at(site, late["source"]) == clock[0]
    await log.purge(began + timedelta(days=1))
    assert await kept_at(site, late["source"]) is None


async def test_a_folder_that_is_none_is_said_with_its_name(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    carrier = LoginCarrier(tmp_path / "file" / "logins", site.radius_database.begin, now=site.now)
    with pytest.raises(LoginFolderUnusable, match=f"{tmp_path}/file/logins: Not a directory"):
        await carrier.carry()


async def test_where_no_line_can_be_written_a_login_is_a_row_at_once(site: Site, log: LoginLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    server = FreeRadiusServer(
        raddb=RADDB, run_dir=tmp_path / "run", database_url=site.backend.database_url, schema=site.backend.schema
    )
    server.write_logins_to(tmp_path / "file")
    await asyncio.to_thread(server.start)
    try:
        subscriber, nas = await site.active(), await site.nas(server=server)
        assert (await nas.login(subscriber["username"], await site.password(subscriber))).accepted
        assert [each["accepted"] for each in await log.logins_of(subscriber["username"])] == [True]
        async with site.radius_database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE radius_login RENAME TO elsewhere"))
        try:
            assert (await nas.login(subscriber["username"], await site.password(subscriber))).accepted
        finally:
            async with site.radius_database.engine.begin() as connection:
                await connection.execute(text("ALTER TABLE elsewhere RENAME TO radius_login"))
    finally:
        await asyncio.to_thread(server.stop)


async def kept_at(site: Site, source: str) -> datetime | None:
    async with site.radius_database.begin() as db:
        at = select(radius_login_source.c.carried_at).where(radius_login_source.c.source == source)
        return await db.scalar(at)
