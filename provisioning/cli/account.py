"""Who types a command, as the machine knows it: nothing that a shell can set, as it can USER or SUDO_USER."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

LOGIN = Path("/proc/self/loginuid")
"""The account that has logged in, which the kernel keeps through sudo and su (proc(5)); PAM sets it, once."""
NO_LOGIN = 2**32 - 1


def account() -> str:
    """The account of this process: ``firstlight``; where another one had logged in, both: ``nora as firstlight``."""
    here, login = os.geteuid(), _login()
    return _name(here) if login is None or login == here else f"{_name(login)} as {_name(here)}"


def or_the_account(said: str) -> str:
    """Who is said to do something; else who types it."""
    return said or account()


def _login() -> int | None:
    """None where nobody has logged in (a service, a container) or this system doesn't keep it."""
    try:
        login = int(LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if login == NO_LOGIN else login


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
