"""What a load balancer is told of a process."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_who_can_serve_says_so_to_anybody_and_nothing_else(api: Api) -> None:
    answer = await api.client.get("/health?from=balancer-1")
    assert (answer.status_code, answer.json()) == (200, {"status": "pass"})
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.headers["cache-control"] == "no-store"


async def test_without_its_database_it_says_when_to_ask_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("connect", {}, OSError("connection refused at 10.0.0.5"))

    monkeypatch.setattr(api.appliance.database.reading.sync_engine, "connect", away)
    answer = await api.client.get("/health")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    said = answer.json()
    assert (said["code"], said["detail"]) == (
        "provisioning.database_unreachable",
        "The database can't be reached, nothing was changed.",
    )
    assert "10.0.0.5" not in answer.text, "its address is for the log, not for whoever asks"
