"""Addresses and VLANs: what a subscriber line needs from the network, given and taken back without ever doubling it.

``NetworkService`` is the contract's network service: within the caller's transaction it gives a service its IPv4
address, IPv6 WAN prefix, delegated prefix, VLANs and username, all or nothing, and takes them back into quarantine.
``NetworkEstate`` builds the network they are taken from. ``invariants.py`` says what must always be true of both.
Reading path: ``service.py`` -> ``allocation/giving.py`` -> ``allocation/chains.py`` (which pools) -> ``allocator.py``
(which unit) -> ``allocation/take_*.py``. Each folder says in its first line what it is for.

What doors are made of; each is bound to the caller's transaction, and all but the looks are all or nothing:

* ``NetworkService``, for one service: ``allocate_resources`` (``static=StaticResources(...)`` asks for numbers),
  ``preview`` (what would this customer get?), ``move_service``, ``route_prefix`` and ``withdraw_prefix`` (prefixes of a
  business line besides, ``framed_routes`` and ``framed_ipv6_routes`` in the answer), ``release_resources``,
  ``resources``; and for all: ``utilisation``, ``outlook`` (levels, days to exhaustion), ``service_at`` (who had it
  when), ``kea_reservations`` (for lines on DHCP plans).
* ``NetworkUpkeep``, by hand and with a note: ``reserve`` and ``unreserve``, ``lift`` (a quarantine), ``exclude`` and
  ``include``, ``drain``, ``left_behind`` (who still has something there; a move to where they are gets them out),
  ``undrain``, ``shrink`` and ``retire``, ``rehome`` (access nodes to another BNG), ``history``, ``history_of_address``;
  and ``hold_service``, for whoever looks at more before one is changed.
* ``PortBlocks``, for CGNAT: ``define_rule`` (RFC 7422), ``rules`` and ``end_rule``, or ``import_blocks`` from logs;
  ``holder`` (who had 203.0.113.7:40112 at 21:14?) and its inverse ``blocks_of``.
* ``AddressLookup``, which only reads: ``find`` (what is this address or prefix, who has it, what has become of it),
  ``service``, ``occupation`` (of a pool, cell by cell, for a picture), ``usage_by_place`` (rolled up by BNG, site or
  access node).
* ``AddressInventory``, for files: ``check`` and ``bring_in`` what ``read_import`` has read (ours, NetBox's, phpIPAM's,
  radreply), ``export``, and ``reconciliation`` with RADIUS.
* ``sample_pools``, for the clock: writes how full the pools are, and answers which thresholds were crossed;
  ``exhausted_in``: which pools had nothing for what a transaction was asked.

The network is described in TOML (or any mapping of that shape) and read into ``NetworkEstateSpec``::

    [[bng]]
    name = "bng-north"

    [[site]]
    name = "north"

    [[plan]]                          # the name is the ticket's bandwidth_plan
    name = "fiber-100"
    access = "pppoe"                  # or "ipoe": then its pools need a gateway
    ipv6_wan = true                   # ipv4 is wanted unless told otherwise
    ipv6_pd = true

    [[access_node]]
    name = "OLT-NORTH-1"
    site = "north"
    bng = "bng-north"
    vlan_model = "n1"                 # or "one_to_one": each line its own C-VLAN
    cpe_vlan_id = 35                  # what the CPEs tag with; the OLT translates
    management_vlan = 4000
    ports = ["0/1/0", "0/1/1"]

    [[location]]                      # a premise; several services may live there
    id = "LOC-10293"
    access_node = "OLT-NORTH-1"
    port = "0/1/0"                    # may be unknown until the technician's scan
    onu = 7                           # of which a C-VLAN may be computed
    circuit_id = "OLT-NORTH-1 xpon 0/1/0:7"   # DHCP's Option 82, for plans with addressing = "dhcp"
    aliases = ["OLT-NORTH-1/0/1/0/7", "DROP-7781"]

    [[pool]]
    name = "north-cgnat"
    kind = "ipv4"                     # or "ipv6_wan" (/64 each), "ipv6_pd" (/56 each, or unit_length)
    network = "100.64.0.0/22"
    role = "cgnat"
    exclude = ["100.64.0.2-100.64.0.9"]
    quarantine_seconds = 86400
    sticky_seconds = 2592000          # how long who comes back gets the same (none: while nobody else has it)
    policy = "fresh_first"            # or "reuse_first"
    warn_percent = 80                 # running low; crit_percent or fewer than minimum_free left: about to be full
    crit_percent = 95
    minimum_free = 20
    bindings = [{ bng = "bng-north" }]

    [[nat_rule]]                      # the CGNAT box's own arithmetic (RFC 7422), for "who had 203.0.113.7:40112?"
    pool = "north-cgnat"              # whose addresses it maps, a block of ports for each
    outside = "203.0.113.0/27"
    ports_per_subscriber = 2016
    algorithm = "by_address"          # blocks of one outside address after the other; or "by_block"
    first_port = 1024
    last_port = 65535

    [[pool]]
    name = "north-office-nets"
    kind = "ipv4_routed"              # /29 each (or unit_length), routed to a service besides; or "ipv6_routed" (/48)
    network = "198.51.100.0/24"
    bindings = [{ bng = "bng-north" }]

    [[pool]]
    name = "north-wan6"
    kind = "ipv6_wan"
    network = "2001:db8:1000::/48"
    bindings = [{ bng = "bng-north" }]

    [[pool]]
    name = "north-pd"
    kind = "ipv6_pd"
    network = "2001:db8:2000::/40"
    bindings = [{ bng = "bng-north", plan = "fiber-100", priority = 10 }]

    [[vlan_group]]
    name = "metro-north"
    vids = ["100-399"]
    reserved = ["150"]

    [[svlan]]                         # N:1: shared by all lines behind the node
    group = "metro-north"
    vid = 110
    bindings = [{ access_node = "OLT-NORTH-1" }]

    [[svlan]]                         # 1:1: the outer tag of a C-VLAN for each line of that port
    group = "metro-north"
    vid = 210
    cvlans = ["2-4094"]               # cvlan_formula = "256*port + onu + 2": computed, not the next free one
    bindings = [{ access_node = "OLT-NORTH-1", port = "0/1/1" }]

How to add something:

* a pool, a premise, a plan: an entry in that description, and apply it again;
* a kind of resource: its name in ``kinds.Kind`` and in the check of ``tables.Pool``, when a plan wants it in
  ``kinds.wanted``, its key in ``answers.AllocatedResources``;
* an invariant: a function in ``ipam/invariants.py`` (of rows as they are) or ``ipam/upkeep/*invariants.py`` (of how
  they came to be, and of the network), named below, and a test that seeds the corruption it finds.
"""

