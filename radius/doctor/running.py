"""Does the FreeRADIUS that runs here have the configuration that was looked at? By its process, where one can be seen.

A configuration is read at a server's start: what was mended since, or stands in another folder, is not in force.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from radius.doctor.raddb import Raddb
from radius.doctor.traps import Trap

PROGRAMS = ("freeradius", "radiusd")
FOLDERS = ("/etc/freeradius/3.0", "/etc/freeradius", "/etc/raddb", "/usr/local/etc/raddb")
"""Which of them a server has that was not told one depends on who made it."""
CLOCK = timedelta(seconds=2)
"""When a process began is known to a second, and so is when the machine did."""
NAMED = 3
_PROC = Path("/proc")
_FOLDER = re.compile(r"-[CfmMPsStTvxX]*d(.*)", re.DOTALL)
_STARTED = 19
"""Where a process' start stands in /proc/PID/stat behind its name, in ticks since the machine's (proc(5))."""


@dataclass(frozen=True)
class Server:
    """A FreeRADIUS of this machine: the folders one of which it reads, and when it began."""

    pid: int
    folders: tuple[Path, ...]
    started_at: datetime

    def reads(self, folder: Path) -> bool:
        """Whether this is one of its folders, and no other one of that name: a container has its own, while a unit of
        systemd has this machine's although its mounts are its own."""
        if folder not in self.folders:
            return False
        try:
            return (_PROC / str(self.pid) / "root" / folder.relative_to("/")).samefile(folder)
        except PermissionError:
            return True  # who may not look takes it for this one
        except FileNotFoundError:
            return False


def running_traps(raddb: Raddb, folder: Path, unseen: list[str], *, answered: bool) -> list[Trap]:
    """What was changed in that folder since its server began. Where none is seen that has that folder, and yet one
    ``answered``, that comes to ``unseen``."""
    servers = list(servers_here())
    wanted = folder.resolve()
    ours = [server for server in servers if server.reads(wanted)]
    if not ours:
        if answered:
            unseen.append(
                f"whether the FreeRADIUS that answers has the configuration in {folder}: no process that is seen here"
                f" was started with it{_others(servers)}"
            )
        return []
    try:
        changed_at, path = max((_changed_at(each), each) for each in _files_and_folders(raddb))
    except OSError as error:
        unseen.append(f"whether FreeRADIUS has the configuration in {folder} as it is now: {error}")
        return []
    oldest = min(ours, key=lambda server: server.started_at)
    if changed_at <= oldest.started_at + CLOCK:
        return []
    return [
        Trap(
            trap="configuration_not_in_force",
            what=f"{path} was changed {changed_at:%Y-%m-%d %H:%M:%S} UTC, and FreeRADIUS (process {oldest.pid}) runs"
            f" since {oldest.started_at:%Y-%m-%d %H:%M:%S} UTC",
            why="It goes on with what it read at its start, whatever stands there now; a reload takes over some of it.",
            fix=f"freeradius -XC -d {folder}, and if it says that it appears to be OK, systemctl restart freeradius",
        )
    ]


def _files_and_folders(raddb: Raddb) -> set[Path]:
    """What is taken out of a configuration, or linked into it, shows in its folder alone."""
    return {place for file in raddb.files for place in (file, file.parent)}


def _changed_at(place: Path) -> datetime:
    """A copy may keep the time of what it is a copy of, and a link tells that of what it leads to: but not when the
    file itself came to be like this."""
    seen = (place.stat(), place.lstat())
    return datetime.fromtimestamp(max(time for one in seen for time in (one.st_mtime, one.st_ctime)), UTC)


def _others(servers: list[Server]) -> str:
    folders = sorted({str(server.folders[0]) for server in servers})
    named = ", ".join(folders[:NAMED]) + (", ..." if len(folders) > NAMED else "")
    return f", but with {named}" if folders else ""


def servers_here() -> Iterator[Server]:
    """Every FreeRADIUS that can be seen; none where there is no /proc (Linux alone)."""
    for process in _PROC.glob("[0-9]*"):
        try:
            if (process / "comm").read_text(encoding="utf-8").strip() not in PROGRAMS:
                continue
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            stat = (process / "stat").read_text(encoding="utf-8")
        except OSError:
            continue  # it has ended meanwhile, or is not for us to see
        ticks = int(stat.rpartition(")")[2].split()[_STARTED])
        started_at = _machine_began() + timedelta(seconds=ticks / os.sysconf("SC_CLK_TCK"))
        yield Server(int(process.name), tuple(folders_of(words, _began_in(process))), started_at)


def _began_in(process: Path) -> Path:
    try:
        return (process / "cwd").readlink()
    except OSError:  # another user's; mostly a folder is told whole
        return Path("/")


def folders_of(words: Sequence[str], at_home: Path) -> Iterator[Path]:
    """Where a FreeRADIUS that was started with these words, in that folder, has its configuration (radiusd(8))."""
    for at, word in enumerate(words[1:], start=1):
        said = _FOLDER.fullmatch(word)
        if said is not None:
            yield (at_home / (said[1] or (words[at + 1] if at + 1 < len(words) else ""))).resolve()
            return
    yield from (Path(each).resolve() for each in FOLDERS)


def _machine_began() -> datetime:
    text = (_PROC / "stat").read_text(encoding="utf-8")
    found = re.search(r"^btime (\d+)$", text, re.MULTILINE)
    return datetime.fromtimestamp(int(found[1]) if found else 0, UTC)
