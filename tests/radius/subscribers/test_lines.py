"""From which line a subscriber may log in, and lines that log in by themselves: asked of the real FreeRADIUS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from radius import (
    AccessUnfit,
    CreatedSubscriber,
    LineIdentity,
    LineTaken,
    LoginLog,
    PlanRefused,
    PlanTerms,
    SessionChangeView,
    SubscriberVerbs,
)
from radius.projection.freeradius_tables import radacct, radcheck, radius_line
from radius.testing import LabNas, LabSession
from tests.radius.conftest import ADDRESSES, Site

MAC = "00:1a:2B:3c:4D:5e"
CLIENT_IDENTIFIERS = ("1:0:1a:2b:3c:4d:5e", "01:00:1A:2B:3C:4D:5E", "0100.1a2B.3c4d.5e")
"""What an Ethernet client calls itself (RFC 2132 s9.14) as MikroTik writes it, with its zeros, and as Cisco does."""
SPELLINGS = ("00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "001A2B3C4D5E", "00:1a:2b:3c:4d:5e", "001a2b-3c4d5e")
CIRCUIT = "olt-7 xpon 0/3/0/12#2:100.4095 'ä'"
"""Characters that FreeRADIUS writes otherwise into a query, and one of more octets than one."""
PPPOE = PlanTerms(download_kbps=1000, upload_kbps=1000)
OTHER_LINE = ("Access-Reject", ("This login belongs to another line.",))


@dataclass
class Bound:
    """A subscriber and a NAS."""

    site: Site
    nas: LabNas
    subscriber: CreatedSubscriber

    @property
    def name(self) -> str:
        return self.subscriber["username"]

    async def act(self, verb: str, subscriber: CreatedSubscriber | None = None, **said: Any) -> SessionChangeView:
        number = (subscriber or self.subscriber)["subscriber_id"]
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=self.site.now, secrets=self.site.secrets)
            done: SessionChangeView = await getattr(verbs, verb)(subscriber_id=number, **said)
        await self.site.projector.project_subscriber(number)
        return done

    async def said(self, *, station: str = MAC, line: Mapping[str, str | bytes] | None = None) -> tuple[str, Any]:
        """What becomes of a login with the right password."""
        password = await self.site.password(self.subscriber)
        reply = await self.nas.login(self.name, password, calling_station=station, line=line)
        return reply.code, reply.attributes.get("Reply-Message")


@pytest.fixture
async def bound(site: Site) -> AsyncIterator[Bound]:
    yield Bound(site, await site.nas(lines=True), await site.active())


async def test_a_subscriber_logs_in_from_its_line_alone_in_every_spelling_of_its_mac(bound: Bound) -> None:
    await bound.act("bind", line=LineIdentity(station="00-1a-2b-3c-4d-5e"))
    assert {(await bound.said(station=each))[0] for each in (*SPELLINGS, *CLIENT_IDENTIFIERS)} == {"Access-Accept"}
    assert await bound.said(station="2:0:1a:2b:3c:4d:5e") == OTHER_LINE  # of another kind of hardware
    assert await bound.said(station="1:0:1a:2b:3c:4d:5") == OTHER_LINE
    assert await bound.said(station="00-1a-2b-3c-4d-5f") == OTHER_LINE
    assert await bound.said(station="anna's house") == OTHER_LINE

    line = {"NAS-Port-Id": "eth 0/1:100", "ADSL-Agent-Circuit-Id": CIRCUIT, "ADSL-Agent-Remote-Id": "0x41 #1"}
    everything = LineIdentity("anna's house", "eth 0/1:100", CIRCUIT, "0x41 #1")
    await bound.act("bind", line=everything)
    assert (await bound.said(station="anna's house", line=line))[0] == "Access-Accept"
    for name, value in line.items():
        assert await bound.said(station="anna's house", line={**line, name: f"{value}0"}) == OTHER_LINE
    assert await bound.said(station="anna's house") == OTHER_LINE  # nothing is said of it

    await bound.act("unbind")
    assert (await bound.said(station="somewhere"))[0] == "Access-Accept"


async def test_a_line_logs_in_where_a_dhcp_server_says_what_its_client_calls_itself(bound: Bound) -> None:
    await bound.site.define_plan(access="ipoe")
    await bound.site.projector.project_plans()
    nas, name = bound.nas, bound.subscriber["username"]
    for written in CLIENT_IDENTIFIERS:
        assert LineIdentity(station=written).in_one_spelling.station == "001a2b3c4d5e"
    await bound.act("bind", line=LineIdentity(station=CLIENT_IDENTIFIERS[0]), logs_in=True)

    for said in CLIENT_IDENTIFIERS:
        reply = await nas.line_login("00:1A:2B:3C:4D:5E", calling_station=said)
        assert (reply.code, reply.attributes.get("User-Name")) == ("Access-Accept", (name,)), said
    session = LabSession(username="00:1A:2B:3C:4D:5E", session_id=f"s-{name}", calling_station=CLIENT_IDENTIFIERS[0])
    await nas.accounting_start(session)  # it keeps to its own name
    async with bound.site.radius_database.begin() as db:
        whose = select(radacct.c.username).where(radacct.c.acctsessionid == session.session_id)
        assert list(await db.scalars(whose)) == [name]
    others = ("1:0:1a:2b:3c:4d:5f", "2:0:1a:2b:3c:4d:5e", "ff:4d:5e:0:1:0:1", "1:0:1a:2b:3c:4d:5e:1", "ff")
    for said in (*others, "0100.1a2b.3c4d.5f", "0200.1a2b.3c4d.5e", "0100.1a2b.3c4d.5e00", "0100.1a2b.3c4d5e"):
        assert (await nas.line_login("00:1A:2B:3C:4D:5E", calling_station=said)).code == "Access-Reject", said


async def test_a_line_whose_dhcp_client_calls_itself_by_a_duid_is_told_by_the_mac_in_its_name(bound: Bound) -> None:
    """As systemd and NetworkManager do (RFC 4361), and IOS with a type of 0."""
    await bound.site.define_plan(access="ipoe")
    await bound.site.projector.project_plans()
    nas, duid = bound.nas, "ff:3c:4d:5e:aa:0:2:0:0:ab:11:9c:7:d:2:91:5b:e1:f6"
    await bound.act("bind", line=LineIdentity(station=MAC), logs_in=True)

    for said in (duid, duid.upper(), "0:63:69:73:63:6f:2d:30:30:31:61"):
        reply = await nas.line_login("00:1A:2B:3C:4D:5E", calling_station=said)
        assert (reply.code, reply.attributes.get("User-Name")) == ("Access-Accept", (bound.name,)), said
    assert (await nas.line_login("00:1A:2B:3C:4D:5F", calling_station=duid)).code == "Access-Reject"
    assert (await nas.line_login(bound.name, calling_station=duid)).code == "Access-Reject"
    by_ppp = await nas.login("00:1A:2B:3C:4D:5E", await bound.site.password(bound.subscriber), calling_station=duid)
    assert by_ppp.code == "Access-Reject"
    hotspot = await bound.site.nas()
    assert (await hotspot.line_login("00:1A:2B:3C:4D:5E", calling_station=duid)).code == "Access-Reject"

    await bound.act("bind", line=LineIdentity(station=MAC, circuit=CIRCUIT), logs_in=True)
    assert (await nas.line_login("00:1A:2B:3C:4D:5E", calling_station=duid)).code == "Access-Reject"
    there = await nas.line_login("00:1A:2B:3C:4D:5E", calling_station=duid, line={"ADSL-Agent-Circuit-Id": CIRCUIT})
    assert there.code == "Access-Accept"


async def test_a_subscriber_with_a_password_is_told_by_its_own_station_alone_also_where_that_is_a_duid(
    bound: Bound,
) -> None:
    await bound.act("bind", line=LineIdentity(station=MAC))
    assert await bound.said(station="ff:3c:4d:5e:aa:0:2:0:0:ab:11:9c:7:d:2:91:5b:e1:f6") == OTHER_LINE


async def test_a_line_logs_in_by_itself_by_its_mac_or_circuit_and_no_password_does_in_its_place(bound: Bound) -> None:
    await bound.site.define_plan(access="ipoe")
    await bound.site.projector.project_plans()
    await bound.act("bind", line=LineIdentity(station=MAC, circuit=CIRCUIT), logs_in=True)
    line = {"ADSL-Agent-Circuit-Id": CIRCUIT}
    for user_name, said in (*((each, line) for each in SPELLINGS), (CIRCUIT, line)):
        reply = await bound.nas.line_login(user_name, calling_station=MAC, line=said)
        assert (reply.code, reply.framed_ip_address) == ("Access-Accept", ADDRESSES.ipv4), user_name
        assert reply.attributes["User-Name"] == (bound.name,)
        assert "Framed-Protocol" not in reply.attributes

    nas, password = bound.nas, await bound.site.password(bound.subscriber)
    # another line, another MAC on the line, and who knows the name, or the MAC, and sends it by PPP
    refused = await nas.line_login(SPELLINGS[0], calling_station="00-1a-2b-3c-4d-5f")
    assert (refused.code, list(refused.attributes)) == ("Access-Reject", ["Message-Authenticator"])
    assert (await nas.line_login(f"{CIRCUIT}0", calling_station=MAC)).code == "Access-Reject"
    assert (await nas.line_login(CIRCUIT, calling_station=MAC)).code == "Access-Reject"
    assert (await nas.line_login(CIRCUIT, calling_station="00-1a-2b-3c-4d-5f", line=line)).code == "Access-Reject"
    assert (
        await nas.line_login(SPELLINGS[0], calling_station=MAC, line={**line, "ADSL-Agent-Circuit-Id": "x"})
    ).code == ("Access-Reject")
    assert (await bound.said(line=line))[0] == "Access-Reject"
    for user_name in (SPELLINGS[0], bound.name):
        for word in (MAC, user_name, password, "the same for every line"):
            reply = await nas.login(user_name, word, calling_station=MAC, line=line)
            assert reply.code == "Access-Reject", (user_name, word)
    assert (await nas.line_login(bound.name, calling_station=MAC, line=line)).code == "Access-Reject"

    session = LabSession(username=SPELLINGS[1], session_id="s-of-a-nas-that-keeps-its-own-name")
    await nas.accounting_start(session)
    async with bound.site.radius_database.begin() as db:
        whose = select(radacct.c.username).where(radacct.c.acctsessionid == session.session_id)
        assert list(await db.scalars(whose)) == [bound.name]
        kept = set(await db.scalars(select(radcheck.c.attribute).where(radcheck.c.username == bound.name)))
    assert kept == {"Firstlight-Login", "Firstlight-Station", "Firstlight-Circuit"}

    await bound.site.define_plan(access="ipoe", vrf="business", where_untold="refuse_login")
    await bound.site.projector.project_plans()
    refused = await nas.line_login(SPELLINGS[0], calling_station=MAC, line=line)
    why = "No rate is known for this line at this NAS."
    assert (refused.code, refused.first("Reply-Message")) == ("Access-Reject", why)
    log = LoginLog(bound.site.radius_database.read, bound.site.radius_database.begin)
    assert [each["reason"] for each in await log.logins_of(bound.name, limit=1)] == ["no_rate"]
    await bound.site.define_plan(access="ipoe")
    await bound.site.projector.project_plans()

    await bound.act("suspend")
    refused = await nas.line_login(SPELLINGS[0], calling_station=MAC, line=line)
    assert (refused.code, refused.first("Reply-Message")) == ("Access-Reject", "This service is suspended.")
    await bound.act("resume")
    await bound.act("unbind")
    assert (await nas.line_login(SPELLINGS[0], calling_station=MAC, line=line)).code == "Access-Reject"
    assert (await bound.said())[0] == "Access-Accept"
    async with bound.site.radius_database.begin() as db:
        assert list(await db.scalars(select(radius_line.c.line).where(radius_line.c.username == bound.name))) == []


async def test_nobody_logs_in_at_a_hotspot_as_a_neighbours_line(bound: Bound) -> None:
    site = bound.site
    await site.define_plan(access="ipoe")
    await site.projector.project_plans()
    hotspot = await site.nas()  # whose customers type the User-Name, and choose the MAC address they come with
    for line in (LineIdentity(circuit=CIRCUIT), LineIdentity(station=MAC)):
        await bound.act("bind", line=line, logs_in=True)
        for typed in (CIRCUIT, MAC, SPELLINGS[2]):
            for station, said in ((MAC, None), (MAC, {"ADSL-Agent-Circuit-Id": CIRCUIT}), ("02-00-00-00-00-01", None)):
                reply = await hotspot.line_login(typed, calling_station=station, line=said)
                assert (reply.code, reply.framed_ip_address) == ("Access-Reject", None), (line, typed, station)
    # nor at the NAS of the lines, by a name that nothing there bears out
    assert (await bound.nas.line_login(MAC, calling_station="02-00-00-00-00-01")).code == "Access-Reject"
    assert (await bound.nas.line_login(MAC, calling_station=MAC)).code == "Access-Accept"


async def test_a_line_logs_in_for_one_subscriber_and_on_a_plan_for_ipoe_alone(bound: Bound) -> None:
    line = LineIdentity(station=MAC)
    with pytest.raises(AccessUnfit):
        await bound.act("bind", line=line, logs_in=True)
    await bound.site.define_plan(access="ipoe")
    change = await bound.act("bind", line=line, logs_in=True, request_id="b1")
    assert change["act"] == "bind"
    assert await bound.act("bind", line=LineIdentity(station=SPELLINGS[1]), logs_in=True, request_id="b1") == change
    neighbour = await bound.site.active()
    with pytest.raises(LineTaken, match=r"cannot log in by station 001a2b3c4d5e"):
        await bound.act("bind", neighbour, line=line, logs_in=True)
    await bound.act("bind", neighbour, line=line)  # with a password it may be on the same line
    async with bound.site.database.begin() as db:
        await bound.site.service(db).define_plan(name="pppoe", terms=PPPOE)
    with pytest.raises(AccessUnfit):
        await bound.act("change_plan", plan="pppoe")
    with pytest.raises(PlanRefused, match="its access stays ipoe, by which 1 subscribers log in by their line"):
        await bound.site.define_plan(access="pppoe")
    async with bound.site.database.begin() as db:
        await bound.site.service(db).terminate(subscriber_id=bound.subscriber["subscriber_id"])
    await bound.act("bind", neighbour, line=line, logs_in=True)


async def test_a_line_that_a_late_projection_took_away_is_shown_again(bound: Bound) -> None:
    site, line = bound.site, LineIdentity(station=MAC)
    await site.define_plan(access="ipoe")
    neighbour = await site.active()
    await bound.act("bind", line=line, logs_in=True)
    await bound.act("unbind")
    await bound.act("bind", neighbour, line=line, logs_in=True)
    async with site.radius_database.begin() as db:  # as the projection of the first binding leaves it, which was late
        await db.execute(
            update(radius_line).values(username=bound.name).where(radius_line.c.line == "station 001a2b3c4d5e")
        )
    await site.projector.project_subscriber(neighbour["subscriber_id"])
    async with site.database.begin() as db:
        behind = await site.service(db).subscriber_ids(unprojected=True)
    assert behind == {bound.name: bound.subscriber["subscriber_id"]}
    assert (await bound.nas.line_login(MAC, calling_station=MAC)).attributes["User-Name"] == (neighbour["username"],)


def test_everything_that_is_wrong_with_a_line_is_said_at_once() -> None:
    refused = LineIdentity(station="`id`", port="a\tb", circuit=" ", remote="r" * 130)
    assert [fault.partition(":")[0] for fault in refused.faults(logs_in=False)] == [
        "station",
        "port",
        "circuit",
        "remote",
    ]
    assert LineIdentity().faults(logs_in=False) == ["one of station, port, circuit and remote is needed"]
    assert LineIdentity(port="1").faults(logs_in=True) == [
        "a line logs in by its station or its circuit, and neither is said"
    ]
