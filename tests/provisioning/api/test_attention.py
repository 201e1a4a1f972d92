"""``/attention``: what needs a person, the worst first; nobody sees what isn't theirs, and the NOC no money."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, text, update

from ipam import AddressLookup, Behind
from ipam.tables import Pool
from provisioning.access import Role
from provisioning.attention import desk, work
from provisioning.check import CheckResult, Finding
from provisioning.check_records import InvariantCheck, record_check
from provisioning.checking import check_and_record
from provisioning.commercial.partners.domain_tables import PartnerDomain
from provisioning.commercial.tables import Mail
from provisioning.field import Technicians, Visit, VisitPurpose, Visits, Whose
from radius.coa.tables import SessionChange, SessionTreatment
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_nas_heard
from tests.support.api import Api
from workflows.engine.tables import RunRow

HELD, WAITING = 3, 2
USERS = [f"c100{number}-s{number}@isp.example" for number in (1, 2, 3)]


async def look(api: Api, role: Role = "noc", **more: Any) -> dict[str, Any]:
    answer = await api.get("/attention", role=role, **more)
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


async def kinds(api: Api, role: Role = "noc", **more: Any) -> list[str]:
    return [item["kind"] for item in (await look(api, role, **more))["items"]]


async def change(api: Api, *statements: Any) -> None:
    async with api.appliance.database.begin() as db:
        for statement in statements:
            await db.execute(statement)


@pytest.fixture
async def checked(any_api: Api) -> Api:
    """Everything holds, as was asked a moment ago, and no visit is today, whatever the clock says."""
    result = await check_and_record(any_api.appliance)
    assert result.findings == []
    for visit in (await any_api.get("/visits")).json()["items"]:
        begins = any_api.appliance.clock() + timedelta(days=10 + visit["visit_id"])
        then = {"starts_at": begins, "ends_at": begins + timedelta(hours=2)}
        await change(any_api, update(Visit).where(Visit.id == visit["visit_id"]).values(**then))
    return any_api


@pytest.mark.both_databases
async def test_a_held_run_is_told_with_what_it_keeps_and_the_rest_is_quiet(checked: Api) -> None:
    seen = await look(checked)
    [item] = seen["items"]
    assert (item["kind"], item["urgency"], item["target"]) == ("run_held", "now", {"noun": "run", "id": str(HELD)})
    assert item["sentence"].startswith("Run 3 (ticket/T-3) for customer 1003 is held in confirm_port: ONT HWTC00000003")
    assert (item["customers"], item["for_whom"]) == ([1003], ["Customer 3"])
    assert any(kept.startswith("service 3: 100.64.") for kept in item["held_meanwhile"])
    assert (seen["is_quiet"], seen["sentence"][:26]) == (False, "1 thing needs a person at ")
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(state="pending"))
    quiet = await look(checked)
    assert (quiet["items"], quiet["is_quiet"]) == ([], True)
    assert quiet["sentence"].startswith("All quiet at 20") and quiet["checked_at"] is not None


async def test_a_run_that_was_handed_over_says_to_whom_and_is_for_nobody_to_get_up_for(
    checked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = {"reason": "the OLT's people know the port", "team": "onboarding"}
    given = await checked.post(f"/runs/{HELD}/hand-over", wish, match="*", role="noc")
    assert given.status_code == 201, given.text
    [item] = (await look(checked))["items"]
    told = f"Handed over to onboarding as ticket {given.json()['ticket_id']}."
    assert (item["kind"], item["urgency"], item["handed_over"]) == ("run_held", "today", told)
    monkeypatch.setattr(work, "NAMED_ALL", 0)
    [group] = (await look(checked))["items"]
    assert group["sentence"].startswith("1 runs of ") and group["handed_over"] == told
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(updated_at=datetime.now(UTC)))
    [anew] = (await look(checked))["items"]  # it was tried again, and is held anew
    assert (anew["urgency"], anew["handed_over"]) == ("now", "")


@pytest.mark.both_databases
async def test_what_no_worker_carries_on_is_told_before_all_else_with_its_time(checked: Api) -> None:
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    stands = {"state": "inProgress", "updated_at": since, "wake_at": None}
    late = {"state": "pending", "waiting_for": None, "wake_at": since + timedelta(hours=1)}
    await change(
        checked,
        update(RunRow).where(RunRow.id == WAITING).values(**stands),
        update(RunRow).where(RunRow.id == 1).values(**late),
    )

    worst, held = (await look(checked))["items"]

    assert (worst["kind"], worst["urgency"], worst["count"]) == ("work_overdue", "now", 2)
    assert worst["sentence"].startswith(f"2 runs should have gone on since {since:%Y-%m-%d %H:%M}")
    assert "does a worker run? Start `firstlight worker`" in worst["sentence"]
    assert (datetime.fromisoformat(worst["since"]), worst["target"]) == (since, {"noun": "runs", "id": ""})
    assert held["kind"] == "run_held"
    assert "work_overdue" not in await kinds(checked, "dispatch")


@pytest.mark.both_databases
async def test_lines_that_are_down_are_one_outage_with_visits_and_runs_folded_into_it(checked: Api) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    gone = {"nasipaddress": "10.0.0.9", "acctstarttime": now - timedelta(hours=5), "acctstoptime": now}
    rows = [
        {"acctsessionid": name, "acctuniqueid": name, "username": name, "acctterminatecause": "Lost-Carrier", **gone}
        for name in USERS
    ]
    asked_for = {"acctsessionid": "x", "acctuniqueid": "x", "username": "x@isp", "acctterminatecause": "User-Request"}
    async with checked.appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))
        await db.execute(insert(radacct), [*rows, {**asked_for, **gone}])
    today = {"starts_at": now, "ends_at": now + timedelta(minutes=1)}
    await change(checked, update(Visit).where(Visit.customer_id == 1002).values(**today))
    held = {"current_step": "apply_device", "updated_at": now, "reason": "no answer", "reason_code": None}
    mail = {"state": "held", "current_step": "deliver_email", "reason": "550", "customer_id": 1001}
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(**held))
    await change(checked, update(RunRow).where(RunRow.id == WAITING).values(**mail))
    [outage, apart] = (await look(checked))["items"]
    assert apart["target"] == {"noun": "run", "id": str(WAITING)}  # no line holds a mail
    assert (outage["kind"], outage["count"], outage["customers"]) == ("outage", 3, [1001, 1002, 1003])
    assert " is down since 20" in outage["sentence"] and "3 of 3 lines lost their session" in outage["sentence"]
    assert [each.split()[0] for each in outage["folded"]] == ["Visit", "Run"]
    assert await kinds(checked, "sales") == ["run_held", "run_held"]
    long_ago = now - timedelta(hours=3)
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(updated_at=long_ago))
    assert await kinds(checked) == ["outage", "run_held", "run_held"]
    async with checked.appliance.radius_database.begin() as db:
        back = {**rows[0], "acctuniqueid": "back", "acctstoptime": None, "acctterminatecause": None}
        await db.execute(insert(radacct), [back])
    seen = await look(checked)
    assert ([item["kind"] for item in seen["items"]], seen["lost_elsewhere"]) == (["run_held", "run_held"], 2)


async def test_a_visit_in_vain_after_which_nothing_follows_is_told_until_a_later_one_is_booked(checked: Api) -> None:
    appliance = checked.appliance

    async def book(begins: datetime, order_id: int | None = None, purpose: VisitPurpose = "dispatch") -> int:
        async with appliance.database.begin() as db:
            await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=801, name="Anna")
            booked = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).book(
                customer_id=1009,
                technician_id=801,
                starts_at=begins,
                duration_minutes=30,
                address="Lindenweg 4",
                whose=Whose(purpose, order_id),
            )
        return booked["visit_id"]

    async def report(visit_id: int) -> None:
        async with appliance.database.begin() as db:
            calendar = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            await calendar.report(visit_id=visit_id, outcome="no_access")

    async def told() -> list[dict[str, Any]]:
        return [item for item in (await look(checked))["items"] if item["kind"] == "visit_in_vain"]

    begun = appliance.clock() - timedelta(minutes=10)
    vain = await book(begun, 17)
    assert await told() == []
    await report(vain)
    [item] = await told()
    assert item["sentence"] == (
        f"Visit {vain} of Anna to customer 1009 at {begun:%Y-%m-%d %H:%M} UTC was in vain (nobody was there),"
        " and no later one is booked."
    )
    assert (item["target"], item["customers"]) == ({"noun": "visit", "id": str(vain)}, [1009])
    again = await book(begun, 18)  # another order's
    assert len(await told()) == 1
    await report(again)
    assert [each["target"]["id"] for each in await told()] == [str(vain), str(again)]
    of_a_run = await book(begun, 17, "installation")
    assert [each["target"]["id"] for each in await told()] == [str(again)]
    await report(of_a_run)  # its run goes on from there
    await book(appliance.clock() + timedelta(days=1), 18)
    assert await told() == []


async def test_what_an_outage_holds_is_told_with_the_number_of_the_rest(
    checked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST_FOLDED", 1)
    monkeypatch.setattr(work, "AT_ONCE", 2)
    now = datetime.now(UTC).replace(microsecond=0)
    gone = {"nasipaddress": "10.0.0.9", "acctstarttime": now - timedelta(hours=5), "acctstoptime": now}
    rows = [
        {"acctsessionid": name, "acctuniqueid": name, "username": name, "acctterminatecause": "Lost-Carrier", **gone}
        for name in USERS
    ]
    async with checked.appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))
        await db.execute(insert(radacct), rows)
    same = {"state": "held", "current_step": "apply_device", "reason": "no answer", "reason_code": "acs.silent"}
    await change(checked, update(RunRow).values(**same, updated_at=now, customer_id=1002))
    today = {"starts_at": now, "ends_at": now + timedelta(minutes=1)}
    await change(checked, update(Visit).values(**today, customer_id=1002, location=None))
    items = (await look(checked))["items"]
    assert [item["kind"] for item in items if item["kind"] != "visit_at_risk"] == ["outage"]
    visits = len((await checked.get("/visits")).json()["items"])
    assert [each.partition(" ")[0] for each in items[0]["folded"]] == ["Visit", *["And"][: visits - 1], "Run", "And"]
    assert items[0]["folded"][-1] == "And 3 more runs for those who are there are held."
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(updated_at=now - timedelta(days=1)))
    [alone] = [item for item in (await look(checked))["items"] if item["kind"] == "run_held"]
    assert alone["target"] == {"noun": "run", "id": str(HELD)}


async def test_of_however_many_outages_the_visits_premises_are_looked_up_once(
    checked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    look_up = AddressLookup.places_of_locations

    async def heard(self: AddressLookup, locations: Collection[str]) -> dict[str, Behind]:
        asked.append(set(locations))
        return await look_up(self, locations)

    monkeypatch.setattr(AddressLookup, "places_of_locations", heard)
    now = datetime.now(UTC).replace(microsecond=0)
    gone = {"acctstarttime": now - timedelta(hours=5), "acctstoptime": now, "acctterminatecause": "Lost-Carrier"}
    lost = [("10.0.0.9", name) for name in USERS] + [("10.0.0.8", f"guest{number}") for number in range(3)]
    rows = [
        {"nasipaddress": nas, "acctsessionid": name, "acctuniqueid": name, "username": name, **gone}
        for nas, name in lost
    ]
    async with checked.appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))
        await db.execute(insert(radacct), rows)
    today = {"starts_at": now, "ends_at": now + timedelta(minutes=1)}
    await change(checked, update(Visit).where(Visit.customer_id == 1002).values(**today))
    assert (await kinds(checked)).count("outage") == 2
    [visit] = [each for each in (await checked.get("/visits")).json()["items"] if each["customer_id"] == 1002]
    assert asked == [{visit["location"]}]


async def test_a_silent_nas_a_pool_that_is_full_and_mails_that_were_refused_are_told_in_their_order(
    checked: Api,
) -> None:
    now = datetime.now(UTC)
    async with checked.appliance.radius_database.begin() as db:
        heard = {"heard_at": now, "changed_at": now - timedelta(minutes=20), "looked_at": now, "open_sessions": 7}
        await db.execute(delete(radius_nas_heard))
        await db.execute(insert(radius_nas_heard).values(nasipaddress="10.9.9.9", heard_since=None, **heard))
    await change(
        checked,
        update(Pool).where(Pool.name == "north-v4").values(warn_percent=1, crit_percent=1, minimum_free=5_000),
        update(Mail)
        .where(Mail.id == 1)
        .values(state="refused", sent_at=None, queued_at=now, reason="550 no such user"),
    )
    async with checked.appliance.database.begin() as db:  # the check has found the silent NAS too: it is told once
        result = CheckResult(70, 1, [Finding("radius.nas_heard", "NAS 10.9.9.9", "Nothing has come from it.")])
        tenant_id = checked.appliance.tenant_id
        await record_check(db, result, tenant_id=tenant_id, checked_at=now, took_seconds=1.5)
    items = (await look(checked))["items"]
    assert [item["kind"] for item in items] == ["nas_silent", "run_held", "pool_running_dry", "mail_failing"]
    assert items[0]["target"] == {"noun": "nas", "id": "10.9.9.9"}
    assert items[0]["sentence"].startswith("Nothing has come from NAS 10.9.9.9 since")
    assert items[2]["sentence"].startswith("Pool north-v4 has ")
    assert items[3]["sentence"] == "1 mail refused by their server; the last, mail 1: 550 no such user"
    assert await kinds(checked, "sales") == ["run_held", "mail_failing"]
    assert await kinds(checked, "dispatch") == ["nas_silent", "run_held", "pool_running_dry"]
    assert await kinds(checked, "partner") == []


@pytest.mark.both_databases
async def test_sessions_that_a_nas_keeps_from_following_a_change_are_told_after_half_an_hour(checked: Api) -> None:
    now, tenant = checked.appliance.clock(), {"tenant_id": checked.appliance.tenant_id}
    await change(checked, update(RunRow).where(RunRow.id == HELD).values(state="pending"))

    async def changed(number: int, minutes: int, **treated: Any) -> None:
        made = {"act": "suspend", "request_fingerprint": "", "former": "[]", "must_end": False, "state": "pending"}
        made |= {"attempts": 3, "due_at": now, "created_at": now - timedelta(minutes=minutes)}
        asked = {"session_id": "1", "radacct_id": 1, "nas_address": "10.9.9.9", "said": "refused", "heard_seconds": 0}
        asked |= {"reason": "NAS bng refused to end it: Resources Unavailable (506)"} | treated
        await change(
            checked,
            insert(SessionChange).values(id=number, subscriber_id=1, **made, **tenant),
            insert(SessionTreatment).values(id=number, change_id=number, **asked, **tenant),
        )

    await changed(901, 29)
    await changed(902, 90, said="changed")
    await changed(903, 90, confirmed_at=now)
    assert await kinds(checked) == []
    await changed(904, 31, said="unanswered", reason="it did not answer")
    await changed(905, 45)
    [item] = (await look(checked))["items"]
    assert (item["kind"], item["urgency"], item["count"]) == ("sessions_behind", "today", 2)
    assert item["target"] == {"noun": "nas", "id": "10.9.9.9"}
    assert item["sentence"].startswith(
        "2 sessions at NAS 10.9.9.9 go on as before a change; the first is that of c1001-s1@isp.example (suspend): "
        "NAS bng refused to end it"
    ), "of 31 and 45 minutes the longer ones, although they were asked for later"
    assert datetime.fromisoformat(item["since"]) == now - timedelta(minutes=45)
    assert await kinds(checked, "sales") == []


async def test_a_host_name_whose_proof_is_gone_is_told_to_those_who_see_its_partner(checked: Api) -> None:
    lost = {"proven_at": None, "missing_since": datetime.now(UTC) - timedelta(days=8), "lost_at": datetime.now(UTC)}
    await change(checked, update(PartnerDomain).values(**lost))
    seers: tuple[Role, ...] = ("admin", "sales", "partner")
    others: tuple[Role, ...] = ("dispatch", "technician")
    for role in seers:
        [item] = [each for each in (await look(checked, role))["items"] if each["kind"] == "host_name_unproven"]
        assert item["target"] == {"noun": "partner", "id": "21"}
        assert item["sentence"].startswith("nordnetz.example is not proven to be partner 21's any more, and no page")
    for role in others:
        assert "host_name_unproven" not in await kinds(checked, role)
    other = await checked.token("partner", partner_id=22)
    assert await kinds(checked, token=other) == []


async def test_a_visit_that_nobody_reported_is_at_risk_and_a_technician_sees_their_own(checked: Api) -> None:
    now = datetime.now(UTC)
    past = {"starts_at": now - timedelta(hours=4), "ends_at": now - timedelta(hours=2)}
    await change(checked, update(Visit).where(Visit.customer_id == 1002).values(**past))
    [visit] = [each for each in (await checked.get("/visits")).json()["items"] if each["customer_id"] == 1002]
    items = (await look(checked, "dispatch"))["items"]
    [risk] = [item for item in items if item["kind"] == "visit_at_risk"]
    assert risk["target"] == {"noun": "visit", "id": str(visit["visit_id"])}
    assert "nobody has reported what came of it" in risk["sentence"]
    own = await checked.token("technician", technician_id=visit["technician_id"])
    assert [item["target"] for item in (await look(checked, token=own))["items"]] == [risk["target"]]
    assert await kinds(checked, token=await checked.token("technician", technician_id=999)) == []
    soon = {"starts_at": now, "ends_at": now + timedelta(seconds=30)}
    await change(checked, update(Visit).where(Visit.customer_id == 1003).values(**soon, state="scanned"))
    sentences = [item["sentence"] for item in (await look(checked))["items"] if item["kind"] == "visit_at_risk"]
    assert any("and run 3 for them is held." in sentence for sentence in sentences)


async def test_the_noc_sees_no_money_and_a_partner_only_runs_for_their_own(checked: Api) -> None:
    ada = (await checked.get("/customers?email=ada@example.net")).json()["items"][0]["customer_id"]
    paying = {
        "state": "held",
        "current_step": "capture_payment",
        "reason": "49.90 EUR were refused",
        "customer_id": ada,
    }
    await change(checked, update(RunRow).where(RunRow.id == WAITING).values(**paying))
    told = {role: str((await look(checked, role))["items"]) for role in ("noc", "admin", "sales", "partner")}
    assert {role: "49.90" in text for role, text in told.items()} == {
        "noc": False,
        "admin": True,
        "sales": True,
        "partner": True,  # of their own customer
    }
    assert "is held in capture_payment: (not shown) were refused" in told["noc"]
    assert [item["target"]["id"] for item in (await look(checked, "partner"))["items"]] == [str(WAITING)]


async def test_runs_held_for_one_reason_are_one_item(checked: Api) -> None:
    same = {"state": "held", "current_step": "confirm_port", "reason": "moved", "reason_code": "x.y"}
    await change(checked, update(RunRow).values(**same, journey="isp_ticket_to_deployment"))
    [item] = (await look(checked))["items"]
    assert (item["count"], item["target"]) == (4, {"noun": "runs", "id": "x.y"})
    assert item["sentence"].startswith("4 runs of isp_ticket_to_deployment are held in confirm_port; the one")


async def test_of_many_runs_for_one_reason_the_number_is_exact_and_every_other_reason_is_told(
    checked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "NAMED_ALL", 2)
    monkeypatch.setattr(work, "AT_ONCE", 2)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    same = {"state": "held", "current_step": "apply_device", "reason": "silent", "reason_code": "acs.silent"}
    await change(checked, update(RunRow).where(RunRow.id != HELD).values(**same, journey="service_termination"))
    await change(checked, update(RunRow).where(RunRow.id == 1).values(updated_at=began))
    many, one = sorted((await look(checked))["items"], key=lambda item: -item["count"])
    assert (many["count"], many["customers"], many["target"]) == (3, [], {"noun": "runs", "id": "acs.silent"})
    assert many["sentence"].startswith(
        "3 runs of service_termination are held in apply_device, the first of them since"
    )
    assert many["sentence"].endswith("; the newest, run 4: silent")
    assert datetime.fromisoformat(many["since"]) == began
    assert one["target"] == {"noun": "run", "id": str(HELD)}


async def test_what_the_last_check_found_is_told_with_its_time_and_money_to_who_sees_money(any_api: Api) -> None:
    appliance = any_api.appliance
    assert "not_checked" in await kinds(any_api)
    findings = [
        Finding("ipam.leaked", "service 9", "Service 9 holds 100.64.0.9, and nobody wants it."),
        Finding("payment.once", "order 7", "Order 7 was paid twice: 49.90 EUR."),
    ]
    at = appliance.clock() - timedelta(hours=2)
    async with appliance.database.begin() as db:
        result = CheckResult(70, 2, findings)
        await record_check(db, result, tenant_id=appliance.tenant_id, checked_at=at, took_seconds=1.5)
    seen = await look(any_api)
    bill, broken = [item for item in seen["items"] if item["kind"] == "invariant_broken"]
    assert bill["sentence"].endswith("(payment.once): 1 finding, of which whoever settles payments is told.")
    assert ("49.90" in str(seen), "49.90" in str(await look(any_api, "admin"))) == (False, True)
    assert broken["sentence"].endswith("(ipam.leaked): Service 9 holds 100.64.0.9, and nobody wants it.")
    assert (broken["target"], broken["since"]) == ({"noun": "check", "id": "ipam.leaked"}, seen["checked_at"])
    assert [item["kind"] for item in seen["items"]].count("not_checked") == 0
    assert (await kinds(any_api, "admin")).count("invariant_broken") == 2
    assert "invariant_broken" not in await kinds(any_api, "dispatch") + await kinds(any_api, "sales")
    assert (await look(any_api, "dispatch"))["checked_at"] is None
    async with appliance.database.begin() as db:
        old = appliance.clock() - timedelta(days=2)
        await record_check(db, result, tenant_id=appliance.tenant_id, checked_at=old, took_seconds=1.5)
    assert (await kinds(any_api)).count("not_checked") == 1


async def test_one_invariant_that_is_broken_often_hides_no_other(any_api: Api) -> None:
    appliance = any_api.appliance
    findings = [Finding("license.once", f"licence {number}", f"Licence {number} is twice.") for number in range(5_000)]
    findings += [Finding("ipam.leaked", f"service {number}", f"Service {number} leaks.") for number in (9, 10)]
    async with appliance.database.begin() as db:
        at, result = appliance.clock(), CheckResult(70, 2, findings)
        await record_check(db, result, tenant_id=appliance.tenant_id, checked_at=at, took_seconds=1.5)
    told = {item["target"]["id"]: item for item in (await look(any_api))["items"] if item["target"]["noun"] == "check"}
    assert {name: item["count"] for name, item in told.items()} == {"license.once": 5_000, "ipam.leaked": 2}
    assert told["ipam.leaked"]["sentence"].endswith("(ipam.leaked): Service 9 leaks. And 1 other.")
    await change(any_api, update(InvariantCheck).values(counts={"license.once": 200}, failed=2))
    besides, _ = [item for item in (await look(any_api))["items"] if item["target"]["noun"] == "check"]
    assert besides["sentence"].startswith("1 invariant does not hold besides, and it was not kept which")


async def test_whoever_may_not_look_is_refused(any_api: Api) -> None:
    assert (await any_api.get("/attention", role=None)).status_code == 401
    blind = await any_api.token("noc", scopes=["runs.read"])
    assert (await any_api.get("/attention", token=blind)).status_code == 403
    narrow = await any_api.token("noc", scopes=["attention.read"])
    assert (await look(any_api, token=narrow))["items"] == []


@pytest.mark.both_databases
async def test_a_radius_database_that_can_not_be_read_is_told_and_hides_nothing_else(checked: Api) -> None:
    async with checked.appliance.radius_database.begin() as db:
        await db.execute(text("ALTER TABLE radacct RENAME TO radacct_of_somebody"))
    seen = await look(checked)
    unread, held = seen["items"]
    assert (unread["kind"], unread["urgency"], held["kind"]) == ("radius_unread", "now", "run_held")
    assert unread["sentence"].startswith("The radius database cannot be used as it is (")
    assert unread["sentence"].endswith("is not known meanwhile.")
    assert (seen["is_quiet"], seen["lost_elsewhere"]) == (False, None)
    assert await kinds(checked, "sales") == ["run_held"]  # who sees no sessions is told of none


async def test_events_that_started_no_journey_are_told_by_type_until_they_are_set_aside(any_api: Api) -> None:
    before = await kinds(any_api)
    numbers = []
    for ticket in ("T-1", "T-2"):
        told = {"type": "ticket.installation_approved", "subject": f"ticket/{ticket}", "key": ticket}
        answer = await any_api.post("/events", told | {"data": {"ticket_id": ticket, "order_id": "EUR 12.50"}})
        numbers.append(answer.json()["event_id"])
    await any_api.appliance.events.take_up(any_api.appliance.database.begin)

    seen = await look(any_api)
    [item] = [each for each in seen["items"] if each["kind"] == "event_refused"]
    assert item["sentence"].startswith(
        "No journey was started: 2 events of ticket.installation_approved were refused; the newest, event"
        f" {numbers[1]} about ticket/T-2: "
    )
    assert (item["urgency"], item["count"], item["target"]) == (
        "today",
        2,
        {"noun": "events", "id": "ticket.installation_approved"},
    )
    assert "event_refused" not in await kinds(any_api, "technician")
    for number in numbers:
        answer = await any_api.post(f"/events/{number}/set-aside", {"reason": "written on a Friday"})
        assert (answer.status_code, answer.json()) == (200, {"event_id": number, "state": "ignored"})
    assert await kinds(any_api) == before


async def test_the_numbers_of_the_first_page_are_told_of_what_may_be_seen(any_api: Api) -> None:
    told = {figure["name"]: figure for figure in (await any_api.get("/attention/figures")).json()}
    assert told["Runs ended"]["now"].startswith("2 in 24 hours, 1 of them completed")
    assert {"Sessions open", "Pool north-v4"} <= set(told)
    sales = (await any_api.get("/attention/figures", role="sales")).json()
    assert [figure["name"] for figure in sales] == ["Runs ended"]
