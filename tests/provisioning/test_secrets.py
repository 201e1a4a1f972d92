"""The vault: values come back, nothing else opens them, and a rotation survives being killed."""

from __future__ import annotations

import json
import os
import pickle
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database
from provisioning.tables import ProvisioningBase
from provisioning.vault import (
    Keyring,
    KeyringDamaged,
    KeyringExists,
    KeyringExposed,
    KeyringMissing,
    SealedSecret,
    SealingKeyUnknown,
    SecretMissing,
    SecretReferenceMalformed,
    SecretTampered,
    SecretVault,
    add_key,
    create_keyring,
    load_keyring,
    retire_keys,
    rotate,
)

PASSWORD = "correct horse battery staple"
REF = "secret:subscriber/42"


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path, clock: Clock) -> Path:
    file = tmp_path / "kept" / "sealing-key.json"
    create_keyring(file, now=clock)
    return file


@pytest.fixture
def keyring(path: Path) -> Keyring:
    return load_keyring(path)


@pytest.fixture
def vault(keyring: Keyring) -> SecretVault:
    return SecretVault(keyring, tenant_id="north")


@pytest.fixture
async def database(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(
            lambda sync: ProvisioningBase.metadata.create_all(sync, tables=[SealedSecret.metadata.tables["secret"]])
        )
    return database


def _lose(path: Path) -> None:
    path.unlink()


def _has_only_the_current_key(path: Path, key_id: str) -> None:
    assert [key["id"] for key in json.loads(path.read_text())["keys"]] == [key_id]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def _keys_of_rows(database: Database) -> list[str]:
    async with database.begin() as db:
        return list(await db.scalars(select(SealedSecret.key_id).order_by(SealedSecret.id)))


async def test_a_sealed_value_comes_back(database: Database, vault: SecretVault) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
    async with database.begin() as db:
        assert await vault.reveal(db, REF) == PASSWORD


async def test_the_row_does_not_hold_the_value(database: Database, vault: SecretVault) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        row = (await db.scalars(select(SealedSecret))).one()
    assert PASSWORD.encode() not in row.sealed
    assert row.key_id.encode() in row.sealed


async def test_sealing_again_replaces_the_value_and_leaves_one_row(database: Database, vault: SecretVault) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, "first")
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
    async with database.begin() as db:
        assert await vault.reveal(db, REF) == PASSWORD
        assert len((await db.scalars(select(SealedSecret.id))).all()) == 1


async def test_a_secret_that_was_rolled_back_does_not_exist(database: Database, vault: SecretVault) -> None:
    with pytest.raises(LookupError):
        async with database.begin() as db:
            await vault.seal(db, REF, PASSWORD)
            raise LookupError
    async with database.begin() as db:
        with pytest.raises(SecretMissing):
            await vault.reveal(db, REF)


async def test_a_discarded_value_is_gone_and_may_be_discarded_again(database: Database, vault: SecretVault) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        await vault.discard(db, REF)
        await vault.discard(db, REF)
    async with database.begin() as db:
        with pytest.raises(SecretMissing, match="secret:subscriber/42"):
            await vault.reveal(db, REF)


async def test_another_tenant_has_its_own_value_under_the_same_reference(
    database: Database, keyring: Keyring, vault: SecretVault
) -> None:
    other = SecretVault(keyring, tenant_id="south")
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        with pytest.raises(SecretMissing):
            await other.reveal(db, REF)
        await other.seal(db, REF, "another")
        assert await vault.reveal(db, REF) == PASSWORD


@pytest.mark.parametrize("moved_to", [{"ref": "secret:subscriber/43"}, {"tenant_id": "south"}])
async def test_a_row_moved_elsewhere_does_not_open(
    database: Database, keyring: Keyring, vault: SecretVault, moved_to: dict[str, str]
) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        await db.execute(update(SealedSecret).values(moved_to))
    reader = SecretVault(keyring, tenant_id=moved_to.get("tenant_id", "north"))
    async with database.begin() as db:
        with pytest.raises(SecretTampered):
            await reader.reveal(db, moved_to.get("ref", REF))


