"""The network as an operator writes it down: plain models, whose shape is that of the TOML file.

Field by field they check what one value can say about itself; what only the whole can say is in ``ipam.estate.faults``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ipam.addresses import (
    FIRST_VID,
    LAST_VID,
    format_address,
    format_vids,
    parse_address,
    parse_network,
    parse_span,
    parse_vids,
    to_bytes,
)
from ipam.allocation.cvlan_formula import parse_formula
from ipam.nat.deterministic import FIRST_PORT, LAST_PORT, Algorithm, RuleTerms

DEFAULT_VRF = "default"
"""The one VRF that needs no mention."""
DEFAULT_QUARANTINE_SECONDS = 86_400
DEFAULT_PRIORITY = 10
DEFAULT_UNIT_LENGTH = {"ipv4": 32, "ipv6_wan": 64, "ipv6_pd": 56, "ipv4_routed": 29, "ipv6_routed": 48}
DEFAULT_WARN_PERCENT = 80
DEFAULT_CRIT_PERCENT = 95
DEFAULT_ROLE = {"ipv4": "public", "ipv6_wan": "wan6", "ipv6_pd": "pd", "ipv4_routed": "public", "ipv6_routed": "pd"}
LONGEST_TIME_SECONDS = 2**31 - 1


def _network(text: str) -> str:
    return str(parse_network(text))


def _span(text: str) -> str:
    parse_span(text)
    return text


def _address(text: str) -> str:
    family, address = parse_address(text)
    return format_address(to_bytes(family, address))


def _formula(text: str) -> str:
    if parse_formula(text).is_constant:
        raise ValueError(f"{text!r} gives every line the same C-VLAN: what it is computed of is multiplied by 0")
    return text


def _vids(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(format_vids([span]) for span in parse_vids(texts))


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")
]
LocationId = Annotated[str, StringConstraints(max_length=60, pattern=r"^LOC-[A-Za-z0-9][A-Za-z0-9._-]*$")]
PoolNameAtBng = Annotated[str, StringConstraints(max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
NetworkText = Annotated[str, AfterValidator(_network)]
SpanText = Annotated[str, AfterValidator(_span)]
AddressText = Annotated[str, AfterValidator(_address)]
VidTexts = Annotated[tuple[str, ...], AfterValidator(_vids)]
CpeVid = Annotated[int, Field(ge=1, le=LAST_VID)]
Vid = Annotated[int, Field(ge=FIRST_VID, le=LAST_VID)]
FormulaText = Annotated[str, AfterValidator(_formula)]
Seconds = Annotated[int, Field(ge=0, le=LONGEST_TIME_SECONDS)]
Percent = Annotated[int, Field(ge=1, le=100)]


class Spec(BaseModel):
    """A part of the description."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class VrfSpec(Spec):
    """A routing table of its own: networks of two may overlap."""

    name: Name


class BngSpec(Spec):
    """Where subscribers' sessions, and so their addresses, terminate."""

    name: Name


class SiteSpec(Spec):
    """A place of access nodes."""

    name: Name


class AccessNodeSpec(Spec):
    """An OLT, DSLAM or switch. ``cpe_vlan_id`` is what its CPEs tag with (none: untagged)."""

    name: Name
    kind: Literal["olt", "dslam", "switch", "radio"] = "olt"
    site: Name
    bng: Name
    vlan_model: Literal["n1", "one_to_one"] = "n1"
    cpe_vlan_id: CpeVid | None = None
    management_vlan: CpeVid | None = None
    ports: tuple[Name, ...] = ()


class LocationSpec(Spec):
    """A premise. ``aliases``: address id, ``olt/slot/port/onu``, circuit-id, drop label.

    ``onu``: its number on the port. ``circuit_id``: what the access node tells of this line in DHCP's Option 82
    (RFC 3046 s3.1); the premise is found by it as well.
    """

    id: LocationId
    access_node: Name
    port: Name | None = None
    onu: Annotated[int, Field(ge=0, le=4095)] | None = None
    circuit_id: Name | None = None
    aliases: tuple[Name, ...] = ()

    @property
    def name(self) -> str:
        return self.id

    @property
    def found_by(self) -> set[str]:
        """Everything that leads to it."""
        return {self.id, *self.aliases} | ({self.circuit_id} if self.circuit_id else set())


class PlanSpec(Spec):
    """What a commercial plan needs. ``addressing`` is about IPv4; IPv6 prefixes are always ours."""

    name: Name
    access: Literal["pppoe", "ipoe"]
    addressing: Literal["sticky", "framed_pool", "dhcp"] = "sticky"
    ipv4: bool = True
    ipv6_wan: bool = False
    ipv6_pd: bool = False
    cvlan: Literal["by_node", "always", "never"] = "by_node"


class PrefixSpec(Spec):
    """A prefix from which nothing is handed out: a container around others, or our own infrastructure."""

    network: NetworkText
    role: Literal["container", "infra"]
    vrf: Name = DEFAULT_VRF

    @property
    def name(self) -> str:
        return f"{self.network} in VRF {self.vrf}"


