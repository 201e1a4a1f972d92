"""The key that all provisioning codes of a tenant are made of, and the one before it.

Another key makes other codes, and CPEs in the field have the former ones: from a DHCP lease, from a technician's van.
So those stay good for a time that whoever rotates the key chooses. A CPE whose code is good no more loses nothing but
time: it gets its settings by a task, some seconds after its first Inform.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Literal

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.errors import CodesRotatedLately
from acs.ports import Now, Secrets
from acs.serials import canonical_serial
from acs.tables import AcsCodeKey, AcsDevice

log = structlog.get_logger(__name__)

FIRST_SESSION_KEY = "secret:first_session/key"
"""Under which the key of all provisioning codes is sealed."""
FORMER_KEY = "secret:first_session/former_key"
"""The one before it. After its time it opens nothing; it still tells an old code from a wrong one."""
WAITING = ("awaiting_first_inform", "queued", "unreachable")
"""States of a CPE that may have its first settings yet to come."""

Match = Literal["current", "former", "old", "none"]
"""Of which key a code is: ``old`` is the former one after its time."""


def provisioning_code(key: str, *, tenant_id: str, serial: str) -> str:
    """By what the CPE with that serial number proves who it is: 32 letters and digits (160 bits of HMAC-SHA-256).

    Raises: SerialMalformed.
    """
    whose = f"{tenant_id}|{canonical_serial(serial)}".encode()  # no tenant's id has a bar in it
    digest = hmac.digest(key.encode(), whose, hashlib.sha256)
    return base64.b32encode(digest[:20]).decode().lower()


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """The keys as they are at one moment. Without a ``current`` one no code was ever made, or it does not open."""

    current: str | None = field(default=None, repr=False)
    former: str | None = field(default=None, repr=False)
    former_is_good: bool = False

    def match(self, code: str, *, tenant_id: str, serial: str) -> Match:
        """Of which key the code of that CPE is; takes as long whatever comes of it. Raises: SerialMalformed."""
        found: Match = "none"
        former: Match = "former" if self.former_is_good else "old"
        keys: tuple[tuple[str | None, Match], ...] = ((self.former, former), (self.current, "current"))
        for key, name in keys:
            wanted = provisioning_code(key or "", tenant_id=tenant_id, serial=serial)
            if hmac.compare_digest(wanted.encode(), code.encode()) and key:
                found = name
        return found


class CodeKeyRecord(TypedDict):
    """How it stands with the key. ``former_until``: how long codes of the former one are good, None without one.

    ``former_used_at``: when a CPE last proved itself by such a code, and which. ``waiting``: CPEs that may yet ask in
    their first session. ``rotated``: this call has made a new key.
    """

    rotated_at: datetime | None
    former_until: datetime | None
    former_is_good: bool
    former_used_at: datetime | None
    former_used_by: str | None
    waiting: int
    rotated: bool


class ProvisioningCodes:
    """The keys of one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, secrets: Secrets) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def keys(self) -> CodeKeys:
        """By which codes are made and proven now; one that does not open is as none."""
        opened = await self._secrets.reveal_many(self._db, [FIRST_SESSION_KEY, FORMER_KEY])
        row = await self._row()
        former = opened.get(FORMER_KEY)
        return CodeKeys(opened.get(FIRST_SESSION_KEY), former, former is not None and self._is_good(row))

    async def record(self, *, rotated: bool = False) -> CodeKeyRecord:
        """How it stands."""
        row = await self._row()
        waiting = select(func.count()).select_from(AcsDevice).where(*self._waiting())
        return CodeKeyRecord(
            rotated_at=None if row is None else row.rotated_at,
            former_until=None if row is None else row.former_until,
            former_is_good=self._is_good(row),
            former_used_at=None if row is None else row.former_used_at,
            former_used_by=None if row is None else row.former_used_by,
            waiting=await self._db.scalar(waiting) or 0,
            rotated=rotated,
        )

    async def waiting(self) -> list[str]:
        """The serials of CPEs that may yet ask in their first session, by when they were bound."""
        return list(await self._db.scalars(select(AcsDevice.serial).where(*self._waiting()).order_by(AcsDevice.id)))

    async def check_rotation(self, *, keep: timedelta) -> None:
        """Raises: CodesRotatedLately when it would end codes that were promised to be good for longer."""
        row = await self._row()
        if keep and row is not None and self._is_good(row) and row.former_until is not None:
            raise CodesRotatedLately(row.rotated_at or self._now(), row.former_until)

    async def rotate(self, *, keep: timedelta, request_id: str | None = None) -> CodeKeyRecord:
        """A new key, and with it new codes; those of the one before are good for as long as ``keep``, at zero no more.

        The request made again changes nothing. Raises: CodesRotatedLately.
        """
        row = await self._made_row()
        if request_id is not None and row.request_id == request_id:
            return await self.record()
        await self.check_rotation(keep=keep)
        opened = await self._secrets.reveal_many(self._db, [FIRST_SESSION_KEY])
        former = opened.get(FIRST_SESSION_KEY)
        if former is None:  # none was made yet, or it opens no more: no code of it is good in any case
            await self._secrets.discard(self._db, FORMER_KEY)
        else:
            await self._secrets.seal(self._db, FORMER_KEY, former)
        await self._secrets.seal(self._db, FIRST_SESSION_KEY, token_hex(32))
        now = self._now()
        row.rotated_at, row.request_id = now, request_id
        row.former_until = None if former is None else now + keep
        row.former_used_at = row.former_used_by = None
        await self._db.flush()
        log.warning("key of provisioning codes rotated", former_until=str(row.former_until))
        return await self.record(rotated=True)

    async def end_former(self) -> CodeKeyRecord:
        """Codes of the former key are good no more; nothing happens where that is so."""
        row = await self._row(locked=True)
        now = self._now()
        if row is not None and row.former_until is not None and row.former_until > now:
            row.former_until = now
            await self._db.flush()
            log.warning("former provisioning codes ended")
        return await self.record()

    async def former_was_used(self, serial: str) -> None:
        """A CPE has proven itself by a code of the former key."""
        row = await self._row(locked=True)
        if row is not None:
            row.former_used_at, row.former_used_by = self._now(), serial

    def _is_good(self, row: AcsCodeKey | None) -> bool:
        return row is not None and row.former_until is not None and row.former_until > self._now()

    def _waiting(self) -> tuple[ColumnElement[bool], ...]:
        return (
            AcsDevice.tenant_id == self._tenant_id,
            AcsDevice.state.in_(WAITING),
            AcsDevice.applied_at.is_(None),
            AcsDevice.handed_over_at.is_(None),
        )

    async def _row(self, *, locked: bool = False) -> AcsCodeKey | None:
        query = select(AcsCodeKey).where(AcsCodeKey.tenant_id == self._tenant_id)
        return (await self._db.scalars(query.with_for_update() if locked else query)).one_or_none()

    async def _made_row(self) -> AcsCodeKey:
        """Locked, so that of two who rotate at once the second sees what the first has done."""
        row = await self._row(locked=True)
        if row is None:
            insert = insert_postgresql if self._db.get_bind().dialect.name == "postgresql" else insert_sqlite
            made = insert(AcsCodeKey).values(tenant_id=self._tenant_id)
            await self._db.execute(made.on_conflict_do_nothing(index_elements=["tenant_id"]))
            row = await self._row(locked=True)
        assert row is not None, "it was there, or was made"
        return row
