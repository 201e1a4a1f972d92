"""The town as it lives: lines log in through their BNG, are accounted for, and come back when disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from acs.testing import LabCpe
from provisioning.lab.settling import spelt
from provisioning.lab.town import Home
from radius.testing import LabNas, LabSession, NoAnswer, Usage

AT_ONCE = 8
INTERIM_SECONDS = 300.0
REDIAL_SECONDS, REDIAL_AT_MOST_SECONDS = 3.0, 15.0
"""How soon a CPE dials again whose session was ended, and how often where it is refused."""
DOWNLOAD_PER_SECOND, UPLOAD_PER_SECOND = 60_000, 9_000
"""Octets that a line uses, on an average."""


class TownNas:
    """One BNG of the town and the lines behind it; ``now`` is its clock."""

    def __init__(
        self, nas: LabNas, homes: Sequence[Home], passwords: dict[str, str], *, now: Callable[[], datetime]
    ) -> None:
        self._nas = nas
        self._homes = {home.username: home for home in homes}
        self._passwords = passwords
        self._now = now
        self._since: dict[str, datetime] = {}
        self._coming_back: set[asyncio.Task[None]] = set()
        self._dark: set[str] = set()
        self._dialling: set[str] = set()
        self.cpes: dict[str, LabCpe] = {}
        """Those of its lines that the ACS knows, by username."""
        nas.on_disconnected = self._disconnected

    async def everybody_dials(self) -> None:
        """All lines log in; by their NAS' clock they did so hours or days ago, and have been heard of since."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def dial(home: Home) -> None:
            async with gate:
                await self._log_in(home, self._now() - timedelta(minutes=home.online_for_minutes))

        await asyncio.gather(*(dial(home) for home in self._homes.values()))

    async def go_on(self) -> None:
        """Interims of all that is up, spread over their interval, for as long as the laboratory is there; between them,
        who is not up tries again."""
        while True:
            sessions = list(self._nas.sessions.values())
            up = {session.username for session in sessions}
            for name, home in self._homes.items():
                if name not in up | self._dark:
                    await self._log_in(home)
            for session in sessions:
                await asyncio.sleep(INTERIM_SECONDS / len(sessions))
                if session.session_id in self._nas.sessions:
                    await self._tell(self._nas.accounting_interim(session, self._used(session)))
            if not sessions:
                await asyncio.sleep(INTERIM_SECONDS)

    async def darken(self, port: str, *, seconds: float) -> None:
        """A port is dark for a while: its sessions end as they do when the carrier is lost, then they come back."""
        behind = [home for home in self._homes.values() if home.port == port]
        names = {home.username for home in behind}
        self._dark |= names
        for session in [each for each in self._nas.sessions.values() if each.username in names]:
            await self._tell(self._nas.accounting_stop(session, self._used(session), cause="Lost-Carrier"))
        await asyncio.sleep(seconds)
        self._dark -= names
        for home in behind:
            await self._log_in(home)

    def connect(self, cpe: LabCpe, username: str) -> None:
        """This CPE is the one on that line: it shows the session that is up."""
        self.cpes[username] = cpe
        up = next((each for each in self._nas.sessions.values() if each.username == username), None)
        if up is not None:
            cpe.ppp_changed("Connected", up.framed_ip_address or "0.0.0.0")  # noqa: S104 - none

    async def close(self) -> None:
        for task in self._coming_back:
            task.cancel()
        await asyncio.gather(*self._coming_back, return_exceptions=True)
        await self._nas.close()

    async def _log_in(self, home: Home, began: datetime | None = None) -> None:
        """One login, of a line that isn't up: a round, the end of the dark and a CPE that dials again may want it."""
        name = home.username
        if name in self._dialling or self._is_up(name):
            return
        self._dialling.add(name)
        try:
            await self._dial(home, began)
        finally:
            self._dialling.discard(name)

    def _is_up(self, username: str) -> bool:
        return any(session.username == username for session in self._nas.sessions.values())

    async def _dial(self, home: Home, began: datetime | None) -> None:
        """One that is refused, or that nobody answers, is tried again with the next round of interims at the latest."""
        station = spelt(home.station)
        with suppress(NoAnswer):
            reply = await self._nas.login(
                home.username,
                self._passwords[home.username],
                method="chap",
                calling_station=station,
                nas_port=home.port,
            )
            if not reply.accepted:
                return
            session = replace(LabSession.after(home.username, reply), calling_station=station, nas_port=home.port)
            self._since[session.session_id] = began or self._now()
            await self._tell(self._nas.accounting_start(session), at=began)
            if began is not None:
                await self._tell(self._nas.accounting_interim(session, self._used(session)))
            if home.username in self.cpes:
                self.connect(self.cpes[home.username], home.username)

    async def _tell(self, accounting: Coroutine[Any, Any, None], *, at: datetime | None = None) -> None:
        """The request is put together before anything is waited for, so that the moment is this one's alone."""
        self._nas.event_at = at
        with suppress(NoAnswer):  # a NAS would repeat it; the next interim says as much
            await accounting

    def _used(self, session: LabSession) -> Usage:
        began = self._since.get(session.session_id)
        seconds = int((self._now() - began).total_seconds()) if began is not None else 0
        return Usage(seconds, seconds * UPLOAD_PER_SECOND, seconds * DOWNLOAD_PER_SECOND)

    def _disconnected(self, session: LabSession) -> None:
        """The NAS has ended it: the CPE notices, and dials again."""
        home, cpe = self._homes[session.username], self.cpes.get(session.username)
        if cpe is not None:
            cpe.ppp_changed("Disconnected")
        task = asyncio.create_task(self._come_back(home))
        self._coming_back.add(task)
        task.add_done_callback(self._coming_back.discard)

    async def _come_back(self, home: Home) -> None:
        """It dials until it is let in: whoever resumes a line sees it come back."""
        pause = REDIAL_SECONDS
        while not self._is_up(home.username):
            await asyncio.sleep(pause)
            pause = min(2 * pause, REDIAL_AT_MOST_SECONDS)
            if home.username not in self._dark:
                await self._log_in(home)
