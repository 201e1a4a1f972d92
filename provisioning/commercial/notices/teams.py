"""The ISP's teams and how each is reached, as the estate file has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from sqlalchemy import Insert, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.notices.channels import EMAIL, fault_of, kind_of
from provisioning.commercial.notices.notice_errors import ChannelUnknown, TeamUnknown
from provisioning.commercial.notices.notice_tables import Team, TeamChannel
from provisioning.errors import ChangeRaced
from provisioning.intake import SECRET_REFERENCE, Faults
from provisioning.vault import SecretMissing, SecretVault

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class TeamRecord(TypedDict):
    """A team; of its channels the kind, never the address."""

    team: str
    email: str | None
    channels: dict[str, str]


def channel_ref(team: str, channel: str) -> str:
    """Where the vault keeps a channel's address."""
    return f"secret:notice/{team}/{channel}"


async def require_team(db: AsyncSession, tenant_id: str, team: str) -> Team:
    """Raises: TeamUnknown, naming those there are."""
    row = await db.get(Team, (tenant_id, team))
    if row is None:
        known = await db.scalars(select(Team.name).where(Team.tenant_id == tenant_id).order_by(Team.name))
        raise TeamUnknown(team, list(known))
    return row


async def require_channel(db: AsyncSession, tenant_id: str, team: str, channel: str) -> Team:
    """The team, if it can be reached like that.

    Raises: TeamUnknown, ChannelUnknown; each naming those there are.
    """
    row = await require_team(db, tenant_id, team)
    known = [each.name for each in await _channels(db, tenant_id, team)] + ([EMAIL] if row.email else [])
    if channel not in known:
        raise ChannelUnknown(team, channel, sorted(known))
    return row


class Teams:
    """Writes teams and their channels. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, vault: SecretVault, allowed: Collection[str]) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._vault = vault
        self._allowed = allowed

    async def define(self, *, name: str, email: str | None = None, channels: Mapping[str, str]) -> TeamRecord:
        """Make this team known with exactly these channels. Each is an Apprise address, which goes into the vault, or
        the reference under which it is there already. The channel *email* is the team's own address.

        Raises: InvalidRequest (all faults; no address is repeated in them), VaultError.
        """
        faults = Faults("The team")
        if not _NAME.fullmatch(name):
            faults.add("name", "is not 1 to 64 small letters, digits, - or _")
        address = faults.email("email", email) if email is not None else None
        for channel, given in channels.items():
            await self._look_at(name, channel, given, faults)
        faults.refuse_if_any()
        await self._write_team(name, address)
        known = {each.name: each for each in await _channels(self._db, self._tenant_id, name)}
        for channel in known.keys() - channels.keys():
            await self._drop(name, channel)
        for channel, given in channels.items():
            if not given.startswith(SECRET_REFERENCE):
                await self._write_channel(name, channel, given, known.get(channel))
        return await self.team(name)

    async def team(self, name: str) -> TeamRecord:
        """Raises: TeamUnknown."""
        row = await require_team(self._db, self._tenant_id, name)
        return await self._record(row)

    async def teams(self) -> list[TeamRecord]:
        """All of them, by name."""
        rows = await self._db.scalars(select(Team).where(Team.tenant_id == self._tenant_id).order_by(Team.name))
        return [await self._record(row) for row in rows.all()]

    async def _look_at(self, team: str, channel: str, given: str, faults: Faults) -> None:
        where = f"channels.{channel}"
        if not _NAME.fullmatch(channel):
            faults.add(where, "has a name that is not 1 to 64 small letters, digits, - or _")
        elif channel == EMAIL:
            faults.add(where, "is the team's own mail address; write it as email")
        elif not given.startswith(SECRET_REFERENCE):
            if (reason := fault_of(given, self._allowed)) is not None:
                faults.add(where, reason)
        elif given != channel_ref(team, channel):
            faults.add(where, f"refers to a secret that isn't its own: that would be {channel_ref(team, channel)}")
        elif not await self._is_kept(given):
            faults.add(where, f"refers to {given}, and nothing is kept there; write the address once")

    async def _is_kept(self, ref: str) -> bool:
        try:
            await self._vault.reveal(self._db, ref)
        except SecretMissing:
            return False
        return True

    async def _write_team(self, name: str, email: str | None) -> None:
        row = await self._db.get(Team, (self._tenant_id, name))
        if row is None:
            await self._insert(insert(Team).values(tenant_id=self._tenant_id, name=name, email=email))
        else:
            row.email = email
            await self._db.flush()  # a later question in this transaction must find it changed

    async def _write_channel(self, team: str, channel: str, address: str, known: TeamChannel | None) -> None:
        ref, kind = channel_ref(team, channel), kind_of(address)
        assert kind is not None, "an address without a kind has left a fault"
        if known is None:
            row = {"tenant_id": self._tenant_id, "team": team, "name": channel, "kind": kind, "address_ref": ref}
            await self._insert(insert(TeamChannel).values(row))
        elif await self._is_kept(ref) and await self._vault.reveal(self._db, ref) == address:
            return
        else:
            known.kind = kind
            await self._db.flush()
        await self._vault.seal(self._db, ref, address)

    async def _insert(self, statement: Insert) -> None:
        try:
            async with self._db.begin_nested():
                await self._db.execute(statement)
        except IntegrityError as exc:
            raise ChangeRaced from exc

    async def _drop(self, team: str, channel: str) -> None:
        ref = channel_ref(team, channel)
        await self._vault.discard(self._db, ref)
        await self._db.execute(
            delete(TeamChannel).where(
                TeamChannel.tenant_id == self._tenant_id, TeamChannel.team == team, TeamChannel.name == channel
            )
        )

    async def _record(self, row: Team) -> TeamRecord:
        channels = await _channels(self._db, self._tenant_id, row.name)
        return TeamRecord(team=row.name, email=row.email, channels={each.name: each.kind for each in channels})


async def _channels(db: AsyncSession, tenant_id: str, team: str) -> list[TeamChannel]:
    found = await db.scalars(
        select(TeamChannel)
        .where(TeamChannel.tenant_id == tenant_id, TeamChannel.team == team)
        .order_by(TeamChannel.name)
    )
    return list(found)
