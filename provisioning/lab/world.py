"""The world outside the appliance, in a laboratory: everything that a running ISP has and a laptop has not.

Real: FreeRADIUS (Debian's, as a child process) and the SMTP conversation. Simulated, each with a state of its own: a
GenieACS, CPEs behind it, the OLT that lets them in, and the NAS they dial into. A CPE is dark until its line is
authorised; when its PPP settings are written it dials with what it holds, and only with that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

from acs.testing import Change, Clock, LabAcs, LabCpe, WallClock
from provisioning.commercial.testing import MailSink
from provisioning.lab.neighbours import Neighbours, open_neighbours
from provisioning.line.testing import LabLine, LabOlt
from radius.testing import FreeRadiusServer, LabNas, LabSession, LoginReply, NoAnswer, Usage

RADDB = Path(__file__).parents[2] / "deploy" / "freeradius" / "raddb"
INFORM_INTERVAL_SECONDS = 300
REDIAL_SECONDS = 1.0
DIAL_ATTEMPTS = 20
LATER_REDIAL_SECONDS = 10.0
"""How long a CPE pauses between logins when so many were refused one after another: it never gives up."""


@dataclass(frozen=True)
class DialIn:
    """One attempt of a CPE to log in, with what the server said; the password is not kept."""

    serial: str
    username: str
    at: datetime
    reply: LoginReply | None  # None: the server was silent
    session: LabSession | None  # None: it was not accepted


class LabWorld:
    """Acts on the world as people and physics do: plug a CPE in, switch it on. Made by `open_world`."""

    def __init__(self, *, acs: LabAcs, olt: LabOlt, mail: MailSink, neighbours: Neighbours | None = None) -> None:
        self.neighbours = neighbours
        """Of an ISP that sells, too."""
        self.acs = acs
        self.olt = olt
        self.mail = mail
        self.freeradius: FreeRadiusServer | None = None
        self.nas: LabNas | None = None
        self.dial_ins: list[DialIn] = []
        self._nases: list[LabNas] = []
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._up: dict[str, LabSession] = {}  # the sessions that the NAS has begun and not ended, by serial

    def settings(self) -> dict[str, Any]:
        """What the appliance has to be told to live in this world."""
        return {
            "genieacs_nbi_url": self.acs.url,
            "line_adapter": "olt_http",
            "olt_http_url": self.olt.url,
            "smtp_host": "127.0.0.1",
            "smtp_port": self.mail.port,
            "smtp_tls": "none",
            **(self.neighbours.settings() if self.neighbours is not None else {}),
        }

    def freeradius_settings(self) -> dict[str, Any]:
        """Where whoever tests a NAS, or looks why a subscriber can't log in, finds this world's FreeRADIUS; nothing
        while there is none."""
        server = self.freeradius
        if server is None:
            return {}
        return {
            "radius_auth_port": server.auth_port,
            "radius_config_dir": server.raddb,
            "radius_log_file": server.log_file,
            "radius_nas_lifetime_seconds": server.nas_lifetime_seconds,
        }

    async def start_freeradius(self, run_dir: Path, database_url: str, schema: str | None) -> FreeRadiusServer:
        """Starts the real server over the radius database, whose tables must exist. `stop` ends it, also where the
        start itself was called off."""
        server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=database_url, schema=schema)
        self.freeradius = server
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])  # a thread can't be called off: what it starts must be there to be stopped
            raise
        return server

    async def connect_nas(self, name: str, secret: str) -> int:
        """The BNG that this world's CPEs dial into; returns the port at which it takes Disconnect-Requests."""
        assert self.freeradius is not None, "start FreeRADIUS first"
        self.nas = LabNas(
            name=name, secret=secret, auth_port=self.freeradius.auth_port, acct_port=self.freeradius.acct_port
        )
        self.nas.on_disconnected = self._disconnected
        self._nases.append(self.nas)
        return await self.nas.listen(now=self.acs.clock.now)

    # -- people and physics --------------------------------------------------------------------------------------------

    async def plug(self, serial: str, *, port: str, data_model: Literal["TR-181", "TR-098"] = "TR-181") -> LabCpe:
        """The technician connects a CPE's fibre to a port and its plug to the wall. It stays dark."""
        cpe = self.acs.attach(
            LabCpe(serial, data_model=data_model, inform_interval_seconds=INFORM_INTERVAL_SECONDS, line_up=False)
        )
        cpe.on_change(lambda change: self._changed(cpe, change))
        self.olt.plug(serial, port)
        await cpe.power_on()
        return cpe

    def line_authorised(self, line: LabLine) -> None:
        """The OLT lets an ONT in: it lights up and informs."""
        cpe = self.acs.cpes.get(line.serial)
        if cpe is not None and not cpe.line_up:
            self.acs.spawn(self._light(cpe))

    def line_withdrawn(self, line: LabLine) -> None:
        cpe = self.acs.cpes.get(line.serial)
        if cpe is not None:
            self.acs.spawn(self._go_dark(cpe))

    async def _go_dark(self, cpe: LabCpe) -> None:
        """No light, no PPP: the NAS misses the CPE's echoes and ends its session."""
        dialling = self._dialling.pop(cpe.serial, None)
        if dialling is not None:
            dialling.cancel()
        await cpe.darken()
        if self.nas is not None:
            with suppress(NoAnswer):  # the NAS would repeat it; the laboratory's gives up
                await self._hang_up(cpe.serial)

    def _disconnected(self, session: LabSession) -> None:
        """The NAS has ended a session: its CPE notices, and dials again with what it holds."""
        serial = next((serial for serial, up in self._up.items() if up.session_id == session.session_id), None)
        if serial is None:
            return
        del self._up[serial]
        cpe = self.acs.cpe(serial)
        cpe.ppp_changed("Disconnected")
        self.dial(cpe)

    async def _light(self, cpe: LabCpe) -> None:
        await cpe.light()
        self.dial(cpe)

    def _changed(self, cpe: LabCpe, change: Change) -> None:
        roles = cpe.roles
        if change.paths & {roles.ppp_username, roles.ppp_password, roles.ppp_enable, roles.vlan_id}:
            self.dial(cpe)

    def dial(self, cpe: LabCpe) -> None:
        """(Re)starts the CPE's PPPoE client with what the CPE holds now."""
        running = self._dialling.pop(cpe.serial, None)
        if running is not None:
            running.cancel()
        ppp = cpe.ppp
        if self.nas is not None and cpe.online and ppp.enabled and ppp.username and ppp.password:
            self._dialling[cpe.serial] = self.acs.spawn(self._dial_until_accepted(cpe))

    async def _dial_until_accepted(self, cpe: LabCpe) -> None:
        for attempt in count(1):
            cpe.ppp_changed("Connecting")
            dialled = await self.log_in(cpe.serial, cpe.ppp.username, cpe.ppp.password)
            if dialled.session is not None:
                cpe.ppp_changed("Connected", dialled.session.framed_ip_address or "0.0.0.0")  # noqa: S104
                return
            cpe.ppp_changed("Disconnected")
            await asyncio.sleep(REDIAL_SECONDS if attempt < DIAL_ATTEMPTS else LATER_REDIAL_SECONDS)

    async def log_in(self, serial: str, username: str, password: str) -> DialIn:
        """One login through the NAS and, if it is accepted, the start of its accounting."""
        dialled = await self._login(serial, username, password)
        self.dial_ins.append(dialled)
        return dialled

    async def _login(self, serial: str, username: str, password: str) -> DialIn:
        assert self.nas is not None
        now = datetime.now(UTC)
        try:
            await self._hang_up(serial)
            reply = await self.nas.login(username, password, method="chap")
            if not reply.accepted:
                return DialIn(serial, username, now, reply, None)
            session = self._up[serial] = LabSession.after(username, reply)
            await self.nas.accounting_start(session)
        except NoAnswer:
            return DialIn(serial, username, now, None, None)
        self.acs.spawn(self._account(self.nas, serial, session, reply))
        return DialIn(serial, username, now, reply, session)

    async def _account(self, nas: LabNas, serial: str, session: LabSession, reply: LoginReply) -> None:
        """As often as the login said, for as long as the session is up (RFC 2869 s5.16)."""
        every_seconds = float(reply.first("Acct-Interim-Interval") or 0)
        up_seconds = 0.0
        while every_seconds:
            await asyncio.sleep(every_seconds)
            up_seconds += every_seconds
            if self._up.get(serial) is not session:
                return
            with suppress(NoAnswer):  # the next one says as much
                await nas.accounting_interim(session, Usage(seconds=int(up_seconds)))

    async def _hang_up(self, serial: str) -> None:
        """A CPE that dials anew has lost its session before; the NAS says so, as far as it knows of one."""
        assert self.nas is not None
        if serial in self._up:
            await self.nas.accounting_stop(self._up[serial], Usage(seconds=0), cause="Lost-Carrier")
            del self._up[serial]

    def last_accepted(self, serial: str) -> DialIn | None:
        """The newest successful login of this CPE."""
        return next((d for d in reversed(self.dial_ins) if d.serial == serial and d.session is not None), None)

    async def stop(self) -> None:
        for task in self._dialling.values():
            task.cancel()
        await asyncio.gather(*self._dialling.values(), return_exceptions=True)
        for nas in self._nases:
            await nas.close()
        if self.freeradius is not None:
            await asyncio.to_thread(self.freeradius.stop)


@asynccontextmanager
async def open_world(home: Path, *, clock: Clock | None = None, sells: bool = False) -> AsyncIterator[LabWorld]:
    """A world without RADIUS yet (its tables come from the appliance): ACS, OLT and mail server answer on loopback, and
    whom an ISP has to do with that ``sells``."""
    async with AsyncExitStack() as stack:
        acs = LabAcs(clock=clock or WallClock())
        await acs.start()
        stack.push_async_callback(acs.stop)
        worlds: list[LabWorld] = []
        olt = LabOlt(
            on_authorised=lambda line: worlds[0].line_authorised(line),
            on_withdrawn=lambda line: worlds[0].line_withdrawn(line),
        )
        await stack.enter_async_context(olt)
        mail = await stack.enter_async_context(MailSink(home / "mail"))
        neighbours = await stack.enter_async_context(open_neighbours(home)) if sells else None
        world = LabWorld(acs=acs, olt=olt, mail=mail, neighbours=neighbours)
        worlds.append(world)
        stack.push_async_callback(world.stop)
        yield world
