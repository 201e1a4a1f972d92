"""Durability tests hear warnings only: what the people's side logs in passing would hide what went wrong."""

from __future__ import annotations

import pytest

from provisioning.logs import configure_logs


@pytest.fixture(autouse=True)
def quiet() -> None:
    configure_logs(level="warning", form="console")
