"""The estate's file: written whole or not at all, known again when it comes again, and carried to FreeRADIUS."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import event, func, select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.check import check_everything
from provisioning.commercial.tables import Customer, SiteSurvey
from provisioning.errors import InvalidRequest
from provisioning.estate import import_estate
from provisioning.estate_changes import ChangedParts, Unserved
from provisioning.estate_radius import RateSpec
from provisioning.estate_spec import EstateSpec
from provisioning.estate_told import ToldBefore
from provisioning.field import Jobs
from radius import PlanTerms, Projection, RadiusDatabaseUnavailable, RadiusProjector
from radius.projection.freeradius_tables import nas, radgroupreply
from radius.subscribers.password_storage import CHECKABLE, LOGIN_METHODS
from radius.tables import Subscriber
from tests.support.appliances import ESTATE, Original

PARTNER = """[[partner]]
id = 21
name = 'Nordnetz'
email = 'orders@nordnetz.example'
license_template = 1
license_quota = 50
commission = { type = 'percentage', basis_points = 1250, currency = 'EUR' }
"""


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated.copy(tmp_path)) as opened:
        yield opened


async def rows(appliance: Appliance) -> tuple[int, int]:
    async with appliance.database.begin() as db:
        customers = await db.scalar(select(func.count()).select_from(Customer))
        surveys = await db.scalar(select(func.count()).select_from(SiteSurvey))
    return customers or 0, surveys or 0


async def test_a_nas_whose_row_somebody_holds_keeps_no_other_from_being_carried_over(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, carry = tmp_path / "estate.toml", RadiusProjector.project_one
    numbers = range(7, 10)
    nases = [f"[[nas]]\nname = 'hall-{n}'\naddress = '198.51.100.{n}'\ndialect = 'cisco'\n" for n in numbers]
    file.write_text("".join(nases), encoding="utf-8")
    reasons = {"one": RadiusDatabaseUnavailable("a lock", of_one=True), "all": RadiusDatabaseUnavailable("it is down")}

    async def failing(projector: RadiusProjector, kind: Literal["plan", "nas"], source_id: int) -> Projection:
        if source_id in fail:
            raise reasons[fail[source_id]]
        return await carry(projector, kind, source_id)

    monkeypatch.setattr(RadiusProjector, "project_one", failing)
    fail: dict[int, str] = {}
    assert (await import_estate(appliance, file)).not_carried_over == {}
    async with appliance.database.read() as db:
        found = await appliance.services(db).radius_service.nas_list()
    first, second, third = [each["nas_id"] for each in found if each["name"].startswith("hall-")]
    fail = {first: "one", third: "one"}
    assert (await import_estate(appliance, file)).not_carried_over == {
        "nas hall-7": str(reasons["one"]),
        "nas hall-9": str(reasons["one"]),
    }
    fail = {first: "one", second: "all"}
    assert (await import_estate(appliance, file)).not_carried_over == {
        "nas hall-7": str(reasons["one"]),
        "plans and NASes": str(reasons["all"]),
    }


async def faults(appliance: Appliance, tmp_path: Path, text: str) -> list[tuple[str, str]]:
    file = tmp_path / "estate.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRequest) as refused:
        await import_estate(appliance, file)
    assert await rows(appliance) == (0, 0)
    return [(fault.field, fault.reason) for fault in refused.value.faults]


async def test_an_estate_reaches_our_tables_and_freeradius(appliance: Appliance) -> None:
    counts = (await import_estate(appliance, ESTATE)).counts
    assert counts == {
        "vrfs": 0,
        "bngs": 1,
        "sites": 1,
        "plans": 1,
        "access_nodes": 1,
        "locations": 2,
        "prefixes": 0,
        "pools": 3,
        "nat_rules": 0,
        "vlan_groups": 1,
        "svlans": 1,
        "rates": 1,
        "nas": 1,
        "cpe_plans": 0,
        "offers": 2,
        "teams": 4,
        "visit_jobs": 1,
        "technicians": 1,
        "customers": 1,
        "site_surveys": 1,
        "license_templates": 1,
        "partners": 1,
    }
    async with appliance.radius_database.begin() as db:
        assert list(await db.scalars(select(nas.c.nasname))) == ["127.0.0.1"]
        rates = list(await db.scalars(select(radgroupreply.c.value).where(radgroupreply.c.attribute.like("Mikrotik%"))))
    assert rates == ["150000k/300000k"]
    assert (await check_everything(appliance)).findings == []


async def test_the_same_estate_again_changes_nothing_and_mends_what_freeradius_lost(appliance: Appliance) -> None:
    await import_estate(appliance, ESTATE)
    before = await rows(appliance)
    async with appliance.radius_database.begin() as db:
        await db.execute(nas.delete())
    await import_estate(appliance, ESTATE)
    assert await rows(appliance) == before
    assert (await check_everything(appliance)).findings == []


async def test_one_fault_anywhere_and_nothing_of_the_file_is_written(appliance: Appliance, tmp_path: Path) -> None:
    text = ESTATE.read_text() + '\n[[customer]]\nid = 1002\nname = "Eve"\nemail = "nowhere"\n'
    assert await faults(appliance, tmp_path, text) == [("customer 1002: email", "is not a mail address: nowhere")]
    assert (await check_everything(appliance)).findings == []


@pytest.mark.both_databases
async def test_an_estate_takes_lines_from_one_nas_to_another_and_not_from_the_last_one(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"
    rate = "[[rate]]\nplan = 'ip'\ndownload_kbps = 5\nupload_kbps = 5\naccess = 'ipoe'\n"
    nas = "[[nas]]\nname = 'bng-{0}'\naddress = '198.51.100.{0}'\ndialect = 'cisco'\nlines = {1}\n"

    def estate(*tells: str) -> Path:
        file.write_text(rate + "".join(nas.format(n, each) for n, each in enumerate(tells, start=7)))
        return file

    await import_estate(appliance, estate("true", "true", "false"))
    async with appliance.database.begin() as db:
        made = await appliance.services(db).radius_service.create_subscriber(
            customer_id=1, username="line@isp.example", bandwidth_profile="ip"
        )
        by_line = {"login_by_line": True, "bound_station": "001a2b3c4d5e"}
        await db.execute(update(Subscriber).where(Subscriber.id == made["subscriber_id"]).values(by_line))
    with pytest.raises(InvalidRequest) as refused:
        await import_estate(appliance, estate("false", "false", "false"))
    assert [(fault.field, fault.reason.split(":")[0]) for fault in refused.value.faults] == [
        ("nas", "Only bng-7 and bng-8 tell of lines, and 1 subscriber logs in by line (line@isp.example)")
    ]
    await import_estate(appliance, estate("false", "false", "true"))
    async with appliance.database.read() as db:
        told = {each["name"]: each["lines"] for each in await appliance.services(db).radius_service.nas_list()}
    assert told == {"bng-7": False, "bng-8": False, "bng-9": True}


async def test_offers_are_defined_and_defined_anew(appliance: Appliance, tmp_path: Path) -> None:
    await import_estate(appliance, ESTATE)
    dearer = tmp_path / "dearer.toml"
    dearer.write_text(ESTATE.read_text().replace("price_minor = 3990", "price_minor = 4490"))
    await import_estate(appliance, dearer)
    async with appliance.database.begin() as db:
        offers = await appliance.offers(db).offers()
    assert [(one["offer_id"], one["title"], one["plan"], one["price_minor"], one["currency"]) for one in offers] == [
        (1, "Fibre 300", "fiber-300", 4490, "EUR"),
        (2, "Mesh WiFi, two units", None, 590, "EUR"),
    ]


async def test_every_fault_of_an_offer_is_named_its_plan_included(appliance: Appliance, tmp_path: Path) -> None:
    text = (
        "[[offer]]\nid = 1\ntitle = 'Gold'\nplan = 'gold'\nprice_minor = -5\ncurrency = 'DEM'\nterm_months = 12\n"
        "payment_terms = 'prepaid'\n[[offer]]\nid = 2\ntitle = ' '\nprice_minor = 5\ncurrency = 'EUR'\n"
        "term_months = 5\nbilling_period_months = 2\npayment_terms = 'prepaid'\n"
    )
    found = await faults(appliance, tmp_path, text)
    assert [where for where, _ in found] == [
        "offer 1: price_minor",
        "offer 1: currency",
        "offer 1: plan",
        "offer 1: plan",
        "offer 2: term_months",
        "offer 2: title",
    ]
    assert "gold" in found[2][1] and "gold" in found[3][1]


FIELD_WORK = """[[visit_job]]
name = 'repair'
duration_minutes = 60
buffer_minutes = 15
window_minutes = 30
skills = ['splicing']

