"""Commands that are proposed to whoever reads a message: they work as they are typed, whatever serial a CPE has."""

from __future__ import annotations

from shlex import quote

WHY = "--reason ..."
"""What is left to be said by whoever types it."""


def command_about(verb: str, serial: str, *more: str, options: str = WHY) -> str:
    """Such as ``firstlight devices override SERIAL PATH=null --reason ...``: words are quoted for the shell, and behind
    a serial that begins like an option nothing would be one."""
    words = " ".join(quote(word) for word in (serial, *more))
    given = f" {options}" if options else ""
    if serial.startswith("-"):
        return f"firstlight {verb}{given} -- {words}"
    return f"firstlight {verb} {words}{given}"