async def test_no_changed_byte_goes_unnoticed(database: Database, vault: SecretVault) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        sealed = (await db.scalars(select(SealedSecret.sealed))).one()
    for position in range(len(sealed)):
        changed = sealed[:position] + bytes((sealed[position] ^ 1,)) + sealed[position + 1 :]
        async with database.begin() as db:
            await db.execute(update(SealedSecret).values(sealed=changed))
            with pytest.raises((SecretTampered, SealingKeyUnknown)):
                await vault.reveal(db, REF)


@pytest.mark.parametrize("cut_to", [0, 1, 2, 14, 30])
async def test_a_cut_row_does_not_open(database: Database, vault: SecretVault, cut_to: int) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
        sealed = (await db.scalars(select(SealedSecret.sealed))).one()
        await db.execute(update(SealedSecret).values(sealed=sealed[:cut_to]))
        with pytest.raises(SecretTampered):
            await vault.reveal(db, REF)


@pytest.mark.parametrize(
    "ref", ["", "hunter2", "secret:", "secret:subscriber", "secret:a/b|c", f"secret:a/{'b' * 200}"]
)
async def test_a_text_that_is_no_reference_is_refused_and_not_repeated(
    database: Database, vault: SecretVault, ref: str
) -> None:
    async with database.begin() as db:
        with pytest.raises(SecretReferenceMalformed) as refused:
            await vault.seal(db, ref, PASSWORD)
    assert "hunter2" not in str(refused.value)


def test_a_keyring_is_its_owners_only_and_never_overwritten(path: Path, clock: Clock) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(KeyringExists):
        create_keyring(path, now=clock)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["sealing-key.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_keyring_that_others_may_touch_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(KeyringExposed, match=f"has mode {mode:04o}"):
        load_keyring(path)


def test_a_missing_keyring_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyringMissing, match="No such file"):
        load_keyring(tmp_path / "nowhere.json")


def test_a_damaged_keyring_is_refused_without_telling_its_keys(path: Path) -> None:
    content = json.loads(path.read_text())
    material = content["keys"][0]["material"]
    content["keys"][0]["material"] = material[:20]
    path.write_text(json.dumps(content))
    with pytest.raises(KeyringDamaged) as refused:
        load_keyring(path)
    assert material[:20] not in str(refused.value)
    assert refused.value.__suppress_context__
    path.write_text(f'{{"keys": [{material}')
    with pytest.raises(KeyringDamaged) as refused:
        load_keyring(path)
    assert material not in str(refused.value)


def test_keys_are_in_no_repr_and_in_no_pickle(path: Path, keyring: Keyring, vault: SecretVault) -> None:
    key = keyring.current()
    shown = f"{keyring!r} {vault!r} {key!r} {vars(keyring)!r}"
    assert repr(key.material) not in shown
    assert key.material.hex() not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)


async def test_a_running_process_notices_a_new_key(
    database: Database, path: Path, vault: SecretVault, clock: Clock
) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
    new = add_key(path, now=clock)
    async with database.begin() as db:
        await vault.seal(db, "secret:subscriber/43", "sealed by the new key")
        assert await vault.reveal(db, REF) == PASSWORD
    assert (await _keys_of_rows(database))[1] == new


async def test_a_process_that_cannot_keep_its_key_seals_nothing(
    database: Database, path: Path, vault: SecretVault
) -> None:
    _lose(path)
    async with database.begin() as db:
        with pytest.raises(KeyringMissing):
            await vault.seal(db, REF, PASSWORD)


async def test_a_keyring_without_the_key_says_which_and_may_be_retried(
    database: Database, vault: SecretVault, tmp_path: Path, clock: Clock
) -> None:
    async with database.begin() as db:
        await vault.seal(db, REF, PASSWORD)
    (key_id,) = await _keys_of_rows(database)
    create_keyring(tmp_path / "other.json", now=clock)
    stranger = SecretVault(load_keyring(tmp_path / "other.json"), tenant_id="north")
    async with database.begin() as db:
        with pytest.raises(SealingKeyUnknown, match=key_id) as refused:
            await stranger.reveal(db, REF)
    assert refused.value.transient


async def _seal_many(database: Database, vault: SecretVault, count: int) -> None:
    async with database.begin() as db:
        for number in range(count):
            await vault.seal(db, f"secret:subscriber/{number}", f"password {number}")


async def _reveal_many(database: Database, vault: SecretVault, count: int) -> list[str]:
    async with database.begin() as db:
        return [await vault.reveal(db, f"secret:subscriber/{number}") for number in range(count)]


