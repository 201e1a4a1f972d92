"""A lab NAS: logs subscribers in and accounts for their sessions as a BNG would, against any RADIUS server."""

from __future__ import annotations

import asyncio
import hashlib
import secrets as randomness
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any, Literal

from radius.testing.disconnects import NAS_IPV6_ADDRESS, DisconnectServer
from radius.testing.errors import NoAnswer
from radius.testing.wire import Reply, exchange, new_request

ACCESS_REQUEST, ACCOUNTING_REQUEST = 1, 4
_GIGAWORD = 2**32


@dataclass(frozen=True)
class LoginReply:
    """What a RADIUS server said to a login. Every attribute as text, by name; unknown ones by their number."""

    code: str
    attributes: Mapping[str, tuple[str, ...]]

    @property
    def accepted(self) -> bool:
        return self.code == "Access-Accept"

    def first(self, attribute: str) -> str | None:
        """The attribute's (first) value, None when the reply has none."""
        return next(iter(self.attributes.get(attribute, ())), None)

    @property
    def framed_ip_address(self) -> str | None:
        return self.first("Framed-IP-Address")

    @property
    def ipv6_wan_prefix(self) -> str | None:
        return self.first("Framed-IPv6-Prefix")

    @property
    def delegated_prefix(self) -> str | None:
        return self.first("Delegated-IPv6-Prefix")

    @property
    def service_class(self) -> bytes | None:
        """The octets that every accounting packet of the session repeats (RFC 2865 s5.25)."""
        told = self.first("Class")
        return None if told is None else bytes.fromhex(told)

    @property
    def rate_limit(self) -> str | None:
        """MikroTik's "upload/download"."""
        return self.first("Mikrotik-Rate-Limit")


@dataclass(frozen=True)
class LabSession:
    """A session at the lab NAS, with what the login gave it."""

    username: str
    framed_ip_address: str | None = None
    ipv6_wan_prefix: str | None = None
    delegated_prefix: str | None = None
    service_class: bytes | None = None
    calling_station: str = "02-00-00-00-00-01"
    nas_port: str = "lab0"
    line: Mapping[str, str | bytes] | None = None
    """More attributes that tell of it."""
    session_id: str = field(default_factory=lambda: randomness.token_hex(8))

    @classmethod
    def after(cls, username: str, reply: LoginReply) -> LabSession:
        """The session that follows an Access-Accept."""
        return cls(
            username=username,
            framed_ip_address=reply.framed_ip_address,
            ipv6_wan_prefix=reply.ipv6_wan_prefix,
            delegated_prefix=reply.delegated_prefix,
            service_class=reply.service_class,
        )


@dataclass(frozen=True)
class Usage:
    """What a session has used since it started; octets as the NAS counts them (input came from the subscriber)."""

    seconds: int
    input_octets: int = 0
    output_octets: int = 0


