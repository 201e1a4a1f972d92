"""Logins that FreeRADIUS writes to files come into the log once each, whatever is killed or down meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text
from structlog.testing import capture_logs

from radius import LoginCarrier, LoginFolderUnusable, LoginLog, RadiusDatabaseUnfit
from radius.logins import carrying
from radius.logins.tables import radius_login, radius_login_file, radius_login_folder
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


CARRYING_CHILD = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from provisioning.database import Database
from radius import LoginCarrier

async def main():
    database = Database(sys.argv[1], schema=sys.argv[2] or None)
    told = []
    def at(moment):
        told.append(moment)
        print(moment, flush=True)
        if sys.argv[4] == "waits" and len(told) == 3:
            sys.stdin.read()
    await LoginCarrier(Path(sys.argv[3]), database.begin, now=lambda: datetime.now(UTC), at=at).carry()
    await database.close()

asyncio.run(main())
"""
HOUR = timedelta(hours=1)


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
    hostile = "x|+\ty\nz\\t' é\x01" + "=41"
    said: Any = {"calling_station": hostile, "nas_port": "p" * 240}
    said["line"] = {"ADSL-Agent-Circuit-Id": "olt-7 xpon 0/3#2+ü"}
    nas, by_rows = await site.nas(server=server), await site.nas()
    for each in (nas, by_rows):
        await each.login(name, password, **said)
        await each.login(name, "not-the-password", method="chap", **said)
        await each.login(name, password, line={"ADSL-Agent-Circuit-Id": bytes.fromhex("000400640102")})
        await each.login(site.new_username(), "whatever")
    assert {login["nas_address"] for login in await log.logins_of(name)} == {by_rows.source_address}

    assert await carrier.carry() == 3

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
    assert len(found) == 6
    assert "0x000400640102" in [line["circuit"] for line in of_lines]
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
    assert len(await log.logins_of(name)) == 6


async def test_nothing_is_lost_or_twice_while_the_server_writes_and_several_carry(
    site: Site, server: FreeRadiusServer, folder: Path, log: LoginLog
) -> None:
    subscriber = await site.active()
    nas, name, password = await site.nas(server=server), subscriber["username"], await site.password(subscriber)
    done, accepted = asyncio.Event(), 0

    async def carry() -> int:
        carrier, carried = LoginCarrier(folder, site.radius_database.begin, now=site.now), 0
        while not done.is_set():
            carried += await carrier.carry() or 0
            await asyncio.sleep(0)
        return carried

    async def log_in() -> int:
        return sum([(await nas.login(name, password)).accepted for _ in range(40)])

    carrying_ones = [asyncio.create_task(carry()) for _ in range(3)]
    accepted = sum(await asyncio.gather(*(log_in() for _ in range(4))))
    done.set()
    carried = sum(await asyncio.gather(*carrying_ones))
    carried += await LoginCarrier(folder, site.radius_database.begin, now=site.now).carry() or 0

    assert accepted == carried == 160
    assert len(await log.logins_of(name, limit=500)) == 160
    assert files(folder) == [".carrier"]


def kill_at(moment: str) -> Callable[[str], None]:
    def at(now: str) -> None:
        if now == moment:
            raise Killed

    return at


KEPT_AFTER_EACH_KILL = {"taken": (0, 0), "carried some": (3, 6, 9, 10), "carried a file": (10, 10)}


