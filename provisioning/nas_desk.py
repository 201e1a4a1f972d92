"""The door for NASes that are added or get another secret one by one; an estate file is the way for many.

A secret is made here, sealed, and shown once to whoever asked, with their name and reason kept. FreeRADIUS takes it up
by itself: a new NAS with its first packet, another secret within the time for which it remembers a NAS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.intake import Clock
from provisioning.reveals import reveal_with_reason
from provisioning.vault import SecretVault
from radius import (
    LOGIN_METHODS,
    CoaChange,
    CoaTerms,
    DefinedNas,
    NasChange,
    NasSessionsOpen,
    RadiusService,
    SessionReader,
)


class NasWithSecret(TypedDict):
    """A NAS and, this once, its secret; None where nothing was made. ``is_new`` is false of one there was."""

    nas: DefinedNas
    is_new: bool
    secret: str | None


class ChangedNas(TypedDict):
    """A NAS as it was and as it is now. ``sessions_left``: how many sessions are open under an address that it has no
    longer, where no request about them reaches it. ``sessions_to_be_found``: how many under what it is newly said to
    call itself; each is found with its next interim."""

    before: DefinedNas
    nas: DefinedNas
    sessions_left: int
    sessions_to_be_found: int


class RemovedNas(TypedDict):
    """A NAS as it was. ``sessions_left``: how many sessions are open under its address, where nothing reaches them."""

    nas: DefinedNas
    sessions_left: int


class SecretTakenUp(TypedDict):
    """From when on FreeRADIUS answers a NAS by its new secret: at ``earliest`` if it has not heard it lately, at
    ``latest`` in any case. None: its rows do not show it yet."""

    earliest: datetime | None
    latest: datetime | None


class NasDesk:
    """NASes within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        radius: RadiusService,
        sessions: SessionReader,
        vault: SecretVault,
        secret_at: Callable[[str], Awaitable[str | None]],
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._radius = radius
        self._sessions = sessions
        self._vault = vault
        self._secret_at = secret_at
        self._tenant_id = tenant_id
        self._now = now

    async def add(  # noqa: PLR0913 - each is a fact about the NAS
        self,
        *,
        name: str,
        address: str,
        dialect: str,
        by: str,
        reason: str,
        coa_port: int = 3799,
        login_methods: Sequence[str] = LOGIN_METHODS,
        lines: bool = False,
        coa: CoaTerms | None = None,
        calls_itself: Sequence[str] = (),
    ) -> NasWithSecret:
        """Make a NAS with a random secret. The same again changes nothing and shows nothing: ``keys reveal`` does.

        Raises: NasNameTaken, and as ``RadiusService.define_nas``; InvalidRequest without a name or reason.
        """
        nas, is_new = await self._radius.add_nas(
            name=name,
            address=address,
            dialect=dialect,
            coa_port=coa_port,
            login_methods=login_methods,
            lines=lines,
            coa=coa,
            calls_itself=calls_itself,
        )
        secret = await self._shown(nas, by=by, reason=reason) if is_new else None
        return NasWithSecret(nas=nas, is_new=is_new, secret=secret)

    async def change(self, name: str, said: NasChange, *, leave_sessions: bool = False) -> ChangedNas:
        """Bring a NAS to what is said of it; the rest stays as it is, its secret too. ``leave_sessions``: also to
        another address when sessions are open under its former one.

        Raises: NasUnknown, NasSessionsOpen, RadiusDatabaseUnavailable, RadiusDatabaseUnfit, and as
            ``RadiusService.define_nas``.
        """
        before, nas = await self._radius.change_nas(name=name, said=said)
        left = await sessions_left(self._sessions, before, nas["address"], leave=leave_sessions)
        found = [await self._sessions.how_many_open_at(said) for said in newly_called(before, nas)]
        return ChangedNas(before=before, nas=nas, sessions_left=left, sessions_to_be_found=sum(found))

    async def remove(self, name: str, *, leave_sessions: bool = False) -> RemovedNas:
        """Remove a NAS and its secret. FreeRADIUS knows it until that is carried over. ``leave_sessions``: also when
        sessions are open under its address.

        Raises: NasUnknown, NasLinesInUse, NasSessionsOpen, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        nas = await self._radius.remove_nas(name=name)
        left = sum([await self._sessions.how_many_open_at(each) for each in (nas["address"], *nas["calls_itself"])])
        if left and not leave_sessions:
            raise NasSessionsOpen(name, nas["address"], left, removed=True)
        return RemovedNas(nas=nas, sessions_left=left)

    async def adopt(self, name: str) -> tuple[DefinedNas, bool]:
        """Take over a NAS that FreeRADIUS knows from before, with the secret that it has there, which isn't shown;
        whether that was not so before.

        Raises: as ``RadiusService.adopt_nas``.
        """
        return await self._radius.adopt_nas(name=name, secret_at=self._secret_at)

    async def rotate_secret(self, name: str, *, by: str, reason: str) -> NasWithSecret:
        """Give a NAS another random secret; each call makes one.

        Raises: NasUnknown; InvalidRequest without a name or reason.
        """
        nas = await self._radius.rotate_nas_secret(name=name)
        return NasWithSecret(nas=nas, is_new=False, secret=await self._shown(nas, by=by, reason=reason))

    async def _shown(self, nas: DefinedNas, *, by: str, reason: str) -> str:
        return await reveal_with_reason(
            self._db, self._vault, nas["secret"], tenant_id=self._tenant_id, by=by, reason=reason, at=self._now()
        )


def in_audit(nas: DefinedNas) -> dict[str, Any]:
    """What the audit is to say of a NAS: its address as well, which is the ISP's own. Of what is called an address it
    keeps nothing, since most are a person's."""
    return {**nas, "ipv4": nas["address"]}


