"""What was lost a moment ago: nobody asked for it, and it is not back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provisioning.database import Database
from radius import SessionLosses
from tests.radius.sessions.test_stations import NOW, TENANT, a_session, accounted, empty

__all__ = ["empty"]

WINDOW = timedelta(minutes=10)


def ended(username: str, *, minutes_ago: int = 1, cause: str | None = "Lost-Carrier") -> dict[str, object]:
    stop = NOW - timedelta(minutes=minutes_ago)
    return a_session(username, None, nasportid="olt-1 0/1", acctstoptime=stop, acctterminatecause=cause)


@pytest.mark.both_databases
async def test_sessions_that_nobody_ended_are_lost_until_they_are_back(empty: Database) -> None:
    await accounted(
        empty,
        ended("anna@isp", minutes_ago=5),
        ended("anna@isp", minutes_ago=3),
        ended("bob@isp", cause=None),
        ended("reboot@isp", cause="NAS-Reboot", minutes_ago=2),
        ended("hangs-up@isp", cause="User-Request"),
        ended("moved@isp", cause="Replaced"),
        ended("long-ago@isp", minutes_ago=11),
        ended("back@isp"),
        a_session("back@isp", None, nasportid=None, acctterminatecause=None),
    )
    lost = await SessionLosses(empty.read, tenant_id=TENANT, now=lambda: NOW).within(WINDOW)
    assert [(one["username"], one["cause"]) for one in lost] == [
        ("anna@isp", "Lost-Carrier"),
        ("reboot@isp", "NAS-Reboot"),
        ("bob@isp", None),
    ]
    assert (lost[0]["nas"], lost[0]["nas_port"]) == ("10.9.8.7", "olt-1 0/1")
    assert lost[0]["lost_at"] == NOW - timedelta(minutes=5)