from ipam.allocation.given import WROTE
from ipam.allocation.orders import LONGEST_REQUEST_ID
from ipam.allocation.refusals import exhausted_in
from ipam.allocation.static_requests import StaticResources
from ipam.answers import (
    Allocated,
    AllocatedResources,
    HowAllocated,
    LocationFacts,
    PlanFacts,
    PoolUsage,
    ReleasedResources,
    ReleasedUnit,
    ServiceAt,
)
from ipam.errors import (
    AliasTaken,
    EstateError,
    EstateInUse,
    EstateRefused,
    Fault,
    GatewayMissing,
    ImportRefused,
    IpamError,
    LocationUnknown,
    NameUnknown,
    NoPoolBound,
    NotServed,
    OutsideShared,
    Overlap,
    PlanUnknown,
    PoolBusy,
    PoolExhausted,
    RequestConflict,
    RequestInvalid,
    ServiceIncomplete,
    ServiceReleased,
    ServiceUnknown,
    UsernameTaken,
    against_the_move,
)
from ipam.estate.definition import Change, NetworkEstate
from ipam.estate.faults import validate_estate
from ipam.estate.spec import (
    DEFAULT_VRF,
    AccessNodeSpec,
    BindingSpec,
    BngSpec,
    LocationSpec,
    NatRuleSpec,
    NetworkEstateSpec,
    PlanSpec,
    PoolSpec,
    PrefixSpec,
    SiteSpec,
    SvlanSpec,
    VlanGroupSpec,
    VrfSpec,
)
from ipam.invariants import (
    Violation,
    badly_partitioned,
    given_twice,
    held_after_release,
    incomplete,
    leaked,
    not_as_written,
    overlapping,
)
from ipam.inventory.answers import CheckedImport, Difference, DifferenceKind, ImportCounts
from ipam.inventory.files import ImportFile, ImportMapping, read_import, read_mapping, reply_file
from ipam.inventory.inventory import AddressInventory
from ipam.inventory.lines import ImportSource
from ipam.inventory.netbox import ExportShape
from ipam.inventory.reconciling import Reconciliation
from ipam.kinds import MOST_ROUTED_OF_A_POOL
from ipam.lookup.answers import (
    AddressFacts,
    KnownElsewhere,
    Occupation,
    OccupationCell,
    PlaceKind,
    PlaceUsage,
    PoolWithin,
    ServiceFacts,
    UnitState,
)
from ipam.lookup.lookup import AddressLookup
from ipam.lookup.places import Behind, LinePlace
from ipam.lookup.pool_search import NamedPool, PoolSearch
from ipam.nat.contradictions import ports_off_rules
from ipam.nat.deterministic import Algorithm as NatAlgorithm
from ipam.nat.doubled_ports import ports_of_two
from ipam.nat.logged_blocks import ImportedBlocks, LoggedBlock
from ipam.nat.port_blocks import PortBlocks
from ipam.service import NetworkService
from ipam.unit_errors import (
    CvlanNotComputable,
    PoolNotEmpty,
    PrefixNotEmpty,
    RouteNotServed,
    UnitCooling,
    UnitDraining,
    UnitElsewhere,
    UnitError,
    UnitExcluded,
    UnitLost,
    UnitNotHeld,
    UnitReserved,
    UnitTaken,
)
from ipam.upkeep.answers import (
    KeaExport,
    LeftBehind,
    LeftOut,
    MovedService,
    NatBlockAt,
    NatContradiction,
    NatHolder,
    NatRuleInForce,
    PoolCrossing,
    PoolOutlook,
    PoolSampleAt,
    PortsKnown,
    PreviewedUnit,
    UnitEvent,
)
from ipam.upkeep.guard_invariants import unguarded
from ipam.upkeep.history_invariants import histories_out_of_order
from ipam.upkeep.invariants import cvlans_not_as_computed, given_too_early, off_its_history
from ipam.upkeep.network_invariants import badly_founded, never_handed_out
from ipam.upkeep.rehoming import Rehomed
from ipam.upkeep.request_parts import RequestParts
from ipam.upkeep.row_invariants import rows_off_their_holders
from ipam.upkeep.serving_invariants import served_otherwise
from ipam.upkeep.upkeep import NetworkUpkeep
from ipam.usage.sampling import sample_pools

