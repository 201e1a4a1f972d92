"""The shapes of files of allocations: ours, NetBox's, phpIPAM's, and rows of FreeRADIUS' radreply.

Columns are found by their names, in any order and spelling of case; spaces don't count, nor does what stands before the
name of a custom field (NetBox's ``cf_``, phpIPAM's ``custom_``). In each shape ``customer_id``, ``location``, ``plan``,
``username`` and ``cvlan`` may stand beside the system's own.

* NetBox (``ipam/tables/ip.py``): its table of IP addresses (*IP Address*, *VRF*, *Status*, *Description*, *DNS Name*)
  or of prefixes (*Prefix*, ...), and both as its bulk import writes them (``address``, ``prefix``). An address has the
  mask of its link; the VRF *Global* is ours called default unless one is called so here, and the route distinguisher
  behind a name is left out unless it belongs to the name; an empty cell is default, and a file without the column says
  nothing. Templates leave bullets and ends of lines before a prefix, and entities of HTML in names.
* phpIPAM (``export-ipaddr.php``, ``export-subnet.php``), saved as CSV: *IP Address*, *Hostname*, *Description*, *VRF*,
  *Owner*, *Note*, *Tag* or *ip state*; a subnet's export has lines of title before its columns. Its VRF *None* is an
  empty cell: default, where several VRFs have the address. Its own *Location* is where equipment stands.
* radreply: ``username``, ``attribute``, ``op``, ``value``, and ``vrf`` and ``pool`` where they are known; rows of
  attributes that give no address are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ipam.estate.spec import DEFAULT_VRF
from ipam.inventory.headings import EQUIPMENT, IN_ENGLISH
from ipam.inventory.lines import KINDS, OWNER, STATES, Cells, ImportLine, ImportSource, Said, as_note
from ipam.upkeep.pool_units import LONGEST_NOTE

IMPORT_COLUMNS = (
    "vrf",
    "pool",
    "kind",
    "value",
    "state",
    "customer_id",
    "username",
    "location",
    "plan",
    "since",
    "available_at",
    "sticky_until",
    "note",
)
"""Our own, in the order in which an export has them."""
ATTRIBUTES: Mapping[str, str] = {
    "ipv4": "Framed-IP-Address",
    "ipv6_wan": "Framed-IPv6-Prefix",
    "ipv6_pd": "Delegated-IPv6-Prefix",
    "ipv4_routed": "Framed-Route",
    "ipv6_routed": "Framed-IPv6-Route",
}
"""Which attribute tells a NAS of a unit of each kind (RFC 2865, RFC 3162, RFC 4818)."""
INSIDE = "Framed-IPv6-Address"
"""It tells of an address in a prefix (RFC 6911 s3.1), of whichever kind that is: who holds the prefix may have it."""
_REPLY_KINDS = {name.lower(): kind for kind, name in ATTRIBUTES.items()} | {INSIDE.lower(): ""}
THE_NAS_CHOOSES = ("255.255.255.254", "255.255.255.255")  # RFC 2865 s5.8
NETBOX_STATUSES = ("active", "container", "deprecated", "dhcp", "reserved", "slaac")
"""Of its addresses and prefixes (``ipam/choices.py``), as its imports take them."""
_VALUE = re.compile(r"[a-z0-9_-]+")
"""A status as NetBox's imports take it, also one that an installation has added; its tables have words instead, which
begin with a capital letter in each language that has such."""
_AVAILABLE = "available"
"""What NetBox calls the space between prefixes and addresses, where it shows that."""
_BULLETS = re.compile(r"^[\s•·]+")
"""How deep a prefix lies, each before ends of lines in NetBox 3.0 to 3.2.3 (``ipam/tables/ip.py``)."""
_GIVES = ("=", ":=", "+=")


def own_line(number: int, cells: Cells) -> ImportLine:
    """A line as our export writes it."""
    said, customer_id, username = cells.value(cells.text("value")), cells.customer_id(), cells.username()
    location, plan = cells.text("location"), cells.text("plan")
    lacks = [name for name in OWNER if not cells.text(name)]
    state = cells.text("state") or ("reserved" if lacks else "assigned")
    note = " ".join(cells.text("note").split())
    cvlan = cells.cvlan()
    since, available_at, sticky_until = (cells.moment(name) for name in ("since", "available_at", "sticky_until"))
    cells.faults += _owner_faults(state, lacks, username)
    cells.faults += _quarantine_faults(state, available_at, sticky_until)
    if (kind := cells.text("kind")) and kind not in KINDS:
        cells.faults.append(f"kind: {kind[:60]!r} is none of {', '.join(KINDS)}")
    if len(note) > LONGEST_NOTE or not note.isprintable():
        cells.faults.append(f"note: takes at most {LONGEST_NOTE} characters that can be seen")
    return ImportLine(
        number=number,
        network=said.network,
        vid=said.vid,
        vrf=cells.text("vrf"),
        pool=cells.text("pool"),
        kind=kind,
        state=state,
        customer_id=customer_id,
        username=username,
        location=location,
        plan=plan,
        cvlan=cvlan,
        since=since,
        available_at=available_at,
        sticky_until=sticky_until,
        note=note or (as_note("csv") if state == "reserved" else ""),
        faults=tuple(cells.faults),
    )


def _owner_faults(state: str, lacks: Sequence[str], username: str) -> Iterator[str]:
    if state not in STATES:
        yield f"state: {state[:60]!r} is none of {', '.join(STATES)}"
    if state in ("assigned", "quarantine") and lacks:
        yield f"what is {state} is somebody's: {', '.join(lacks)} is missing"
    elif 0 < len(lacks) < len(OWNER):
        yield f"whose it is takes {', '.join(OWNER)}: {', '.join(lacks)} is missing"
    elif state == "reserved" and (username or not lacks):
        yield "what is reserved is nobody's: leave its owner out, or its state"


def _quarantine_faults(state: str, available_at: datetime | None, sticky_until: datetime | None) -> Iterator[str]:
    if state == "quarantine" and available_at is None:
        yield "available_at is missing: when its quarantine is over"
    if state in ("assigned", "reserved") and (available_at or sticky_until):
        yield "available_at and sticky_until are for what is in quarantine"


def netbox_line(number: int, cells: Cells) -> ImportLine:
    """A line of NetBox's IP addresses or prefixes."""
    prefix, status = _BULLETS.sub("", cells.text("prefix")), cells.text("status")
    said = cells.value(prefix) if prefix else cells.address(cells.text("ip_address", "address"))
    description = cells.text("description", "dns_name") or html.unescape(cells.text("tenant"))
    is_active = status.lower() in ("", "active")  # said where a description would else be taken for it
    words = (description, "" if is_active and not description.endswith(")") else f"({status or 'active'})")
    if status and status.lower() not in (*NETBOX_STATUSES, _AVAILABLE) and not _VALUE.fullmatch(status):
        cells.faults.append(_no_status(status))
    return _foreign(
        "netbox", number, cells, said, words=words, vrfs=_netbox_vrf(cells), skipped=_no_allocation(prefix, status)
    )