[[technician]]
id = 8
name = 'Theo'
skills = ['splicing']
team = 'north'
van = 'M-FL 7'
home_latitude = 48.1
home_longitude = 11.58
time_zone = 'Europe/Berlin'
holidays = 'DE-BY'

[technician.week]
mon = ['08:00-12:00', '12:30-17:00']
tue = ['08:00-16:00']
"""


async def test_what_an_import_changes_in_the_network_is_grouped_and_of_many_the_first_are_named(
    appliance: Appliance, tmp_path: Path
) -> None:
    assert (await import_estate(appliance, ESTATE)).network != []
    assert (await import_estate(appliance, ESTATE)).network == []
    homes = "".join(f'[[network.location]]\nid = "LOC-{n}"\naccess_node = "OLT-3"\n' for n in range(30001, 30013))
    changed = '[[network.location]]\nid = "LOC-10294"\naccess_node = "OLT-3"\nport = "0/1/1"\naliases = ["drop-1"]\n'
    file = tmp_path / "estate.toml"
    file.write_text(f'[[network.plan]]\nname = "fiber-1"\naccess = "pppoe"\n{homes}{changed}')

    network = (await import_estate(appliance, file)).network

    assert network == [
        ChangedParts("location", "created", 12, tuple(f"LOC-{n}" for n in range(30001, 30011))),
        ChangedParts("location", "changed", 1, ("LOC-10294",)),
        ChangedParts("plan", "created", 1, ("fiber-1",)),
    ]
    assert str(network[0]).endswith("LOC-30010 and 2 more")
    kept = Unserved("pool", "north-pd", 3, (1, 7))
    assert str(kept).startswith(
        "pool north-pd no longer serves services 1, 7 and 1 more: they go on with what they have"
    )
    file.write_text(FIELD_WORK)
    assert (await import_estate(appliance, file)).network is None


@pytest.mark.both_databases
async def test_premises_that_are_as_the_file_says_cost_an_import_no_statement_each(
    appliance: Appliance, tmp_path: Path
) -> None:
    file, seen, asked = tmp_path / "estate.toml", list[str](), list[int]()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    for premises in (10, 200):
        ports = [f"0/{number}" for number in range(premises)]
        node = f'[[network.access_node]]\nname = "OLT-9"\nsite = "northtown"\nbng = "bng-north"\nports = {ports}\n'
        places = [
            f'[[network.location]]\nid = "LOC-9-{number}"\naccess_node = "OLT-9"\nport = "{port}"\n'
            for number, port in enumerate(ports)
        ]
        file.write_text(ESTATE.read_text() + node + "".join(places))
        assert (await import_estate(appliance, file)).network != []
        event.listen(appliance.database.engine.sync_engine, "before_cursor_execute", note)
        assert (await import_estate(appliance, file)).network == []
        event.remove(appliance.database.engine.sync_engine, "before_cursor_execute", note)
        asked.append(len(seen))
        seen.clear()
    assert asked[0] == asked[1]


@pytest.mark.both_databases
async def test_whose_olt_and_cpe_were_told_other_vlans_than_their_node_has_now_is_told(
    spoilable: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"

    async def told(**vlans: int) -> list[ToldBefore]:
        words = "".join(f"{name} = {vlan}\n" for name, vlan in vlans.items())
        node = 'name = "OLT-3"\nkind = "olt"\nsite = "northtown"\nbng = "bng-north"\nvlan_model = "one_to_one"\n'
        file.write_text(f"[[network.access_node]]\n{node}{words}")
        return (await import_estate(spoilable, file)).told_before

    line, cpe = ToldBefore("OLT-3", "management_vlan", 2, (1, 3)), ToldBefore("OLT-3", "cpe_vlan_id", 1, (1,))
    assert await told(cpe_vlan_id=100, management_vlan=4000) == []
    assert await told(cpe_vlan_id=200, management_vlan=4000) == [cpe]
    assert await told(cpe_vlan_id=200, management_vlan=4001) == [line]
    assert await told(cpe_vlan_id=200, management_vlan=4001) == []
    assert await told() == [line, cpe]
    assert await told(cpe_vlan_id=100, management_vlan=4000) == []  # as it was told
    assert str(line).startswith(
        "access_node OLT-3 has another management_vlan than its OLT was told for services 1, 3: it stays so there"
    )
    assert str(cpe).startswith("access_node OLT-3 has another cpe_vlan_id than the CPE of service 1 was told: it tags")


async def test_jobs_and_how_technicians_work_are_imported_and_a_file_that_says_nothing_changes_nothing(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "field.toml"
    file.write_text(FIELD_WORK)
    assert {name: count for name, count in (await import_estate(appliance, file)).counts.items() if count} == {
        "visit_jobs": 1,
        "technicians": 1,
    }
    async with appliance.database.read() as db:
        job, theo = (
            await Jobs(db, tenant_id=appliance.tenant_id).job("repair"),
            await appliance.planning(db).technician(8),
        )
    assert job == {
        "name": "repair",
        "duration_minutes": 60,
        "buffer_minutes": 15,
        "window_minutes": 30,
        "skills": ["splicing"],
    }
    assert (theo["team"], theo["van"], theo["home_latitude"], theo["home_longitude"]) == (
        "north",
        "M-FL 7",
        48.1,
        11.58,
    )
    assert (theo["time_zone"], theo["holidays"]) == ("Europe/Berlin", "DE-BY")
    assert theo["week"] == {"mon": ["08:00-12:00", "12:30-17:00"], "tue": ["08:00-16:00"]}
    await import_estate(appliance, file)
    file.write_text("[[technician]]\nid = 8\nname = 'Theo'\nskills = ['splicing']\n")
    await import_estate(appliance, file)
    async with appliance.database.read() as db:
        assert await appliance.planning(db).technician(8) == theo
        assert await Jobs(db, tenant_id=appliance.tenant_id).job("repair") == job


async def test_every_fault_of_field_work_is_named_and_a_skill_that_visits_need_stays(
    appliance: Appliance, tmp_path: Path
) -> None:
    wrong = FIELD_WORK.replace("duration_minutes = 60", "duration_minutes = 2").replace("tue = [", "someday = [")
    wrong = wrong.replace("home_longitude = 11.58\n", "").replace("Europe/Berlin", "Europe/Nowhere")
    found = await faults(appliance, tmp_path, wrong)
    assert [where for where, _ in found] == [
        "visit_job repair: duration_minutes",
        "technician 8: home_longitude",
        "technician 8: week",
        "technician 8: time_zone",
    ]
    file = tmp_path / "field.toml"
    file.write_text(ESTATE.read_text() + FIELD_WORK)
    await import_estate(appliance, file)
    monday = appliance.clock() + timedelta(days=7 - appliance.clock().weekday())
    async with appliance.database.begin() as db:
        await appliance.dispatch_desk(db).book(
            customer_id=1001,
            technician_id=8,
            starts_at=monday.replace(hour=9, minute=0, second=0, microsecond=0),
            address="here",
            job="repair",
            by="dora",
        )
    file.write_text(file.read_text().replace("name = 'Theo'\nskills = ['splicing']", "name = 'Theo'\nskills = []"))
    with pytest.raises(InvalidRequest, match=r"technician 8 .*would lack splicing"):
        await import_estate(appliance, file)
    file.write_text(ESTATE.read_text() + FIELD_WORK.replace("mon = ['08:00-12:00', '12:30-17:00']\n", ""))
    with pytest.raises(InvalidRequest, match="technician 8 "):
        await import_estate(appliance, file)
    async with appliance.database.read() as db:
        theo = await appliance.planning(db).technician(8)
    assert (theo["skills"], list(theo["week"] or ())) == (["splicing"], ["mon", "tue"])


async def test_a_customers_number_is_never_given_to_somebody_else(appliance: Appliance, tmp_path: Path) -> None:
    await import_estate(appliance, ESTATE)
    file = tmp_path / "estate.toml"
    file.write_text('[[customer]]\nid = 1001\nname = "Eve"\nemail = "eve@example.com"\n')
    with pytest.raises(InvalidRequest, match="customer 1001"):
        await import_estate(appliance, file)


async def test_a_customers_language_is_that_of_the_last_file_that_names_one(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"
    customer = '[[customer]]\nid = 7\nname = "Eve"\nemail = "eve@example.com"\n'
    for said, spoken in (("", None), ('language = "de-at"\n', "de-AT"), ("", "de-AT"), ('language = "en"\n', "en")):
        file.write_text(customer + said)
        await import_estate(appliance, file)
        async with appliance.database.begin() as db:
            assert (await appliance.customers(db).customer(7))["language"] == spoken
    file.write_text(customer + 'language = "fr"\n')
    with pytest.raises(InvalidRequest, match="there are no mails in it"):
        await import_estate(appliance, file)


async def test_a_survey_is_kept_under_the_id_of_its_premise(appliance: Appliance, tmp_path: Path) -> None:
    """Written with an alias it is found all the same; of a premise that the network does not reach yet, as written."""
    file = tmp_path / "estate.toml"
    text = ESTATE.read_text().replace(
        'customer_id = 1001\nservice_location = "LOC-10293"', 'customer_id = 1001\nservice_location = "drop-7781"'
    )
    early = "[[site_survey]]\ncustomer_id = 1001\nservice_location = 'drop-1'\n"
    file.write_text(text + early + "result = 'feasible'\nsurveyed_at = 2026-03-03T10:30:00Z\n")
    for _ in range(2):
        await import_estate(appliance, file)
        async with appliance.database.begin() as db:
            kept = await db.scalars(select(SiteSurvey.service_location).order_by(SiteSurvey.id))
            assert list(kept) == ["LOC-10293", "drop-1"]
    file.write_text(file.read_text().replace("'drop-1'", '"drop\\u0000-1"'))
    with pytest.raises(InvalidRequest, match="service_location holds a line break or another control character"):
        await import_estate(appliance, file)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[[rate]]\nplan = 'gold'\ndownload_kbps = {huge}\nupload_kbps = 5\n", "rate gold"),
        (
            "[[rate]]\nplan = 'gold'\ndownload_kbps = 5\nupload_kbps = 5\nsession_timeout_seconds = {huge}\n",
            "rate gold",
        ),
        ("[[rate]]\nplan = 'gold'\ndownload_kbps = 5\nupload_kbps = 5\nidle_timeout_seconds = -1\n", "rate gold"),
        ("[[rate]]\nplan = 'go`ld'\ndownload_kbps = 5\nupload_kbps = 5\n", "rate go`ld"),
        ("[[nas]]\nname = 'b'\naddress = '10.0.0.1'\ndialect = 'mikrotik'\ncoa_port = {huge}\n", "nas b"),
        ("[[nas]]\nname = 'b'\naddress = '10.0.0.1'\ndialect = 'klingon'\n", "nas b"),
        (
            "[[nas]]\nname = 'b'\naddress = '10.0.0.1'\ndialect = 'wispr'\n"
            "[[rate]]\nplan = 'gold'\ndownload_kbps = 5\nupload_kbps = 5\nvrf = 'home'\n",
            "rate gold",
        ),
        ("[radius]\npassword_storage = 'rot13'\n", "radius.password_storage"),
        (
            "[radius]\npassword_storage = 'nt'\n"
            "[[nas]]\nname = 'b'\naddress = '10.0.0.1'\ndialect = 'mikrotik'\nlogin_methods = ['chap']\n",
            "nas b",
        ),
        (
            "[[rate]]\nplan = 'gold'\ndownload_kbps = 5\nupload_kbps = 5\ndns_ipv4 = ['::1']\npriority = {huge}\n",
            "rate gold",
        ),
        ("[[technician]]\nid = {huge}\nname = 'Tess'\n", "technician {huge}: technician_id"),
        ("[[customer]]\nid = {huge}\nname = 'Ada'\nemail = 'a@b.example'\n", "customer {huge}: customer_id"),
        ("[[customer]]\nid = 5\nname = 'A\\u2028da'\nemail = 'a@b.example'\n", "customer 5: name"),
        ("[[license_template]]\nid = 1\nname = 'L'\nseats = {huge}\n", "license_template 1: seats"),
        (
            "[[license_template]]\nid = 1\nname = 'L'\nseats = 1\nfeatures = { a = 1.5 }\n",
            "license_template 1: features.a",
        ),
        (PARTNER.replace("= 50", "= {huge}"), "partner 21: license_quota"),
        (PARTNER.replace("'EUR'", "'EUX'"), "partner 21: commission.currency"),
        (PARTNER, "partner 21"),  # no such template
        ("[[network.vlan_group]]\nname = 'g'\nvids = ['1-5000']\n", "network"),
        (
            "[[network.pool]]\nname = 'p'\nkind = 'ipv4'\nnetwork = '10.0.0.0/8'\nquarantine_seconds = {huge}\n",
            "network",
        ),
    ],
)
async def test_what_no_database_can_keep_is_refused_in_words(
    appliance: Appliance, tmp_path: Path, text: str, field: str
) -> None:
    huge = str(10**30)
    found = await faults(appliance, tmp_path, text.replace("{huge}", huge).replace("\\u2028", "\u2028"))
    assert {where for where, _ in found} == {field.replace("{huge}", huge)}
    assert all(reason for _, reason in found)


async def test_what_is_wrong_in_form_hides_nothing_that_the_whole_network_tells(
    appliance: Appliance, tmp_path: Path
) -> None:
    text = """
        [[rate]]
        plan = "gold"
        [[network.bng]]
        name = "b"
        [[network.pool]]
        name = "p"
        kind = "ipv4"
        network = "10.1.2.3/24"
        [[network.pool]]
        name = "q"
        kind = "ipv6_pd"
        network = "172.16.0.0/24"
        bindings = [{ bng = "b" }, { bng = "nowhere" }]
        [[network.pool]]
        name = "r"
        kind = "ipv4"
        network = "172.16.0.128/25"
        """
    assert await faults(appliance, tmp_path, text) == [
        ("network", "pool p: network: '10.1.2.3/24' has host bits set; do you mean 10.1.2.0/24?"),
        ("network", "pool q: there is no BNG nowhere"),
        ("network", "pool q: 172.16.0.0/24 is IPv4, but a pool of kind ipv6_pd needs IPv6"),
        ("network", "pool r: 172.16.0.128/25 overlaps 172.16.0.0/24 of pool q in VRF default"),
        ("rate.0.download_kbps", "is missing"),
        ("rate.0.upload_kbps", "is missing"),
    ]


async def test_what_is_not_known_is_refused_with_all_else(appliance: Appliance, tmp_path: Path) -> None:
    parts = sorted(field.alias or name for name, field in EstateSpec.model_fields.items())
    told = await faults(appliance, tmp_path, "[[planet]]\n[[rate]]\nplan = 'gold'\nvfr = 'home'\n")
    assert set(told) == {
        ("rate.0.download_kbps", "is missing"),
        ("rate.0.upload_kbps", "is missing"),
        ("rate.0.vfr", f"is not known here; known are: {', '.join(sorted(RateSpec.model_fields))}"),
        ("planet", f"is not known here; known are: {', '.join(parts)}"),
    }


async def test_a_teams_address_is_sealed_on_import_and_a_fault_does_not_repeat_it(
    appliance: Appliance, tmp_path: Path
) -> None:
    text = '[[team]]\nname = "noc"\nemail = "noc@isp.example"\nchannels = {{ chat = "{}" }}\n'
    told = await faults(appliance, tmp_path, text.format("slack://T0KEN"))
    assert told == [("team noc: channels.chat", "is not an address that Apprise understands as slack")]
    file = tmp_path / "estate.toml"
    for channel in ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "secret:notice/noc/chat"):
        file.write_text(text.format(channel))
        assert (await import_estate(appliance, file)).counts["teams"] == 1
        assert "TIiajk" not in repr(EstateSpec.model_validate(tomllib.loads(file.read_text())))
    async with appliance.database.begin() as db:
        assert (await appliance.teams(db).team("noc"))["channels"] == {"chat": "slack"}
        assert await appliance.vault.reveal(db, "secret:notice/noc/chat") == (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        )


def test_a_rate_of_the_file_may_say_all_that_a_plan_may() -> None:
    spec = RateSpec.model_validate({"plan": "p", "download_kbps": 5, "upload_kbps": 3})
    assert spec.terms == PlanTerms(download_kbps=5, upload_kbps=3)
    assert set(RateSpec.model_fields) - {"plan"} == {field.name for field in fields(PlanTerms)}


async def test_the_example_of_the_documentation_is_imported_and_names_every_term(
    appliance: Appliance, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "radius-dialects.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "estate.toml"
    file.write_text(example)

    await import_estate(appliance, file)

    async with appliance.database.begin() as db:
        plan = await appliance.services(db).radius_service.plan(name="fiber-100")
    assert (plan["terms"].qos_profile, plan["terms"].dns_ipv6) == ("gold", ("2001:db8::53",))
    assert [name for name in RateSpec.model_fields if name != "plan" and f"`{name}`" not in text] == []


async def test_the_documentations_example_of_a_plan_s_cpes_is_imported(appliance: Appliance, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "cpe-templates.md").read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[-1]
    file = tmp_path / "cpes.toml"
    file.write_text(example)
    with pytest.raises(InvalidRequest, match="cpe_plan fiber-100: plan"):
        await import_estate(appliance, file)
    await import_estate(appliance, ESTATE)
    file.write_text(example.replace("fiber-100", tomllib.loads(ESTATE.read_text())["rate"][0]["plan"]))
    assert [(await import_estate(appliance, file)).counts["cpe_plans"] for _ in range(2)] == [1, 1]
    async with appliance.database.begin() as db:
        [said] = (await appliance.device_settings(db).plans()).values()
    assert (said["wifi_ssid"], said["inform.verified_seconds"], list(said.values())[-1]) == ("Fiber", 43200, None)


async def test_the_documentations_example_of_passwords_is_imported(appliance: Appliance, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "radius-passwords.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "estate.toml"
    file.write_text(example)

    await import_estate(appliance, file)

    async with appliance.database.begin() as db:
        assert await appliance.services(db).radius_service.password_storage() == "nt"
    table = dict(re.findall(r"^\| `([a-z0-9-]+)`(?: \(the default\))? \|[^|]*\|(.*)\|$", text, re.MULTILINE))
    said = {
        name: {method for method, word in zip(LOGIN_METHODS, row.split("|"), strict=True) if "yes" in word}
        for name, row in table.items()
    }
    assert said == dict(CHECKABLE)


async def test_passwords_are_kept_otherwise_together_with_the_nases_that_allow_it(
    appliance: Appliance, tmp_path: Path
) -> None:
    file = tmp_path / "estate.toml"
    nas = "[[nas]]\nname = 'b'\naddress = '10.0.0.1'\ndialect = 'mikrotik'\n"
    kept = []
    for storage, methods in (("cleartext", "'chap', 'pap'"), ("ssha2-512", "'pap'"), ("nt", "'mschapv2'")):
        file.write_text(f"[radius]\npassword_storage = '{storage}'\n{nas}login_methods = [{methods}]\n")
        await import_estate(appliance, file)
        async with appliance.database.begin() as db:
            radius = appliance.services(db).radius_service
            [defined] = await radius.nas_list()
            kept.append((await radius.password_storage(), defined["login_methods"]))
    assert kept == [("cleartext", ["chap", "pap"]), ("ssha2-512", ["pap"]), ("nt", ["mschapv2"])]


async def test_a_nas_and_its_plans_change_together_and_what_it_could_not_be_told_is_refused(
    appliance: Appliance, tmp_path: Path
) -> None:
    rate = "[[rate]]\nplan = 'gold'\ndownload_kbps = 5\nupload_kbps = 5\n"
    bng = "[[nas]]\nname = 'bng'\naddress = '10.0.0.1'\ndialect = "
    file = tmp_path / "estate.toml"
    for text in (f"{rate}session_cap_megabytes = 9\n{bng}'mikrotik'\n", f"{rate}vrf = 'home'\n{bng}'juniper'\n"):
        file.write_text(text)
        await import_estate(appliance, file)
    async with appliance.radius_database.begin() as db:
        vrf = select(radgroupreply.c.value).where(radgroupreply.c.attribute == "ERX-Virtual-Router-Name")
        assert list(await db.scalars(vrf.where(radgroupreply.c.groupname == "default/gold:juniper"))) == ["home"]
    both = f"{rate}vrf = 'home'\npriority = 2\n{rate.replace('gold', 'tin')}priority = 3\n{bng}'wispr'\n"
    assert await faults(appliance, tmp_path, both) == [
        ("rate gold", "a NAS of dialect wispr cannot be told a priority"),
        ("rate gold", "a NAS of dialect wispr cannot be told a VRF"),
        ("rate tin", "a NAS of dialect wispr cannot be told a priority"),
    ]
    async with appliance.database.begin() as db:
        assert [nas["dialect"] for nas in await appliance.services(db).radius_service.nas_list()] == ["juniper"]