class BindingSpec(Spec):
    """Whom a pool serves: the premises behind a BNG, a site, an access node, or one port of it."""

    bng: Name | None = None
    site: Name | None = None
    access_node: Name | None = None
    port: Name | None = None
    plan: Name | None = None
    priority: Annotated[int, Field(ge=0, le=10_000)] = DEFAULT_PRIORITY


class HandedOut(Spec):
    """How what is numbered is handed out, and from when on it is running low.

    ``quarantine_seconds``: how long a released one goes to nobody else. ``sticky_seconds``: how long its subject gets
    it back (none: as long as nobody else was given it). ``policy``: never used ones first, which lets used ones rest
    longest, or used ones first, which keeps a pool dense. Running low from ``warn_percent`` in use, about to be full
    from ``crit_percent`` or with fewer than ``minimum_free`` left.
    """

    quarantine_seconds: Seconds = DEFAULT_QUARANTINE_SECONDS
    sticky_seconds: Seconds | None = None
    policy: Literal["fresh_first", "reuse_first"] = "fresh_first"
    warn_percent: Percent = DEFAULT_WARN_PERCENT
    crit_percent: Percent = DEFAULT_CRIT_PERCENT
    minimum_free: Annotated[int, Field(ge=0, le=2**62)] = 0

    @property
    def handing_out(self) -> dict[str, int | str | None]:
        """The columns of its pool that may change under way."""
        return {name: getattr(self, name) for name in HandedOut.model_fields}


class PoolSpec(HandedOut):
    """A prefix and how its addresses (or smaller prefixes, of ``unit_length``) are handed out.

    ``ranges`` limits it to a part of the prefix, ``exclude`` takes parts out. The network's own address, the broadcast
    address and the gateway are never handed out. With ``framed_pool`` the BNG hands out, and knows the pool by that
    name. From the kinds ``*_routed`` come prefixes that are routed to a service besides what its plan gives it.
    """

    name: Name
    kind: Literal["ipv4", "ipv6_wan", "ipv6_pd", "ipv4_routed", "ipv6_routed"]
    network: NetworkText
    role: Literal["public", "cgnat", "wan6", "pd", "infra"] | None = None
    vrf: Name = DEFAULT_VRF
    unit_length: int | None = None
    gateway: AddressText | None = None
    ranges: tuple[SpanText, ...] = ()
    exclude: tuple[SpanText, ...] = ()
    framed_pool: PoolNameAtBng | None = None
    bindings: tuple[BindingSpec, ...] = ()

    @property
    def its_role(self) -> str:
        return self.role or DEFAULT_ROLE[self.kind]

    @property
    def its_unit_length(self) -> int:
        return DEFAULT_UNIT_LENGTH[self.kind] if self.unit_length is None else self.unit_length


class VlanGroupSpec(Spec):
    """A layer 2 domain and the S-VLAN numbers that may be used in it."""

    name: Name
    vids: VidTexts
    reserved: VidTexts = ()


class SvlanSpec(HandedOut):
    """An S-VLAN: shared by the lines it is bound to, or, with ``cvlans``, the outer tag of a C-VLAN for each line.

    With ``cvlan_formula`` a line's C-VLAN isn't the next free one but follows from its port and ONU.
    """

    group: Name
    vid: Vid
    cvlans: VidTexts = ()
    reserved: VidTexts = ()
    cvlan_formula: FormulaText | None = None
    bindings: tuple[BindingSpec, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.group}/{self.vid}"


class NatRuleSpec(Spec):
    """How a CGNAT box maps the addresses of a pool onto ``outside``, a block of ports for each (RFC 7422).

    ``by_address``: the blocks of one outside address after the other; ``by_block``: the first block of each address,
    then the second. ``vrf`` is that of the outside prefix.
    """

    pool: Name
    outside: NetworkText
    ports_per_subscriber: int
    algorithm: Algorithm = "by_address"
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT
    vrf: Name = DEFAULT_VRF

    @property
    def name(self) -> str:
        return self.pool

    @property
    def terms(self) -> RuleTerms:
        said = self.model_dump(exclude={"pool", "outside", "vrf"})
        return RuleTerms(parse_network(self.outside), **said)


class NetworkEstateSpec(Spec):
    """The whole description, or a part of it: what isn't mentioned stays as it is."""

    vrfs: tuple[VrfSpec, ...] = Field(default=(), alias="vrf")
    bngs: tuple[BngSpec, ...] = Field(default=(), alias="bng")
    sites: tuple[SiteSpec, ...] = Field(default=(), alias="site")
    plans: tuple[PlanSpec, ...] = Field(default=(), alias="plan")
    access_nodes: tuple[AccessNodeSpec, ...] = Field(default=(), alias="access_node")
    locations: tuple[LocationSpec, ...] = Field(default=(), alias="location")
    prefixes: tuple[PrefixSpec, ...] = Field(default=(), alias="prefix")
    pools: tuple[PoolSpec, ...] = Field(default=(), alias="pool")
    nat_rules: tuple[NatRuleSpec, ...] = Field(default=(), alias="nat_rule")
    vlan_groups: tuple[VlanGroupSpec, ...] = Field(default=(), alias="vlan_group")
    svlans: tuple[SvlanSpec, ...] = Field(default=(), alias="svlan")
