"""How the tests of ``firstlight check`` spoil an estate: by SQL, behind everybody's back."""

from __future__ import annotations

from dataclasses import dataclass, field
from string import Template

from sqlalchemy import select

from acs.tables import AcsDevice
from provisioning.bootstrap import Appliance
from provisioning.check import CheckResult, Finding, check_everything, every_invariant
from provisioning.commercial.licences.licence_tables import License
from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.commercial.tenants.tenant_tables import Deployment, HostedTenant
from tests.support.healthy_estate import vandal

DONE, WAITING, HELD = "c1001-s1@isp.example", "c1002-s2@isp.example", "c1003-s3@isp.example"
CANCELLED = "c1004-s4@isp.example"
SERIAL = "HWTC00000001"
LONG_AGO = "'2026-01-01 00:00:00.000000'"
MAIL_KEY = "ticket/T-1/send_template_email"


@dataclass(frozen=True)
class Corruption:
    """What is done to the rows, and all that must be found then: (invariant, subject, sentence)."""

    what: str
    found: tuple[tuple[str, str, str], ...]
    ours: tuple[str, ...] = ()
    radius: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    strip_radius: tuple[str, ...] = ()
    clones: tuple[tuple[str, str, dict[str, str]], ...] = field(default=(), hash=False)
    radius_clones: tuple[tuple[str, str, dict[str, str]], ...] = field(default=(), hash=False)

    def __str__(self) -> str:
        return self.what.replace(" ", "-")


def differs(username: str, reason: str = "has other rows in FreeRADIUS' tables than it should") -> tuple[str, str, str]:
    return "radius.rows_as_wished", username, f"subscriber {username} {reason}."


async def assert_caught(appliance: Appliance, corruption: Corruption) -> None:
    """What it did is told to the operator in these very sentences, and nothing else is."""
    facts = await _facts(appliance)
    spoil(appliance, corruption, facts)
    found = (await check(appliance)).findings
    expected = [Finding(*(Template(part).substitute(facts) for part in one)) for one in corruption.found]
    assert _sorted(found) == _sorted(expected)


async def check(appliance: Appliance) -> CheckResult:
    result = await check_everything(appliance)
    assert result.asked == len(every_invariant())
    assert result.failed == len({finding.invariant for finding in result.findings})
    return result


def spoil(appliance: Appliance, corruption: Corruption, facts: dict[str, str]) -> None:
    settings = appliance.settings
    with vandal(settings.database_url) as hand:
        for table in corruption.strip:
            hand.strip(table)
        hand.execute(*(Template(statement).substitute(facts) for statement in corruption.ours))
        for table, where, changes in corruption.clones:
            filled = {column: Template(value).substitute(facts) for column, value in changes.items()}
            hand.clone(table, Template(where).substitute(facts), **filled)
    with vandal(settings.radius_database_url, settings.radius_database_schema) as hand:
        for table in corruption.strip_radius:
            hand.strip(table)
        hand.execute(*(Template(statement).substitute(facts) for statement in corruption.radius))
        for table, where, changes in corruption.radius_clones:
            hand.clone(table, where, **changes)


async def _facts(appliance: Appliance) -> dict[str, str]:
    """What differs from laboratory to laboratory: PostgreSQL spreads what it hands out over its pools."""
    facts: dict[str, str] = {}
    async with appliance.database.begin() as db:
        for service in await appliance.services(db).network_service.all_resources():
            number = service["service_id"]
            facts[f"v4_{number}"] = service["ip_address"]
            facts[f"wan_{number}"] = str(service["ipv6_wan_prefix"])
            facts[f"pd_{number}"] = str(service["delegated_prefix"])
            facts[f"cvlan_{number}"] = str(service["cvlan"])
        held = (await appliance.address_lookup(db).find("100.64.0.0/22"))["within"]
        [cooling] = [each for each in held if each["state"] == "quarantine"]
        facts |= {"v4_cooling": cooling["value"], "cools_until": f"{cooling['available_at']:%Y-%m-%d %H:%M:%S} UTC"}
        page = (await db.scalars(select(HostedTenant))).one()
        licences = list(await db.scalars(select(License).order_by(License.id)))
        facts |= {"page": page.slug, "page_licence": str(page.license_id), "brought": str(page.customer_id)}
        facts |= {"licence": str(licences[-1].id), "allocation": str(licences[-1].allocation_id)}
        facts["deployed"] = str((await db.scalars(select(Deployment.visit_id))).one())
        facts["revision"] = (await db.scalars(select(AcsDevice.revision))).one()
        facts["sold_to"] = str((await db.scalars(select(SalesOrder.customer_id))).one())
    return facts


def _sorted(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return sorted((one.invariant, one.subject, one.message) for one in findings)