def _no_allocation(prefix: str, status: str) -> str:
    """Why it is none; empty: it is one."""
    if status.lower() == _AVAILABLE:
        return "it is available in NetBox"
    return "it is a container of prefixes" if prefix and status.lower() == "container" else ""


def _no_status(status: str) -> str:
    return (
        f"status: {status[:60]!r} is none of NetBox's own ({', '.join(NETBOX_STATUSES)}): {IN_ENGLISH['netbox']},"
        " and write a status that only your NetBox has as its imports take it, in small letters"
    )


def _netbox_vrf(cells: Cells) -> Sequence[str]:
    """Its name, and what that may mean where no VRF is called so here."""
    name = html.unescape(cells.text("vrf"))
    bare = re.sub(r"\s+\([^()]*\)$", "", name)
    return tuple(dict.fromkeys((name, bare, *((DEFAULT_VRF,) if bare == "Global" else ()))))


def in_global_table(line: ImportLine, cells: Cells) -> ImportLine:
    """A line of NetBox's with the VRF that an empty cell means, which a mapping had the chance to fill."""
    return replace(line, vrf=DEFAULT_VRF) if cells.has("vrf") and not line.vrf else line


def phpipam_line(number: int, cells: Cells) -> ImportLine:
    """A line of phpIPAM's addresses."""
    said = cells.address(cells.text("ip_address"))
    tag = cells.text("tag", "ip_state")
    words = (cells.text("description", "hostname", "owner", "note"), f"({tag})" if tag and tag != "Used" else "")
    return _foreign("phpipam", number, cells, said, words=words, vrfs=_phpipam_vrf(cells))


