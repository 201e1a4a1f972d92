"""Commands that are proposed to whoever reads a message: they work as they are typed, whatever somebody is called."""

from __future__ import annotations

from shlex import quote

WHY = "--reason ..."
"""What is left to be said by whoever types it."""


def as_argument(name: str) -> str:
    """The name as the last word of a command line: quoted for the shell, and one that begins like an option would be
    taken for it."""
    return f"-- {quote(name)}" if name.startswith("-") else quote(name)


def command_about(verb: str, name: str, options: str = WHY) -> str:
    """Such as ``firstlight subscribers resume NAME --reason ...``; behind a name that begins like an option nothing
    would be one."""
    if name.startswith("-"):
        return f"firstlight {verb} {options} {as_argument(name)}"
    return f"firstlight {verb} {as_argument(name)} {options}"
