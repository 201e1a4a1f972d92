"""Words that a person types: where the appliance knows only some, and those that are no text at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import typer

from provisioning.errors import Fault, InvalidRequest


def chosen(field: str, text: str | None, among: Any) -> Any:
    """The word, if it is one of the ``Literal`` type ``among``; nothing stays nothing.

    Raises: InvalidRequest naming those that there are.
    """
    known = get_args(among)
    if text is not None and text not in known:
        raise InvalidRequest("The command", [Fault(field, f"{text} is none of {', '.join(known)}")])
    return text


def refuse_what_is_no_text(given: Mapping[str, Any]) -> None:
    """What isn't UTF-8 Python hands over as lone surrogates (PEP 383), which no database takes.

    Raises: typer.BadParameter naming all arguments and options in which that is so.
    """
    wrong = [
        name.rstrip("_").replace("_", "-") for name, value in given.items() if any(map(_is_no_text, _words(value)))
    ]
    if wrong:
        raise typer.BadParameter("isn't UTF-8 text", param_hint=wrong)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str | os.PathLike):
        yield os.fspath(value)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _words(each)


def _is_no_text(word: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in word)
