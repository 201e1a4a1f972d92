"""Every refusal has a status of its own choice: none becomes a 500 because nobody has thought of it."""

from __future__ import annotations

import pytest

from provisioning.api.statuses import CODES, STATUS_OF
from provisioning.reference import error_classes

KINDS = [kind for kind in error_classes() if "code" in kind.__dict__]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__dict__["code"])
def test_every_error_has_a_status(kind: type[Exception]) -> None:
    status = STATUS_OF[kind.__dict__["code"]]
    transient = bool(getattr(kind, "transient", False))
    assert transient <= (status in (409, 503)), "what a retry may cure is a 503, or a conflict that is tried again"


def test_no_code_has_two_statuses_and_none_stands_for_nothing() -> None:
    listed = [code for codes in CODES.values() for code in codes]
    assert sorted(listed) == sorted(STATUS_OF)
    assert set(listed) == {kind.__dict__["code"] for kind in KINDS}
