"""Lines that log in by themselves need a NAS that tells of lines: none is bound without, and the last one stays."""

from __future__ import annotations

import pytest

from radius import LineIdentity, SubscriberVerbs, SubscriberView
from radius.nas_errors import NasLinesInUse, NoNasTellsOfLines
from tests.radius.conftest import Site


async def bound(site: Site, station: str, *, logs_in: bool = True) -> SubscriberView:
    subscriber = await site.active()
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        line = LineIdentity(station=station)
        await verbs.bind(subscriber_id=subscriber["subscriber_id"], line=line, logs_in=logs_in)
        return await site.service(db).subscriber(subscriber_id=subscriber["subscriber_id"])


async def define(site: Site, name: str, address: str, *, lines: bool) -> None:
    async with site.database.begin() as db:
        await site.service(db).define_nas(name=name, address=address, dialect="mikrotik", lines=lines)


async def test_a_line_is_not_let_log_in_by_itself_where_no_nas_tells_of_lines(site: Site) -> None:
    await site.define_plan(access="ipoe")
    await define(site, "bng-1", "10.9.0.1", lines=False)
    with pytest.raises(NoNasTellsOfLines, match="nas change NAS --lines"):
        await bound(site, "00:1a:2b:00:00:01")
    assert (await bound(site, "00:1a:2b:00:00:01", logs_in=False))["line"] == {"station": "001a2b000001"}
    await define(site, "bng-1", "10.9.0.1", lines=True)
    assert (await bound(site, "00:1a:2b:00:00:02"))["login_by_line"]


async def test_the_last_nas_that_tells_of_lines_goes_on_while_lines_log_in(site: Site) -> None:
    await site.define_plan(access="ipoe")
    await define(site, "bng-1", "10.9.0.1", lines=True)
    names = sorted([(await bound(site, f"00:1a:2b:00:00:0{n}"))["username"] for n in range(1, 5)])
    told = (
        "NAS bng-1 is the only one that tells of lines, and 4 subscribers log in by line"
        f" ({', '.join(names[:3])}, ...): they would be let in nowhere. First let another NAS tell of lines"
        " (`firstlight nas change NAS --lines --reason ...`), or unbind them."
    )
    with pytest.raises(NasLinesInUse) as refused:
        async with site.database.begin() as db:
            await site.service(db).change_nas(name="bng-1", said={"lines": False})
    assert (str(refused.value), refused.value.subscribers, list(refused.value.first)) == (told, 4, names[:3])
    with pytest.raises(NasLinesInUse):
        await define(site, "bng-1", "10.9.0.1", lines=False)
    with pytest.raises(NasLinesInUse):
        async with site.database.begin() as db:
            await site.service(db).remove_nas(name="bng-1")
    async with site.database.begin() as db:
        assert (await site.service(db).nas_named(name="bng-1"))["lines"]
        await site.service(db).change_nas(name="bng-1", said={"coa_port": 1700})

    await define(site, "bng-2", "10.9.0.2", lines=True)
    async with site.database.begin() as db:
        await site.service(db).remove_nas(name="bng-1")
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        for name in names[1:]:
            found = await site.service(db).subscriber_named(username=name)
            await verbs.unbind(subscriber_id=found["subscriber_id"])
    with pytest.raises(NasLinesInUse, match=r"and 1 subscriber logs in by line \(" + names[0]):
        await define(site, "bng-2", "10.9.0.2", lines=False)
    async with site.database.begin() as db:
        found = await site.service(db).subscriber_named(username=names[0])
        await site.service(db).terminate(subscriber_id=found["subscriber_id"])
    await define(site, "bng-2", "10.9.0.2", lines=False)