def newly_called(before: DefinedNas, after: DefinedNas) -> list[str]:
    """By which addresses it was not said to call itself before."""
    return [said for said in after["calls_itself"] if said not in before["calls_itself"]]


async def sessions_left(sessions: SessionReader, before: DefinedNas, address: str, *, leave: bool) -> int:
    """How many sessions a NAS leaves behind that gets this address: they are known by the one it had.

    Raises: NasSessionsOpen unless they may be left; RadiusDatabaseUnavailable, RadiusDatabaseUnfit.
    """
    if address == before["address"]:
        return 0
    left = await sessions.how_many_open_at(before["address"])
    if left and not leave:
        raise NasSessionsOpen(before["name"], before["address"], left)
    return left


def taken_up(nas: DefinedNas, *, remembered: timedelta) -> SecretTakenUp:
    """When FreeRADIUS goes by what its rows say of a NAS now; ``remembered`` is for how long it remembers one."""
    shown_at = nas["projected_at"] if nas["projected"] else None
    return SecretTakenUp(earliest=shown_at, latest=None if shown_at is None else shown_at + remembered)


async def address_said(radius: RadiusService, nas: str) -> str:
    """The address of a NAS that is said by its name or by its address, which need not be one's that is known.

    Raises: NasUnknown
    """
    try:
        return str(ip_address(nas))
    except ValueError:
        return (await radius.nas_named(name=nas))["address"]


def coa_said(
    *, keys: Sequence[str] | None, event_timestamp: bool | None, per_second: int | None, may_end: bool | None
) -> CoaChange:
    """What is said of how a NAS takes requests about its sessions. None: nothing is; no keys: those of its dialect;
    0 a second: as many as it takes."""
    said = CoaChange()
    if keys is not None:
        said["keys"] = tuple(keys)
    if event_timestamp is not None:
        said["event_timestamp"] = event_timestamp
    if per_second is not None:
        said["per_second"] = per_second or None
    if may_end is not None:
        said["may_end"] = may_end
    return said
