"""Subscribers that were brought in and whom no run looks after: let in and ended by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from radius import SubscriberImport, SubscriberTerminated, UsernameTaken, read_subscribers
from radius.invariants import states_not_as_billed, subscribers_nobody_wants
from radius.projection.freeradius_tables import radcheck
from radius.tables import Subscriber
from tests.radius.conftest import PLAN, Site
from tests.radius.online import go_online

SERVICE = 4711


async def test_one_that_was_brought_in_is_let_in_and_ended_and_its_session_with_it(site: Site) -> None:
    async for line in go_online(site):
        name = site.new_username()
        listed = ["username,customer_id,plan,state,service_id\n", f"{name},7,{PLAN},pending,{SERVICE}\n"]
        async with site.database.begin() as db:
            import_ = SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
            [number] = (await import_.bring_in(read_subscribers(listed).lines)).created.values()
            assert await subscribers_nobody_wants(db, tenant_id=site.tenant_id, wanted_service_ids=()) == []
            line.subscriber["subscriber_id"] = number
        await line.act("activate")
        await site.projector.project_subscriber(number)
        async with site.database.begin() as db:
            found = await site.service(db).subscriber(subscriber_id=number)
            password = await site.secrets.reveal(db, found["password"])
            none = {"billed_service_ids": (), "changing_service_ids": ()}
            assert await states_not_as_billed(db, tenant_id=site.tenant_id, **none) == []
        assert (found["state"], found["version"], found["origin"]) == ("active", 2, "imported")
        reply = await line.nas.login(name, password)
        assert reply.code == "Access-Accept"
        line.session = type(line.session).after(name, reply)
        await line.nas.accounting_start(line.session)

        done = await line.act("terminate", request_id="t1")
        told = await line.changes.deliver(done["change_id"])

        assert [each["said"] for each in told["sessions"]] == ["disconnected"]
        assert (await line.nas.login(name, password)).code == "Access-Reject"
        async with site.radius_database.begin() as db:
            assert list(await db.scalars(select(radcheck.c.id).where(radcheck.c.username == name))) == []
        assert (await line.act("terminate", request_id="t1"))["change_id"] == done["change_id"]
        for request_id in (None, "t2"):
            assert (await line.act("terminate", request_id=request_id))["change_id"] == done["change_id"]
        with pytest.raises(SubscriberTerminated):
            await line.act("suspend")
        with pytest.raises(UsernameTaken):  # it is kept for the same customer
            async with site.database.begin() as db:
                assert (await db.get_one(Subscriber, number)).state == "terminated"
                await site.service(db).create_subscriber(customer_id=8, username=name, bandwidth_profile=PLAN)
