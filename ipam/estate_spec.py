"""The network as an operator writes it down: plain models, whose shape is that of the TOML file.

Field by field they check what one value can say about itself; what only the whole can say is in ``estate_faults``.
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

DEFAULT_VRF = "default"
"""The one VRF that needs no mention."""
DEFAULT_QUARANTINE_SECONDS = 86_400
DEFAULT_PRIORITY = 10
DEFAULT_UNIT_LENGTH = {"ipv4": 32, "ipv6_wan": 64, "ipv6_pd": 56}


def _network(text: str) -> str:
    return str(parse_network(text))


def _span(text: str) -> str:
    parse_span(text)
    return text


def _address(text: str) -> str:
    family, address = parse_address(text)
    return format_address(to_bytes(family, address))


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
    """A premise. ``aliases``: address id, ``olt/slot/port/onu``, circuit-id, drop label."""

    id: LocationId
    access_node: Name
    port: Name | None = None
    aliases: tuple[Name, ...] = ()

    @property
    def name(self) -> str:
        return self.id


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


class PoolSpec(Spec):
    """A prefix and how its addresses (or smaller prefixes, of ``unit_length``) are handed out.

    ``ranges`` limits it to a part of the prefix, ``exclude`` takes parts out. The network's own address, the broadcast
    address and the gateway are never handed out. With ``framed_pool`` the BNG hands out, and knows the pool by that
    name.
    """

    name: Name
    kind: Literal["ipv4", "ipv6_wan", "ipv6_pd"]
    network: NetworkText
    role: Literal["public", "cgnat", "wan6", "pd", "infra"] | None = None
    vrf: Name = DEFAULT_VRF
    unit_length: int | None = None
    gateway: AddressText | None = None
    ranges: tuple[SpanText, ...] = ()
    exclude: tuple[SpanText, ...] = ()
    quarantine_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] = DEFAULT_QUARANTINE_SECONDS
    framed_pool: PoolNameAtBng | None = None
    bindings: tuple[BindingSpec, ...] = ()

    @property
    def its_role(self) -> str:
        return self.role or {"ipv4": "public", "ipv6_wan": "wan6", "ipv6_pd": "pd"}[self.kind]

    @property
    def its_unit_length(self) -> int:
        return DEFAULT_UNIT_LENGTH[self.kind] if self.unit_length is None else self.unit_length


class VlanGroupSpec(Spec):
    """A layer 2 domain and the S-VLAN numbers that may be used in it."""

    name: Name
    vids: VidTexts
    reserved: VidTexts = ()


class SvlanSpec(Spec):
    """An S-VLAN: shared by the lines it is bound to, or, with ``cvlans``, the outer tag of a C-VLAN for each line."""

    group: Name
    vid: Vid
    cvlans: VidTexts = ()
    reserved: VidTexts = ()
    quarantine_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] = DEFAULT_QUARANTINE_SECONDS
    bindings: tuple[BindingSpec, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.group}/{self.vid}"


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
    vlan_groups: tuple[VlanGroupSpec, ...] = Field(default=(), alias="vlan_group")
    svlans: tuple[SvlanSpec, ...] = Field(default=(), alias="svlan")
