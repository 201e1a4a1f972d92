"""What the bench asks: each list and each of its filters, each document, and as a partner."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.api.calls import PREFIX
from tests.bench.seed import BEGAN, Callers, Size, address_of, moment_of
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT


@dataclass(frozen=True)
class Route:
    """One request. ``table``: what most of its answer is read from, so many ``rows`` of it."""

    name: str
    address: str
    caller: str = "admin"
    table: str = ""
    rows: int = 51

    @property
    def path(self) -> str:
        return PREFIX + self.address

    def token(self, callers: Callers) -> str | None:
        return {"admin": callers.admin, "partner": callers.partner}.get(self.caller)


FLOOR = Route("floor: no token", "/runs", caller="nobody")


def routes_of(size: Size) -> list[Route]:
    """With numbers in the middle of what there is."""
    run = max(min(size.customers, size.runs) // 2, 1)
    customer = run + 1  # whom the run is for
    theirs = run // 100 * 100 or 100  # of the partner
    middle = moment_of(run).strftime("%Y-%m-%dT%H:%M:%SZ")
    before_all = BEGAN.strftime("%Y-%m-%dT%H:%M:%SZ")
    address = address_of(customer)
    return [
        Route("runs", "/runs", table="run"),
        Route("runs, 200 of them", "/runs?limit=200", table="run", rows=201),
        Route("runs held", "/runs?state=held"),
        Route("runs in two states", "/runs?state=held&state=pending"),
        Route("runs of a customer", f"/runs?customer={customer}"),
        Route("runs of a journey", f"/runs?journey={ISP_TICKET_TO_DEPLOYMENT.name}"),
        Route("runs of a journey without runs", "/runs?journey=customer_renewal_process"),
        Route("runs held of a journey", f"/runs?state=held&journey={ISP_TICKET_TO_DEPLOYMENT.name}"),
        Route("runs created before the first", f"/runs?created_before={before_all}"),
        Route("runs created after the last", "/runs?created_since=2036-01-01T00:00:00Z"),
        Route("runs created before the middle one", f"/runs?created_before={middle}"),
        Route("runs of a partner", "/runs", caller="partner"),
        Route("runs held of a partner", "/runs?state=held", caller="partner"),
        Route("run with its steps and results", f"/runs/{run}", table="run_step", rows=25),
        Route("run of a partner", f"/runs/{theirs - 1}", caller="partner"),
        Route("events", "/events", table="event"),
        Route("events refused", "/events?state=refused"),
        Route("events pending", "/events?state=pending"),
        Route("events of a type", "/events?type=quote.accepted"),
        Route("events refused of a type", "/events?type=quote.accepted&state=refused"),
        Route("customers", "/customers", table="customer"),
        Route("customer by mail", f"/customers?email=customer{customer}@example.net"),
        Route("customer", f"/customers/{customer}"),
        Route("customers of a partner", "/customers", caller="partner"),
        Route("customer of a partner", f"/customers/{theirs}", caller="partner"),
        Route("subscribers", "/subscribers", table="radius_subscriber"),
        Route("subscribers suspended", "/subscribers?state=suspended"),
        Route("subscribers in testing", "/subscribers?state=testing"),
        Route("subscribers of a customer", f"/subscribers?customer={customer}"),
        Route("subscriber", f"/subscribers/c{customer}-s{customer}@isp.example"),
        Route("devices", "/devices", table="acs_device"),
        Route("devices drifted", "/devices?state=drifted"),
        Route("devices faulted", "/devices?state=faulted"),
        Route("devices of a customer", f"/devices?customer={customer}"),
        Route("device", f"/devices/HWTC{customer:08X}"),
        Route("tickets", "/tickets", table="ticket"),
        Route("tickets open", "/tickets?state=open"),
        Route("tickets in two states", "/tickets?state=open&state=inProgress"),
        Route("tickets of a team", "/tickets?team=noc"),
        Route("tickets of a customer", f"/tickets?customer={customer}"),
        Route("tickets overdue", "/tickets?overdue=true"),
        Route("ticket", f"/tickets/{customer}"),
        Route("who has an address", f"/addresses/holder?address={address}"),
        Route("who had an address", f"/addresses/holder?address={address}&at=2026-01-01T00:00:00Z"),
        Route("what a service holds", f"/addresses/services/{customer}"),
        Route("pools", "/addresses/pools"),
    ]
