"""Who signs in at the console: a name, a role, a password that is kept as a hash; never deleted, only disabled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, Select, String, Text, UniqueConstraint, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.access.console_sessions import end_sessions_of
from provisioning.access.errors import LoginNameTaken, UserUnknown
from provisioning.access.roles import ROLES, Role
from provisioning.access.tokens import check_whose
from provisioning.intake import Clock, Faults
from provisioning.tables import Identity, ProvisioningBase, RowId, TenantId

LONGEST_LOGIN_NAME = 64

_LOGIN_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]*[a-z0-9])?")


class ConsoleUser(ProvisioningBase):
    """One person. Without ``password_hash`` they have not opened their link yet."""

    __tablename__ = "console_user"
    __table_args__ = (
        UniqueConstraint("tenant_id", "login_name", name="uq_console_user_login_name"),
        CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name="partner"),
        CheckConstraint("(role = 'technician') = (technician_id IS NOT NULL)", name="technician"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    login_name: Mapped[str] = mapped_column(String(LONGEST_LOGIN_NAME))
    display_name: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Text)
    partner_id: Mapped[int | None] = mapped_column(Identity)
    technician_id: Mapped[int | None] = mapped_column(Identity)
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


@dataclass(frozen=True)
class UserView:
    """A person as they are listed; nothing of their password but whether there is one."""

    user_id: int
    login_name: str
    display_name: str
    role: Role
    partner_id: int | None
    technician_id: int | None
    has_password: bool
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None


class Users:
    """The people of one tenant. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def add(
        self,
        *,
        login_name: str,
        display_name: str,
        role: str,
        partner_id: int | None = None,
        technician_id: int | None = None,
    ) -> UserView:
        """A new person, who can't sign in before they have set a password.

        Raises: InvalidRequest with all faults; LoginNameTaken.
        """
        faults = Faults("The user")
        name = read_login_name(faults, login_name)
        shown = faults.line("display_name", display_name, longest=100)
        _check_role(faults, role, partner_id, technician_id)
        faults.refuse_if_any()
        row = ConsoleUser(
            tenant_id=self._tenant_id,
            login_name=name,
            display_name=shown,
            role=cast(Role, role),
            partner_id=partner_id,
            technician_id=technician_id,
            created_at=self._now(),
        )
        try:
            async with self._db.begin_nested():
                self._db.add(row)
                await self._db.flush()
        except IntegrityError as error:
            raise LoginNameTaken(name) from error
        return _view(row)

    async def users(self) -> list[UserView]:
        """All there are and were, by their names."""
        return [_view(row) for row in await self._db.scalars(self._own().order_by(ConsoleUser.login_name))]

    async def user(self, login_name: str) -> UserView:
        """Raises: UserUnknown."""
        return _view(await self._row(login_name))

    async def is_empty(self) -> bool:
        """Whether nobody was ever added."""
        return not await self._db.scalar(select(func.count()).select_from(self._own().subquery()))

    async def give_role(
        self, login_name: str, role: str, *, partner_id: int | None = None, technician_id: int | None = None
    ) -> UserView:
        """What they may do from their next request on. Raises: InvalidRequest with all faults; UserUnknown."""
        faults = Faults("The user")
        _check_role(faults, role, partner_id, technician_id)
        faults.refuse_if_any()
        row = await self._row(login_name, lock=True)
        row.role, row.partner_id, row.technician_id = cast(Role, role), partner_id, technician_id
        await self._db.flush()
        return _view(row)

    async def disable(self, login_name: str) -> UserView:
        """They are signed out everywhere and can't sign in; who was disabled stays so. Raises: UserUnknown."""
        row = await self._row(login_name, lock=True)
        row.disabled_at = row.disabled_at or self._now()
        await self._db.flush()
        await end_sessions_of(self._db, row.id, at=self._now())
        return _view(row)

    async def enable(self, login_name: str) -> UserView:
        """They can sign in again, with the password that they had. Raises: UserUnknown."""
        row = await self._row(login_name, lock=True)
        row.disabled_at = None
        await self._db.flush()
        return _view(row)

    async def set_password_hash(self, user_id: int, password_hash: str) -> UserView:
        """Their new password, as its hash; who was signed in with the one before is signed out."""
        row = await self._db.get_one(ConsoleUser, user_id, with_for_update=True, populate_existing=True)
        row.password_hash = password_hash
        await self._db.flush()
        await end_sessions_of(self._db, user_id, at=self._now())
        return _view(row)

    async def password_of(self, login_name: str) -> tuple[UserView, str] | None:
        """Whom this name means and the hash of their password; None: nobody can sign in with it."""
        row = await self._db.scalar(self._own().where(ConsoleUser.login_name == login_name.strip().casefold()))
        if row is None or row.disabled_at is not None or row.password_hash is None:
            return None
        return _view(row), row.password_hash

    def _own(self) -> Select[ConsoleUser]:
        return select(ConsoleUser).where(ConsoleUser.tenant_id == self._tenant_id)

    async def _row(self, login_name: str, *, lock: bool = False) -> ConsoleUser:
        query = self._own().where(ConsoleUser.login_name == login_name.strip().casefold())
        if lock:
            query = query.with_for_update().execution_options(populate_existing=True)
        row = await self._db.scalar(query)
        if row is None:
            raise UserUnknown(login_name)
        return row


def read_login_name(faults: Faults, login_name: str) -> str:
    """The name in small letters, in which it is kept and compared."""
    name = faults.line("login_name", login_name, longest=LONGEST_LOGIN_NAME).casefold()
    if name and not _LOGIN_NAME.fullmatch(name):
        faults.add("login_name", "has other characters than letters, digits and . _ @ - between them")
    return name


def _check_role(faults: Faults, role: str, partner_id: int | None, technician_id: int | None) -> None:
    if role not in ROLES:
        faults.add("role", f"is none of {', '.join(ROLES)}: {role}")
        return
    check_whose(faults, role, {"partner_id": partner_id, "technician_id": technician_id})


def _view(row: ConsoleUser) -> UserView:
    return UserView(
        user_id=row.id,
        login_name=row.login_name,
        display_name=row.display_name,
        role=row.role,
        partner_id=row.partner_id,
        technician_id=row.technician_id,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
        disabled_at=row.disabled_at,
    )