__all__ = [
    "DEFAULT_VRF",
    "LONGEST_REQUEST_ID",
    "MOST_ROUTED_OF_A_POOL",
    "WROTE",
    "AccessNodeSpec",
    "AddressFacts",
    "AddressInventory",
    "AddressLookup",
    "AliasTaken",
    "Allocated",
    "AllocatedResources",
    "Behind",
    "BindingSpec",
    "BngSpec",
    "Change",
    "CheckedImport",
    "CvlanNotComputable",
    "Difference",
    "DifferenceKind",
    "EstateError",
    "EstateInUse",
    "EstateRefused",
    "ExportShape",
    "Fault",
    "GatewayMissing",
    "HowAllocated",
    "ImportCounts",
    "ImportFile",
    "ImportMapping",
    "ImportRefused",
    "ImportSource",
    "ImportedBlocks",
    "IpamError",
    "KeaExport",
    "KnownElsewhere",
    "LeftBehind",
    "LeftOut",
    "LinePlace",
    "LocationFacts",
    "LocationSpec",
    "LocationUnknown",
    "LoggedBlock",
    "MovedService",
    "NameUnknown",
    "NamedPool",
    "NatAlgorithm",
    "NatBlockAt",
    "NatContradiction",
    "NatHolder",
    "NatRuleInForce",
    "NatRuleSpec",
    "NetworkEstate",
    "NetworkEstateSpec",
    "NetworkService",
    "NetworkUpkeep",
    "NoPoolBound",
    "NotServed",
    "Occupation",
    "OccupationCell",
    "OutsideShared",
    "Overlap",
    "PlaceKind",
    "PlaceUsage",
    "PlanFacts",
    "PlanSpec",
    "PlanUnknown",
    "PoolBusy",
    "PoolCrossing",
    "PoolExhausted",
    "PoolNotEmpty",
    "PoolOutlook",
    "PoolSampleAt",
    "PoolSearch",
    "PoolSpec",
    "PoolUsage",
    "PoolWithin",
    "PortBlocks",
    "PortsKnown",
    "PrefixNotEmpty",
    "PrefixSpec",
    "PreviewedUnit",
    "Reconciliation",
    "Rehomed",
    "ReleasedResources",
    "ReleasedUnit",
    "RequestConflict",
    "RequestInvalid",
    "RequestParts",
    "RouteNotServed",
    "ServiceAt",
    "ServiceFacts",
    "ServiceIncomplete",
    "ServiceReleased",
    "ServiceUnknown",
    "SiteSpec",
    "StaticResources",
    "SvlanSpec",
    "UnitCooling",
    "UnitDraining",
    "UnitElsewhere",
    "UnitError",
    "UnitEvent",
    "UnitExcluded",
    "UnitLost",
    "UnitNotHeld",
    "UnitReserved",
    "UnitState",
    "UnitTaken",
    "UsernameTaken",
    "Violation",
    "VlanGroupSpec",
    "VrfSpec",
    "against_the_move",
    "badly_founded",
    "badly_partitioned",
    "cvlans_not_as_computed",
    "exhausted_in",
    "given_too_early",
    "given_twice",
    "held_after_release",
    "histories_out_of_order",
    "incomplete",
    "leaked",
    "never_handed_out",
    "not_as_written",
    "off_its_history",
    "overlapping",
    "ports_of_two",
    "ports_off_rules",
    "read_import",
    "read_mapping",
    "reply_file",
    "rows_off_their_holders",
    "sample_pools",
    "served_otherwise",
    "unguarded",
    "validate_estate",
]