async def test_a_rotation_seals_every_row_anew_and_retires_the_old_key_later(
    database: Database, path: Path, vault: SecretVault, clock: Clock
) -> None:
    await _seal_many(database, vault, 7)
    old = load_keyring(path).current().key_id
    done = await rotate(database.begin, path, now=clock, batch_rows=3)
    assert (done.resealed, done.unreadable, done.retired, done.kept) == (7, (), (), (old,))
    assert set(await _keys_of_rows(database)) == {done.current}
    assert await _reveal_many(database, vault, 7) == [f"password {number}" for number in range(7)]
    clock.moment += timedelta(hours=2)
    assert await retire_keys(database.begin, path, now=clock) == (old,)
    _has_only_the_current_key(path, done.current)


async def test_a_key_that_a_row_still_needs_is_not_retired(
    database: Database, path: Path, vault: SecretVault, clock: Clock
) -> None:
    await _seal_many(database, vault, 1)
    add_key(path, now=clock)
    clock.moment += timedelta(days=30)
    assert await retire_keys(database.begin, path, now=clock) == ()
    assert await _reveal_many(database, vault, 1) == ["password 0"]


async def test_a_rotation_killed_between_batches_goes_on_with_the_same_key(
    database: Database, path: Path, vault: SecretVault, clock: Clock
) -> None:
    await _seal_many(database, vault, 6)
    commits = 0

    @asynccontextmanager
    async def begin_then_die() -> AsyncIterator[AsyncSession]:
        nonlocal commits
        commits += 1
        if commits > 2:
            raise KeyboardInterrupt
        async with database.begin() as db:
            yield db

    with pytest.raises(KeyboardInterrupt):
        await rotate(begin_then_die, path, now=clock, batch_rows=2)
    keys = await _keys_of_rows(database)
    assert [keys.count(key) for key in dict.fromkeys(keys)] == [4, 2]
    done = await rotate(database.begin, path, now=clock, batch_rows=2)
    assert done.resealed == 2
    assert len(done.kept) == 1
    assert await _reveal_many(database, vault, 6) == [f"password {number}" for number in range(6)]
    assert (await rotate(database.begin, path, now=clock)).current != done.current


async def test_a_row_that_does_not_open_is_named_and_hinders_no_rotation(
    database: Database, path: Path, vault: SecretVault, clock: Clock
) -> None:
    await _seal_many(database, vault, 3)
    async with database.begin() as db:
        await db.execute(update(SealedSecret).where(SealedSecret.ref == "secret:subscriber/1").values(sealed=b"\x01"))
    first = await rotate(database.begin, path, now=clock)
    assert (first.resealed, first.unreadable) == (2, ("secret:subscriber/1",))
    second = await rotate(database.begin, path, now=clock)
    assert second.current != first.current
    assert second.resealed == 2


def test_a_rotation_leaves_the_file_to_its_owner(path: Path, clock: Clock) -> None:
    owner = os.geteuid()
    if owner == 0:  # an administrator rotates the service's keyring
        owner = 65534
        os.chown(path, owner, owner)
    add_key(path, now=clock)
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (owner, 0o600)


@pytest.mark.both_databases
async def test_many_values_are_kept_and_come_back_at_once_and_what_does_not_open_is_left_out(
    database: Database, path: Path
) -> None:
    vault = SecretVault(load_keyring(path), tenant_id="default")
    wanted = {f"secret:subscriber/{number}": f"password {number}" for number in range(1, 2101)}
    async with database.begin() as db:
        await vault.seal(db, "secret:subscriber/1", "an earlier one")
        await vault.seal_many(db, wanted)
        await vault.seal_many(db, {})
    async with database.begin() as db:
        await db.execute(update(SealedSecret).where(SealedSecret.ref == "secret:subscriber/7").values(sealed=b"x"))
        found = await vault.reveal_many(db, [*wanted, "secret:subscriber/9999"])
        one = await vault.reveal(db, "secret:subscriber/1")
        with pytest.raises(SecretReferenceMalformed):
            await vault.seal_many(db, {"nonsense": "x"})
    assert found == {ref: value for ref, value in wanted.items() if ref != "secret:subscriber/7"}
    assert one == "password 1"
