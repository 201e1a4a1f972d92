"""Files that commands write: whole, or as they were before."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

import pytest

from provisioning.cli.replacing import replacing


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_when_all_of_it_is_written_and_keeps_its_permissions(tmp_path: Path) -> None:
    path, link = tmp_path / "report.csv", tmp_path / "latest.csv"
    path.write_text("of yesterday\n")
    path.chmod(0o640)
    link.symlink_to(path)
    with replacing(link) as target:
        target.write("of today\n")
        target.flush()
        assert path.read_text() == "of yesterday\n"
    assert (path.read_text(), mode_of(path), link.is_symlink()) == ("of today\n", 0o640, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["latest.csv", "report.csv"]


def test_what_is_raised_meanwhile_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path, new = tmp_path / "report.csv", tmp_path / "new.csv"
    path.write_text("of yesterday\n")
    for each in (path, new):
        with pytest.raises(ValueError, match="refused"), replacing(each) as target:
            target.write("half of")
            raise ValueError("refused")
    assert path.read_text() == "of yesterday\n"
    assert [each.name for each in tmp_path.iterdir()] == ["report.csv"]


def test_a_new_file_has_the_permissions_that_are_usual_here_or_those_that_are_asked_for(tmp_path: Path) -> None:
    usual, new, secret = (tmp_path / name for name in ("usual", "new", "secret"))
    usual.touch()
    secret.touch()
    with replacing(new), replacing(secret, mode=0o600):
        pass
    assert (mode_of(new), mode_of(secret)) == (mode_of(usual), 0o600)


def test_what_can_not_be_written_is_named_as_it_was_typed(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "no" / "report.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(OSError, match=f"{why}.*'{re.escape(str(path))}'$"), replacing(path):
            pytest.fail("it was opened")


def test_it_stays_the_same_file_also_where_nothing_may_be_made_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("of yesterday, and longer\n")
    before = path.stat()
    with replacing(path) as target:
        target.write("of today\n")
        assert [each.name for each in tmp_path.iterdir()] == ["report.csv"]
    assert (path.read_text(), path.stat().st_ino) == ("of today\n", before.st_ino)


def test_a_file_that_can_not_be_given_the_permissions_it_needs_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "errors.csv"
    path.write_text("of yesterday\n")

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refused)
    with pytest.raises(PermissionError, match=re.escape(str(path))), replacing(path, mode=0o600) as target:
        target.write("a password\n")
    assert path.read_text() == "of yesterday\n"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(path) as target:
        target.write("of today\n")
    assert (os.read(reader, 100), path.is_fifo()) == (b"of today\n", True)
    os.close(reader)


def test_what_a_full_disk_does_not_take_names_the_file_or_the_folder_of_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    for many in (1, 1_000_000):  # at the end, and before
        with pytest.raises(OSError, match=r"No space left on device: '/dev/full'$"), replacing(full) as target:
            target.write("x" * many)
    path = tmp_path / "report.csv"
    path.write_text("of yesterday\n")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full.open("r+b", buffering=0))
    drafts = re.escape(tempfile.gettempdir())
    for many in (1, 1_000_000):
        with pytest.raises(OSError, match=rf"No space left on device: '{drafts}'$"), replacing(path) as target:
            target.write("x" * many)
    assert path.read_text() == "of yesterday\n"
