"""A subscriber's change and its end, from the appliance's tables to a NAS that is FreeRADIUS 3.2.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from radius import PlanTerms, SessionControl
from radius.dialects import DIALECTS
from radius.projection.freeradius_tables import radacct
from radius.tables import Plan
from radius.testing import LabSession
from tests.radius.coa.asking import PATIENTLY, QUICKLY, assert_fresh, disconnect, door
from tests.radius.coa.test_coa import EXPECTED
from tests.radius.conftest import Site
from tests.radius.online import FASTER, Line
from tests.support.coa_receiver import SECRET, CoaReceiver, coa_receiver

LIVE = {name: dialect.live for name, dialect in DIALECTS.items() if dialect.live is not None}


@asynccontextmanager
async def online(
    site: Site, run_dir: Path, dialect: str, *, session_id: str | None = None, secret: str | None = None
) -> AsyncIterator[tuple[Line, CoaReceiver]]:
    """A line whose NAS is a receiver that knows the secret which the appliance made for it, unless another is given."""
    nas = await site.nas(dialect)
    told: dict[str, Any] = {"name": nas.name, "address": nas.source_address, "dialect": dialect}
    async with site.database.begin() as db:
        await site.service(db).define_plan(name=FASTER, terms=PlanTerms(download_kbps=250_000, upload_kbps=50_000))
        await db.execute(update(Plan).values(updated_at=datetime.now(UTC) - timedelta(days=7)))
        made = await site.service(db).define_nas(**told)
        shared = await site.secrets.reveal(db, made["secret"])
    with coa_receiver(run_dir, address=nas.source_address, secret=secret or shared) as receiver:
        async with site.database.begin() as db:
            await site.service(db).define_nas(**told, coa_port=receiver.port)
        line = Line(site, nas, await site.active(), LabSession("nobody"), retransmission=PATIENTLY)
        line.session = LabSession.after(line.subscriber["username"], await line.login())
        line.session = replace(line.session, session_id=session_id or line.session.session_id)
        await nas.accounting_start(line.session)
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        async with site.radius_database.begin() as db:
            mine = update(radacct).where(radacct.c.username == line.session.username)
            await db.execute(mine.values(acctstarttime=an_hour_ago, acctupdatetime=an_hour_ago))
        yield line, receiver


def keys_of(line: Line, dialect: str) -> list[tuple[str, str | None]]:
    known = {
        "User-Name": line.session.username,
        "NAS-IP-Address": line.nas.source_address,
        "Acct-Session-Id": line.session.session_id,
        "Framed-IP-Address": line.session.framed_ip_address,
    }
    return [(key, known[key]) for key in known if key in LIVE[dialect].keys]


@pytest.mark.parametrize("dialect", sorted(LIVE))
async def test_a_change_of_plan_and_an_end_are_read_at_the_nas_as_the_appliance_meant_them(
    site: Site, run_dir: Path, dialect: str
) -> None:
    async with online(site, run_dir, dialect) as (line, receiver):
        told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
        assert [(one["said"], one["error_cause"]) for one in told["sessions"]] == [("changed", None)]
        control = SessionControl(
            site.database.begin,
            site.radius_database.begin,
            tenant_id=site.tenant_id,
            now=lambda: datetime.now(UTC),
            secrets=site.secrets,
            retransmission=PATIENTLY,
        )
        ended = await control.disconnect(line.id)
        assert [one["said"] for one in ended["sessions"]] == ["disconnected"]
        changed, disconnected = receiver.received(line.session.session_id)
    assert_fresh(changed, "CoA-Request")
    assert_fresh(disconnected, "Disconnect-Request")
    meant = [(name, str(value)) for name, value in EXPECTED[dialect] if name != "Session-Timeout"]
    assert changed.attributes == [*keys_of(line, dialect), *meant]
    assert disconnected.attributes == keys_of(line, dialect)


@pytest.mark.parametrize(
    ("name", "said", "cause", "asked"),
    [
        ("Unsupported-Attribute", "refused", 401, ["CoA-Request", "Disconnect-Request"]),
        ("Session-Context-Not-Found", "unknown_to_nas", 503, ["CoA-Request", "CoA-Request"]),
    ],
)
async def test_a_refusal_is_kept_with_its_number(
    site: Site, run_dir: Path, name: str, said: str, cause: int, asked: list[str]
) -> None:
    named = f"nak-with-{name}"
    async with online(site, run_dir, "mikrotik", session_id=named) as (line, receiver):
        told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
        assert [(one["said"], one["error_cause"]) for one in told["sessions"]] == [(said, cause)]
        assert [request.kind for request in receiver.received(named)] == asked


async def test_a_nas_with_another_secret_is_kept_as_one_that_did_not_answer(site: Site, run_dir: Path) -> None:
    async with online(site, run_dir, "mikrotik", secret=SECRET) as (line, receiver):
        line.retransmission = QUICKLY
        told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
        assert [(one["said"], one["error_cause"]) for one in told["sessions"]] == [("unanswered", None)]
        assert told["state"] == "pending"
        # by the secret that it knows; all before has come through
        assert (await disconnect(door(receiver), line.session.session_id)).said == "disconnected"
        assert [request.kind for request in receiver.received(line.session.session_id)] == ["Disconnect-Request"]
