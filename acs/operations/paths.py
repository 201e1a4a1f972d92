"""Parameter paths as an operator types them: what is one, what holds a secret, what an operation keeps away from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from acs.templates.rendering import ROOTS

LONGEST_PATH = 256
MOST_PATHS = 50

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_SECRET = re.compile(r"(password|passphrase|presharedkey|wepkey|secret|privatekey|credential|\bpin)$", re.IGNORECASE)


def holds_secret(path: str) -> bool:
    """Whether the ACS's document would show a password there, in clear after it was set."""
    return _SECRET.search(path.rpartition(".")[2]) is not None


def below_management(path: str) -> bool:
    """Whether it is the CPE's way to the ACS: a refresh there blanks the password of connection requests."""
    return path.split(".")[1:2] == ["ManagementServer"]


def root_of(path: str) -> str:
    return path.partition(".")[0]


def is_at(path: str, owned: str) -> bool:
    """Whether a path is the one that a template means, which may leave numbers of rows open: ``{wan}``."""
    segments, meant = path.split("."), owned.split(".")
    return len(segments) == len(meant) and all(
        one == other or (other.startswith("{") and one.isdigit()) for one, other in zip(segments, meant, strict=True)
    )


def path_faults(paths: Iterable[str]) -> list[str]:
    """What is wrong with each of them, in words."""
    named = list(paths)
    faults = [] if named else ["no parameter is named"]
    faults += [f"{len(named)} parameters are named, {MOST_PATHS} at most"] if len(named) > MOST_PATHS else []
    for path in named:
        if not _PATH.fullmatch(path) or len(path) > LONGEST_PATH:
            faults.append(f"{path[:80]!r} is no parameter path")
        elif root_of(path) not in ROOTS.values():
            faults.append(f"{path} begins neither with {' nor with '.join(ROOTS.values())}")
    if len(set(named)) < len(named):
        faults.append("a parameter is named twice")
    if len({root_of(path) for path in named}) > 1 and not faults:
        faults.append("the parameters are of two data models")
    return faults


def refresh_faults(paths: Iterable[str]) -> list[str]:
    """The same for objects that are read anew."""
    named = [path.removesuffix(".") for path in paths]
    faults = [fault for fault in path_faults(named) if "no parameter path" not in fault]
    for path in named:
        if path in ROOTS.values():
            faults.append(f"a refresh of all of {path} blanks the password of connection requests at the ACS")
        elif below_management(path):
            faults.append(f"a refresh of {path} blanks the password of connection requests at the ACS")
        elif not _PATH.fullmatch(path):
            faults.append(f"{path[:80]!r} is no parameter path")
    return faults


def read_faults(paths: Iterable[str]) -> list[str]:
    """The same for parameters that are read."""
    named = list(paths)
    blanking = [
        path
        for path in named
        if "ConnectionRequestPassword" in path or (below_management(path) and path.count(".") == 1)
    ]
    return path_faults(named) + [
        f"reading {path} would blank the password of connection requests at the ACS" for path in blanking
    ]


def file_faults(file: str) -> list[str]:
    """What keeps this from being the name of a file at the ACS."""
    is_name = 1 <= len(file) <= 200 and file.isprintable() and "*" not in file and "/" not in file
    return [] if is_name else [f"{file[:80]!r} is no name of a file"]
