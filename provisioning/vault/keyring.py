"""The keyring: one small file of sealing keys, of which one is current and the others still open what they sealed.

Every change is written beside the file and moved into its place, so that a crash leaves the old or the new one, whole.
A running process notices a change by itself, so a rotation needs no restart.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from provisioning.vault.envelope import KEY_BYTES, KEY_ID, SealingKey
from provisioning.vault.errors import KeyringDamaged, KeyringExists, KeyringExposed, KeyringMissing, SealingKeyUnknown

MODE = 0o600


class StoredKey(BaseModel):
    """One key as the file has it.

    ``superseded_at``: since when another one is current. ``sealed_all_at``: when its rotation had reached every row.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=f"^{KEY_ID.pattern}$")]
    created_at: AwareDatetime
    superseded_at: AwareDatetime | None = None
    sealed_all_at: AwareDatetime | None = None
    material: Annotated[Base64Bytes, Field(repr=False, min_length=KEY_BYTES, max_length=KEY_BYTES)]


class StoredKeyring(BaseModel):
    """The file's content: keys in the order they were added, the last one current."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    format: Literal[1] = 1
    keys: Annotated[list[StoredKey], Field(min_length=1)]

    @model_validator(mode="after")
    def _only_the_last_is_current(self) -> Self:
        if len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("a key stands in it twice")
        if [key.superseded_at is None for key in self.keys] != [False] * (len(self.keys) - 1) + [True]:
            raise ValueError("exactly the last key must be current")
        return self

    @property
    def rotation_is_open(self) -> bool:
        """A key was added, and rows may still be under the one before."""
        return len(self.keys) > 1 and self.keys[-1].sealed_all_at is None


class Keyring:
    """The keys of one keyring file, re-read when it has changed. Get one from ``load_keyring``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = _fingerprint(path)
        self._keys = _sealing_keys(read_keyring(path))

    def __repr__(self) -> str:
        return f"Keyring({str(self.path)!r}, {len(self._keys)} keys)"

    def current(self) -> SealingKey:
        """The key that seals. The file must still be there: a value sealed by a lost key would be lost with us.

        Raises:
            VaultError: when the file is gone, exposed or damaged.
        """
        self._refresh()
        return next(reversed(self._keys.values()))

    def key(self, key_id: str) -> SealingKey:
        """The key that sealed a value.

        Raises:
            SealingKeyUnknown: it is not in the file.
            VaultError: when the file is gone, exposed or damaged.
        """
        if key_id not in self._keys:
            self._refresh()
        try:
            return self._keys[key_id]
        except KeyError:
            raise SealingKeyUnknown(key_id, self.path) from None

    def _refresh(self) -> None:
        fingerprint = _fingerprint(self.path)
        if fingerprint != self._seen:
            self._keys = _sealing_keys(read_keyring(self.path))
            self._seen = fingerprint


def load_keyring(path: Path) -> Keyring:
    """Open the keyring at ``path``.

    Raises:
        KeyringMissing, KeyringExposed, KeyringDamaged: each with what to do.
    """
    return Keyring(path)


def create_keyring(path: Path, *, now: Callable[[], datetime]) -> str:
    """Make a keyring with one new key, readable by its owner only, and tell the key's id.

    Raises:
        KeyringExists: a file stands there; it is never overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    stored = StoredKeyring(keys=[_new_key(now())])
    draft = _write_beside(path, stored)
    try:
        os.link(draft, path)  # unlike a rename, it fails when the name is taken
    except FileExistsError as exc:
        raise KeyringExists(path) from exc
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return stored.keys[0].id


def add_key(path: Path, *, now: Callable[[], datetime]) -> str:
    """Add a new key, current from now on, and tell its id. The older ones still open what they sealed."""
    with changing_keyring(path) as stored:
        moment = now()
        stored.keys[-1].superseded_at = moment
        stored.keys.append(_new_key(moment))
        return stored.keys[-1].id


@contextmanager
def changing_keyring(path: Path) -> Iterator[StoredKeyring]:
    """The file's content to change; written at the end of the block. Two operators changing it take turns.

    Raises:
        KeyringMissing, KeyringExposed, KeyringDamaged: each with what to do.
    """
    with _locked(path.parent):
        stored = read_keyring(path)
        yield stored
        draft = _write_beside(path, StoredKeyring.model_validate(stored.model_dump()))
        if os.geteuid() == 0:  # an administrator's rotation must not take the file from the service
            owner = path.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        draft.replace(path)
        _sync_folder(path.parent)


def read_keyring(path: Path) -> StoredKeyring:
    """The file's content, if nobody else can read it.

    Raises:
        KeyringMissing, KeyringExposed, KeyringDamaged: each with what to do.
    """
    try:
        with path.open("rb") as file:
            _refuse_if_exposed(path, os.fstat(file.fileno()))
            content = file.read()
    except OSError as exc:
        raise KeyringMissing(path, exc.strerror or "no reason given") from exc
    try:
        return StoredKeyring.model_validate_json(content)
    except ValidationError as exc:
        # The cause holds the file's text, keys and all, so it is not chained.
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        raise KeyringDamaged(path, f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}") from None


def _refuse_if_exposed(path: Path, status: os.stat_result) -> None:
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyringExposed(path, f"has mode {stat.S_IMODE(status.st_mode):04o}, so others can read or change it")
    if os.geteuid() not in (0, status.st_uid):
        raise KeyringExposed(path, f"belongs to user {status.st_uid}, not to the one who runs this")


def _new_key(moment: datetime) -> StoredKey:
    material = base64.b64encode(secrets.token_bytes(KEY_BYTES))
    return StoredKey(id=f"key-{secrets.token_hex(4)}", created_at=moment, material=material)


def _sealing_keys(stored: StoredKeyring) -> dict[str, SealingKey]:
    return {key.id: SealingKey(key.id, key.material) for key in stored.keys}


def _fingerprint(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as exc:
        raise KeyringMissing(path, exc.strerror or "no reason given") from exc
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write_beside(path: Path, stored: StoredKeyring) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600 from its first moment
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(stored.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise KeyringMissing(folder, exc.strerror or "no reason given") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
