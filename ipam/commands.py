"""Commands that are proposed to whoever reads a message: they work as they are typed, whatever something is called."""

from __future__ import annotations

from shlex import quote


def command_about(verb: str, *names: str, options: str = "") -> str:
    """Such as ``firstlight addresses undrain POOL --reason WHY``: names are quoted for the shell, and one that begins
    like an option would be taken for it."""
    words = " ".join(quote(name) for name in names)
    more = f" {options}" if options else ""
    if any(name.startswith("-") for name in names):
        return f"firstlight addresses {verb}{more} -- {words}"
    return f"firstlight addresses {verb} {words}{more}"


def command_to_move(service_id: int, location: str, *, options: str = "") -> str:
    """The move of a service to that premise; to where it is, it is given what it lacks there."""
    more = f" {options}" if options else ""
    return f"firstlight addresses move {service_id} --to={quote(location)}{more} --reason WHY"
