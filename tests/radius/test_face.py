"""The package shows what it means to show."""

from __future__ import annotations

import inspect
import re

import radius
from radius import errors, projection_errors


def test_the_face_is_sorted_and_complete() -> None:
    names = radius.__all__
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(radius, name) for name in names)


def test_every_error_has_its_place_in_the_drawn_tree_and_a_code_of_its_own() -> None:
    classes = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.RadiusError)
    ]
    drawn = set(re.findall(r"[A-Z][a-z]+[A-Za-z]+", errors.__doc__ or ""))
    assert [error.__name__ for error in classes if error.__name__ not in drawn] == []
    codes = [error.code for error in classes]
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("radius.") for code in codes)


def test_only_what_passes_by_itself_is_transient() -> None:
    transient = {
        name
        for module in (errors, projection_errors)
        for name, value in vars(module).items()
        if inspect.isclass(value) and getattr(value, "transient", False)
    }
    assert transient == {"LoginFolderUnusable", "ProjectionRaced", "RadiusDatabaseUnavailable", "SessionsStillOpen"}
