"""Words that a person types where the appliance knows only some."""

from __future__ import annotations

from typing import Any, get_args

from provisioning.errors import Fault, InvalidRequest


def chosen(field: str, text: str | None, among: Any) -> Any:
    """The word, if it is one of the ``Literal`` type ``among``; nothing stays nothing.

    Raises: InvalidRequest naming those that there are.
    """
    known = get_args(among)
    if text is not None and text not in known:
        raise InvalidRequest("The command", [Fault(field, f"{text} is none of {', '.join(known)}")])
    return text
