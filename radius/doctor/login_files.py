"""Logins that FreeRADIUS on this machine wrote to files, and nobody carries into the log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from radius.doctor.traps import Trap
from radius.logins.carrying import TAKEN, WRITTEN
from radius.logins.late import CARRIED_WITHIN

VARIABLE = "FIRSTLIGHT_FREERADIUS_LOGIN_DIR"


def login_file_traps(folder: str, unseen: list[str], *, now: datetime) -> list[Trap]:
    """``folder``: what FreeRADIUS' own environment says; empty: it writes rows."""
    if not folder:
        return []
    try:
        began = _first_waiting(Path(folder))
    except OSError as error:
        unseen.append(f"logins in files: {error.filename} can't be read ({error.strerror})")
        return []
    if began is None or began >= now - CARRIED_WITHIN:
        return []
    return [
        Trap(
            trap="logins_not_carried",
            what=f"{folder}: logins wait there since {began:%Y-%m-%d %H:%M} UTC",
            why="Who was refused since then is told nowhere, and the files grow; they are carried when somebody does.",
            fix=f"set FIRSTLIGHT_RADIUS_LOGIN_DIR={folder} and start `firstlight worker`, or `firstlight carry-logins`,"
            " as FreeRADIUS' own user",
        )
    ]


def _first_waiting(folder: Path) -> datetime | None:
    """When the first login was written that is still there. Not for a process that carries: it would lose its lock on
    a file with the first other one that it closes of it (POSIX)."""
    waiting = [*sorted(folder.glob(f"{TAKEN}*")), folder / WRITTEN]
    for path in waiting:
        try:
            with path.open("rb") as file:
                moment = file.read(10)
        except FileNotFoundError:  # carried meanwhile
            continue
        if moment.isdigit():
            return datetime.fromtimestamp(int(moment), UTC)
    return None
