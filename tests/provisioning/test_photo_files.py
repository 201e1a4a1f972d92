"""Photos as files: whole, named by what is in them, and mended by being sent again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from provisioning.photo_files import PhotoFiles, PhotoMissing, PhotoRefused

PICTURE = b"\x89PNG\r\n\x1a\n a very small picture"
NAME = sha256(PICTURE).hexdigest()


async def test_a_damaged_file_is_told_and_mended_when_the_picture_is_sent_again(tmp_path: Path) -> None:
    photos = PhotoFiles(tmp_path / "photos")
    kept = await photos.keep(PICTURE)
    assert (kept.sha256, kept.media_type, kept.size_bytes) == (NAME, "image/png", len(PICTURE))
    path = tmp_path / "photos" / NAME[:2] / NAME
    path.write_bytes(PICTURE[:9])
    with pytest.raises(PhotoMissing, match="missing or was changed"):
        await photos.read(NAME)
    assert await photos.keep(PICTURE) == kept
    assert await photos.read(NAME) == PICTURE
    assert [each.name for each in path.parent.iterdir()] == [NAME]


async def test_what_is_no_picture_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused):
        await PhotoFiles(tmp_path).keep(b"<svg/>")
    assert not (tmp_path / sha256(b"<svg/>").hexdigest()[:2]).exists()
