"""A NAS whose secret does not open is not asked, and why it does not open is said as it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from provisioning.tables import ProvisioningBase
from provisioning.vault import SealedSecret, SecretVault, create_keyring, load_keyring
from radius.coa.doors import KnownNas, doors_or_reasons
from tests.radius.conftest import Site

ADDRESS, SECRET = "192.0.2.41", "a-secret-of-24-characters"
REF = "secret:nas/1"


def _new_keyring(path: Path) -> Path:
    create_keyring(path, now=lambda: datetime.now(UTC))
    return path


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    return _new_keyring(tmp_path / "sealing-key.json")


@pytest.fixture
async def kept(site: Site, keyring: Path) -> Site:
    """A NAS whose secret is in the appliance's own vault."""
    async with site.database.engine.begin() as connection:
        tables = [SealedSecret.metadata.tables["secret"]]
        await connection.run_sync(lambda sync: ProvisioningBase.metadata.create_all(sync, tables=tables))
    async with site.database.begin() as db:
        await site.service(db).define_nas(name="bng-7", address=ADDRESS, dialect="mikrotik")
        await _vault(site, keyring).seal(db, REF, SECRET)
    return site


def _key_in(keyring: Path) -> str:
    return str(json.loads(keyring.read_text())["keys"][0]["id"])


def _vault(site: Site, keyring: Path) -> SecretVault:
    return SecretVault(load_keyring(keyring), tenant_id=site.tenant_id)


async def _door(site: Site, vault: SecretVault) -> KnownNas | str:
    doors = await doors_or_reasons(site.database.begin, {ADDRESS}, tenant_id=site.tenant_id, secrets=vault)
    return doors[ADDRESS]


async def test_a_secret_that_opens_is_the_door(kept: Site, keyring: Path) -> None:
    known = await _door(kept, _vault(kept, keyring))
    assert isinstance(known, KnownNas) and known.door.secret == SECRET


async def test_a_secret_that_is_not_kept_is_said_to_be_missing(kept: Site, keyring: Path) -> None:
    vault = _vault(kept, keyring)
    async with kept.database.begin() as db:
        await vault.discard(db, REF)
    assert await _door(kept, vault) == (
        f"the secret of NAS bng-7 does not open (Nothing is kept under {REF}: it was never sealed, or has been"
        " discarded)"
    )


async def test_a_keyring_without_its_key_is_named_with_that_key(kept: Site, keyring: Path, tmp_path: Path) -> None:
    sealed_by = _key_in(keyring)
    other = _new_keyring(tmp_path / "other.json")
    assert await _door(kept, _vault(kept, other)) == (
        f"the secret of NAS bng-7 does not open ({other} lacks {sealed_by}, which sealed a secret; copy the newest"
        " keyring, or its backup, here)"
    )


async def test_a_keyring_that_is_gone_is_said_to_be_gone(kept: Site, keyring: Path, tmp_path: Path) -> None:
    other = _new_keyring(tmp_path / "other.json")
    vault = _vault(kept, other)
    other.unlink()
    said = str(await _door(kept, vault))
    assert said.startswith(f"the secret of NAS bng-7 does not open (The keyring {other} can't be read (No such file")


async def test_a_row_that_was_changed_is_said_to_be_changed(kept: Site, keyring: Path) -> None:
    async with kept.database.begin() as db:
        sealed = (await db.get_one(SealedSecret, 1)).sealed
        await db.execute(update(SealedSecret).values(sealed=sealed[:-1] + bytes((sealed[-1] ^ 1,))))
    said = str(await _door(kept, _vault(kept, keyring)))
    assert said.endswith(f"(What is kept under {REF} doesn't open: the row was changed or moved; set a new value)")
    assert SECRET not in said
