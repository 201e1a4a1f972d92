"""An estate in good health with one installation of each kind (completed, waiting, held and cancelled) and one sale.

Its partner has brought a customer, with licences, a page, a commission and a deployment.

It is made once per kind of database in the laboratory, and every test that wants to spoil it gets a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, inspect, text

from provisioning.bootstrap import Appliance
from provisioning.commercial import LineWish
from provisioning.database import sync_url
from provisioning.settings import Settings
from tests.support.appliances import Original
from tests.support.clock import MovableClock
from tests.support.estate import Household
from tests.support.host_names import prove_host_name
from tests.support.lab import JourneyLab, open_journey_lab
from tests.support.postgres import OWNER, PostgresServer, as_superuser
from workflows import list_events

PARTNER = 21
MOST_SKIPPED = timedelta(minutes=2)
"""While it is made. Who uses it has the real clock, and nothing in it may lie ahead."""


@dataclass(frozen=True)
class HealthyEstate(Original):
    """The runs are those of the households 1 to 4."""

    completed: int
    waiting: int
    held: int
    cancelled: int


async def make_healthy_estate(home: Path, postgres: PostgresServer | None) -> HealthyEstate:
    """Takes four tickets as far as they go."""
    database_url = postgres.create_database() if postgres else None
    settings = {"public_url": "https://isp.example"} | ({"database_url": database_url} if database_url else {})
    async with open_journey_lab(home, clock=MovableClock(behind=MOST_SKIPPED), **settings) as lab:
        houses = [Household(number) for number in (1, 2, 3, 4)]
        runs = []
        for house in houses:  # one after the other, so that service and run have the household's number
            runs.append(await lab.order(house))
            await runs[-1].until_waiting_for("visit")
        done, waiting, held, cancelled = runs
        await done.plug_and_scan(houses[0])
        await done.until_ended()
        await lab.world.plug(houses[2].serial, port=houses[3].port)  # not where it was planned
        await held.report("scanned", serial=houses[2].serial)
        await held.until_held()
        await cancelled.cancel("the customer has changed their mind")
        await cancelled.until_ended()
        await sell(lab.appliance)
        await sell_through_partner(lab.appliance)
        await _set_refused_events_aside(lab)
        assert await lab.broken_invariants() == []
        assert lab.clock.skipped < timedelta()
        its_url = lab.appliance.settings.database_url
    with vandal(its_url) as tidy:  # whether a look at the ACS had the time to find the CPE of the held run is chance
        tidy.execute("DELETE FROM acs_seen_device")
    return HealthyEstate(home, database_url, postgres, done.id, waiting.id, held.id, cancelled.id)


async def _set_refused_events_aside(lab: JourneyLab) -> None:
    """The lead had become a customer before its event was taken up, by the worker, which may be at it just now."""
    appliance = lab.appliance
    async with appliance.database.read() as db:
        all_ = await list_events(db, tenant_id=appliance.tenant_id, limit=500)
    settled = [await lab.event(each.key) for each in all_]
    async with appliance.database.begin() as db:
        for event in settled:
            if event.state == "refused":
                await appliance.events.set_aside(db, event.id, why="its customer was made by hand", by="nora")


async def sell(appliance: Appliance) -> None:
    """One lead that has become a customer, and a quote of theirs that has become an order."""
    async with appliance.database.begin() as db:
        services, leads, quotes = appliance.services(db), appliance.leads(db), appliance.quotes(db)
        lead = await leads.register(source="web", name="Bob Hill", email="bob@example.net", offer_id=1)
        await leads.qualify(lead_id=lead["lead_id"], by="nora")
        customer = await services.customer_service.create_from_lead(
            lead_id=lead["lead_id"], tenant_id=appliance.tenant_id
        )
        quote = await quotes.draft(
            customer_id=customer["customer_id"],
            lines=[LineWish(offer_id=1)],
            valid_until=appliance.clock() + timedelta(days=30),
        )
        await quotes.send(quote_id=quote["quote_id"])
        await services.crm_service.accept_quote(quote_id=quote["quote_id"], accepted_by="Bob Hill")
        await services.sales_service.create_order_from_quote(quote_id=quote["quote_id"], tenant_id=appliance.tenant_id)


async def sell_through_partner(appliance: Appliance) -> int:
    """All that a partner's order makes; the new customer's number."""
    async with appliance.database.begin() as db:
        services = appliance.services(db)
        brought = await services.customer_service.create_partner_customer(
            partner_id=PARTNER, customer_data={"name": "Ada Byron", "email": "ada@example.net"}
        )
        who: dict[str, Any] = {"customer_id": brought["customer_id"], "partner_id": PARTNER}
        await services.license_service.allocate_from_partner(**who, license_count=2)
        brand = {"name": "Nordnetz", "domain": "portal.nordnetz.example"}
        at = appliance.clock()
        await prove_host_name(db, PARTNER, "nordnetz.example", tenant_id=appliance.tenant_id, at=at)
        await services.deployment_service.provision_partner_tenant(**who, white_label_config=brand)
        await services.partner_service.record_commission(**who, commission_type="percentage", amount=Decimal("49.90"))
        await services.deployment_service.schedule_deployment(
            order_id=5001,
            customer_id=brought["customer_id"],
            priority="normal",
            scheduled_date=appliance.clock() + timedelta(days=30),
            installation_address="Lindenweg 200, Northtown",
        )
    return brought["customer_id"]


class Vandal:
    """Changes rows behind everybody's back: no constraint, foreign key or trigger is in its way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def strip(self, table: str) -> None:
        """Takes every rule off a table; the rows stay."""
        cascade = " CASCADE" if self._connection.dialect.name == "postgresql" else ""
        self.execute(
            f"CREATE TABLE {table}_bare AS SELECT * FROM {table}",
            f"DROP TABLE {table}{cascade}",
            f"ALTER TABLE {table}_bare RENAME TO {table}",
        )
        if self._connection.dialect.name == "postgresql":
            self.execute(f"ALTER TABLE {table} OWNER TO {OWNER}")

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self._connection.exec_driver_sql(statement)

    def clone(self, table: str, where: str, **changes: str) -> None:
        """Adds a row like the one that is there, but for ``changes`` (in SQL)."""
        columns = [str(column["name"]) for column in inspect(self._connection).get_columns(table)]
        values = [changes.get(column, f'"{column}"') for column in columns]
        names = ", ".join(f'"{column}"' for column in columns)
        self.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} WHERE {where}")


@contextmanager
def vandal(database_url: str, schema: str | None = None) -> Iterator[Vandal]:
    """Everything in the block happens at once, outside of any event loop."""
    engine = create_engine(sync_url(as_superuser(database_url)))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET session_replication_role = replica"))
                connection.execute(text("SET TimeZone = 'UTC'"))  # moments are written as SQLite keeps them
                if schema:
                    connection.execute(text(f"SET search_path = {schema}"))
            else:
                connection.execute(text("PRAGMA ignore_check_constraints = ON"))
            yield Vandal(connection)
    finally:
        engine.dispose()


def just_heard_of(settings: Settings) -> None:
    """Its open sessions reported this moment: the estate may have been made long before, by a slow machine."""
    with vandal(settings.radius_database_url, settings.radius_database_schema) as hand:
        now = "now()" if settings.radius_database_url.startswith("postgresql") else "unixepoch()"
        hand.execute(f"UPDATE radacct SET acctupdatetime = {now} WHERE acctstoptime IS NULL")