class LabNas:
    """One NAS at ``source_address``. Every reply is verified with ``secret``; silence raises ``NoAnswer``.

    With ``listen`` it also takes Disconnect- and CoA-Requests for the sessions whose start it has accounted for.
    """

    def __init__(
        self,
        *,
        name: str,
        secret: str,
        auth_port: int,
        acct_port: int,
        server: str = "127.0.0.1",
        source_address: str = "127.0.0.1",
        timeout_seconds: float = 6.0,
    ) -> None:
        self.name = name
        self.source_address = source_address
        self.timeout_seconds = timeout_seconds
        self._secret = secret
        self._server = server
        self._auth_port = auth_port
        self._acct_port = acct_port
        self.event_at: datetime | None = None  # when what it tells happened, and was kept since; None: it doesn't say
        self.clock_behind: timedelta | None = timedelta()  # by how much its clock is wrong; None: it has none
        self.tells_delay = True  # for how long it has kept what it tells (RFC 2866 s5.2)
        self.delay_seconds: int | None = None  # what it says of that instead, be it true or not
        self.calls_itself: tuple[str, ...] = ()  # by which addresses, if not by the one that its packets come from
        self.sessions: dict[str, LabSession] = {}  # those that are up, by their id
        self.on_disconnected: Callable[[LabSession], None] = lambda _session: None
        self._disconnects: DisconnectServer | None = None
        self._stops: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"LabNas({self.name!r} at {self.source_address})"

    @property
    def disconnects(self) -> DisconnectServer:
        """What it has been asked to end, and its mood about that."""
        assert self._disconnects is not None, "let it listen first"
        return self._disconnects

    async def listen(self, *, port: int = 0, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
        """Takes Disconnect-Requests from now on; returns the port. ``now`` is its clock."""
        _, self._disconnects = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: DisconnectServer(secret=self._secret, knows=self._knows, end=self._end, now=now, is_it=self._is_it),
            local_addr=(self.source_address, port),
        )
        return self._disconnects.port

    async def stops_told(self) -> None:
        """Until the server has answered the Stop of every session that was ended from outside (or was silent)."""
        await asyncio.gather(*self._stops)

    async def close(self) -> None:
        """Hears and says nothing any more; a Stop that isn't answered yet is given up."""
        if self._disconnects is not None:
            self._disconnects.close()
        for stop in self._stops:
            stop.cancel()
        await asyncio.gather(*self._stops, return_exceptions=True)

    def _is_it(self, address: str) -> bool:
        return address in (self.calls_itself or (self.source_address,))

    def _knows(self, username: str | None, session_id: str, framed_ip_address: str | None) -> bool:
        """Whether a session of all these at once is up."""
        session = self.sessions.get(session_id)
        return (
            session is not None
            and username in (None, session.username)
            and framed_ip_address in (None, session.framed_ip_address)
        )

    def _end(self, username: str | None, session_id: str, framed_ip_address: str | None) -> bool:
        """Ends a session of all these at once; its Stop follows by itself."""
        if not self._knows(username, session_id, framed_ip_address):
            return False
        session = self.sessions[session_id]
        del self.sessions[session_id]
        self.on_disconnected(session)
        if not self.disconnects.mood.keeps_quiet:
            stop = asyncio.get_running_loop().create_task(self._account_for_end(session))
            self._stops.add(stop)
            stop.add_done_callback(self._stops.discard)
        return True

    async def _account_for_end(self, session: LabSession) -> None:
        with suppress(NoAnswer):  # a NAS would repeat it; the laboratory's gives up
            await self.accounting_stop(session, Usage(seconds=0), cause="Admin-Reset")

    async def login(
        self,
        username: str,
        password: str,
        *,
        method: Literal["pap", "chap"] = "pap",
        calling_station: str = "02-00-00-00-00-01",
        nas_port: str = "lab0",
        line: Mapping[str, str | bytes] | None = None,
    ) -> LoginReply:
        """Ask the server about a PPPoE login (RFC 2865 s2; CHAP s2.2). ``line`` are more attributes that tell of it.

        Raises:
            NoAnswer: the server was silent. That is no reject: a NAS would ask its other server.
        """
        request = new_request(ACCESS_REQUEST, self._secret)
        self._say_where(request, username, calling_station, nas_port)
        request["Service-Type"] = "Framed-User"
        request["Framed-Protocol"] = "PPP"
        _say(request, line)
        if method == "pap":
            request["User-Password"] = request.PwCrypt(password)
        else:
            self._add_chap(request, password)
        reply = await self._exchange(request, self._auth_port)
        return LoginReply(reply.code, reply.attributes)

    async def line_login(
        self,
        user_name: str,
        *,
        calling_station: str = "02-00-00-00-00-01",
        nas_port: str = "lab0",
        line: Mapping[str, str | bytes] | None = None,
    ) -> LoginReply:
        """Ask the server who is on a line (IPoE): nobody types anything, and the password is the NAS' own for all.

        Raises:
            NoAnswer: the server was silent.
        """
        request = new_request(ACCESS_REQUEST, self._secret)
        self._say_where(request, user_name, calling_station, nas_port)
        _say(request, line)
        request["User-Password"] = request.PwCrypt("the same for every line")
        reply = await self._exchange(request, self._auth_port)
        return LoginReply(reply.code, reply.attributes)

    async def accounting_start(self, session: LabSession) -> None:
        """Tell the server that a session began. Returns when it has confirmed.

        Raises:
            NoAnswer: not confirmed; a NAS would repeat it.
        """
        self.sessions[session.session_id] = session
        await self._account(session, "Start")

    async def accounting_interim(self, session: LabSession, usage: Usage) -> None:
        """Tell the server what a session has used so far. ``NoAnswer`` as for a start."""
        await self._account(session, "Interim-Update", usage)

    async def accounting_stop(self, session: LabSession, usage: Usage, *, cause: str = "User-Request") -> None:
        """Tell the server that a session ended. ``NoAnswer`` as for a start."""
        self.sessions.pop(session.session_id, None)
        await self._account(session, "Stop", usage, {"Acct-Terminate-Cause": cause})

    async def accounting_on(self) -> None:
        """Tell the server that this NAS has restarted: none of its sessions lives any more. ``NoAnswer`` as for a
        start.
        """
        request = new_request(ACCOUNTING_REQUEST, self._secret)
        self._say_who(request)
        self._say_when(request)
        self.sessions.clear()
        request["Acct-Status-Type"] = "Accounting-On"
        request["Acct-Session-Id"] = randomness.token_hex(8)
        await self._exchange(request, self._acct_port)

    async def _account(
        self, session: LabSession, status: str, usage: Usage | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        request = new_request(ACCOUNTING_REQUEST, self._secret)
        self._say_where(request, session.username, session.calling_station, session.nas_port)
        self._say_when(request)
        request["Acct-Status-Type"] = status
        request["Acct-Session-Id"] = session.session_id
        for attribute, value in (
            ("Framed-IP-Address", session.framed_ip_address),
            ("Framed-IPv6-Prefix", session.ipv6_wan_prefix),
            ("Delegated-IPv6-Prefix", session.delegated_prefix),
            ("Class", session.service_class),
            *_counters(usage),
            *(more or {}).items(),
        ):
            if value is not None:
                request[attribute] = value
        _say(request, session.line)
        await self._exchange(request, self._acct_port)

    async def _exchange(self, request: Any, port: int) -> Reply:
        return await exchange(
            request,
            server=self._server,
            port=port,
            source=self.source_address,
            timeout_seconds=self.timeout_seconds,
        )

    def _say_who(self, request: Any) -> None:
        for said in self.calls_itself or (self.source_address,):
            if ":" in said:
                request[NAS_IPV6_ADDRESS] = [IPv6Address(said).packed]
            else:
                request["NAS-IP-Address"] = said
        request["NAS-Identifier"] = self.name

    def _say_when(self, request: Any) -> None:
        """RFC 2869 s5.3, and for how long it has been under way (RFC 2866 s5.2)."""
        if self.event_at is None:
            return
        kept_seconds = self.delay_seconds
        if kept_seconds is None:
            kept_seconds = int((datetime.now(UTC) - self.event_at).total_seconds())
        if self.clock_behind is not None:
            request["Event-Timestamp"] = int((self.event_at - self.clock_behind).timestamp())
        if self.tells_delay:
            request["Acct-Delay-Time"] = max(kept_seconds, 0)

    def _say_where(self, request: Any, username: str, calling_station: str, nas_port: str) -> None:
        self._say_who(request)
        request["User-Name"] = username
        request["NAS-Port-Id"] = nas_port
        request["NAS-Port-Type"] = "Virtual"
        if calling_station:
            request["Calling-Station-Id"] = calling_station

    @staticmethod
    def _add_chap(request: Any, password: str) -> None:
        """The digest of identifier, password and challenge (RFC 1994 s4.1)."""
        identifier, challenge = randomness.token_bytes(1), randomness.token_bytes(16)
        answer = hashlib.md5(identifier + password.encode() + challenge).digest()
        request["CHAP-Password"] = identifier + answer
        request["CHAP-Challenge"] = challenge


def _say(request: Any, attributes: Mapping[str, str | bytes] | None) -> None:
    for name, value in (attributes or {}).items():
        request[name] = value.encode() if name.startswith("ADSL-") and isinstance(value, str) else value


def _counters(usage: Usage | None) -> tuple[tuple[str, int], ...]:
    """32-bit octets and their overflows (RFC 2869 s5.1)."""
    if usage is None:
        return ()
    return (
        ("Acct-Session-Time", usage.seconds),
        ("Acct-Input-Octets", usage.input_octets % _GIGAWORD),
        ("Acct-Input-Gigawords", usage.input_octets // _GIGAWORD),
        ("Acct-Output-Octets", usage.output_octets % _GIGAWORD),
        ("Acct-Output-Gigawords", usage.output_octets // _GIGAWORD),
    )
