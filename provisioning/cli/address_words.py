"""How addresses, who has them and what has become of them read at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from shlex import quote

from ipam import (
    AddressFacts,
    AllocatedResources,
    LeftBehind,
    NatHolder,
    PortsKnown,
    PreviewedUnit,
    ServiceAt,
    ServiceFacts,
    UnitEvent,
)
from provisioning.cli.printing import Entry, at_second, clock_time, print_indented, say


def which_unit(previewed: PreviewedUnit) -> str:
    """What a customer would be given, as far as that is known before it is taken."""
    if previewed["drawn_from"] is not None:
        return f"one of {previewed['drawn_from']} never used, drawn when it is taken"
    return previewed["value"] or ""


def say_behind(address: str, port: int, behind: NatHolder | None, told: PortsKnown, at: datetime | None) -> None:
    """Who was behind a port of a CGNAT's outside; nobody is a statement, and is made only where it is known."""
    if behind is None and not told["known"]:
        when = "are" if at is None else f"were at {_to_its_fraction(at)}"
        first = told["known_from"]
        later = "" if first is None else f"; the first that does begins {_to_its_fraction(first)}"
        say(f"{address}:{port}: not known: no rule and no log tells whose the ports of {address} {when}{later}")
        return
    if behind is None:
        say(f"{address}:{port}: nobody")
        return
    block, held = behind["block"], behind["holder"]
    who = "no service" if held is None else holder_in_words(held)
    say(f"{address}:{port}: {block['inside']}, {who}")
    say(f"  ports {block['first_port']} to {block['last_port']} by {block['source']}")


def _to_its_fraction(at: datetime) -> str:
    """Whoever asks again for that very moment is to be answered."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def say_service(facts: ServiceFacts, held: AllocatedResources | None) -> None:
    """A service and all that it holds; None: it is released."""
    say(f"service {facts['service_id']} of customer {facts['customer_id']}: {facts['username']}, plan {facts['plan']}")
    if held is None:
        say(f"  released {at_second(facts['released_at'])}; it was at {facts['location']}")
        return
    where = held["access_node"] if held["port"] is None else f"{held['access_node']} {held['port']}"
    say(f"  {facts['state']} at {facts['location']}: {where}, {held['bng']}")
    vlan = str(held["svlan"]) if held["cvlan"] is None else f"{held['svlan']}.{held['cvlan']}"
    named = {
        "IPv4": held["ip_address"],
        "pool of the BNG": held["framed_pool"],
        "IPv6 WAN": held["ipv6_wan_prefix"],
        "delegated": held["delegated_prefix"],
        "VLAN": vlan,
        "routed": ", ".join([*held.get("framed_routes", ()), *held.get("framed_ipv6_routes", ())]),
    }
    for name, value in named.items():
        if value:
            say(f"  {name}: {value}")


def say_facts(facts: AddressFacts) -> None:
    """How an address or prefix stands, who has it, what lies in it and what has become of it."""
    where = f", pool {facts['pool']}" if facts["pool"] else ""
    inside = f" in {facts['network']} ({facts['role']})" if facts["network"] else ""
    note = f": {facts['note']}" if facts["note"] else ""
    state = facts["state"]
    cools = f" until {at_second(facts['available_at'])}" if facts["available_at"] else ""
    since = f" since {at_second(facts['drained_since'])}" if facts["drained_since"] else ""
    until = cools if state == "cooling" else since if state == "draining" else ""
    if state == "unpooled":
        state = "of no pool as a whole, with these in it" if facts["pools"] else "of no pool here"
    say(f"{facts['value']}: {state}{until}{note}{where}{inside}")
    if cools and state != "cooling":
        say(f"  cools off{cools} all the same")
    if facts["drained"] is not None and facts["state"] != "draining":
        say(f"  in a part of the pool that is being drained{since} ({facts['drained']}): nobody is given it after that")
    if facts["holder"] is not None:
        say(f"  {holder_in_words(facts['holder'])}")
    _say_cgnat(facts)
    for pool in facts["pools"]:
        vrf = "" if pool["vrf"] == (facts["vrf"] or "default") else f" in VRF {pool['vrf']}"
        say(f"  pool {pool['pool']}: {pool['network']}{vrf}")
    for each in facts["within"]:
        say(f"  {each['value']}: {each['state']}{_by(each)}")
    if more := facts["within_total"] - len(facts["within"]):
        whole = f"firstlight addresses export --pool {quote(str(facts['pool']))}"
        say(f"  and {more} more: `{whole}` writes all of that pool")
    say_events(facts["history"])


def _say_cgnat(facts: AddressFacts) -> None:
    for block in facts["outside"]:
        say(f"  outside {block['outside']} ports {block['first_port']} to {block['last_port']} by {block['source']}")
    if facts["cgnat_of"]:
        say(f"  the CGNAT of pool {facts['cgnat_of']} has it outside: with :PORT after it, who is behind that port")
    elif facts["cgnat_logged"]:
        say("  the log of a CGNAT has it outside: with :PORT after it, who is behind that port (or was, --at TIME)")


def _by(each: LeftBehind) -> str:
    if each["service_id"] is None:
        until = f" until {at_second(each['available_at'])}" if each["available_at"] else ""
        return f"{until}: {each['note']}" if each["note"] else until
    return f", service {each['service_id']} of customer {each['customer_id']} at {each['location']}"


def entry_of(each: LeftBehind) -> Entry:
    """One line of what is still held in a pool that is being drained."""
    service = "" if each["service_id"] is None else f"{each['service_id']} of customer {each['customer_id']}"
    until = f" until {at_second(each['available_at'])}" if each["available_at"] else ""
    cells = each["value"], f"{each['state']}{until}", service, each["location"] or "", clock_time(each["drained_since"])
    return Entry(cells, each["note"] or "")


def holder_in_words(held: ServiceAt) -> str:
    """Whose an address is or was, since when and until when."""
    until = f" until {at_second(held['until'])}" if held["until"] else ""
    return (
        f"service {held['service_id']} of customer {held['customer_id']}, {held['username']} at {held['location']}"
        f" since {at_second(held['since'])}{until}"
    )


def say_events(events: Sequence[UnitEvent]) -> None:
    """What has become of something, a line for each."""
    for each in events:
        who = f" service {each['service_id']} of customer {each['customer_id']}" if each["service_id"] else ""
        note = f": {each['note']}" if each["note"] else ""
        print_indented(f"{clock_time(each['at'])}  {each['what']}{who}{note}", indent=4, first="  ")