@pytest.mark.parametrize("moment", KEPT_AFTER_EACH_KILL)
async def test_who_goes_on_after_a_kill_repeats_nothing(
    site: Site, folder: Path, log: LoginLog, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock goes back meanwhile, and what is old is forgotten."""
    monkeypatch.setattr(carrying, "AT_ONCE", 3)
    name = site.new_username()
    write(folder, written(name, times=10))
    for kept in KEPT_AFTER_EACH_KILL[moment]:
        with pytest.raises(Killed):
            await LoginCarrier(folder, site.radius_database.begin, now=site.now, at=kill_at(moment)).carry()
        assert len(await log.logins_of(name)) == kept
        await log.purge(datetime.now(UTC) + HOUR - timedelta(days=20 * 365))
        async with site.radius_database.begin() as db:
            await db.execute(delete(radius_login_folder))
    [taken] = files(folder, "logins*")
    write(folder, written(name, times=1, reason="suspended"), taken)  # as FreeRADIUS may, which has it open still
    write(folder, written(name, times=2, reason="expired"), "logins.taken-0000-before")

    with pytest.raises(Killed):
        await LoginCarrier(folder, site.radius_database.begin, now=site.now, at=kill_at("carried a file")).carry()
    await LoginCarrier(folder, site.radius_database.begin, now=site.now).carry()

    reasons = [each["reason"] for each in reversed(await log.logins_of(name))]
    assert sorted(map(str, reasons)) == ["expired"] * 2 + ["suspended"] + ["wrong_password"] * 10
    assert files(folder) == [".carrier"]
    async with site.radius_database.begin() as db:
        mine = radius_login_file.c.place.contains(str(folder))
        assert (await db.scalars(select(radius_login_file.c.file).where(mine))).all() == []


async def test_a_process_that_is_really_killed_has_carried_nothing_twice(
    site: Site, folder: Path, log: LoginLog
) -> None:
    name, times = site.new_username(), 30_000
    write(folder, written(name, times=times))
    database = site.radius_database
    url = database.url.render_as_string(hide_password=False)
    kills = 0
    while files(folder, "logins*"):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CARRYING_CHILD, url, database.schema or "", folder),
            "waits" if kills < 3 else "goes on",
            stdin=PIPE,
            stdout=PIPE,
        )
        assert child.stdout is not None
        for _ in range(3):  # batches
            await child.stdout.readline()
        if child.returncode is None and files(folder, "logins*"):
            child.kill()
            kills += 1
        await child.communicate()
    assert kills >= 3
    async with database.begin() as db:
        mine = select(func.count()).select_from(radius_login).where(radius_login.c.username == name)
        assert await db.scalar(mine) == times


async def test_a_database_that_is_not_there_loses_nothing(site: Site, folder: Path, log: LoginLog) -> None:
    name, clock = site.new_username(), [0.0]
    carrier = LoginCarrier(folder, site.radius_database.begin, now=site.now, monotonic=lambda: clock[0])
    write(folder, written(name, times=5))
    async with site.radius_database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE radius_login_file RENAME TO elsewhere"))
    try:
        with pytest.raises(RadiusDatabaseUnfit):
            await carrier.carry()
    finally:
        async with site.radius_database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO radius_login_file"))
    assert await log.logins_of(name) == []
    assert await carrier.carry() == 0  # so soon it isn't asked again
    clock[0] = 0.99
    assert await carrier.carry() == 0
    clock[0] = 1.0
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
    name, carrier = site.new_username(), LoginCarrier(folder, site.radius_database.begin, now=site.now)
    write(folder, written(name, times=1))
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKED_WRITER, folder / "logins", stdin=PIPE, stdout=PIPE
    )
    assert writer.stdout is not None
    assert await writer.stdout.readline() == b"locked\n"

    assert await carrier.carry() == 0
    assert len(files(folder, "logins.taken-*")) == 1
    await writer.communicate(written(name, times=1, reason="suspended"))

    assert await carrier.carry() == 2
    assert [each["reason"] for each in await log.logins_of(name)] == ["suspended", "wrong_password"]


async def test_who_comes_while_another_carries_says_so(site: Site, folder: Path) -> None:
    write(folder, written(site.new_username(), times=1))
    came: list[int | None] = []
    second = LoginCarrier(folder, site.radius_database.begin, now=site.now)
    held = os.open(folder / ".carrier", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    came.append(await second.carry())
    os.close(held)
    came.append(await second.carry())
    assert came == [None, 1]


async def test_one_that_nobody_carries_is_late_and_is_forgotten_in_the_end(
    site: Site, folder: Path, log: LoginLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    clock = [began]

    async def late(seconds: float) -> list[tuple[datetime, bool]]:
        every = await log.late(began + timedelta(seconds=seconds))
        return [(each["since"], each["is_carried"]) for each in every if each["place"].endswith(f":{folder}")]

    carrier = LoginCarrier(folder, site.radius_database.begin, now=lambda: clock[0])
    assert await carrier.carry() == 0
    assert await late(10_000) == []  # FreeRADIUS writes nothing there
    write(folder, written(site.new_username(), times=2))
    assert await carrier.carry() == 2
    assert await late(120) == []
    assert await late(121) == [(began, False)]
    clock[0] = began + timedelta(seconds=9)
    await carrier.carry()
    assert await late(121) == [(began, False)]  # it is not said each second
    clock[0] = began + timedelta(seconds=10)
    await carrier.carry()
    assert await late(130) == []

    monkeypatch.setattr(carrying, "AT_ONCE", 1)  # so much has come meanwhile that it takes long
    write(folder, written(site.new_username(), times=2))
    clock[0] = began + timedelta(seconds=200)
    with pytest.raises(Killed):
        at = kill_at("carried some")
        await LoginCarrier(folder, site.radius_database.begin, now=lambda: clock[0], at=at).carry()
    assert await late(201) == [(began + timedelta(seconds=10), True)]
    assert await late(321) == [(began + timedelta(seconds=10), False)]
    await log.purge(began + timedelta(days=1))
    assert await late(321) == []
    assert await LoginCarrier(folder, site.radius_database.begin, now=lambda: clock[0]).carry() == 1


async def test_a_folder_that_is_none_is_said_with_its_name(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    carrier = LoginCarrier(tmp_path / "file", site.radius_database.begin, now=site.now)
    with pytest.raises(LoginFolderUnusable, match=f"{tmp_path}/file/.carrier: Not a directory"):
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
