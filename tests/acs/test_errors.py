"""The error tree: one root, one slug each, honest about passing trouble, and drawn as it is."""

from __future__ import annotations

import re
import sys

import acs.errors
from acs import AcsError


def tree(root: type[AcsError]) -> list[type[AcsError]]:
    return [root, *(error for child in root.__subclasses__() for error in tree(child))]


def test_every_error_has_a_slug_of_its_own_and_a_default_message() -> None:
    errors = tree(AcsError)
    assert len({error.code for error in errors}) == len(errors)
    assert all(re.fullmatch(r"acs\.[a-z_]+", error.code) and error.__doc__ for error in errors)


def test_the_drawing_shows_every_error_and_which_ones_may_pass() -> None:
    for error in tree(AcsError):
        drawing = f"{acs.errors.__doc__}{sys.modules[error.__module__].__doc__}"  # a branch may draw itself
        line = next(line for line in drawing.splitlines() if re.search(rf"\b{error.__name__}\b", line))
        inherited = next((base for base in error.__mro__[1:] if getattr(base, "transient", None) is True), None)
        assert ("(transient)" in line) == (error.transient and inherited is None)


def test_errors_are_part_of_the_face_of_the_package() -> None:
    assert {error.__name__ for error in tree(AcsError)} <= set(acs.__all__)
