"""The FreeRADIUS that stands in the place of a NAS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.coa_receiver import CoaReceiver, coa_receiver


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoaReceiver]:
    """One for all tests; each asks about sessions of its own."""
    with coa_receiver(tmp_path_factory.mktemp("coa-receiver") / "run") as made:
        yield made
