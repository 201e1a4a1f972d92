"""What stands in the address plan: an address or prefix in each VRF that has it, and who is behind a CGNAT's port."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from ipam import AddressFacts, AddressLookup, NatHolder, PoolWithin, PortBlocks, RequestInvalid, ServiceAt
from provisioning.days import second
from provisioning.errors import Fault, InvalidRequest
from provisioning.search.hits import NEARLY, WHOLE, Hit
from provisioning.search.lines import subscriber_hit
from provisioning.search.recognise import Clue, ClueKind
from provisioning.sight import Sight
from radius import SubscriberSearch


class Planned:
    """Finds what the address plan knows, within the caller's transaction."""

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, sight: Sight, addresses: AddressLookup, ports: PortBlocks
    ) -> None:
        self._sight = sight
        self._addresses = addresses
        self._ports = ports
        self._subscribers = SubscriberSearch(db, tenant_id=tenant_id)

    async def with_address(self, clue: Clue) -> list[Hit]:
        """What it is in each VRF that has it, and whose it is there."""
        if not self._sight.may("addresses.read"):
            return []
        value, hits = clue.value, list[Hit]()
        try:
            each_vrf = await self._addresses.find_each(value)
        except RequestInvalid as several:  # it lies nowhere now, and a log has it in several VRFs
            return [Hit("address", value, value, str(several), ["the address"], ["address"], NEARLY)]
        for facts in each_vrf:
            hits += [_within(each, value) for each in facts["pools"]]
            if not _tells(facts, clue):
                continue
            if facts["state"] == "several":
                hits.append(_pool_hit(facts, value))
                continue
            name = value if len(each_vrf) == 1 else f"{value} in VRF {facts['vrf']}"
            hits.append(_held_hit(name, _standing(facts, clue), "the address", "address", NEARLY, facts["holder"]))
            hits += await self._whose(facts["holder"], f"{facts['value']} is given to its service", "address")
        return hits

    async def behind_port(self, clue: Clue) -> list[Hit]:
        """Who is behind a port of a CGNAT's outside address, or was at the time that was said.

        Raises:
            InvalidRequest: that time is yet to come.
        """
        if not self._sight.may("addresses.read"):
            return []
        outside, _, port = clue.value.partition(":")
        try:
            behind = await self._ports.holder(outside=outside, port=int(port), at=clue.at)
        except RequestInvalid as refused:
            raise InvalidRequest("The search", [Fault("q", fault.what) for fault in refused.faults]) from refused
        if behind is None:
            return []
        name = clue.value if clue.at is None else f"{clue.value} at {second(clue.at)}"
        hit = _held_hit(name, _behind(behind), "the port of a CGNAT's address", "port", WHOLE, behind["holder"])
        return [hit, *await self._whose(behind["holder"], f"{name} is behind its service", "port")]

    async def _whose(self, holder: ServiceAt | None, why: str, kind: ClueKind) -> list[Hit]:
        if holder is None or not self._sight.may("subscribers.read"):
            return []
        lines = await self._subscribers.of_services([holder["service_id"]])
        return [subscriber_hit(each, f"{why} {holder['service_id']}", kind, WHOLE) for each in lines]


def _held_hit(name: str, about: str, why: str, kind: ClueKind, score: int, holder: ServiceAt | None) -> Hit:
    if holder is None:
        return Hit("address", name, name, about, [why], [kind], score)
    return Hit(
        noun="address",
        id=name,
        title=name,
        about=f"{about}: service {holder['service_id']}, {holder['username']} at {holder['location']}"
        f" since {second(holder['since'])}{_until(holder)}",
        why=[why],
        matched=[kind],
        score=score,
        customer_id=holder["customer_id"],
        service_id=holder["service_id"],
    )


def _within(pool: PoolWithin, value: str) -> Hit:
    name = pool["pool"]
    return Hit("pool", name, name, f"has {pool['network']}", [f"it lies in {value}"], ["address"], NEARLY)


def _tells(facts: AddressFacts, clue: Clue) -> bool:
    """Whether it lies in something of ours, or did, or a CGNAT has it outside, which isn't told beside a port of it."""
    if facts["pool"] is not None or facts["network"] is not None or facts["note"] is not None:
        return True
    return not clue.beside_port and (facts["cgnat_logged"] or facts["cgnat_of"] is not None)


def _until(holder: ServiceAt) -> str:
    return f" until {second(holder['until'])}" if holder["until"] is not None else ""


def _pool_hit(facts: AddressFacts, value: str) -> Hit:
    pool = str(facts["pool"])
    held = len(facts["within"])
    about = (
        f"{value} lies in {facts['network']}; at least {held} in use" if held else f"{value} lies in it; none in use"
    )
    return Hit("pool", pool, pool, about, [f"{value} is a part of it"], ["address"], NEARLY)


def _standing(facts: AddressFacts, clue: Clue) -> str:
    note = f" ({facts['note']})" if facts["note"] else ""
    hint = "" if clue.beside_port else ": type its port after it, as in 203.0.113.7:40112"
    outside = f"; a CGNAT has it outside{hint}"
    has_ports = facts["cgnat_of"] is not None or facts["cgnat_logged"]
    return f"{_where(facts)}{note}{outside if has_ports else ''}"


def _where(facts: AddressFacts) -> str:
    if facts["pool"] is not None:
        return f"{facts['state']} in pool {facts['pool']}"
    return "of no pool here" if facts["network"] is None else f"{facts['state']} in {facts['network']}, in no pool"


def _behind(behind: NatHolder) -> str:
    block = behind["block"]
    ports = f"ports {block['first_port']} to {block['last_port']} by {block['source']}"
    whose = "" if behind["holder"] is not None else ", which no service has"
    return f"{ports}, inside {block['inside']}{whose}"
