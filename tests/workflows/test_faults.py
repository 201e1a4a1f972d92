"""What a model finds wrong, in words and places that somebody who sent it knows."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from workflows import model_faults, sound_parts

Checked = Annotated[date, AfterValidator(lambda day: day)]


class Inner(BaseModel):
    name: str
    day: Checked | Annotated[int, AfterValidator(abs)] | None = None


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, AfterValidator(abs)]
    inner: Inner


def error_of(data: Any) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(data)
    return refused.value


def test_a_fault_stands_at_its_field_in_our_words() -> None:
    error = error_of({"inner": {"day": "soon"}, "tea": 1})
    assert model_faults(error, whole="order") == [
        ("number", "is missing"),
        ("inner.name", "is missing"),
        ("inner.day", "is not a day such as 2026-03-31"),
        ("inner.day", "should be a valid integer, unable to parse string as an integer"),
        ("tea", "is not known here"),
    ]
    [(where, _)] = model_faults(error_of([]), whole="order")
    assert where == "order"


def test_what_is_well_formed_stays_when_the_rest_is_taken_out() -> None:
    data = {"number": "x", "inner": {"name": "Ada", "day": "soon"}, "tea": 1}
    assert sound_parts(data, error_of(data)) == {"inner": {"name": "Ada"}}
    assert sound_parts([], error_of([])) == {}
