"""Photos as files beside the database, each named by the SHA-256 of what is in it: the same picture is one file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import ProvisioningError

MOST_BYTES = 8 * 1024 * 1024
# What browsers draw and nothing runs in: the first bytes tell, whatever the sender says.
_KINDS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


class PhotoRefused(ProvisioningError):
    """This is no picture that is taken here."""

    code = "photo.refused"


class PhotoMissing(ProvisioningError):
    """The picture's file is not there any more, or is another one."""

    code = "photo.missing"

    def __init__(self, sha256: str) -> None:
        self.sha256 = sha256
        super().__init__(f"The file of photo {sha256[:12]} is missing or was changed; bring it back from a backup.")


@dataclass(frozen=True)
class KeptPhoto:
    """A picture whose file is safe."""

    sha256: str
    media_type: str
    size_bytes: int


class PhotoFiles:
    """The folder of photos."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, content: bytes) -> KeptPhoto:
        """The picture's file is on the disk when this returns. The same picture again changes nothing, unless its file
        was damaged.

        Raises: PhotoRefused, OSError.
        """
        media_type = _kind(content)
        if media_type is None:
            raise PhotoRefused("The photo is neither a JPEG nor a PNG.")
        kept = KeptPhoto(hashlib.sha256(content).hexdigest(), media_type, len(content))
        await asyncio.to_thread(_write, _path(self._folder, kept.sha256), content)
        return kept

    async def read(self, sha256: str) -> bytes:
        """Raises: PhotoMissing (also when what is in it isn't what was kept)."""
        path = _path(self._folder, sha256)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise PhotoMissing(sha256) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise PhotoMissing(sha256)
        return content


def _kind(content: bytes) -> str | None:
    return next((name for magic, name in _KINDS if content.startswith(magic)), None)


def _path(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: the file gets its name when all of it is on the disk, and so are both of its folders.

    A file that is there already, and is another one than its name says, was damaged: it is written anew.
    """
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync_folder(path.parent.parent)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        _sync_folder(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)  # where it has its own name by now, there is none


def _sync_folder(folder: Path) -> None:
    """What has a name in this folder by now has it after a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
