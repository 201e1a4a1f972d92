"""People, their passwords and links: all faults are named, only the newest link opens, tenants are apart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import (
    ROLES,
    ConsoleSessions,
    InvitationOver,
    Invitations,
    LoginNameTaken,
    Passwords,
    SessionOver,
    SignInRefused,
    Users,
    UserUnknown,
    check_password,
    forget_old_sessions,
)
from provisioning.access.console_sessions import KEPT_FOR, LASTS, form_token
from provisioning.database import Database
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults
from provisioning.tables import ProvisioningBase
from tests.support.console import CHEAP

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GOOD = "correct horse battery staple"


@pytest.fixture
async def begin(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    return database


def users(db: AsyncSession, *, tenant: str = "north", at: datetime = NOW) -> Users:
    return Users(db, tenant_id=tenant, now=lambda: at)


def sessions(db: AsyncSession, *, tenant: str = "north", at: datetime = NOW) -> ConsoleSessions:
    return ConsoleSessions(db, tenant_id=tenant, now=lambda: at)


def links(db: AsyncSession, *, tenant: str = "north", at: datetime = NOW) -> Invitations:
    return Invitations(db, tenant_id=tenant, now=lambda: at)


async def test_a_name_is_one_person_of_one_tenant_however_it_is_written(begin: Database) -> None:
    async with begin.begin() as db:
        nora = await users(db).add(login_name=" Nora.Bell ", display_name="Nora", role="noc")
        assert (nora.login_name, nora.has_password) == ("nora.bell", False)
        with pytest.raises(LoginNameTaken, match=r"Somebody signs in as nora\.bell already"):
            await users(db).add(login_name="NORA.BELL", display_name="Other", role="admin")
        await users(db, tenant="south").add(login_name="nora.bell", display_name="Other", role="admin")
        assert [user.role for user in await users(db).users()] == ["noc"]
        with pytest.raises(UserUnknown):
            await users(db).give_role("paul", "noc")
        for field, wish in (
            ("login_name", {"login_name": "n n"}),
            ("login_name", {"login_name": ""}),
            ("login_name", {"login_name": ".nora"}),
            ("display_name", {"display_name": "a\nb"}),
            ("role", {"role": "king"}),
            ("technician_id", {"role": "technician"}),
            ("partner_id", {"partner_id": 7}),
        ):
            given = {"login_name": "eve", "display_name": "Eve", "role": "noc", **wish}
            with pytest.raises(InvalidRequest) as refused:
                await users(db).add(**given)  # type: ignore[arg-type]
            assert [fault.field for fault in refused.value.faults] == [field]


async def test_a_session_is_its_persons_as_they_are_now(begin: Database) -> None:
    async with begin.begin() as db:
        nora = await users(db).add(login_name="nora", display_name="Nora", role="noc")
        with pytest.raises(SignInRefused):  # they have none
            await sessions(db).begin(nora.user_id, password_hash="a hash")
        await users(db).set_password_hash(nora.user_id, "a hash")
        with pytest.raises(SignInRefused):
            await sessions(db).begin(nora.user_id, password_hash="the one before")
        token = await sessions(db).begin(nora.user_id, password_hash="a hash")
        found = await sessions(db).find(token)
        assert (found.caller.name, found.caller.permissions, found.caller.user_id) == ("nora", ROLES["noc"], 1)
        assert found.form_token == form_token(token) and token not in found.form_token
        assert (await users(db).user("nora")).signed_in_at == NOW
        await users(db).give_role("nora", "technician", technician_id=7)
        again = await sessions(db).find(token)
        assert (again.caller.technician_id, again.caller.permissions) == (7, ROLES["technician"])
        late = NOW + LASTS
        assert (await sessions(db, at=late - timedelta(seconds=1)).find(token)).session_id == found.session_id
        for door, value in (
            (sessions(db, at=late), token),
            (sessions(db, tenant="south"), token),
            (sessions(db), token + "x"),
            (sessions(db), ""),
            (sessions(db), None),
        ):
            with pytest.raises(SessionOver):
                await door.find(value)
        await users(db).disable("nora")
        with pytest.raises(SignInRefused):
            await sessions(db).begin(nora.user_id, password_hash="a hash")
        await users(db).enable("nora")
        with pytest.raises(SessionOver):  # who is let in again signs in again
            await sessions(db).find(token)
        await forget_old_sessions(db, tenant_id="north", now=NOW + KEPT_FOR + timedelta(seconds=1))
        assert await sessions(db).running([found.session_id]) == set()


@pytest.mark.both_databases
async def test_who_is_disabled_while_their_session_begins_has_none_when_they_are_enabled_again(begin: Database) -> None:
    async def disable() -> None:
        async with begin.begin() as db:
            await users(db).disable("nora")

    async with begin.begin() as db:
        nora = await users(db).add(login_name="nora", display_name="Nora", role="noc")
        await users(db).set_password_hash(nora.user_id, "a hash")
    async with asyncio.TaskGroup() as tasks, begin.begin() as db:
        token = await sessions(db).begin(nora.user_id, password_hash="a hash")
        tasks.create_task(disable())
    async with begin.begin() as db:
        await users(db).enable("nora")
        with pytest.raises(SessionOver):
            await sessions(db, at=NOW + timedelta(seconds=1)).find(token)


async def test_of_a_person_only_the_newest_link_opens_and_once(begin: Database) -> None:
    async with begin.begin() as db:
        nora = await users(db).add(login_name="nora", display_name="Nora", role="noc")
        paul = await users(db).add(login_name="paul", display_name="Paul", role="noc")
        old, other = [await links(db).make(user_id=one.user_id, by="a test") for one in (nora, paul)]
        new = await links(db).make(user_id=nora.user_id, by="a test")
        assert new.path not in repr(new)
        first = await links(db).make(user_id=None, by="serve")
        tokens = {name: made.path.rpartition("/")[2] for name, made in (("old", old), ("new", new), ("first", first))}
        assert (await links(db).open(other.path.rpartition("/")[2])).login_name == "paul"
        for name in ("old", "first"):  # the first person has come already
            with pytest.raises(InvitationOver):
                await links(db).open(tokens[name])
        for door in (links(db, at=NOW + timedelta(days=1)), links(db, tenant="south")):
            with pytest.raises(InvitationOver):
                await door.open(tokens["new"])
        assert (await links(db).use(tokens["new"])).user_id == nora.user_id
        with pytest.raises(InvitationOver):
            await links(db).use(tokens["new"])


async def test_passwords_are_compared_by_argon2id_and_nobody_has_none() -> None:
    passwords = Passwords(CHEAP)
    hashed = await passwords.hash(GOOD)
    assert hashed.startswith("$argon2id$") and GOOD not in hashed
    assert [await passwords.matches(hashed, word) for word in (GOOD, GOOD + "x", "")] == [True, False, False]
    assert not await passwords.matches(None, "nobody's")
    assert not await passwords.matches("no hash", GOOD)


@pytest.mark.parametrize(
    ("password", "faults"),
    [
        (GOOD, []),
        ("a" * 201, ["has more than 200 characters", "is nearly always the same character"]),
        ("short", ["has fewer than 12 characters"]),
        ("my name is Nora Bell", ["holds the name"]),
        ("aaaaaaaaaaaab", ["is nearly always the same character"]),
    ],
)
def test_every_fault_of_a_password_is_named(password: str, faults: list[str]) -> None:
    found = Faults("The password")
    check_password(found, password, login_name="nora")
    try:
        found.refuse_if_any()
    except InvalidRequest as refused:
        assert [fault.reason for fault in refused.faults] == faults
    else:
        assert faults == []
