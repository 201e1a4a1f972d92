"""Lines that are told by their circuit, and circuits whose octets are no text: by the real FreeRADIUS."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from radius import LineIdentity, LineRefused, LoginLog
from radius.projection.freeradius_tables import radacct
from radius.testing import LabSession
from tests.radius.subscribers.test_lines import CIRCUIT, MAC, OTHER_LINE, Bound, bound

__all__ = ["bound"]


async def test_what_a_line_uses_is_its_subscribers_also_where_accounting_names_its_circuit_alone(bound: Bound) -> None:
    site, nas = bound.site, bound.nas
    await site.define_plan(access="ipoe")
    await site.projector.project_plans()
    await bound.act("bind", line=LineIdentity(circuit=CIRCUIT), logs_in=True)
    there = {"ADSL-Agent-Circuit-Id": CIRCUIT}
    assert (await nas.line_login(CIRCUIT, line=there)).attributes["User-Name"] == (bound.name,)

    alone = LabSession(username=CIRCUIT, session_id=f"alone-{bound.name}")
    with_it = LabSession(username=CIRCUIT, session_id=f"with-{bound.name}", line=there)
    another = LabSession(username=f"{CIRCUIT}0", session_id=f"another-{bound.name}")
    of_another = LabSession(
        username=CIRCUIT, session_id=f"of-another-{bound.name}", line={**there, "Framed-Protocol": "PPP"}
    )
    for session in (alone, with_it, another, of_another):
        await nas.accounting_start(session)
    hotspot = LabSession(username=CIRCUIT, session_id=f"hotspot-{bound.name}")
    await (await site.nas()).accounting_start(hotspot)

    whose = await _filed_under(bound, alone, with_it, another, of_another, hotspot)
    mangled = "olt-7 xpon 0/3/0/12=232:100.4095 =27ä=27"
    assert whose == [bound.name, bound.name, f"{mangled}0", mangled, mangled]


async def test_who_has_the_name_of_a_circuit_of_its_own_keeps_what_it_uses(bound: Bound) -> None:
    site = bound.site
    await site.define_plan(access="ipoe")
    neighbour = await site.active()
    await bound.act("bind", line=LineIdentity(circuit=neighbour["username"]), logs_in=True)
    session = LabSession(username=neighbour["username"], session_id=f"s-{neighbour['username']}")
    await bound.nas.accounting_start(session)
    assert await _filed_under(bound, session) == [neighbour["username"]]


async def _filed_under(bound: Bound, *sessions: LabSession) -> list[str]:
    """The name that each session has in accounting; its row is gone afterwards."""
    found = {}
    async with bound.site.radius_database.begin() as db:
        for session in sessions:
            mine = radacct.c.acctsessionid == session.session_id
            [found[session.session_id]] = await db.scalars(select(radacct.c.username).where(mine))
            await db.execute(delete(radacct).where(mine))
    return [found[session.session_id] for session in sessions]


async def test_a_circuit_of_octets_that_are_no_text_is_bound_by_its_hexadecimal_digits(bound: Bound) -> None:
    """As a switch writes its VLAN, slot and port there."""
    octets, remote = bytes.fromhex("000400640102"), bytes.fromhex("0006001a2b3c4d5e")
    there = {"ADSL-Agent-Circuit-Id": octets, "ADSL-Agent-Remote-Id": remote}
    await bound.act("bind", line=LineIdentity(circuit="0x000400640102", remote="0x0006001A2B3C4d5e"))
    async with bound.site.database.begin() as db:
        shown = await bound.site.service(db).subscriber_named(username=bound.name)
    assert shown["line"] == {"circuit": "0x000400640102", "remote": "0x0006001a2b3c4d5e"}
    assert (await bound.said(line=there))[0] == "Access-Accept"
    digits = b"0x" + b"0x000400640102".hex().encode()  # pyrad takes what begins so for octets itself
    assert await bound.said(line={**there, "ADSL-Agent-Circuit-Id": digits}) == OTHER_LINE
    assert await bound.said(line={**there, "ADSL-Agent-Circuit-Id": octets[:-1] + b"\x03"}) == OTHER_LINE
    log = LoginLog(bound.site.radius_database.read, bound.site.radius_database.begin)
    assert [each["circuit"] for each in await log.logins_of(bound.name, limit=3)] == [
        "0x000400640103",
        "0x3078303030343030363430313032",
        "0x000400640102",
    ]

    await bound.act("bind", line=LineIdentity(circuit="0x6f6C74"))
    assert (await bound.said(line={"ADSL-Agent-Circuit-Id": b"olt"}))[0] == "Access-Accept"
    await bound.site.define_plan(access="ipoe")
    await bound.site.projector.project_plans()
    with pytest.raises(LineRefused, match=r"circuit: a line logs in by one that is text, or by its station"):
        await bound.act("bind", line=LineIdentity(circuit="0x000400640102"), logs_in=True)
    await bound.act("bind", line=LineIdentity(station=MAC, circuit="0x000400640102"), logs_in=True)
    by_itself = await bound.nas.line_login(MAC, calling_station=MAC, line=there)
    assert (by_itself.code, by_itself.first("User-Name")) == ("Access-Accept", bound.name)
    assert (await bound.nas.line_login(MAC, calling_station=MAC)).code == "Access-Reject"


def test_octets_that_are_text_are_that_text_unless_it_would_be_taken_for_octets() -> None:
    spelt = {
        "0x6F6C7420c3a4": "olt ä",
        "0x0004": "0x0004",
        "0xFF": "0xff",
        "0x206f": "0x206f",
        "0x30783431": "0x30783431",  # 0x41
        "0x": "0x",
        "0x41 #1": "0x41 #1",
        "0X41": "0X41",
    }
    for said, kept in spelt.items():
        line = LineIdentity(circuit=said, remote=said).in_one_spelling
        assert (line.circuit, line.remote) == (kept, kept)
        assert line.in_one_spelling == line
    assert LineIdentity(port="0x41").in_one_spelling.port == "0x41"
    half = "octets are 0x and two hexadecimal digits for each, and it has an odd number of them"
    assert LineIdentity(circuit="0x041").faults(logs_in=False) == [f"circuit: {half}"]
