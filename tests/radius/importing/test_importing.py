"""Thousands of subscribers at once: what FreeRADIUS has of them is what one by one would have made."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from radius import (
    BulkProjector,
    FramedAddresses,
    ImportRefused,
    ImportUnreadable,
    PlanRefused,
    PlanTerms,
    SubscriberImport,
    SubscriberLine,
    SubscriberVerbs,
    read_subscribers,
)
from radius.importing.rows import show_new
from radius.plan_errors import MOST_COMPARED
from radius.projection.freeradius_tables import radcheck, radius_line, radius_projection, radreply, radusergroup
from radius.projection.projection import digest
from radius.projection.radius_database import Wish, actual_rows
from radius.tables import Subscriber
from tests.radius.conftest import PLAN, Site
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.both_databases

HEADER = "username,customer_id,plan,state,password,ipv4,delegated_prefix,routes\n"


def lines_of(text: str, header: str = HEADER) -> Sequence[SubscriberLine]:
    return read_subscribers((header + text).splitlines(keepends=True)).lines


def bulk(site: Site) -> BulkProjector:
    return BulkProjector(
        site.database.begin,
        site.radius_database.begin,
        projector=site.projector,
        tenant_id=site.tenant_id,
        now=site.now,
        secrets=site.secrets,
    )


async def checked(site: Site, lines: Sequence[SubscriberLine]) -> dict[int, list[str]]:
    async with site.database.begin() as db:
        settled = await SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets).check(lines)
    return {number: list(faults) for number, faults in settled.faults.items()}


async def brought_in(site: Site, lines: Sequence[SubscriberLine], **more: Any) -> tuple[int, int, int, int]:
    """How many were created, were here, were shown to FreeRADIUS, and are left to the projector."""
    async with site.database.begin() as db:
        import_ = SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        brought = await import_.bring_in(lines)
    done = await bulk(site).project_new([*brought.created.values(), *brought.unchanged.values()], **more)
    return len(brought.created), len(brought.unchanged), len(done.shown), len(done.left)


async def subscribers(site: Site) -> dict[str, Subscriber]:
    async with site.database.begin() as db:
        mine = select(Subscriber).where(Subscriber.tenant_id == site.tenant_id).order_by(Subscriber.id)
        return {each.username: each for each in await db.scalars(mine)}


async def test_what_is_brought_in_is_what_one_by_one_would_have_made_and_again_changes_nothing(site: Site) -> None:
    names = [site.new_username() for _ in range(3)]
    route = "198.51.100.8/29 0.0.0.0 1; 203.0.113.0/28 0.0.0.0 1"
    lines = lines_of(
        f"{names[0]},7,{PLAN},active,s3cret Pass,100.64.9.1,2001:DB8:7900::/56,{route}\n"
        f"{names[1]},8,{PLAN},suspended,,,,\n"
        f"{names[2]},9,{PLAN},pending,tr:ès,,,\n"
    )
    assert await checked(site, lines) == {}
    assert await brought_in(site, lines) == (3, 0, 3, 0)

    assert await site.projector.drift() == []
    made = await subscribers(site)
    assert [(each.state, each.projected_version, each.version) for each in made.values()] == [
        ("active", 1, 1),
        ("suspended", 1, 1),
        ("pending", 1, 1),
    ]
    for each in made.values():
        shown = await site.projector.project_subscriber(each.id)
        assert (shown["changed"], shown["digest"]) == (False, each.projected_digest)
    nas = await site.nas()
    reply = await nas.login(names[0], "s3cret Pass")
    assert (reply.accepted, reply.framed_ip_address, reply.rate_limit) == (True, "100.64.9.1", "20000k/100000k")
    assert sorted(reply.attributes["Framed-Route"]) == sorted(route.split("; "))
    assert (await nas.login(names[2], "tr:ès")).code == "Access-Reject"

    assert await checked(site, lines) == {}
    assert await brought_in(site, lines) == (0, 3, 0, 0)
    assert {name: each.updated_at for name, each in (await subscribers(site)).items()} == {
        name: each.updated_at for name, each in made.items()
    }


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_postgresql_s_planner_knows_of_many_who_came_in(site: Site) -> None:
    lines = lines_of("".join(f"{site.new_username()},7,{PLAN},active,,,,\n" for _ in range(40)))
    assert (await brought_in(site, lines))[2] == 40
    async with site.database.begin() as db:
        await SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets).count_anew()
    await bulk(site).count_anew()
    known = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
    async with site.database.begin() as db:
        assert await db.scalar(known, {"name": "radius_subscriber"}) == 40
    async with site.radius_database.begin() as db:
        for table in (radcheck, radusergroup, radius_projection):
            assert await db.scalar(known, {"name": table.name}) >= 40, table.name


async def test_a_generated_password_is_sealed_and_lets_its_subscriber_in(site: Site) -> None:
    name = site.new_username()
    await brought_in(site, lines_of(f"{name},7,{PLAN},,,,,\n"))
    [made] = (await subscribers(site)).values()
    async with site.database.begin() as db:
        password = await site.secrets.reveal(db, made.password_ref)
    assert len(password) == 20
    assert (await (await site.nas()).login(name, password)).accepted


async def test_every_fault_of_every_line_is_told_at_once_and_no_password_among_them(site: Site) -> None:
    await site.create("old@isp.example", FramedAddresses(ipv4="100.64.9.9"))
    lines = lines_of(
        "o'brien@isp.example,7,gold,alive,'quoted,100.64.9.300,,\n"
        f"b@isp.example,x,{PLAN},,back\\slash,100.64.9.2,,\n"
        f"b@isp.example,7,{PLAN},,%{{sql:SELECT 1}},100.64.9.2,,\n"
        f"old@isp.example,8,{PLAN},active,other,,,\n"
        f"c@isp.example,7,{PLAN},, padded,100.64.9.9,,\n"
        f"d@isp.example,7,{PLAN}\n"
        "e@isp.example,7,gold,,,,,\n"
    )
    found = await checked(site, lines)
    assert sorted(found) == [2, 3, 4, 5, 6, 7, 8]
    assert [fault.partition(":")[0] for fault in found[2]] == [
        "username",
        "password",
        "state",
        "Framed-IP-Address",
        "plan",
    ]
    assert found[3] == [
        "password: it holds a backslash, which FreeRADIUS takes as an escape",
        "customer_id: 'x' is no positive whole number",
    ]
    assert found[4] == [
        "password: it holds %{, which some FreeRADIUS servers expand",
        "username b@isp.example stands in line 3 already",
    ]
    assert found[5] == ["is here already, and not with this customer_id, state, password, ipv4"]
    assert found[6] == [
        "password: it begins or ends with white space, which nobody sees",
        "ipv4: 100.64.9.9 is given to old@isp.example already",
    ]
    assert found[7] == ["has 3 cells, and there are 8 columns"]
    assert found[8] == ["plan: there is no RADIUS plan 'gold'; known are: fiber-100"]
    told = str(ImportRefused(found))
    assert not any(secret in told for secret in ("quoted", "back\\slash", "sql:SELECT", "padded"))


async def test_wrong_plans_are_compared_once_each_and_no_more_of_them_than_a_list_has_time_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.database.begin() as db:
        for number in range(9):
            terms = PlanTerms(download_kbps=1000, upload_kbps=1000)
            await site.service(db).define_plan(name=f"cable-{number}", terms=terms)
    asked: list[str] = []

    def near(word: str, _known: Sequence[str], **_how: Any) -> list[str]:
        asked.append(word)
        return ["cable-8"]

    monkeypatch.setattr(difflib, "get_close_matches", near)
    wrong = ["cabel", *(f"wrong-{number}" for number in range(MOST_COMPARED)), "cabel"]
    lines = lines_of("".join(f"s{n}@isp.example,7,{plan},,,,,\n" for n, plan in enumerate(wrong)))

    found = await checked(site, lines)

    assert asked == wrong[:MOST_COMPARED]
    says = "plan: there is no RADIUS plan 'cabel'; known are: cable-8, 9 more"
    assert found[2] == found[len(wrong) + 1] == [says]
    named = ", ".join(f"cable-{number}" for number in range(8))
    assert found[len(wrong)] == [f"plan: there is no RADIUS plan 'wrong-99'; known are: {named}, 2 more"]


async def test_a_line_that_became_wrong_since_the_check_undoes_its_batch(site: Site) -> None:
    names = [site.new_username() for _ in range(2)]
    lines = lines_of("".join(f"{name},8,{PLAN},,,,,\n" for name in names))
    assert await checked(site, lines) == {}
    await site.create(names[1])
    with pytest.raises(ImportRefused) as refused:
        await brought_in(site, lines)
    assert list(refused.value.by_line) == [3]
    assert names[0] not in await subscribers(site)


async def test_whoever_was_projected_or_changed_meanwhile_is_left_to_the_projector(site: Site) -> None:
    names = [site.new_username() for _ in range(3)]
    lines = lines_of("".join(f"{name},7,{PLAN},,,,,\n" for name in names))
    async with site.database.begin() as db:
        import_ = SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        ids = (await import_.bring_in(lines)).created
    await site.projector.project_subscriber(ids[names[0]])
    async with site.database.begin() as db:
        await site.service(db).return_to_pending(subscriber_id=ids[names[0]])

    done = await bulk(site).project_new(list(ids.values()))

    assert (sorted(done.shown), list(done.left)) == (sorted(ids[name] for name in names[1:]), [ids[names[0]]])
    await site.projector.project_subscriber(ids[names[0]])
    assert await site.projector.drift() == []


async def test_rows_that_somebody_else_wrote_stay_unless_they_are_those_that_were_seen(site: Site) -> None:
    name = site.new_username()
    async with site.radius_database.begin() as db:
        row = {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": "before"}
        await db.execute(insert(radcheck).values(row))
    assert await bulk(site).foreign([name, site.new_username()]) == {name}
    lines = lines_of(f"{name},7,{PLAN},,after,,,\n")

    assert await brought_in(site, lines) == (1, 0, 0, 1)
    assert await brought_in(site, lines, seen={name: "of other rows"}) == (0, 1, 0, 1)

    async with site.radius_database.begin() as db:
        kept = list(await db.scalars(select(radcheck.c.value).where(radcheck.c.username == name)))
        in_ledger = await db.scalar(select(func.count()).where(radius_projection.c.name == name))
        for table in (radcheck, radreply, radusergroup):
            await db.execute(table.delete().where(table.c.username == name))
    assert (kept, in_ledger) == (["before"], 0)


async def test_rows_that_were_seen_are_replaced_and_with_them_the_lines_that_log_in_by_them(site: Site) -> None:
    name, line = site.new_username(), f"circuit {site.tenant_id}"
    row = {"username": name, "attribute": "Cleartext-Password", "op": ":=", "value": "before"}
    async with site.radius_database.begin() as db:
        await db.execute(insert(radcheck).values(row))
        await db.execute(insert(radius_line).values(username=name, line=line))
        seen = {each: digest(found.values()) for each, found in (await actual_rows(db, "subscriber", [name])).items()}

    assert await brought_in(site, lines_of(f"{name},7,{PLAN},,after,,,\n"), seen=seen) == (1, 0, 1, 0)

    async with site.radius_database.begin() as db:
        kept = list(await db.scalars(select(radcheck.c.value).where(radcheck.c.username == name)))
        lines = list(await db.scalars(select(radius_line.c.line).where(radius_line.c.username == name)))
    assert (kept, lines) == (["after"], [])
    assert await site.projector.drift() == []


def test_what_is_no_list_is_refused_by_its_columns() -> None:
    for content, why in (
        ("", "doesn't name its columns"),
        ("username;plan\n", "doesn't name its columns"),
        ("username,customer_id,plan,favourite\n", "unknown columns, favourite"),
        ("username,customer_id,plan,plan\n", "two columns called plan"),
        ('username,customer_id,plan\n"a,7,b\n', "no CSV"),
        ('"username,customer_id,plan\n' + "a,7,b\n" * 30_000, "no CSV, field larger than field limit"),
    ):
        with pytest.raises(ImportUnreadable, match=why):
            read_subscribers(content.splitlines(keepends=True))


def test_a_list_is_read_with_its_own_separator_and_comes_back_with_its_errors() -> None:
    text = "Username;Customer ID;Plan;Error\na@isp.example;7;gold;old\n\nb@isp.example;;gold;\n"
    file = read_subscribers(text.splitlines(keepends=True))
    assert [(line.number, line.username, line.customer_id) for line in file.lines] == [
        (2, "a@isp.example", 7),
        (4, "b@isp.example", 0),
    ]
    assert list(file.with_errors({4: ["is wrong"]})) == [
        ["Username", "Customer ID", "Plan", "error"],
        ["a@isp.example", "7", "gold", ""],
        ["b@isp.example", "", "gold", "is wrong"],
    ]
    more = read_subscribers(text.replace("gold;\n", "gold;;too;much\n").splitlines(keepends=True))
    assert list(more.with_errors({4: ["is wrong"]}))[2] == ["b@isp.example", "", "gold", "is wrong", "too", "much"]


async def test_a_text_that_copy_would_take_for_its_own_arrives_as_it_is(site: Site) -> None:
    value = "back\\slash, tab\t and line\nbreak"
    nobodys = Wish("subscriber", value, site.tenant_id, source_id=-1, version=1, rows=(), digest="d")
    async with site.radius_database.begin() as db:
        table = radius_projection
        shown = await show_new(db, [nobodys], site.now(), seen={}, beside=site.radius_database.begin)
        kept = await db.scalar(select(table.c.name).where(table.c.source_id == -1))
        await db.execute(table.delete().where(table.c.source_id == -1))
    assert (shown, kept) == ([nobodys], value)


async def test_a_name_that_was_given_up_and_a_number_that_is_somebody_s_are_faults(site: Site) -> None:
    former, numbered = site.new_username(), site.new_username()
    subscriber = await site.create(former, FramedAddresses())
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await site.service(db).activate(subscriber_id=subscriber["subscriber_id"])
        await verbs.rename(subscriber_id=subscriber["subscriber_id"], username=numbered)
        await site.service(db).give_external_id(subscriber_id=subscriber["subscriber_id"], external_id="A-1")
    header = "username,customer_id,plan,external_id\n"
    names = [site.new_username() for _ in range(2)]
    lines = lines_of(
        f"{former},8,{PLAN},\n{former},7,{PLAN},\n{names[0]},7,{PLAN},A-1\n{names[1]},7,{PLAN},A-2\n", header
    )
    found = await checked(site, lines)
    assert found == {
        2: ["its username was somebody else's, who gave it up and whose sessions stay in the accounting under it"],
        3: [
            f"username {former} stands in line 2 already",
            "its username was given up, and a session may still be open under it",
        ],
        4: [f"external_id: A-1 is {numbered}'s"],
    }
    await brought_in(site, lines[3:])
    assert (await subscribers(site))[names[1]].external_id == "A-2"


LINES = "username,customer_id,plan,password,station,port,circuit,remote,login_by_line\n"


async def test_lines_are_brought_in_bound_and_log_in_by_themselves_where_a_nas_tells_of_them(site: Site) -> None:
    names = [site.new_username() for _ in range(4)]
    station = f"02:00:{names[0][1:3]}:{names[0][3:5]}:{names[0][5:7]}:{names[0][7:9]}"
    bound = f"{names[0]},1,{PLAN},pass-1,{station},,,,no\n"
    by_line = f"{names[1]},2,ipoe-100,,{station.upper()},,olt {names[1]}#1,,yes\n"
    wrong = (
        f"{names[2]},3,{PLAN},pass-3,,,olt {names[1]}#1,,yes\n{names[3]},4,{PLAN},,,eth 1/1,,,perhaps\n"
        f"{names[3]}x,5,{PLAN},,,,,agent,yes\n"
    )
    async with site.database.begin() as db:
        terms = PlanTerms(download_kbps=100_000, upload_kbps=20_000, access="ipoe")
        await site.service(db).define_plan(name="ipoe-100", terms=terms)
    assert await checked(site, lines_of(by_line, LINES)) == {
        2: ["login_by_line: no NAS here tells of lines (`lines` of the NAS)"]
    }
    nas = await site.nas(lines=True)
    assert await checked(site, lines_of(bound + by_line + wrong, LINES)) == {
        4: [
            "password: a line that logs in by itself has none",
            f"circuit olt {names[1]}#1 logs in for {names[1]} in line 3 already",
        ],
        5: ["login_by_line: 'perhaps' is not yes or no"],
        6: ["a line logs in by its station or its circuit, and neither is said"],
    }
    good = lines_of(bound + by_line, LINES)
    assert await brought_in(site, good) == (2, 0, 2, 0)
    assert await brought_in(site, good) == (0, 2, 0, 0)
    for name in names[:2]:
        async with site.database.begin() as db:
            found = await site.service(db).subscriber_named(username=name)
        await site.projector.project_subscriber(found["subscriber_id"])
        assert found["line"]["station"] == station.replace(":", "")
    assert found["login_by_line"] is True
    here = await nas.login(names[0], "pass-1", calling_station=station.replace(":", "-"))
    elsewhere = await nas.login(names[0], "pass-1", calling_station="02-00-00-00-00-01")
    assert (here.code, elsewhere.code) == ("Access-Accept", "Access-Reject")

    taken = f"{names[2]},3,ipoe-100,,{station},,,,yes\n{names[0]},1,{PLAN},pass-1,02:00:00:00:00:01,,,,\n"
    assert await checked(site, lines_of(taken, LINES)) == {
        2: [f"station: {station.replace(':', '')} logs in for {names[1]} already"],
        3: ["is here already, and not with this line"],
    }


async def test_circuits_of_octets_are_brought_in_by_their_hexadecimal_digits(site: Site) -> None:
    name = site.new_username()
    half = f"{name},1,{PLAN},pass-1,,,0x00041,,no\n"
    assert await checked(site, lines_of(half, LINES)) == {
        2: ["circuit: octets are 0x and two hexadecimal digits for each, and it has an odd number of them"]
    }
    whole = lines_of(f"{name},1,{PLAN},pass-1,,,0x000400640102,0x6F6C74,no\n", LINES)
    assert await brought_in(site, whole) == (1, 0, 1, 0)
    assert await brought_in(site, whole) == (0, 1, 0, 0)
    async with site.database.begin() as db:
        found = await site.service(db).subscriber_named(username=name)
    assert found["line"] == {"circuit": "0x000400640102", "remote": "olt"}
    await site.projector.project_subscriber(found["subscriber_id"])
    nas = await site.nas()
    there = {"ADSL-Agent-Circuit-Id": bytes.fromhex("000400640102"), "ADSL-Agent-Remote-Id": b"olt"}
    assert (await nas.login(name, "pass-1", line=there)).code == "Access-Accept"
    elsewhere = await nas.login(name, "pass-1", line={**there, "ADSL-Agent-Circuit-Id": bytes.fromhex("000400640103")})
    assert elsewhere.code == "Access-Reject"


@pytest.mark.parametrize("kind", ["postgresql"])  # on SQLite the second one has not begun yet
async def test_what_an_import_goes_by_stands_until_it_is_committed(site: Site) -> None:
    await site.define_plan(access="ipoe")
    await site.nas(lines=True)
    lines = lines_of(f"{site.new_username()},1,{PLAN},,,,olt {site.tenant_id}#1,,yes\n", LINES)

    async def defined_meanwhile() -> None:
        await site.define_plan(access="pppoe")

    async with site.database.begin() as db:
        await SubscriberImport(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets).bring_in(lines)
        defining = asyncio.create_task(defined_meanwhile())
        await until_it_waits_for_us(db, defining)
    with pytest.raises(PlanRefused, match="its access stays ipoe, by which 1 subscribers log in by their line"):
        await defining


def test_an_address_that_no_line_can_have_is_a_fault_and_the_last_of_a_block_is_none() -> None:
    addresses = ("0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.0", "100.64.0.0", "100.64.0.255")
    rows = "".join(f"u{place},7,gold,{address}\n" for place, address in enumerate(addresses))
    file = read_subscribers(f"username,customer_id,plan,ipv4\n{rows}".splitlines(keepends=True))
    assert [line.faults for line in file.lines] == [
        ("Framed-IP-Address: 0.0.0.0 is the unspecified address, which no line can have",),
        ("Framed-IP-Address: 127.0.0.1 is a loopback address, which no line can have",),
        ("Framed-IP-Address: 224.0.0.1 is a multicast address, which no line can have",),
        ("Framed-IP-Address: 240.0.0.1 is of a reserved block (240.0.0.0/4), which no line can have",),
        ("Framed-IP-Address: 255.255.255.0 is of a reserved block (240.0.0.0/4), which no line can have",),
        (),
        (),
    ]