def _phpipam_vrf(cells: Cells) -> Sequence[str]:
    """Its name; where it has none, what is meant if several VRFs have the address."""
    name = cells.text("vrf")
    return ("", DEFAULT_VRF) if cells.has("vrf") and not name else (name,)


def _foreign(
    source: ImportSource,
    number: int,
    cells: Cells,
    said: Said,
    *,
    words: tuple[str, ...],
    vrfs: Sequence[str],
    skipped: str = "",
) -> ImportLine:
    customer_id, username, cvlan, plan = cells.customer_id(), cells.username(), cells.cvlan(), cells.text("plan")
    has_owner = cells.text("customer_id") and plan
    equipment = cells.text(EQUIPMENT) if has_owner else ""  # by itself it is nobody's premise
    return ImportLine(
        number=number,
        is_exact=False,
        vrf=vrfs[0],
        vrf_else=tuple(vrfs[1:]),
        customer_id=customer_id,
        username=username,
        location=cells.text("location") or equipment,
        plan=plan,
        cvlan=cvlan,
        note=as_note(source, *words),
        skipped=skipped,
        faults=tuple(cells.faults),
        network=said.network,
        vid=said.vid,
    )


def reply_line(number: int, cells: Cells) -> ImportLine:
    """A row of radreply."""
    attribute, op, value = cells.text("attribute"), cells.text("op"), cells.text("value")
    kind = _REPLY_KINDS.get(attribute.lower())
    if kind is None:
        return ImportLine(number, skipped=f"{attribute or 'no attribute'} gives no address")
    if kind == "ipv4" and value in THE_NAS_CHOOSES:
        return ImportLine(number, skipped=f"{value} leaves the address to the NAS (RFC 2865 s5.8)")
    if op not in _GIVES:
        cells.faults.append(f"op: {op[:10]!r} gives nothing; FreeRADIUS replies with {', '.join(_GIVES)}")
    said = cells.value((value.split() or [""])[0] if kind.endswith("_routed") else value)
    if not kind and said.network is not None and said.network.family == 4:
        cells.faults.append(f"{attribute} takes an IPv6 address (RFC 6911 s3.1)")
    if not (username := cells.username()):
        cells.faults.append("username is missing")
    customer_id, cvlan = cells.customer_id(), cells.cvlan()
    return ImportLine(
        number=number,
        is_exact=bool(kind),
        vrf=cells.text("vrf"),
        pool=cells.text("pool"),
        kind=kind,
        customer_id=customer_id,
        username=username,
        location=cells.text("location"),
        plan=cells.text("plan"),
        cvlan=cvlan,
        note=as_note("radreply", username),
        faults=tuple(cells.faults),
        network=said.network,
        vid=said.vid,
    )


READERS: Mapping[ImportSource, Callable[[int, Cells], ImportLine]] = {
    "csv": own_line,
    "netbox": netbox_line,
    "phpipam": phpipam_line,
    "radreply": reply_line,
}
NEEDED: Mapping[ImportSource, tuple[tuple[str, ...], ...]] = {
    "csv": (("value",),),
    "netbox": (("ip_address",), ("address",), ("prefix",)),
    "phpipam": (("ip_address",),),
    "radreply": (("username", "attribute", "op", "value"),),
}
"""By which columns the line with the names of the columns is known; one of these sets must be there."""
BESIDE = frozenset({"cvlan", "errors"})
"""What a file of ours may have besides ``IMPORT_COLUMNS``."""
